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
from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.loss import ImageLoss
from nanoseg_bench.annotations.raster import area, to_rle
from nanoseg_bench.annotations.source import MicrographRef
from nanoseg_bench.annotations.yolo.label import yolo_label
from nanoseg_bench.preparation.augment import augment_copy, copy_seed
from nanoseg_bench.preparation.hashing import pixels_sha256
from nanoseg_bench.preparation.letterbox import Letterbox
from nanoseg_bench.preparation.tiling import read_pixels


@dataclass(frozen=True, eq=False, slots=True)
class CanvasTask:
    """What to write for one micrograph.

    Attributes:
        entry: The original.
        split: Its split.
        name: Stem of its files.
        copy_names: Stems of its augmented copies; their seeds follow from ``name``, ``seed`` and their number.
        classes: Class names of the split.
        labels: Whether YOLO labels are written.
        canvas: Side in pixels.
        seed: Of the set.
        root: Folder of the set, where each image and each label becomes a file; None where their bytes come back.
    """

    entry: MicrographRef
    split: str
    name: str
    copy_names: tuple[str, ...]
    classes: tuple[str, ...]
    labels: bool
    canvas: int
    seed: int
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


def write_canvases(task: CanvasTask) -> WrittenMicrograph:
    """Write the canvas, the copies and the labels of one micrograph.

    Raises:
        ImageError: The micrograph cannot be read.
        AnnotationError: Its annotation cannot be read.
        OSError: A file cannot be written.
    """
    micrograph = task.entry.read()
    truth = _rasterise(micrograph.instances, micrograph.height, micrograph.width)
    box = Letterbox(micrograph.width, micrograph.height, task.canvas)
    # From the truth's own regions, not from their rasters: outlines reach the canvas without a second rounding.
    inside = [instance for instance, raster in zip(micrograph.instances, truth, strict=True) if raster is not None]
    moved = _rasterise([box.instance_to_canvas(each) for each in inside], task.canvas, task.canvas)
    on_canvas = [each for each in moved if each is not None]
    pixels = box.apply(read_pixels(micrograph)[0])
    canvases = [_write(task, task.name, pixels, on_canvas)]
    for number, name in enumerate(task.copy_names, start=1):
        copy = augment_copy(pixels, on_canvas, copy_seed(task.seed, task.name, number))
        canvases.append(_write(task, name, copy.pixels, copy.instances, copy.dropped, copy.transforms))
    kept = [each for each in truth if each is not None]
    return WrittenMicrograph(
        canvases=canvases,
        truth=encode_annotations(kept, (micrograph.width, micrograph.height), task.classes, str(task.entry.path)),
        labels=Counter(str(each.label) for each in kept if not each.ignored),
        outside=len(truth) - len(kept),
        too_small=len(moved) - len(on_canvas),
    )


def _rasterise(instances: Sequence[Instance], height: int, width: int) -> list[Instance | None]:
    """Instances as ``Rle``; None for those without a pixel."""
    rasters: list[Instance | None] = []
    for instance in instances:
        rle = to_rle(instance, height, width)
        rasters.append(replace(instance, region=rle, score=None) if area(rle) else None)
    return rasters


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG whose compression looks for runs only: on noisy micrographs smaller and quicker than the usual search."""
    import cv2

    stored = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE])[1]
    return bytes(encoded)


def _write(
    task: CanvasTask,
    name: str,
    pixels: NDArray[np.uint8],
    instances: list[Instance],
    dropped: int = 0,
    transforms: Sequence[dict[str, Any]] = (),
) -> WrittenCanvas:
    png, label, loss = _png(pixels), None, None
    if task.labels:
        made = yolo_label(Path(f"{name}.txt"), instances, task.classes, task.canvas, task.canvas)
        label, loss = made.content(), made.loss()
    if task.root is not None:
        # The whole set is renamed into place when it is complete, so single files need no temporary name.
        (task.root / "images" / task.split / f"{name}.png").write_bytes(png)
        if label is not None:
            (task.root / "labels" / task.split / f"{name}.txt").write_bytes(label)
        png, label = b"", None
    return WrittenCanvas(
        name=name,
        pixels_sha256=pixels_sha256(pixels),
        particles=sum(not each.ignored for each in instances),
        annotations=encode_annotations(instances, (task.canvas, task.canvas), task.classes, name),
        dropped=dropped,
        transforms=list(transforms),
        label_loss=loss,
        png=png,
        label=label,
    )
