"""``nanoseg-bench predict``: the particles of micrographs that belong to no prepared set."""

import argparse
import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.cli.names import split_names
from nanoseg_bench.cli.parser import keep_spelling
from nanoseg_bench.cli.places import require_there
from nanoseg_bench.cli.shipped import find_model, tell_release
from nanoseg_bench.errors import ImageError, UsageError
from nanoseg_bench.files import sha256_file
from nanoseg_bench.wording import counted

if TYPE_CHECKING:
    from nanoseg_bench.annotations.begun_by import BegunBy
    from nanoseg_bench.cli.predicted import PredictedImage, Settings
    from nanoseg_bench.models.predictor import Predictor

_ANNOTATIONS = ("labelme", "coco", "masks")
_OVERLAY = "overlay"
_ENGINES = {"auto": "", "onnx": "ONNX Runtime", "torch": "PyTorch"}
_CLASSLESS = "particle"

_LOG = logging.getLogger(__name__)

_EPILOG = """\
examples:
  nanoseg-bench predict my_images --out found            with the weights that ship with this package
  nanoseg-bench predict sample.tif --model runs/mine/nsyolo-paper-seed0
  nanoseg-bench predict my_images --model nsyolo.onnx --out found --to coco overlay
  nanoseg-bench predict my_images --model RUN --out found --overwrite missing     what has come or changed since

Each image is letterboxed as prepare does it; particles are in pixels of the image. DIR gets predictions.json, and a
folder for each format: labelme (JSON beside the images, polygons to be corrected in LabelMe), coco (with scores), masks
(instance maps), overlay (pictures). All but the last can go into prepare and convert.

What lies mostly on an information bar, a scale bar or lettering is flagged, not dropped: hatched in the overlay, with
the flag on_mark in LabelMe (clear it to make a particle of it), iscrowd in COCO; masks are without it.

--overwrite missing keeps what the same weights found in the same file. Where the model was trained anew, or an image is
another one, it predicts again and says so; another model or --confidence is refused.

A YOLO model runs in ONNX Runtime on the CPU: it is exported on its first use and kept beside its weights, or in the
user's cache folder. On a GPU, PyTorch runs it, and always the other models.
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "predict",
        help="find the particles of new micrographs with a finished model",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE_OR_FOLDER", help="micrographs")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="MODEL",
        help="a run's folder, its weights, an .onnx file, or nsyolo or yolo11n, whose weights ship with this package "
        "(default: nsyolo)",
    )
    parser.add_argument(
        "--engine", choices=tuple(_ENGINES), default="auto", help="what runs the network (default: %(default)s)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")
    parser.add_argument(
        "--confidence",
        type=float,
        metavar="C",
        help="leave out particles below (default: as chosen on val for the run, else 0.25)",
    )
    parser.add_argument(
        "--keep-marks",
        action="store_true",
        help="count what lies on information bars, scale bars and lettering (default: flag it and leave it out)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("predictions"), metavar="DIR", help="folder to write (default: %(default)s)"
    )
    to = parser.add_argument(
        "--to",
        nargs="+",
        default=["labelme", _OVERLAY],
        metavar="FORMAT",
        help=f"of {', '.join((*_ANNOTATIONS, _OVERLAY))} (default: labelme {_OVERLAY})",
    )
    keep_spelling(parser, to, "--format")
    parser.add_argument(
        "--overwrite",
        choices=("never", "missing", "always"),
        default="never",
        help="earlier predictions in DIR: keep them and stop, add what is missing or outdated, or replace them "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--trust-pickle", action="store_true", help="read a .pt checkpoint, which runs whatever code stands in it"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry out the verb; 1 when an image could not be read."""
    formats = _formats(arguments.to)
    if arguments.confidence is not None and not 0 <= arguments.confidence <= 1:
        raise UsageError(f"--confidence {arguments.confidence:g}: lies between 0 and 1")
    require_there({"": arguments.images})
    arguments.model = find_model(arguments.model, "give a run's folder, its weights, or an .onnx file")
    sources = _find_images(arguments.images, arguments.out)
    from nanoseg_bench.environment import isolate_libraries

    isolate_libraries()
    from nanoseg_bench.staging import hold_folder

    # Where predictions are added or replaced, those of another call are waited for; then only what it lacks is left.
    with hold_folder(arguments.out, wait=arguments.overwrite != "never"):
        return _predict_into(arguments.out, arguments, sources, formats)


