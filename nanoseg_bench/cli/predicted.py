"""What ``predict`` leaves in its folder: predictions.json, and the formats that were asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.annotations.begun_by import BegunBy
from nanoseg_bench.annotations.conversion import convert
from nanoseg_bench.annotations.instance import Instance, Micrograph, Rle
from nanoseg_bench.annotations.raster import to_mask, to_rle
from nanoseg_bench.annotations.source import Loaded, Source
from nanoseg_bench.annotations.yolo import to_outlines
from nanoseg_bench.errors import UsageError
from nanoseg_bench.files import atomic_path, read_json, unwritable, write_json
from nanoseg_bench.imageio import as_rgb
from nanoseg_bench.marks.coverage import lies_on_marks
from nanoseg_bench.marks.detection import find_marks
from nanoseg_bench.metrics.size_distribution import equivalent_diameters
from nanoseg_bench.preparation.overlays import IGNORE_COLOUR, class_colours

FILE = "predictions.json"
"""Every particle with its score; also says that a folder is ours."""

FORMAT = "nanoseg-predicted/1"

_SUBPIXEL_BITS = 4
_HATCH_PERIOD = 6  # px


@dataclass(frozen=True, slots=True)
class Settings:
    """What all predictions of a folder have in common.

    Attributes:
        model: File or folder, and what it is.
        confidence: Particles with a lower score were left out.
        classes: Class names.
        keep_marks: Detections on information bars, scale bars and lettering count as particles.
    """

    model: str
    confidence: float
    classes: tuple[str, ...]
    keep_marks: bool = False


@dataclass(frozen=True, slots=True)
class PredictedImage:
    """The particles of one image.

    Attributes:
        name: Stem of its files.
        source: The image.
        width: Columns.
        height: Rows.
        instances: Masks with labels and scores, in pixels of the image; those that lie on marks are flagged.
    """

    name: str
    source: Path
    width: int
    height: int
    instances: tuple[Instance, ...]

    @property
    def particles(self) -> tuple[Instance, ...]:
        """What counts: the instances that do not lie on marks."""
        return tuple(each for each in self.instances if not each.on_mark)

    @property
    def on_marks(self) -> int:
        """Number of instances that lie on an information bar, a scale bar or lettering."""
        return len(self.instances) - len(self.particles)

    @property
    def mean_diameter(self) -> float | None:
        """Mean equivalent diameter in pixels of the particles that do not touch the border; None without any."""
        diameters = equivalent_diameters([to_rle(each, self.height, self.width) for each in self.particles])
        return float(diameters.mean()) if diameters.size else None


def open_folder(folder: Path, overwrite: str) -> tuple[Settings | None, list[PredictedImage]]:
    """Look whether ``folder`` may be written.

    Args:
        folder: Of the call.
        overwrite: ``never``: the folder must be new or empty. ``missing``: what an earlier call found stays.
            ``always``: what an earlier call found is replaced.

    Returns:
        What stays: its settings and images; None and no image where nothing does.

    Raises:
        UsageError: There is something that must not be changed.
    """
    path = folder / FILE
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None, []
    if not path.is_file():
        raise UsageError(f"--out {folder}: holds other things (no {FILE}); choose another folder")
    if overwrite == "never":
        raise UsageError(
            f"--out {folder}: holds predictions; choose another folder, or give --overwrite missing to add to them, or "
            "--overwrite always to replace them"
        )
    return (None, []) if overwrite == "always" else _read(path)


def clear_leftovers(folder: Path) -> None:
    """Remove the temporary files of a call that was killed; the caller holds the folder, so none is in use."""
    for leftover in (*folder.glob(f".{Path(FILE).stem}.*.json"), *folder.glob("*/.*.png")):
        leftover.unlink(missing_ok=True)


def require_same(folder: Path, earlier: Settings | None, settings: Settings) -> None:
    """Refuse to mix predictions of two kinds in one folder.

    Raises:
        UsageError: There are earlier ones, of another model, confidence or class list.
    """
    if earlier is not None and earlier != settings:
        raise UsageError(
            f"--out {folder}: holds predictions of {earlier.model} with confidence {earlier.confidence:.3g}, "
            f"{'counting' if earlier.keep_marks else 'leaving out'} what lies on marks; choose another folder for "
            "these, or give --overwrite always"
        )


def write_folder(
    folder: Path,
    settings: Settings,
    images: Sequence[PredictedImage],
    formats: Sequence[str],
    begun_by: BegunBy | None = None,
) -> None:
    """Write predictions.json, and a folder of annotations per format.

    Args:
        folder: As ``open_folder`` allows it.
        settings: For predictions.json.
        images: All, those of earlier calls included.
        formats: Of ``labelme``, ``coco`` and ``masks``.
        begun_by: The model, for those who correct its outlines and take them for truth.

    Raises:
        NanosegError: The folder cannot be written.
    """
    entries = tuple(
        Loaded(Micrograph(each.name, each.source, each.width, each.height, each.instances, begun_by=begun_by))
        for each in images
    )
    try:
        write_json(folder / FILE, _document(settings, images))
        for name in formats if entries else ():
            source = Source("predictions", entries, settings.classes)
            convert(source, folder / name, name, classes=settings.classes, overwrite=True)
    except OSError as error:
        raise unwritable(folder, error, "--out") from error


def flag_marks(instances: Sequence[Instance], pixels: NDArray[np.uint8]) -> tuple[Instance, ...]:
    """The same instances; those that lie mostly on an information bar, a scale bar or lettering are flagged.

    Args:
        instances: Of the image.
        pixels: (H, W) or (H, W, 3) uint8.
    """
    if not instances:
        return ()
    height, width = pixels.shape[:2]
    marks = find_marks(pixels)
    if not marks.found:
        return tuple(instances)
    flags = lies_on_marks((to_mask(each, height, width) for each in instances), marks, pixels)
    return tuple(replace(each, on_mark=flag) for each, flag in zip(instances, flags, strict=True))


def write_overlay(path: Path, image: PredictedImage, pixels: NDArray[np.uint8], classes: Sequence[str]) -> None:
    """Write the micrograph with the outlines of its particles, in a colour per class, as PNG.

    What lies on marks is hatched.

    Args:
        path: The file.
        image: The particles.
        pixels: (H, W) or (H, W, 3).
        classes: Class names in their order.

    Raises:
        NanosegError: The file cannot be written.
    """
    colours = class_colours(classes)
    picture = np.array(as_rgb(pixels))
    for instance in image.instances:
        parts = to_outlines(instance, image.height, image.width)
        outlines = [outline for part in parts for outline in (part.exterior, *part.holes)]
        # cv2's pixel centres are whole numbers.
        lines = [np.round((outline - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32) for outline in outlines]
        if instance.on_mark:
            _hatch(picture, to_mask(instance, image.height, image.width))
        own = IGNORE_COLOUR if instance.on_mark else colours[str(instance.label)]
        for colour, thickness in (((0, 0, 0), 3 if instance.on_mark else 4), (own, 1 if instance.on_mark else 2)):
            cv2.polylines(picture, lines, True, colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
    try:
        with atomic_path(path) as temporary:
            Image.fromarray(picture).save(temporary)
    except OSError as error:
        raise unwritable(path, error, "--out") from error


def _hatch(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
    rows, columns = np.nonzero(mask)
    stripe = (rows + columns) % _HATCH_PERIOD < 2
    picture[rows[stripe], columns[stripe]] = IGNORE_COLOUR


def _document(settings: Settings, images: Sequence[PredictedImage]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "model": settings.model,
        "confidence": settings.confidence,
        "classes": list(settings.classes),
        "keep_marks": settings.keep_marks,
        "images": [
            {
                "name": image.name,
                "source": str(image.source),
                "width": image.width,
                "height": image.height,
                "instances": [
                    {
                        "label": each.label,
                        "score": each.score,
                        **({"on_mark": True} if each.on_mark else {}),
                        "counts": to_rle(each, image.height, image.width).counts.decode("ascii"),
                    }
                    for each in image.instances
                ],
            }
            for image in images
        ],
    }


def _read(path: Path) -> tuple[Settings, list[PredictedImage]]:
    try:
        document = read_json(path)
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']!r}, expected {FORMAT!r}")
        settings = Settings(
            document["model"], document["confidence"], tuple(document["classes"]), document.get("keep_marks", True)
        )
        return settings, [_read_image(entry) for entry in document["images"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path}: cannot be read ({error}); choose another folder, or give --overwrite always"
        ) from error


def _read_image(entry: Mapping[str, Any]) -> PredictedImage:
    height, width = int(entry["height"]), int(entry["width"])
    instances = tuple(
        Instance(
            each["label"],
            Rle(height, width, each["counts"].encode("ascii")),
            each["score"],
            on_mark=each.get("on_mark", False),
        )
        for each in entry["instances"]
    )
    return PredictedImage(entry["name"], Path(entry["source"]), width, height, instances)
