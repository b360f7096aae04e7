"""The files of one micrograph in a prepared set: its canvas, its augmented copies and their labels.

Made to run in a worker process: what goes back is text that is ready for the set's COCO files, and counts.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.coco.writing import encode_annotations
from nanoseg_bench.annotations.instance import Instance, Micrograph
from nanoseg_bench.annotations.loss import ImageLoss
from nanoseg_bench.annotations.raster import area, to_rle
from nanoseg_bench.annotations.yolo.label import yolo_label
from nanoseg_bench.errors import PreparationError
from nanoseg_bench.preparation.augment import augment_copy, copy_seed
from nanoseg_bench.preparation.hashing import pixels_sha256, truth_sha256
from nanoseg_bench.preparation.letterbox import Letterbox
from nanoseg_bench.preparation.plan import PlannedMicrograph
from nanoseg_bench.preparation.prepared_set import ASIDE
from nanoseg_bench.preparation.tiling import read_pixels


@dataclass(frozen=True, eq=False, slots=True)
class CanvasSettings:
    """What the canvases of all micrographs of a set have in common.

    Attributes:
        side: In pixels.
        seed: Of the set.
        classes: Class names by split.
        root: Folder of the set, where each image and each label becomes a file; None where their bytes come back.
    """

    side: int
    seed: int
    classes: Mapping[str, tuple[str, ...]]
    root: Path | None


@dataclass(frozen=True, eq=False, slots=True)
class WrittenCanvas:
    """One image that was written.

    Attributes:
        name: Stem of its files.
        pixels_sha256: Of the canvas.
        particles: Instances on the canvas that are to be found, without ignore regions.
        annotations: Its instances on the canvas, for ``CocoWriter.add_encoded``.
        dropped: Particles that the augmentation cut away.
        transforms: Applied transforms; empty for the original.
        label_loss: What the YOLO label could not hold; None where none is written.
        png: The image, and ``label`` its YOLO label, where they did not become files.
    """

    name: str
    pixels_sha256: str
    particles: int
    annotations: list[str]
    dropped: int
    transforms: list[dict[str, Any]] = field(default_factory=list)
    label_loss: ImageLoss | None = None
    png: bytes = b""
    label: bytes | None = None


@dataclass(frozen=True, eq=False, slots=True)
class WrittenMicrograph:
    """What one micrograph became.

    Attributes:
        canvases: The original's, then its copies'.
        truth: Instances in original pixels, for ``CocoWriter.add_encoded``.
        labels: Particles of the truth by label.
        outside: Particles without a pixel inside the image; they are in no truth.
        too_small: Particles of the truth that have no pixel left on the canvas.
    """

    canvases: list[WrittenCanvas]
    truth: list[str]
    labels: Mapping[str, int]
    outside: int
    too_small: int


def write_canvases(settings: CanvasSettings, planned: PlannedMicrograph) -> WrittenMicrograph:
    """Write the canvas, the copies and the labels of one micrograph.

    Args:
        settings: Of the set.
        planned: Its files are named by ``stem`` and ``copy_stems``; the seed of a copy follows from ``stem``, the set's
            seed and the copy's number.

    Raises:
        ImageError: The micrograph cannot be read.
        AnnotationError: Its annotation cannot be read.
        PreparationError: Image or annotation have changed since they were looked at.
        OSError: A file cannot be written.
    """
    micrograph = planned.ref.read()
    truth = _rasterise(micrograph.instances, micrograph.height, micrograph.width)
    box = Letterbox(micrograph.width, micrograph.height, settings.side)
    # From the truth's own regions, not from their rasters: outlines reach the canvas without a second rounding.
    inside = [instance for instance, raster in zip(micrograph.instances, truth, strict=True) if raster is not None]
    moved = _rasterise([box.instance_to_canvas(each) for each in inside], settings.side, settings.side)
    on_canvas = [each for each in moved if each is not None]
    pixels = box.apply(_pixels_as_seen(planned, micrograph))
    split = planned.split
    canvases = [_write(settings, split, planned.stem, pixels, on_canvas)]
    for number, name in enumerate(planned.copy_stems, start=1):
        copy = augment_copy(pixels, on_canvas, copy_seed(settings.seed, planned.stem, number))
        canvases.append(_write(settings, split, name, copy.pixels, copy.instances, copy.dropped, copy.transforms))
    kept = [each for each in truth if each is not None]
    return WrittenMicrograph(
        canvases=canvases,
        truth=encode_annotations(
            kept, (micrograph.width, micrograph.height), settings.classes[split], str(planned.ref.path)
        ),
        labels=Counter(str(each.label) for each in kept if not each.ignored),
        outside=_vanished(micrograph.instances, truth),
        too_small=_vanished(inside, moved),
    )


def _pixels_as_seen(planned: PlannedMicrograph, micrograph: Micrograph) -> NDArray[np.uint8]:
    """The pixels, if they and the annotation are those of the first look, which hash, groups and split are made of.

    Hours may lie between, in which people go on annotating.
    """
    pixels, seen = read_pixels(planned.ref, micrograph)[0], planned.seen
    if (pixels_sha256(pixels), truth_sha256(micrograph.instances)) != (seen.pixels_sha256, seen.truth_sha256):
        raise PreparationError(
            f"{planned.ref.path}: the annotation or its image was changed while the set was prepared; prepare it again"
        )
    return pixels


def _rasterise(instances: Sequence[Instance], height: int, width: int) -> list[Instance | None]:
    """Instances as ``Rle``; None for those without a pixel."""
    rasters: list[Instance | None] = []
    for instance in instances:
        rle = to_rle(instance, height, width)
        rasters.append(replace(instance, region=rle, score=None) if area(rle) else None)
    return rasters


def _vanished(instances: Sequence[Instance], rasters: Sequence[Instance | None]) -> int:
    """How many particles are without a pixel; ignore regions do not count."""
    return sum(raster is None and not each.ignored for each, raster in zip(instances, rasters, strict=True))


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG whose compression looks for runs only: on noisy micrographs smaller and quicker than the usual search."""
    import cv2

    stored = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE])[1]
    return bytes(encoded)


def _write(
    settings: CanvasSettings,
    split: str,
    name: str,
    pixels: NDArray[np.uint8],
    instances: list[Instance],
    dropped: int = 0,
    transforms: Sequence[dict[str, Any]] = (),
) -> WrittenCanvas:
    png, label, loss = _png(pixels), None, None
    side, classes = settings.side, settings.classes[split]
    # On what is judged only nothing is trained, and the shapes of ood have no index among the classes.
    if split not in ASIDE:
        made = yolo_label(Path(f"{name}.txt"), instances, classes, side, side)
        label, loss = made.content(), made.loss()
    if settings.root is not None:
        # The whole set is renamed into place when it is complete, so single files need no temporary name.
        (settings.root / "images" / split / f"{name}.png").write_bytes(png)
        if label is not None:
            (settings.root / "labels" / split / f"{name}.txt").write_bytes(label)
        png, label = b"", None
    return WrittenCanvas(
        name=name,
        pixels_sha256=pixels_sha256(pixels),
        particles=sum(not each.ignored for each in instances),
        annotations=encode_annotations(instances, (side, side), classes, name),
        dropped=dropped,
        transforms=list(transforms),
        label_loss=loss,
        png=png,
        label=label,
    )