def _predict_into(out: Path, arguments: argparse.Namespace, sources: Sequence[Path], formats: Sequence[str]) -> int:
    from nanoseg_bench.cli.predicted import FILE, Settings, clear_leftovers, open_folder, write_folder

    earlier, kept = open_folder(out, arguments.overwrite)
    predictor = _open(arguments)
    confidence = _confidence(arguments, predictor)
    model = predictor.model
    classes = tuple(model.classes) if model.knows_classes else (_CLASSLESS,)
    settings = Settings(
        f"{model.recipe.model} ({_origin(arguments.model)})",
        confidence,
        classes,
        arguments.keep_marks,
        predictor.weights_sha256,
    )
    again = _outdated(out, earlier, settings, kept, sources)
    left = {image.name for image in again}
    kept = [image for image in kept if image.name not in left]
    known = {os.path.realpath(image.source) for image in kept}
    asked = {os.path.realpath(source): source for source in (*sources, *(image.source for image in again))}
    new = [source for file, source in asked.items() if file not in known]
    # What an earlier call wrote in another format would stay as it was: all formats tell the same.
    formats = [*formats, *(name for name in (*_ANNOTATIONS, _OVERLAY) if name not in formats and (out / name).is_dir())]
    annotations = [name for name in formats if name != _OVERLAY]
    clear_leftovers(out)
    for picture in (out / _OVERLAY).glob("*.png"):
        if arguments.overwrite == "always" or picture.stem in left:
            picture.unlink()
    # At once: a call that is killed leaves a folder that the next one knows as ours.
    write_folder(out, settings, kept, [])
    found, problems = _predict(predictor, settings, new, kept, out / _OVERLAY if _OVERLAY in formats else None)
    write_folder(out, settings, [*kept, *found], annotations, _begun_by(arguments.model, predictor))
    _show(found, len(asked) - len(new))
    print(f"{out / FILE}: {counted(len(kept) + len(found), 'image')}")
    if _OVERLAY in formats and found:
        print(f"{out / _OVERLAY}: the images with the outlines of their particles")
    _advise(found, confidence)
    for error in problems:
        print(f"could not be read: {error}")
    return 1 if problems else 0


def _outdated(
    out: Path,
    earlier: "Settings | None",
    settings: "Settings",
    kept: Sequence["PredictedImage"],
    sources: Sequence[Path],
) -> list["PredictedImage"]:
    """What an earlier call found and has to be found again; says so, and why.

    Raises:
        UsageError: The folder holds predictions of another kind.
    """
    from nanoseg_bench.cli.predicted import changed_weights, outdated_images

    change = changed_weights(out, earlier, settings)
    if change is not None and kept:
        print(f"{out}: {counted(len(kept), 'image')} predicted anew, since the model is another one now: {change}")
        return list(kept)
    outdated = outdated_images(kept, sources)
    for image in outdated:
        print(f"{image.source}: predicted anew, since the file is another one now")
    return outdated


def _formats(words: Sequence[str]) -> list[str]:
    formats = list(dict.fromkeys(name.strip() for name in split_names(words) if name.strip()))
    unknown = [name for name in formats if name not in (*_ANNOTATIONS, _OVERLAY)]
    if unknown or not formats:
        raise UsageError(f"--to {' '.join(words)!r}: give some of {', '.join((*_ANNOTATIONS, _OVERLAY))}")
    return formats


def _find_images(given: Sequence[Path], out: Path) -> list[Path]:
    """The files that are named, and the images below the folders that are, each once, whatever path leads to it.

    A link keeps its own name: what it points to may be called by its hash.

    Raises:
        UsageError: There is no image, or ``out`` would be read the next time.
    """
    from nanoseg_bench.imageio import IMAGE_SUFFIXES

    sources: list[Path] = []
    for path in given:
        if path.is_dir() and Path(os.path.realpath(out)).is_relative_to(os.path.realpath(path)):
            raise UsageError(f"--out {out}: lies inside {path}, and would be read next time")
        sources += _images_below(path, IMAGE_SUFFIXES) if path.is_dir() else [path]
    if not sources:
        raise UsageError(f"{', '.join(map(str, given))}: no image with one of the endings {', '.join(IMAGE_SUFFIXES)}")
    once: dict[str, Path] = {}
    for path in sources:
        once.setdefault(os.path.realpath(path), path.absolute())
    return list(once.values())


def _images_below(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(parent, name) for name in sorted(names) if name.lower().endswith(suffixes) and not name.startswith(".")
        ]
    return found


def _open(arguments: argparse.Namespace) -> "Predictor":
    from nanoseg_bench.cli.device import resolve_device
    from nanoseg_bench.models.predictor import open_predictor

    device: str = arguments.device
    needs_cpu = arguments.engine == "onnx" or arguments.model.suffix.lower() == ".onnx"
    device = "cpu" if device == "auto" and needs_cpu else resolve_device(device)
    predictor = open_predictor(
        arguments.model, engine=arguments.engine, device=device, trust_pickle=arguments.trust_pickle
    )
    engine = f"in {_ENGINES[predictor.engine]} on {device}" if predictor.model.complexity() else "without a network"
    _LOG.info("%s %s", predictor.model.recipe.title, engine)
    tell_release(arguments.model)
    return predictor


def _origin(model: Path) -> str:
    """Where a model comes from, in words that stay true on another machine where it ships."""
    from nanoseg_bench.weights.shipped import is_shipped

    if not is_shipped(model):
        return str(model.resolve())
    return f"shipped weights {model.stem}"


