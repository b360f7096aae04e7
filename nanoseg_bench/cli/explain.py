"""``nanoseg-bench explain``: what a YOLO network saw in one micrograph, as one picture."""

import argparse
import logging
from pathlib import Path
from typing import Any

from nanoseg_bench.cli.model_options import add_confidence, add_trust_pickle, check_confidence
from nanoseg_bench.cli.places import require_there
from nanoseg_bench.cli.shipped import find_model
from nanoseg_bench.errors import ModelError, UsageError
from nanoseg_bench.wording import counted

_EPILOG = """\
examples:
  nanoseg-bench explain sample.tif                         with the weights that ship with this package
  nanoseg-bench explain sample.tif --model runs/nanosynth/nsyolo-quick-seed0    -> sample-explained.png
  nanoseg-bench explain sample.tif --model weights.safetensors --at 310,224 95,410
  nanoseg-bench explain sample.tif --model RUN --out figure.pdf --arrays figure.npz

The picture shows the detected particles, the confidence, mask probability and instance boundary maps, and of the
blocks that the network has: the boundary attention A_b, the snakes at a few particles' edges, one of them enlarged,
and the regions that one region attends to. A map's colours mean the same in every picture, except for A_b, whose bar
spans the values that occur. Everything is in pixels of the micrograph; in the arrays, too.
"""

_SUFFIXES = (".png", ".pdf", ".svg")
_PLACES = 4
_DPI = 200

_LOG = logging.getLogger(__name__)


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "explain",
        help="show what a YOLO network saw in one micrograph: maps, snakes, routed regions",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("image", type=Path, metavar="IMAGE", help="a micrograph")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="RUN_OR_WEIGHTS",
        help="a run's folder, its weights, or nsyolo or yolo11n, whose weights ship with this package (default: "
        "nsyolo)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the picture: .png, .pdf or .svg (default: IMAGE's name-explained.png)"
    )
    parser.add_argument(
        "--at",
        nargs="+",
        type=_point,
        metavar="X,Y",
        help=f"draw the snakes here, in pixels (default: at edges of the {_PLACES} best particles; without any, where "
        "the confidence is highest)",
    )
    add_confidence(parser, "leave out particles below")
    parser.add_argument("--arrays", type=Path, metavar="FILE.npz", help="write the maps and positions, too")
    add_trust_pickle(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draw what the network made of the micrograph, as one picture; its maps as arrays, too, where asked for."""
    out: Path = arguments.out or Path(f"{arguments.image.stem}-explained.png")
    require_there({"": arguments.image})
    arguments.model = find_model(arguments.model, "give a run's folder, or its weights")
    _check(arguments, out)
    from nanoseg_bench.environment import isolate_libraries

    isolate_libraries()
    import numpy as np

    from nanoseg_bench.explanation.explanation import explain
    from nanoseg_bench.explanation.figure import draw_explanation
    from nanoseg_bench.explanation.points import choose_points
    from nanoseg_bench.files import atomic_path, require_writable, unwritable
    from nanoseg_bench.images import read_image
    from nanoseg_bench.inference.operating_point import choose_confidence
    from nanoseg_bench.models.trained import open_trained
    from nanoseg_bench.weights.release import tell_release

    pixels = read_image(arguments.image)
    require_writable(out.parent, "--out")
    if arguments.arrays is not None:
        require_writable(arguments.arrays.parent, "--arrays")
    model = open_trained(arguments.model, trust_pickle=arguments.trust_pickle)
    tell_release(arguments.model)
    chosen = choose_confidence(arguments.model, arguments.confidence)
    _LOG.info("confidence %.3g (%s)", chosen.confidence, chosen.source)
    try:
        explanation = explain(model, pixels, chosen.confidence)
    except ModelError as error:
        raise ModelError(f"{arguments.model}: {error}") from error
    points = arguments.at or []
    if not points and explanation.snakes:
        points = choose_points(explanation, explanation.snakes[-1], _PLACES)
    figure = draw_explanation(explanation, points)
    try:
        with atomic_path(out) as temporary:
            figure.savefig(temporary, dpi=_DPI)
    except OSError as error:
        raise unwritable(out, error, "--out") from error
    print(f"{out}: {counted(len(explanation.instances), 'particle')}")
    if arguments.arrays is not None:
        arrays: dict[str, Any] = explanation.arrays()
        try:
            with atomic_path(arguments.arrays) as temporary:
                np.savez_compressed(temporary, **arrays)
        except OSError as error:
            raise unwritable(arguments.arrays, error, "--arrays") from error
        print(f"{arguments.arrays}: the maps and positions")
    for sentence in explanation.missing():
        print(sentence)
    return 0


def _check(arguments: argparse.Namespace, out: Path) -> None:
    """Refuse what would fail only after the work is done."""
    if out.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"--out {out}: the picture is a {', '.join(_SUFFIXES)} file")
    if arguments.arrays is not None and arguments.arrays.suffix != ".npz":
        raise UsageError(f"--arrays {arguments.arrays}: the arrays are an .npz file")
    if out.resolve() == arguments.image.resolve():
        raise UsageError(f"--out {out}: is the micrograph itself; give another name")
    check_confidence(arguments)


def _point(text: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no point; write X,Y in pixels, such as 310,224") from error
    return x, y
