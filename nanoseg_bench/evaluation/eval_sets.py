"""Eval sets: the images and the truth that a model is judged on, in original pixels."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import area, to_rle
from nanoseg_bench.errors import DatasetError
from nanoseg_bench.marks import Mark
from nanoseg_bench.models.base import detection_limit
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.wording import counted, shortened

EVAL_SETS = ("val", "test", "ood", "hrtem")
"""``val`` serves to choose the operating point; the others are published."""


@dataclass(frozen=True, eq=False, slots=True)
class EvalSet:
    """Images with their truth.

    Attributes:
        name: One of ``EVAL_SETS``.
        set_hash: Content hash of the prepared set.
        classes: Class names that models were trained on; the truth of ``ood`` has others.
        images: Image names in the order of the manifest.
        truth: Instances per image, ignore regions included.
        sizes: (width, height) of each original, px.
        source_groups: Source group of each image.
        max_detections: Detections per image that AP takes into account, the same for every model.
        nm_per_px: Scale of each image; None where unknown.
        attributes: What else is known of each image.
        marks: What is written on each image; lacks the images of a set of an earlier release, where nobody looked.
    """

    name: str
    set_hash: str
    classes: tuple[str, ...]
    images: tuple[str, ...]
    truth: Mapping[str, list[Instance]]
    sizes: Mapping[str, tuple[int, int]]
    source_groups: Mapping[str, str]
    max_detections: int
    nm_per_px: Mapping[str, float | None] = field(default_factory=dict)
    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    marks: Mapping[str, tuple[Mark, ...]] = field(default_factory=dict)


def load_eval_set(prepared: PreparedSet, name: str) -> EvalSet:
    """Read an eval set of a prepared set; of one with folds, ``test`` is every micrograph in them.

    Raises:
        DatasetError: The set has no such part, or its truth lacks an image.
    """
    images = prepared.judged_images(name) if name in EVAL_SETS else []
    if not images:
        parts = [part for part in EVAL_SETS if prepared.has(part)]
        raise DatasetError(
            f"{prepared.root}: no images to evaluate in {name!r}; the set has {', '.join(parts) or 'none'}"
        )
    truth = prepared.truth(name)
    missing = [image.name for image in images if image.name not in truth]
    if missing:
        raise DatasetError(
            f"{prepared.instances_file('truth', name)}: lacks {counted(len(missing), 'image')} of the manifest "
            f"({shortened(missing)}); prepare the set again"
        )
    sizes = {image.name: (image.letterbox.width, image.letterbox.height) for image in images}
    return EvalSet(
        name=name,
        set_hash=prepared.content_hash,
        classes=prepared.classes,
        images=tuple(image.name for image in images),
        truth={image.name: _visible(truth[image.name], sizes[image.name]) for image in images},
        sizes=sizes,
        source_groups={image.name: image.source_group for image in images},
        max_detections=detection_limit(prepared.max_instances),
        nm_per_px={image.name: image.nm_per_px for image in images},
        attributes={image.name: image.attributes for image in images},
        marks={image.name: image.marks for image in images if image.marks is not None},
    )


def _visible(instances: list[Instance], size: tuple[int, int]) -> list[Instance]:
    """Leave out particles without a pixel: nobody could find them."""
    width, height = size
    return [instance for instance in instances if area(to_rle(instance, height, width))]
