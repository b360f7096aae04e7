"""``nanoseg-bench audit``: look again whether the splits of a prepared set share a source."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanoseg_bench.cli.executor_options import add_workers, workers_of
from nanoseg_bench.cli.places import require_there
from nanoseg_bench.cli.sets import add_set, find_set

if TYPE_CHECKING:
    from nanoseg_bench.preparation.shortcomings import Shortcoming

_EPILOG = """\
examples:
  nanoseg-bench audit mine                               -> split_audit.json and split_audit.html in the set
  nanoseg-bench audit mine --reviewed looked.csv         pairs that you looked at and that show different sources

The page shows each suspicious pair side by side. Where two images do show the same source, put them into one split
(--group-by or --split-file of prepare) and prepare again. Where they do not, list the pair in a CSV with the columns
first,second,note and give it here, or to prepare.
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "audit",
        help="look again whether the splits of a prepared set share a source",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_set(parser)
    parser.add_argument("--reviewed", type=Path, metavar="CSV", help="pairs without a common source: first,second,note")
    add_workers(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Audit the set anew and print what was found; 1 when the audit failed."""
    workers = workers_of(arguments)
    from nanoseg_bench.parallel import default_workers
    from nanoseg_bench.preparation.audit import read_reviewed
    from nanoseg_bench.preparation.auditing import audit_set
    from nanoseg_bench.preparation.prepared_set import PreparedSet

    require_there({"--reviewed": arguments.reviewed})
    prepared = PreparedSet(find_set(arguments.set))
    reviewed = read_reviewed(arguments.reviewed) if arguments.reviewed is not None else []
    document = audit_set(prepared, reviewed, workers or default_workers())
    return show_audit(document, prepared.root)


def print_shortcomings(shortcomings: "Sequence[Shortcoming]") -> None:
    """Print what a split cannot carry, one line for each part; nothing where it carries all."""
    from nanoseg_bench.preparation.shortcomings import shortcoming_lines
    from nanoseg_bench.terminal import print_sentence

    if shortcomings:
        print_sentence("what this split cannot carry:")
    for line in shortcoming_lines(shortcomings):
        print_sentence(f"- {line}")


def show_audit(document: dict[str, Any], root: Path, url: str | None = None) -> int:
    """Print an audit in a few lines.

    Args:
        document: The audit.
        root: Folder of the set.
        url: What it stands for, if it does.

    Returns:
        0 when it passed, 1 when it failed.
    """
    from nanoseg_bench.preparation.prepared_set import AUDIT_PAGE
    from nanoseg_bench.preparation.shortcomings import audited_shortcomings
    from nanoseg_bench.terminal import open_console, print_sentence

    console = open_console(soft_wrap=True)
    print_sentence(f"split audit: {document['conclusion']}")
    for check in document["checks"]:
        if check["findings"]:
            level = "to look at" if check["passed"] else "that fail the audit"
            console.print(f"  {check['name']}: {check['findings']} {level}")
    print_shortcomings(audited_shortcomings(document) or [])
    page = root / AUDIT_PAGE
    if page.is_file():
        console.print(f"  each pair that was looked at: {page if url is None else f'{url}/{page.name}'}")
    if document["passed"]:
        return 0
    console.print("the split audit failed: no model will be trained on this set; mend the split")
    return 1
