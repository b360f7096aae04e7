"""``nanoseg-bench export``: a trained YOLO model as one file for other programs."""

import argparse
from pathlib import Path

from nanoseg_bench.cli.parser import keep_spelling
from nanoseg_bench.cli.places import require_there
from nanoseg_bench.errors import UsageError

_FORMATS = ("onnx",)

_EPILOG = """\
examples:
  nanoseg-bench export runs/mine/nsyolo-paper-seed0 --to onnx                -> weights.onnx in the run's folder
  nanoseg-bench export weights.safetensors --to onnx --out nsyolo.onnx

The file takes any batch of images whose sides are multiples of 32, (N, 3, H, W) RGB from 0 to 1, and gives boxes,
scores and mask coefficients of all anchors, and the prototypes of the masks, as Ultralytics lays them out. Classes,
network size, recipe, operating point and the hash of the weights stand in its metadata. Before it is put in place, it
is run beside PyTorch on drawn images; the differences are printed.
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "export",
        help="write a trained YOLO model as ONNX, checked against PyTorch",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path, metavar="RUN_OR_WEIGHTS", help="a run's folder, or its weights")
    to = parser.add_argument("--to", choices=_FORMATS, default=_FORMATS[0], help="what to write (default: %(default)s)")
    keep_spelling(parser, to, "--format")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the file (default: beside the weights)")
    parser.add_argument(
        "--overwrite", choices=("never", "always"), default="never", help="a file of this name (default: %(default)s)"
    )
    parser.add_argument(
        "--trust-pickle", action="store_true", help="read a .pt checkpoint, which runs whatever code stands in it"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry out the verb."""
    weights: Path = arguments.model / "weights.safetensors" if arguments.model.is_dir() else arguments.model
    out: Path = arguments.out or weights.with_suffix(".onnx")
    _check(arguments, out)
    require_there({"": arguments.model}, "give a run's folder, or its weights")
    from nanoseg_bench.environment import isolate_libraries

    isolate_libraries()
    from nanoseg_bench.cli.operating_point import find_operating_point
    from nanoseg_bench.files import require_writable, sha256_file, unwritable
    from nanoseg_bench.models.onnx_file import write_onnx
    from nanoseg_bench.models.trained import open_trained
    from nanoseg_bench.models.yolo import YoloModel

    require_writable(out.parent, "--out")
    model = open_trained(arguments.model, trust_pickle=arguments.trust_pickle)
    if not isinstance(model, YoloModel):
        raise UsageError(f"{arguments.model}: {model.recipe.model} is no YOLO model, and only those are exported")
    point = find_operating_point(arguments.model)
    try:
        # The file says "chosen on val" of what it holds; a default is the same for whoever reads it.
        chosen = point.confidence if point and point.chosen else None
        parity = write_onnx(model, out, sha256_file(weights), chosen)
    except OSError as error:
        raise unwritable(out, error, "--out") from error
    print(f"{out}: {model.recipe.title}, {model.recipe.input_canvas} px, classes {', '.join(model.classes)}")
    print(f"ONNX Runtime against PyTorch: {parity}")
    print(f"operating point: {f'{point.confidence:.3g}, {point.source}' if point else 'none known'}")
    return 0


def _check(arguments: argparse.Namespace, out: Path) -> None:
    """Refuse what would fail only after the work is done."""
    if out.suffix.lower() != ".onnx":
        raise UsageError(f"--out {out}: an ONNX file ends in .onnx")
    if out.resolve() == arguments.model.resolve():
        raise UsageError(f"{arguments.model}: is an exported file already; give a run or its weights")
    if out.exists() and arguments.overwrite == "never":
        raise UsageError(f"{out}: is there already; give another --out, or --overwrite always")
