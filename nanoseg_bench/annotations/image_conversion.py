"""One micrograph in another format: its image and its annotation, and what the annotation could not hold."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nanoseg_bench.annotations.clipping import points_outside
from nanoseg_bench.annotations.faults import Problem
from nanoseg_bench.annotations.image_export import export_image
from nanoseg_bench.annotations.instance import Instance, Micrograph, Rle
from nanoseg_bench.annotations.labelme.writing import labelme_bytes
from nanoseg_bench.annotations.labels import check_labels
from nanoseg_bench.annotations.loss import ImageLoss, map_loss, outline_loss, yolo_loss
from nanoseg_bench.annotations.raster import area, to_rle
from nanoseg_bench.annotations.simplification import LEAST_IOU, Simplified, simplify
from nanoseg_bench.annotations.source import Entry
from nanoseg_bench.annotations.tally import Tally
from nanoseg_bench.annotations.yolo.label import yolo_label
from nanoseg_bench.errors import AnnotationError, NanosegError
from nanoseg_bench.imageio import Scale, read_scale
from nanoseg_bench.wording import counted

IMAGES = "images"
LABELS = "labels"
MASKS = "masks"

_WITHOUT_SCALE = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


@dataclass(frozen=True, slots=True)
class ConversionTask:
    """What all images of a conversion have in common.

    Attributes:
        to: ``labelme``, ``coco``, ``yolo`` or ``masks``.
        root: The folder to write.
        classes: Class names by index; empty where the format numbers no classes.
        strict: Whether another label is an error; else the image is left alone, and its labels are returned.
        link: Hard-link images rather than copy them.
        max_loss: Largest 1 - IoU of a particle; None allows any.
        exact: Whether masks stay masks, pixel by pixel, where the format has polygons too.
    """

    to: str
    root: Path
    classes: tuple[str, ...]
    strict: bool
    link: bool
    max_loss: float | None
    exact: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Converted:
    """What one micrograph became.

    Attributes:
        name: Of the micrograph.
        path: The file that annotates it.
        image_path: Its image, without links in the path.
        size: (width, height) in pixels.
        labels: Number of its particles by label.
        files: What was written, relative to the root, the image first; empty where a label is not among the classes.
        loss: What the annotation does not hold.
        notes: What was left out or mended in reading.
        rewritten: Whether the image was written anew.
        reading: What reading it decided, then.
        coco: Its annotations as CocoWriter takes them.
        values: Value and label of each particle of an instance map.
        nm_per_px: Scale by annotation or image, where known.
        source_group: As the annotation names it.
        without_area: ``Micrograph.without_area``.
        not_carried: Keys of the source that the new files say nothing of.
        uneven_nm: Nanometres per pixel along a row and along a column, where the image has no single scale for that.
        unknown_unit: The unit of the image's scale, where it is not understood.
        pieces: ``Micrograph.pieces``.
        tally: ``Micrograph.tally``.
    """

    name: str
    path: Path
    image_path: str
    size: tuple[int, int]
    labels: Mapping[str, int]
    files: tuple[str, ...] = ()
    loss: ImageLoss = ImageLoss(0)  # noqa: RUF009, it is frozen
    notes: tuple[str, ...] = ()
    rewritten: bool = False
    reading: dict[str, Any] = field(default_factory=dict)
    coco: tuple[str, ...] = ()
    values: tuple[tuple[int, str], ...] = ()
    nm_per_px: float | None = None
    source_group: str | None = None
    without_area: Mapping[str, int] = field(default_factory=dict)
    not_carried: tuple[str, ...] = ()
    uneven_nm: tuple[float, float] | None = None
    unknown_unit: str | None = None
    pieces: Mapping[str, int] = field(default_factory=dict)
    tally: Tally = Tally()  # noqa: RUF009, it is frozen


def convert_image(task: ConversionTask, item: tuple[Entry, str]) -> Converted | Problem:
    """Convert one micrograph; a fault of the data comes back as a Problem.

    Args:
        task: What all images have in common.
        item: The micrograph, and the stem of its files.

    Raises:
        OSError: The folder cannot be written.
    """
    entry, stem = item
    try:
        return _convert(task, entry, stem, _read(entry))
    except NanosegError as error:
        return Problem(entry.name, entry.path, error)


def _read(entry: Entry) -> Micrograph:
    try:
        return entry.read()
    except OSError as error:
        raise AnnotationError(f"{entry.path}: cannot be read ({error.strerror or error}); check its rights") from error


def _convert(task: ConversionTask, entry: Entry, stem: str, micrograph: Micrograph) -> Converted:
    scale = _scale_of_image(micrograph)
    if scale is not None:
        # An image that is written anew loses its metadata, so its scale goes with the annotation.
        micrograph = replace(micrograph, nm_per_px=scale.nm_per_px)
    labels = Counter(each.label for each in micrograph.instances if each.label is not None and not each.ignored)
    converted = Converted(
        name=entry.name,
        path=entry.path,
        image_path=os.path.realpath(micrograph.image_path),
        size=(micrograph.width, micrograph.height),
        labels=labels,
        notes=(*micrograph.notes, *micrograph.tally.notes()),
        nm_per_px=micrograph.nm_per_px,
        source_group=micrograph.source_group,
        without_area=micrograph.without_area,
        not_carried=(*micrograph.not_carried, *_lost_in(task.to, micrograph)),
        uneven_nm=None if scale is None else scale.uneven_nm,
        unknown_unit=None if scale is None else scale.unknown_unit,
        pieces=micrograph.pieces,
        tally=micrograph.tally,
    )
    if task.strict:
        check_labels(entry.path, micrograph.instances, task.classes)
    elif task.to in ("yolo", "coco") and not labels.keys() <= set(task.classes):
        return converted
    return _WRITERS[task.to](task, stem, micrograph, converted)


def _scale_of_image(micrograph: Micrograph) -> Scale | None:
    """The scale that the image itself states; None where the annotation knows one, or there is none."""
    if micrograph.nm_per_px is not None or micrograph.image_path.suffix.lower() in _WITHOUT_SCALE:
        return None
    return read_scale(micrograph.image_path)


def _lost_in(to: str, micrograph: Micrograph) -> list[str]:
    """What is known of the image and has no place in a format."""
    lost = []
    if to != "labelme":
        lost += [f"nanoseg.attributes.{name}" for name in sorted(micrograph.attributes)]
        if micrograph.begun_by is not None:
            lost.append("nanoseg.begun_by")
    if to not in ("coco", "labelme") and any(each.score is not None for each in micrograph.instances):
        lost.append("annotations.score")
    return lost


def _write_yolo(task: ConversionTask, stem: str, micrograph: Micrograph, converted: Converted) -> Converted:
    label = yolo_label(converted.path, micrograph.instances, task.classes, micrograph.height, micrograph.width)
    loss = yolo_loss(label)
    _check_loss(task, converted, loss)
    converted = _put_image(task, IMAGES, stem, converted)
    file = f"{LABELS}/{stem}.txt"
    # The whole folder is renamed into place when it is complete, so single files need no temporary name.
    (task.root / file).write_bytes(label.content())
    return replace(converted, files=(*converted.files, file), loss=loss)


def _write_labelme(task: ConversionTask, stem: str, micrograph: Micrograph, converted: Converted) -> Converted:
    kept = tuple(each for each in micrograph.instances if _is_outline(each) or _pixels(each, micrograph))
    outside = len(_particles(micrograph.instances)) - len(_particles(kept))
    found = [_simplified(task, each, micrograph) for each in kept]
    written = tuple(each if new is None else new.instance for each, new in zip(kept, found, strict=True))
    converted = _put_image(task, "", stem, converted)
    file = f"{stem}.json"
    content = labelme_bytes(converted.path, replace(micrograph, instances=written), converted.files[0])
    (task.root / file).write_bytes(content)
    of_particles = [new for each, new in zip(kept, found, strict=True) if not each.ignored]
    loss = outline_loss(of_particles, instances=len(of_particles), outside=outside)
    return replace(converted, files=(*converted.files, file), loss=loss)


def _simplified(task: ConversionTask, instance: Instance, micrograph: Micrograph) -> Simplified | None:
    """The polygons of a mask, whose vertices LabelMe can move; None where the instance is written as it is."""
    if task.exact:
        return None
    least_iou = LEAST_IOU if task.max_loss is None else max(LEAST_IOU, 1 - task.max_loss)
    return simplify(instance, micrograph.height, micrograph.width, least_iou)


def _write_coco(task: ConversionTask, stem: str, micrograph: Micrograph, converted: Converted) -> Converted:
    from nanoseg_bench.annotations.coco.writing import encode_annotations

    height, width = micrograph.height, micrograph.width
    masks = [replace(each, region=to_rle(each, height, width)) for each in micrograph.instances]
    kept = [each for each in masks if _pixels(each, micrograph)]
    coco = tuple(encode_annotations(kept, converted.size, task.classes, str(converted.path)))
    loss = ImageLoss(
        instances=len(_particles(kept)),
        outside=len(_particles(masks)) - len(_particles(kept)),
        ignored_lost=len(masks) - len(kept) - (len(_particles(masks)) - len(_particles(kept))),
        points_clipped=sum(points_outside(micrograph.instances, height, width)),
    )
    return replace(_put_image(task, IMAGES, stem, converted), loss=loss, coco=coco)


def _write_masks(task: ConversionTask, stem: str, micrograph: Micrograph, converted: Converted) -> Converted:
    from nanoseg_bench.annotations.masks.writing import write_instance_map

    target = task.root / MASKS / f"{stem}.png"
    written = write_instance_map(target, micrograph.instances, micrograph.height, micrograph.width)
    try:
        loss = map_loss(micrograph.instances, written, micrograph.height, micrograph.width)
        _check_loss(task, converted, loss)
        converted = _put_image(task, IMAGES, stem, converted)
    except NanosegError:
        written.path.unlink()
        raise
    pairs = zip(written.values, micrograph.instances, strict=True)
    values = tuple((value, each.label or "") for value, each in pairs if value)
    files = (*converted.files, f"{MASKS}/{written.path.name}")
    return replace(converted, files=files, loss=loss, values=values)


_WRITERS = {"yolo": _write_yolo, "labelme": _write_labelme, "coco": _write_coco, "masks": _write_masks}


def _put_image(task: ConversionTask, folder: str, stem: str, converted: Converted) -> Converted:
    image = export_image(Path(converted.image_path), task.root / folder, stem, link=task.link)
    file = f"{folder}/{image.file}" if folder else image.file
    return replace(converted, files=(file,), rewritten=image.rewritten, reading=image.reading)


def _check_loss(task: ConversionTask, converted: Converted, loss: ImageLoss) -> None:
    if task.max_loss is None or 1 - loss.worst_iou <= task.max_loss:
        return
    what = [f"{counted(count, noun)} {verb}" for noun, verb, count in _losses(loss) if count]
    raise AnnotationError(
        f"{converted.path}: of a particle of {converted.name!r}, a reader of the {task.to} file would see an IoU of "
        f"{loss.worst_iou:.4f} only ({', '.join(what)}), a loss of {1 - loss.worst_iou:.4f} where {task.max_loss:g} is "
        "allowed; allow more, or convert to coco, which holds everything"
    )


def _losses(loss: ImageLoss) -> tuple[tuple[str, str, int], ...]:
    return (
        ("hole", "lost", loss.holes_lost),
        ("part", "joined", loss.parts_joined),
        ("point", "clipped", loss.points_clipped),
        ("particle", "vanished", loss.vanished),
        ("pixel", "overlapped", loss.overlapped_pixels),
    )


def _is_outline(instance: Instance) -> bool:
    """Whether LabelMe holds the instance as it is; holes and masks become masks, which need a pixel."""
    return not isinstance(instance.region, Rle) and not any(part.holes for part in instance.region)


def _pixels(instance: Instance, micrograph: Micrograph) -> int:
    return area(to_rle(instance, micrograph.height, micrograph.width))


def _particles(instances: Sequence[Instance]) -> list[Instance]:
    return [each for each in instances if not each.ignored]
