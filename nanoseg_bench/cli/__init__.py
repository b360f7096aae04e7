"""Command line: one module per verb. Verbs import what they need when they run, so ``--help`` is instant."""

import argparse
import logging
import sys
from collections.abc import Sequence
from contextlib import nullcontext

from nanoseg_bench import __version__
from nanoseg_bench.cli import (
    analyze,
    annotate,
    audit,
    campaign,
    convert,
    explain,
    export,
    figures,
    leaderboard,
    list_,
    predict,
    prepare,
    run,
    score,
    serve,
)
from nanoseg_bench.cli.parser import Parser
from nanoseg_bench.cli.pipes import READER_GONE, flush_output, has_lost_reader
from nanoseg_bench.cli.shared import refuse_other_urls
from nanoseg_bench.errors import NanosegError, UsageError
from nanoseg_bench.files import FULL
from nanoseg_bench.runs.quiet import at_work
from nanoseg_bench.terminal import print_any_name
from nanoseg_bench.verbosity import QUIET, VERBOSE, verbosity

_LOG = logging.getLogger(__name__)

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

# What computes, so that no latency is measured beside it. The jobs of ``run`` say so themselves, since they measure it.
_AT_WORK = ("prepare", "convert", "audit", "score", "predict", "analyze", "explain", "export", "figures")

_EPILOG = """\
examples:
  nanoseg-bench prepare                                   the embedded data set nanosynth -> data/nanosynth
  nanoseg-bench prepare MY_FOLDER --name mine             your own annotated micrographs -> data/mine
  nanoseg-bench convert MY_FOLDER OUT --to coco            LabelMe, VIA, COCO, YOLO-seg and masks into each other
  nanoseg-bench run mine --models all                     train and score every model on it
  nanoseg-bench score runs/mine                           score kept predictions again, or those of another tool
  nanoseg-bench leaderboard mine                          print the table again
  nanoseg-bench predict my_images --model RUN             find the particles of other images with a trained model
  nanoseg-bench analyze my_images                         sizes in nm, charts, a Word report
  nanoseg-bench serve                                     the same in the browser
  nanoseg-bench explain image.tif --model RUN             what the network saw, as one picture
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    parser = Parser(
        prog="nanoseg-bench",
        description="Which model segments your nanoparticles best, and how sure is that?",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"nanoseg-bench {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in (
        prepare,
        convert,
        audit,
        annotate,
        run,
        score,
        predict,
        analyze,
        serve,
        explain,
        export,
        leaderboard,
        figures,
        campaign,
        list_,
    ):
        verb.add_parser(verbs)
    for verb_parser in verbs.choices.values():
        talk = verb_parser.add_mutually_exclusive_group()
        talk.add_argument("-q", "--quiet", dest="level", action="store_const", const=QUIET, help="warnings only")
        talk.add_argument("-v", "--verbose", dest="level", action="store_const", const=VERBOSE, help="say why, too")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 all well, 1 a model or file failed, 2 usage, 130 interrupted, 141 nobody reads the output any more.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    arguments = build_parser().parse_args(given)
    # For messages that say how to ask for the same in another way.
    arguments.given = given
    print_any_name()
    with verbosity(arguments.level):
        return _carry_out(arguments)


def _carry_out(arguments: argparse.Namespace) -> int:
    try:
        refuse_other_urls(arguments)
        with at_work() if arguments.verb in _AT_WORK else nullcontext():
            code: int = arguments.run(arguments)
        return code
    except UsageError as error:
        return _complain(error, USAGE)
    except NanosegError as error:
        _LOG.debug("", exc_info=True)
        return _complain(error, FAILED)
    except BrokenPipeError:
        if not has_lost_reader():
            raise
        return READER_GONE
    except OSError as error:
        # Verbs name the option that gives another place; this is for every file that none of them thought of.
        if error.strerror is None:
            raise
        _LOG.debug("", exc_info=True)
        named = f"{error.filename}: " if error.filename is not None else ""
        way_out = "; make room, and give the same command again" if error.errno in FULL else ""
        return _complain(f"{named}cannot be read or written ({error.strerror}){way_out}", FAILED)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    except ImportError as error:
        # opencv-python and opencv-python-headless own the same files; the last one installed wins.
        if "libGL" not in str(error) and "libgthread" not in str(error):
            raise
        return _complain(
            f"{error}\nOpenCV's desktop build needs that library. Use the build without it:\n"
            "  pip install --force-reinstall --no-deps opencv-python-headless",
            FAILED,
        )


def run_from_shell() -> None:
    """Entry point of the console script."""
    code: object
    try:
        code = main()
    except SystemExit as end:
        code = end.code
    raise SystemExit(code if flush_output() else READER_GONE)


def _complain(message: object, code: int) -> int:
    print(f"nanoseg-bench: {message}", file=sys.stderr)
    return code
