"""The files of one micrograph in a prepared set: its canvas, its augmented copies and their labels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.annotations.instance import Instance, Micrograph
from nanoseg_bench.annotations.raster import area, to_rle
from nanoseg_bench.annotations.yolo import YoloLoss, write_yolo
from nanoseg_bench.imageio import read_image
from nanoseg_bench.preparation.augment import augment_copy, copy_seed
from nanoseg_bench.preparation.letterbox import Letterbox

# Lossless at any level; a higher one costs more time than it saves space on noisy micrographs.
_PNG_LEVEL = 3


@dataclass(frozen=True, eq=False, slots=True)
class CanvasTask:
    """What to write for one micrograph.

    Attributes:
        micrograph: The original.
        split: Its split.
        name: Stem of its files.
        copy_names: Stems of its augmented copies; their seeds follow from ``name``, ``seed`` and their number.
        classes: For the YOLO labels; empty writes none.
        canvas: Side in pixels.
        seed: Of the set.
        root: Folder of the set.
    """

    micrograph: Micrograph
    split: str
    name: str
    copy_names: tuple[str, ...]
    classes: tuple[str, ...]
    canvas: int
    seed: int
    root: Path


@dataclass(frozen=True, eq=False, slots=True)
class CanvasImage:
    """One image that was written.

    Attributes:
        name: Stem of its files.
        instances: On the canvas, regions as ``Rle``.
        dropped: Particles that the augmentation cut away.
        transforms: Applied transforms; empty for the original.
        yolo_loss: What the YOLO label could not hold; None where none is written.
    """

    name: str
    instances: list[Instance]
    dropped: int
    transforms: list[dict[str, Any]] = field(default_factory=list)
    yolo_loss: YoloLoss | None = None

    @property
    def particles(self) -> int:
        """Instances that are to be found, without ignore regions."""
        return sum(not each.ignored for each in self.instances)


@dataclass(frozen=True, eq=False, slots=True)
class WrittenMicrograph:
    """What one micrograph became.

    Attributes:
        images: The original's canvas, then its copies.
        truth: Instances in original pixels, regions as ``Rle``.
        outside: Particles without a pixel inside the image; they are in no truth.
        too_small: Particles of the truth that have no pixel left on the canvas.
    """

    images: list[CanvasImage]
    truth: list[Instance]
    outside: int
    too_small: int


def write_canvases(task: CanvasTask) -> WrittenMicrograph:
    """Write the canvas, the copies and the labels of one micrograph, and return their instances.

    Raises:
        ImageError: The micrograph cannot be read.
        OSError: A file cannot be written.
    """
    micrograph = task.micrograph
    truth = _rasterise(micrograph.instances, micrograph.height, micrograph.width)
    box = Letterbox(micrograph.width, micrograph.height, task.canvas)
    # From the truth's own regions, not from their rasters: outlines reach the canvas without a second rounding.
    inside = [instance for instance, raster in zip(micrograph.instances, truth, strict=True) if raster is not None]
    moved = _rasterise([box.instance_to_canvas(each) for each in inside], task.canvas, task.canvas)
    on_canvas = [each for each in moved if each is not None]
    pixels = box.apply(read_image(micrograph.image_path))
    images = [_write(task, task.name, pixels, on_canvas)]
    for number, name in enumerate(task.copy_names, start=1):
        copy = augment_copy(pixels, on_canvas, copy_seed(task.seed, task.name, number))
        images.append(_write(task, name, copy.pixels, copy.instances, copy.dropped, copy.transforms))
    kept = [each for each in truth if each is not None]
    return WrittenMicrograph(
        images=images,
        truth=kept,
        outside=len(truth) - len(kept),
        too_small=len(moved) - len(on_canvas),
    )


def _rasterise(instances: Sequence[Instance], height: int, width: int) -> list[Instance | None]:
    """Instances as ``Rle``; None for those without a pixel."""
    rasters: list[Instance | None] = []
    for instance in instances:
        rle = to_rle(instance, height, width)
        rasters.append(Instance(instance.label, rle, crowd=instance.crowd) if area(rle) else None)
    return rasters


def _write(
    task: CanvasTask,
    name: str,
    pixels: NDArray[np.uint8],
    instances: list[Instance],
    dropped: int = 0,
    transforms: Sequence[dict[str, Any]] = (),
) -> CanvasImage:
    # The whole set is renamed into place when it is complete, so single files need no temporary name.
    Image.fromarray(pixels).save(task.root / "images" / task.split / f"{name}.png", compress_level=_PNG_LEVEL)
    loss = None
    if task.classes:
        label = task.root / "labels" / task.split / f"{name}.txt"
        loss = write_yolo(label, instances, task.classes, task.canvas, task.canvas)
    return CanvasImage(name, instances, dropped, list(transforms), loss)
