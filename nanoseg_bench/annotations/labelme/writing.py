"""LabelMe JSON, written: for people who go on drawing, and for the embedded data set."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from nanoseg_bench.annotations.instance import BY_HAND, Instance, Micrograph, Polygon, Rle
from nanoseg_bench.annotations.labelme.shapes import encode_mask
from nanoseg_bench.annotations.loss import ImageLoss, round_iou, worst_and_mean
from nanoseg_bench.annotations.raster import to_mask
from nanoseg_bench.annotations.simplification import LEAST_IOU, Simplified, simplify
from nanoseg_bench.annotations.writer import Encoded, WriteOptions, Writer, count_pixels, particles_of
from nanoseg_bench.errors import AnnotationError
from nanoseg_bench.files import write_bytes

_VERSION = "5.5.0"


class LabelmeWriter(Writer):
    """A JSON beside each image. It holds every particle, with its parts and holes, and what is known of the image."""

    holds_extras = True
    holds_scores = True
    simplifies = True

    def encode(self, micrograph: Micrograph, stem: str, source: Path, options: WriteOptions) -> Encoded:
        """The JSON of one micrograph; masks become polygons whose vertices can be moved, unless they are to stay."""
        kept = [each for each in micrograph.instances if _is_outline(each) or count_pixels(each, micrograph)]
        found = [_simplified(each, micrograph, options) for each in kept]
        written = tuple(each if new is None else new.instance for each, new in zip(kept, found, strict=True))
        of_particles = [new for each, new in zip(kept, found, strict=True) if not each.ignored]
        outside = len(particles_of(micrograph.instances)) - len(of_particles)
        drawn = replace(micrograph, instances=written)
        return Encoded(_loss(of_particles, outside), f"{stem}.json", lambda image: labelme_bytes(source, drawn, image))


def write_labelme(path: Path, micrograph: Micrograph, image_file: str) -> None:
    """Write one LabelMe JSON atomically; same input, same bytes.

    Polygons stay polygons, the parts of one particle share a ``group_id``. Masks, and polygons with holes, become
    LabelMe ``mask`` shapes, since LabelMe's polygons have no holes; ``simplification`` makes polygons of masks, whose
    vertices can be moved. A score goes into the shape's ``description``, and ``changed`` or ``drawn`` into its flags
    where a person corrected the model's outlines.

    Args:
        path: The JSON file.
        micrograph: Its size, instances and what else is known of it; its ``image_path`` is not used.
        image_file: The image, relative to the JSON.

    Raises:
        AnnotationError: An instance has no label, or its mask is empty.
    """
    write_bytes(path, labelme_bytes(path, micrograph, image_file))


def labelme_bytes(path: Path, micrograph: Micrograph, image_file: str) -> bytes:
    """What ``write_labelme`` writes to ``path``."""
    shapes: list[dict[str, Any]] = []
    groups = 0
    for position, instance in enumerate(micrograph.instances, start=1):
        where = f"{path}: instance {position}"
        if instance.label is None:
            raise AnnotationError(f"{where} has no label, and LabelMe needs one; name its class")
        regions = _write_regions(instance, micrograph.height, micrograph.width, where)
        group_id = None
        if len(regions) > 1:
            groups += 1
            group_id = groups
        flags = {name: True for name in ("crowd", "on_mark") if getattr(instance, name)}
        flags |= {name: True for name in BY_HAND if name == instance.origin}
        description = "" if instance.score is None else _describe(instance.score, instance.label)
        shapes += [_shape(instance.label, region, group_id, flags, description) for region in regions]
    document: dict[str, Any] = {
        "version": _VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": image_file,
        "imageData": None,
        "imageHeight": micrograph.height,
        "imageWidth": micrograph.width,
        "nanoseg": {
            "nm_per_px": micrograph.nm_per_px,
            "source_group": micrograph.source_group,
            "attributes": dict(micrograph.attributes),
            **({} if micrograph.begun_by is None else {"begun_by": micrograph.begun_by.as_json()}),
        },
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _is_outline(instance: Instance) -> bool:
    """Whether LabelMe holds the instance as it is; holes and masks become masks, which need a pixel."""
    return not isinstance(instance.region, Rle) and not any(part.holes for part in instance.region)


def _simplified(instance: Instance, micrograph: Micrograph, options: WriteOptions) -> Simplified | None:
    """The polygons of a mask, whose vertices LabelMe can move; None where the instance is written as it is."""
    if options.exact:
        return None
    least_iou = LEAST_IOU if options.max_loss is None else max(LEAST_IOU, 1 - options.max_loss)
    return simplify(instance, micrograph.height, micrograph.width, least_iou)


def _loss(found: Sequence[Simplified | None], outside: int) -> ImageLoss:
    """What a reader of polygons that were made of masks sees against the truth.

    Args:
        found: Of every particle; None for one that was written as it is.
        outside: Particles without a pixel inside the image.
    """
    ious = [1.0 if each is None else round_iou(each.iou) for each in found]
    fewer = [each for each in found if each is not None and each.points < each.steps]
    worst, mean = worst_and_mean(ious)
    return ImageLoss(
        instances=len(found),
        outside=outside,
        simplified=len(fewer),
        points_before=sum(each.steps for each in fewer),
        points_after=sum(each.points for each in fewer),
        compared=len(fewer),
        worst_iou=worst,
        mean_iou=mean,
    )


def _describe(score: float, label: str) -> str:
    return json.dumps({"score": float(f"{score:.6g}"), "text": label}, ensure_ascii=False)


def _write_regions(instance: Instance, height: int, width: int, where: str) -> list[dict[str, Any]]:
    parts = [instance.region] if isinstance(instance.region, Rle) else list(instance.region)
    shapes = []
    for part in parts:
        if isinstance(part, Polygon) and not part.holes:
            shapes.append({"points": part.exterior.tolist(), "shape_type": "polygon", "mask": None})
            continue
        mask = to_mask(Instance(None, (part,) if isinstance(part, Polygon) else part), height, width)
        if mask.any():
            points, encoded = encode_mask(mask)
            shapes.append({"points": points, "shape_type": "mask", "mask": encoded})
    if parts and not shapes:
        raise AnnotationError(f"{where} ({instance.label}) covers no pixel; leave it out")
    return shapes


def _shape(
    label: str, region: dict[str, Any], group_id: int | None, flags: dict[str, bool], description: str
) -> dict[str, Any]:
    return {
        "label": label,
        "points": region["points"],
        "group_id": group_id,
        "description": description,
        "shape_type": region["shape_type"],
        "flags": flags,
        "mask": region["mask"],
    }