def _begun_by(path: Path, predictor: "Predictor") -> "BegunBy":
    """What the written annotations say of the model that drew them."""
    from nanoseg_bench.annotations.begun_by import BegunBy
    from nanoseg_bench.runs.folder import RUN_FILE

    folder = (path if path.is_dir() else path.parent).resolve()
    run = folder.name if (folder / RUN_FILE).is_file() else None
    return BegunBy(predictor.model.recipe.model, run, predictor.weights_sha256)


def _confidence(arguments: argparse.Namespace, predictor: "Predictor") -> float:
    from nanoseg_bench.cli.operating_point import choose_confidence

    chosen = choose_confidence(
        arguments.model,
        arguments.confidence,
        predictor.chosen_confidence,
        only_ranks=not predictor.model.has_confidence,
    )
    _LOG.info("confidence %.3g (%s)", chosen.confidence, chosen.source)
    return chosen.confidence


def _predict(
    predictor: "Predictor",
    settings: "Settings",
    sources: Sequence[Path],
    kept: Sequence["PredictedImage"],
    overlays: Path | None,
) -> tuple[list["PredictedImage"], list[ImageError]]:
    """Predict image by image; those that cannot be read are left out and come back as errors."""
    from nanoseg_bench.annotations.file_names import UniqueNames
    from nanoseg_bench.cli.predicted import PredictedImage, flag_marks, write_overlay
    from nanoseg_bench.imageio import read_image
    from nanoseg_bench.progress import track

    names = UniqueNames()
    for image in kept:
        names.take(image.name)
    found: list[PredictedImage] = []
    problems: list[ImageError] = []
    for source in track(sources, f"predict with {predictor.model.recipe.title}"):
        try:
            pixels = read_image(source)
            digest = sha256_file(source)
        except ImageError as error:
            problems.append(error)
            continue
        particles = predictor.predict(pixels, settings.confidence, str(source))
        labelled = tuple(each if each.label else replace(each, label=_CLASSLESS) for each in particles)
        if not settings.keep_marks:
            labelled = flag_marks(labelled, pixels)
        height, width = pixels.shape[:2]
        image = PredictedImage(names.take(source.stem), source, width, height, labelled, digest)
        if overlays is not None:
            write_overlay(overlays / f"{image.name}.png", image, pixels, settings.classes)
        found.append(image)
    return found, problems


def names_apart(paths: Sequence[Path]) -> list[str]:
    """Each file's name; of files with the same name, as much of their folders as tells them apart."""
    shown = {path: path.name for path in paths}
    for name, number in Counter(shown.values()).items():
        same = [path for path in shown if path.name == name] if number > 1 else []
        above = os.path.commonpath([path.parent for path in same]) if same else ""
        shown |= {path: path.relative_to(above).as_posix() for path in same}
    return [shown[path] for path in paths]


def _advise(images: Sequence["PredictedImage"], confidence: float) -> None:
    """What to do about images in which nothing was found."""
    empty = sum(not image.instances for image in images)
    if not empty:
        return
    lower = (
        f"a lower --confidence than {confidence:.3g}, e.g. {min(0.05, confidence / 2):.2g}; or " if confidence else ""
    )
    print(
        f"no particles in {empty} of {counted(len(images), 'image')}. What helps: {lower}images whose particles are\n"
        "about as large in pixels (magnification), and as bright or dark against the background (contrast), as the "
        "training's"
    )


def _show(images: Sequence["PredictedImage"], earlier: int) -> None:
    from rich.table import Column, Table

    from nanoseg_bench.terminal import open_console

    marked = sum(image.on_marks for image in images)
    more = ("on marks",) if marked else ()
    # Names come whole, in as many lines as it takes; the other columns are as narrow as can be.
    table = Table(Column("image", overflow="fold"), *(Column(each, justify="right") for each in ("size", "particles")))
    for heading in (*more, "mean diameter (px)"):
        table.add_column(heading, justify="right")
    shown_names = names_apart([image.source for image in images])
    for image, name in zip(images, shown_names, strict=True):
        diameter = image.mean_diameter
        shown = "" if diameter is None else f"{diameter:.1f}"
        if image.name != image.source.stem:
            name += f" -> {image.name}"
        counts = [str(len(image.particles)), *([str(image.on_marks)] if marked else [])]
        table.add_row(name, f"{image.width} × {image.height}", *counts, shown)
    if images:
        open_console().print(table)
        print("diameters leave out particles that touch the border")
    if marked:
        total = sum(len(image.particles) for image in images)
        print(
            f"{counted(total, 'particle')}, {marked} more on marks left out: they lie on information bars, scale "
            "bars or lettering, and are hatched in the overlays; --keep-marks counts them"
        )
    if earlier:
        print(f"predicted earlier: {counted(earlier, 'image')}")
