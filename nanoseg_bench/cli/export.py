"""``nanoseg-bench export``: a trained model as one file for other programs, or released with its model card."""

import argparse
from pathlib import Path

from nanoseg_bench.cli.executor_options import add_workers, workers_of
from nanoseg_bench.cli.model_options import add_trust_pickle
from nanoseg_bench.cli.places import require_there
from nanoseg_bench.cli.sets import find_set
from nanoseg_bench.cli.shipped import find_model
from nanoseg_bench.errors import UsageError
from nanoseg_bench.extras import require_packages

_ONNX, _RELEASE = "onnx", "release"
_FORMATS = (_ONNX, _RELEASE)

_EPILOG = """\
examples:
  nanoseg-bench export runs/mine/nsyolo-paper-seed0 --to onnx                -> weights.onnx in the run's folder
  nanoseg-bench export weights.safetensors --to onnx --out nsyolo.onnx
  nanoseg-bench export --to onnx                                             the shipped weights -> nsyolo.onnx
  nanoseg-bench export runs/mine/nsyolo-paper-seed0 --to release --out ours  -> ours/nsyolo.safetensors, and what
                                                                             belongs to it

onnx: The file takes any batch of images whose sides are multiples of 32, (N, 3, H, W) RGB from 0 to 1, and gives boxes,
scores and mask coefficients of all anchors, and the prototypes of the masks, as Ultralytics lays them out. Classes,
network size, recipe, operating point and the hash of the weights stand in its metadata. Before it is put in place, it
is run beside PyTorch on drawn images; the differences are printed.

release: The run's weights as others can use them, with --model or --weights: NAME.safetensors, byte for byte those that
the row was predicted with; NAME.json; a model card, NAME.md, with data, licence, scores and limits; and fingerprints of
the training images (150 local features and a view of 128 px of each), by which `prepare` and `run` recognise them in a
test set. For a finished run with its records, on a set without folds.
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "export",
        help="write a trained YOLO model as ONNX, checked against PyTorch; or release it with a model card",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model",
        nargs="?",
        type=Path,
        metavar="RUN_OR_WEIGHTS",
        help="a run's folder, its weights, or nsyolo or yolo11n, whose weights ship with this package (default: "
        "nsyolo)",
    )
    parser.add_argument("--to", choices=_FORMATS, default=_FORMATS[0], help="what to write (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, metavar="PATH", help="the file (default: beside the weights), or the folder of the release"
    )
    parser.add_argument(
        "--overwrite", choices=("never", "always"), default="never", help="a file of this name (default: %(default)s)"
    )
    add_trust_pickle(parser)
    release = parser.add_argument_group("release")
    release.add_argument("--name", help="of the files (default: the model's id)")
    release.add_argument("--data", metavar="SET", help="the set of the run (default: that of its folder's name)")
    release.add_argument(
        "--leaderboards", type=Path, default=Path("leaderboards"), help="where its records lie (default: %(default)s)"
    )
    add_workers(release)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the model as an ONNX file or a release."""
    if arguments.to == _RELEASE:
        return _release(arguments)
    return _export(arguments)


def _export(arguments: argparse.Namespace) -> int:
    from nanoseg_bench.models.run_files import WEIGHTS_FILE
    from nanoseg_bench.weights.shipped import is_shipped

    for option, given in (("--name", arguments.name), ("--data", arguments.data)):
        if given:
            raise UsageError(f"{option}: goes with --to release")
    hint = "give a run's folder, or its weights"
    if arguments.model is None or not arguments.model.suffix:
        arguments.model = find_model(arguments.model, hint, "")
    require_there({"": arguments.model}, hint)
    weights: Path = arguments.model / WEIGHTS_FILE if arguments.model.is_dir() else arguments.model
    out: Path = arguments.out or (
        Path(weights.with_suffix(".onnx").name) if is_shipped(weights) else weights.with_suffix(".onnx")
    )
    _check(arguments, out)
    _refuse_existing(arguments, out)
    require_packages("--to onnx", "onnx", "onnxruntime")
    from nanoseg_bench.environment import isolate_libraries

    isolate_libraries()
    from nanoseg_bench.files import require_writable, sha256_file, unwritable
    from nanoseg_bench.inference.operating_point import find_operating_point
    from nanoseg_bench.locks import hold
    from nanoseg_bench.models.onnx_file import write_onnx
    from nanoseg_bench.models.trained import open_trained
    from nanoseg_bench.weights.release import tell_release

    require_writable(out.parent, "--out")
    model = open_trained(arguments.model, trust_pickle=arguments.trust_pickle)
    tell_release(arguments.model)
    if not model.exports_onnx:
        raise UsageError(
            f"{arguments.model}: {model.recipe.model} has no ONNX form; YOLO models and plug-ins that offer it have one"
        )
    point = find_operating_point(arguments.model)
    try:
        # The file says "chosen on val" of what it holds; a default is the same for whoever reads it.
        chosen = point.confidence if point and point.chosen else None
        with hold(out, wait=False):
            _refuse_existing(arguments, out)  # another command may have written it meanwhile
            parity = write_onnx(model, out, sha256_file(weights), chosen)
    except OSError as error:
        raise unwritable(out, error, "--out") from error
    print(f"{out}: {model.recipe.title}, {model.recipe.input_canvas} px, classes {', '.join(model.classes)}")
    print(f"ONNX Runtime against PyTorch: {parity}")
    print(f"operating point: {f'{point.confidence:.3g}, {point.source}' if point else 'none known'}")
    return 0


def _release(arguments: argparse.Namespace) -> int:
    workers = workers_of(arguments)
    from nanoseg_bench.environment import isolate_libraries

    isolate_libraries()
    from nanoseg_bench.files import require_writable
    from nanoseg_bench.locks import hold
    from nanoseg_bench.models.run_files import WEIGHTS_FILE
    from nanoseg_bench.preparation.prepared_set import PreparedSet
    from nanoseg_bench.runs.folder import RunFolder
    from nanoseg_bench.runs.releasing import release_run

    if arguments.model is None or arguments.out is None:
        raise UsageError("--to release: give the folder of a finished run, and the folder of the release with --out")
    require_there({"": arguments.model}, "give a run's folder")
    run = RunFolder(arguments.model.resolve())
    if not (run.is_fitted and (run.path / WEIGHTS_FILE).is_file()):
        raise UsageError(f"{arguments.model}: is no finished run of a network; `nanoseg-bench run` makes one")
    prepared = PreparedSet(find_set(arguments.data or run.path.parent.name))
    name = arguments.name or run.facts().model
    written: Path = arguments.out / f"{name}.safetensors"
    _refuse_existing(arguments, written, "--name")
    require_writable(arguments.out, "--out")
    with hold(written, wait=False):
        _refuse_existing(arguments, written, "--name")
        released = release_run(run, prepared, arguments.leaderboards, arguments.out, name, workers)
    print(f"{released.weights}: {released.release.provenance}")
    print(f"{released.card}: the model card")
    print(f"{released.known_images}: fingerprints of the training images")
    return 0


def _check(arguments: argparse.Namespace, out: Path) -> None:
    """Refuse what would fail only after the work is done."""
    if out.suffix.lower() != ".onnx":
        raise UsageError(f"--out {out}: an ONNX file ends in .onnx")
    if out.resolve() == arguments.model.resolve():
        raise UsageError(f"{arguments.model}: is an exported file already; give a run or its weights")


def _refuse_existing(arguments: argparse.Namespace, path: Path, option: str = "--out") -> None:
    if path.exists() and arguments.overwrite == "never":
        raise UsageError(f"{path}: is there already; give another {option}, or --overwrite always")
