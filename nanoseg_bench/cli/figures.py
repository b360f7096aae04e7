"""``nanoseg-bench figures``: the paper's figures from records, runs and predictions, each with its numbers."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.cli.names import split_names
from nanoseg_bench.cli.sets import add_set, find_name, sets_with_records
from nanoseg_bench.errors import ModelError, NanosegError
from nanoseg_bench.preparation.set_names import DATA, is_set

if TYPE_CHECKING:
    from nanoseg_bench.annotations.instance import Rle
    from nanoseg_bench.leaderboard.figures.contenders import Contender
    from nanoseg_bench.leaderboard.figures.gallery import Made
    from nanoseg_bench.leaderboard.figures.maps import NetworkMaps
    from nanoseg_bench.preparation.prepared_set import PreparedImage

_EPILOG = """\
figures, with the number of the paper's figure:
  loss (6)                        training losses of each model
  bars (7)                        precision, recall, F1, IoU, AP, counts and sizes, with 95 % intervals
  overlays, overlays-ood (8, 9)   what each model finds in the same micrographs; trained and unknown shapes
  confusion, confusion-ood (10)   what each model calls the particles of each class
  heat-maps (11)                  confidence, mask probability and boundaries that YOLO networks see in one micrograph
  boundaries (12)                 instance boundaries of each YOLO network
  curves, robustness, sizes       precision-recall and F1; AP under corruptions; diameters, truth against model

examples:
  nanoseg-bench figures emps                                    all of them -> figures/emps
  nanoseg-bench figures emps --only 6,7 --to pdf                two of them, for print
  nanoseg-bench figures emps --only overlays --models nsyolo yolo11n --show 02f6c35bd5

Beside each figure lies a CSV with the numbers in it; maps lie in an .npz, too. The same input gives the same bytes. A
figure whose records, runs, weights or images are not there is left out, and the reason is printed. Pictures are 90 or
180 mm wide; PNG has 300 dots per inch.
"""

_FORMATS = ("png", "pdf", "svg")


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "figures",
        help="draw the paper's figures, each with its numbers as CSV",
        usage="%(prog)s SET [--only FIGURE ...] [--to {png,pdf,svg}] [options]",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_set(parser)
    parser.add_argument("--runs", type=Path, help="folder of its runs (default: runs/SET)")
    parser.add_argument(
        "--leaderboards", type=Path, default=Path("leaderboards"), help="folder of the records (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the figures (default: figures/SET)")
    parser.add_argument("--models", nargs="+", metavar="MODEL", help="only these (default: all that have records)")
    parser.add_argument("--preset", help="only runs of this preset (default: all)")
    parser.add_argument(
        "--show",
        dest="images",
        nargs="+",
        metavar="IMAGE",
        help="images to show, of the test set or of unknown shapes; maps show the first (default: from best to worst)",
    )
    parser.add_argument("--to", choices=_FORMATS, default="png", help="file format (default: %(default)s)")
    parser.add_argument("--only", nargs="+", metavar="FIGURE", help="numbers or names, such as 6,7 (default: all)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draw the figures of a set."""
    from nanoseg_bench.environment import isolate_libraries

    isolate_libraries()
    from nanoseg_bench.leaderboard.figures.contenders import choose_contenders, read_contenders
    from nanoseg_bench.leaderboard.figures.gallery import Materials, choose_kinds, make_figures

    name = find_name(arguments.set, sets_with_records(arguments.leaderboards), "records")
    only, models, images = (
        split_names(words or ()) or None for words in (arguments.only, arguments.models, arguments.images)
    )
    kinds = choose_kinds(only)
    contenders = choose_contenders(read_contenders(arguments.leaderboards, name), models, arguments.preset)
    if not contenders:
        raise NanosegError(
            f"{arguments.leaderboards / 'records' / name}: no run that ended well matches; see the reasons in the "
            "leaderboard, or ask for other --models or another --preset"
        )
    data, runs = _folder_of(arguments.set, name), arguments.runs or Path("runs") / name
    out = arguments.out or Path("figures") / name
    materials = Materials(contenders, data, runs, images, _look_into)
    left_out = []
    for made in make_figures(kinds, materials, out, arguments.to):
        if made.paths:
            _report(made)
        else:
            left_out.append(f"{made.kind.name}: not drawn: {made.notes[0]}")
    for line in left_out:
        print(line)
    drawn = len(kinds) - len(left_out)
    if not drawn:
        raise NanosegError(f"no figure of {name} could be drawn; the reasons are above")
    print(f"{drawn} of {len(kinds)} figures drawn")
    return 0


def _folder_of(given: str, name: str) -> Path:
    """Of the set; figures that need none of its images are drawn without it."""
    return Path(given) if is_set(Path(given)) else DATA / name


def _report(made: "Made") -> None:
    numbers = f" (Fig. {', '.join(made.kind.numbers)})" if made.kind.numbers else ""
    figure, *others = made.paths
    print(f"{figure}{numbers}; {', '.join(path.name for path in others)}")
    for note in made.notes:
        print(f"  {note}")


def _look_into(
    contender: "Contender", run_folder: Path, image: "PreparedImage", ignored: "tuple[Rle, ...]"
) -> "NetworkMaps":
    """Maps of a contender's network for the canvas without its padding, which is what it was judged on.

    Raises:
        ModelError: There are no weights, the network is no YOLO, or it has no operating point.
    """
    from nanoseg_bench.explanation.explanation import explain
    from nanoseg_bench.leaderboard.figures.maps import NetworkMaps
    from nanoseg_bench.models.trained import open_trained

    confidence = contender.first.confidence
    if confidence is None:
        raise ModelError(f"{run_folder}: its record has no operating point")
    pixels = image.read_content()
    explanation = explain(open_trained(run_folder), pixels, confidence)
    maps = {
        "confidence": explanation.confidence,
        "mask_probability": explanation.mask_probability,
        "instance_boundary": explanation.instance_boundary,
    }
    return NetworkMaps(contender, pixels, len(explanation.instances), ignored, maps)
