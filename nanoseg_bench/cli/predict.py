"""``nanoseg-bench predict``: the particles of micrographs that belong to no prepared set."""

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.cli.model_options import (
    add_confidence,
    add_model_options,
    add_trust_pickle,
    add_views,
    check_confidence,
    open_model,
)
from nanoseg_bench.cli.names import split_names
from nanoseg_bench.cli.places import require_there
from nanoseg_bench.cli.shipped import find_model
from nanoseg_bench.cli.tiles_option import add_tiles
from nanoseg_bench.errors import UsageError
from nanoseg_bench.inference.formats import DEFAULT_FORMATS, FORMATS, OVERLAY, OVERWRITE
from nanoseg_bench.wording import counted

if TYPE_CHECKING:
    from nanoseg_bench.inference.particles import PredictedImage
    from nanoseg_bench.inference.task import Outcome
    from nanoseg_bench.inference.tiles import Tiles

_EPILOG = """\
examples:
  nanoseg-bench predict my_images --out found            with the weights that ship with this package
  nanoseg-bench predict sample.tif --model runs/mine/nsyolo-paper-seed0
  nanoseg-bench predict my_images --model nsyolo.onnx --out found --to coco overlay
  nanoseg-bench predict my_images --model RUN --out found --overwrite missing     what has come or changed since

Each image is letterboxed as prepare does it; particles are in pixels of the image. Where they would be too small on one
canvas, a large image is looked at in tiles, too, which overlap so that each particle is whole in one of them.

DIR gets predictions.json, and a folder for each format: labelme (JSON beside the images, polygons to be corrected in
LabelMe), coco (with scores), masks (instance maps), overlay (pictures). All but the last can go into prepare and
convert.

What lies mostly on an information bar, a scale bar or lettering is flagged, not dropped: hatched in the overlay, with
the flag on_mark in LabelMe (clear it to make a particle of it), iscrowd in COCO; masks are without it.

--overwrite missing keeps what the same weights found in the same file. Where the model was trained anew, or an image is
another one, it predicts again and says so; another model or --confidence is refused. --overwrite always replaces all.
Neither writes over LabelMe files that were corrected since: they are named, and nothing is changed.

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
    add_model_options(parser)
    add_confidence(parser, "leave out particles below")
    parser.add_argument(
        "--keep-marks",
        action="store_true",
        help="count what lies on information bars, scale bars and lettering (default: flag it and leave it out)",
    )
    add_tiles(parser)
    add_views(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("predictions"), metavar="DIR", help="folder to write (default: %(default)s)"
    )
    parser.add_argument(
        "--to",
        nargs="+",
        default=list(DEFAULT_FORMATS),
        metavar="FORMAT",
        help=f"of {', '.join(FORMATS)} (default: {' '.join(DEFAULT_FORMATS)})",
    )
    parser.add_argument(
        "--overwrite",
        choices=OVERWRITE,
        default="never",
        help="earlier predictions in DIR: keep them and stop, add what is missing or outdated, or replace them "
        "(default: %(default)s)",
    )
    add_trust_pickle(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Find the particles of the images and write them; 1 when an image could not be read."""
    formats = _formats(arguments.to)
    check_confidence(arguments)
    require_there({"": arguments.images})
    arguments.model = find_model(arguments.model, "give a run's folder, its weights, or an .onnx file")
    from nanoseg_bench.inference.image_files import find_images

    sources = find_images(arguments.images, arguments.out)
    from nanoseg_bench.environment import isolate_libraries

    isolate_libraries()
    from nanoseg_bench.staging import hold_folder

    # Where predictions are added or replaced, those of another call are waited for; then only what it lacks is left.
    with hold_folder(arguments.out, wait=arguments.overwrite != "never"):
        outcome = _predict(arguments, sources, formats)
    return 1 if outcome.unreadable else 0


def _predict(arguments: argparse.Namespace, sources: Sequence[Path], formats: Sequence[str]) -> "Outcome":
    from nanoseg_bench.inference.folder import FILE, open_folder
    from nanoseg_bench.inference.task import plan_task

    out: Path = arguments.out
    earlier = open_folder(out, arguments.overwrite)
    predictor = open_model(arguments)
    point = predictor.operating_point
    task = plan_task(out, earlier, predictor, sources, formats, keep_marks=arguments.keep_marks, tiles=arguments.tiles)
    for reason in task.reasons:
        print(reason)
    outcome = task.carry_out()
    _show(outcome.found, outcome.earlier)
    print(f"{out / FILE}: {counted(len(outcome.kept) + len(outcome.found), 'image')}")
    if OVERLAY in outcome.formats and outcome.found:
        print(f"{out / OVERLAY}: the images with the outlines of their particles")
    _warn_of_pieces(outcome.found, arguments.tiles)
    _advise(outcome.found, point.confidence)
    for error in outcome.unreadable:
        print(f"could not be read: {error}")
    return outcome


def _formats(words: Sequence[str]) -> list[str]:
    formats = list(dict.fromkeys(split_names(words)))
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise UsageError(f"--to {' '.join(words)!r}: give some of {', '.join(FORMATS)}")
    return formats


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


def _warn_of_pieces(images: Sequence["PredictedImage"], tiles: "Tiles") -> None:
    from nanoseg_bench.inference.far import warn_of_pieces
    from nanoseg_bench.terminal import print_sentence
    from nanoseg_bench.wording import shortened

    with_cuts = [image for image in images if image.cut]
    if sentence := warn_of_pieces(sum(len(image.cut) for image in with_cuts), tiles):
        names = names_apart([image.source for image in with_cuts])
        print_sentence(f"warning: {shortened(names)}: {sentence}")


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
    if tiled := [each.magnification for each in images if each.magnification > 1]:
        print(
            f"{counted(len(tiled), 'image')} looked at in tiles too, up to {max(tiled):.1f} times as large: particles "
            f"would be too small on one canvas; --tiles off leaves that out"
        )
    if marked:
        total = sum(len(image.particles) for image in images)
        print(
            f"{counted(total, 'particle')}, {marked} more on marks left out: they lie on information bars, scale "
            "bars or lettering, and are hatched in the overlays; --keep-marks counts them"
        )
    if earlier:
        print(f"predicted earlier: {counted(earlier, 'image')}")
