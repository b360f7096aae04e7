"""One micrograph in another format: its image and its annotation, and what the annotation could not hold."""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nanoseg_bench.annotations.errors import LossError
from nanoseg_bench.annotations.faults import Problem
from nanoseg_bench.annotations.image_export import export_image
from nanoseg_bench.annotations.instance import Micrograph
from nanoseg_bench.annotations.labels import check_labels
from nanoseg_bench.annotations.loss import ImageLoss
from nanoseg_bench.annotations.registry import get_format
from nanoseg_bench.annotations.source import MicrographRef
from nanoseg_bench.annotations.writer import Encoded, WriteOptions, Writer
from nanoseg_bench.errors import NanosegError
from nanoseg_bench.images import Scale, read_scale
from nanoseg_bench.images.sidecars import read_sidecar
from nanoseg_bench.wording import counted

_SILENT = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
"""Formats that hold no scale: images are not opened for one, only a text of the microscope beside them is read."""


@dataclass(frozen=True, slots=True)
class ConversionTask:
    """What all images of a conversion have in common.

    Attributes:
        to: One of ``registry.WRITTEN``.
        root: The folder to write.
        options: What the writer must know.
        strict: Whether another label is an error; else the image is left alone, and its labels are returned.
        link: Hard-link images rather than copy them.
    """

    to: str
    root: Path
    options: WriteOptions
    strict: bool
    link: bool


@dataclass(frozen=True, eq=False, slots=True)
class Converted:
    """What one micrograph became.

    Attributes:
        micrograph: As it was read, without the outlines; its scale may be the image's.
        path: The file that annotates it.
        image_path: Its image, without links in the path.
        labels: Number of its particles by label.
        files: What was written, relative to the root, the image first; empty where a label is not among the classes.
        loss: What the annotation does not hold.
        rewritten: Whether the image was written anew.
        reading: What reading it decided, then.
        shared: What the file for all images says of it.
        not_carried: Keys of the source that the new files say nothing of.
        scale: What the image, or the text beside it, states, where the annotation knows no scale.
    """

    micrograph: Micrograph
    path: Path
    image_path: str
    labels: Mapping[str, int]
    files: tuple[str, ...] = ()
    loss: ImageLoss = ImageLoss(0)  # noqa: RUF009, it is frozen
    rewritten: bool = False
    reading: dict[str, Any] = field(default_factory=dict)
    shared: Any = None
    not_carried: tuple[str, ...] = ()
    scale: Scale | None = None

    @property
    def name(self) -> str:
        """``Micrograph.name``."""
        return self.micrograph.name


def convert_image(task: ConversionTask, item: tuple[MicrographRef, str]) -> Converted | Problem:
    """Convert one micrograph; a fault of the data comes back as a Problem.

    Args:
        task: What all images have in common.
        item: The micrograph, and the stem of its files.

    Raises:
        OSError: The folder cannot be written.
    """
    ref, stem = item
    labels: Counter[str] = Counter()
    try:
        micrograph = ref.read()
        labels.update(each.label for each in micrograph.instances if each.label is not None and not each.ignored)
        return _convert(task, ref, stem, micrograph, labels)
    except NanosegError as error:
        return Problem(ref.name, ref.path, error, frozenset(labels))


def _convert(
    task: ConversionTask, ref: MicrographRef, stem: str, micrograph: Micrograph, labels: Mapping[str, int]
) -> Converted:
    writer = get_format(task.to).writer()
    scale = _scale_of_image(micrograph)
    if scale is not None:
        # Metadata of an image that is written anew, and the text beside it, stay behind; so the annotation takes it.
        micrograph = replace(micrograph, nm_per_px=scale.nm_per_px)
    converted = Converted(
        micrograph=replace(micrograph, instances=()),
        path=ref.path,
        image_path=os.path.realpath(micrograph.image_path),
        labels=labels,
        not_carried=(*micrograph.not_carried, *_lost_in(writer, micrograph)),
        scale=scale,
    )
    if task.strict:
        check_labels(ref.path, micrograph.instances, task.options.classes)
    elif writer.numbers_classes and not labels.keys() <= set(task.options.classes):
        return converted
    encoded = writer.encode(micrograph, stem, ref.path, task.options)
    if not writer.simplifies:
        _check_loss(task, converted, encoded.loss)
    return _write(task, writer, stem, converted, encoded)


def _scale_of_image(micrograph: Micrograph) -> Scale | None:
    """What the image, or the text beside it, states; None where the annotation knows a scale, or there is none."""
    if micrograph.nm_per_px is not None:
        return None
    if micrograph.image_path.suffix.lower() not in _SILENT:
        return read_scale(micrograph.image_path)
    beside = read_sidecar(micrograph.image_path)
    return None if beside is None else beside.scale_at(micrograph.width)


def _lost_in(writer: Writer, micrograph: Micrograph) -> list[str]:
    """What is known of the image and has no place in a format."""
    lost = []
    if not writer.holds_extras:
        lost += [f"nanoseg.attributes.{name}" for name in sorted(micrograph.attributes)]
        if micrograph.begun_by is not None:
            lost.append("nanoseg.begun_by")
    if not writer.holds_scores and any(each.score is not None for each in micrograph.instances):
        lost.append("annotations.score")
    return lost


def _write(task: ConversionTask, writer: Writer, stem: str, converted: Converted, encoded: Encoded) -> Converted:
    folder = writer.image_folder
    image = export_image(Path(converted.image_path), task.root / folder, stem, link=task.link)
    files = [f"{folder}/{image.file}" if folder else image.file]
    if encoded.content is not None:
        files.append(encoded.file)
        # The whole folder is renamed into place when it is complete, so single files need no temporary name.
        (task.root / encoded.file).write_bytes(encoded.content(image.file))
    return replace(
        converted,
        files=tuple(files),
        loss=encoded.loss,
        rewritten=image.rewritten,
        reading=image.reading,
        shared=encoded.shared,
    )


def _check_loss(task: ConversionTask, converted: Converted, loss: ImageLoss) -> None:
    allowed = task.options.max_loss
    if allowed is None or 1 - loss.worst_iou <= allowed:
        return
    found = ", ".join(f"{counted(count, noun)} {verb}" for noun, verb, count in _losses(loss) if count)
    what = f" ({found})" if found else ""
    raise LossError(
        f"{converted.path}: of a particle of {converted.name!r}, a reader of the {task.to} file would see an IoU of "
        f"{loss.worst_iou:.4f} only{what}, a loss of {1 - loss.worst_iou:.4f} where {allowed:g} is "
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
