"""The manifest, one row per canvas image, and the hash of what a prepared set is made of."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nanoseg_bench.annotations.instance import Instance, Micrograph, Rle
from nanoseg_bench.files import sha256_json, write_text
from nanoseg_bench.preparation.letterbox import Letterbox
from nanoseg_bench.preparation.prepared_set import MANIFEST_COLUMNS

PREPARATION_VERSION = 1
"""Raised whenever the same inputs and parameters would give other canvases, labels or splits."""

_COORDINATE_DECIMALS = 6


def manifest_row(
    micrograph: Micrograph,
    *,
    name: str,
    split: str,
    source_group: str,
    canvas: int,
    pixels_sha256: str,
    instances: int,
    parent: str = "",
    dropped: int = 0,
    transforms: Sequence[Mapping[str, Any]] = (),
) -> dict[str, str]:
    """One row of ``manifest.csv``, all values as text; the keyword arguments are the columns of the same name."""
    box = Letterbox(micrograph.width, micrograph.height, canvas)
    pad_x, pad_y = box.padding
    return {
        "name": name,
        "split": split,
        "micrograph": micrograph.name,
        "parent": parent,
        "source_group": source_group,
        "width": str(micrograph.width),
        "height": str(micrograph.height),
        "ratio": repr(box.ratio),
        "pad_x": str(pad_x),
        "pad_y": str(pad_y),
        "nm_per_px": "" if micrograph.nm_per_px is None else repr(float(micrograph.nm_per_px)),
        "instances": str(instances),
        "dropped": str(dropped),
        "augmentation": _json(list(transforms)) if parent else "",
        "attributes": _json(dict(sorted(micrograph.attributes.items()))),
        "pixels_sha256": pixels_sha256,
    }


def write_manifest(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write ``manifest.csv`` atomically: same rows, same bytes."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, MANIFEST_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def truth_sha256(instances: Sequence[Instance]) -> str:
    """Hash of labels and regions, in their order."""
    return sha256_json([[each.label, each.crowd, _region(each)] for each in instances])


def content_hash(entries: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]) -> str:
    """Hash of a prepared set: source pixels, truth, split and parameters.

    Encoded bytes, absolute paths, the clock and the number of workers do not enter.

    Args:
        entries: Per micrograph: name, size, scale, attributes, source group, split, number of copies, hashes of the
            decoded pixels and of the truth.
        parameters: Canvas, classes, seed, augmentation.
    """
    ordered = sorted(entries, key=lambda entry: (entry["split"] == "ood", entry["name"]))
    return sha256_json({"version": PREPARATION_VERSION, "parameters": parameters, "micrographs": ordered})


def _region(instance: Instance) -> Any:
    if isinstance(instance.region, Rle):
        return [instance.region.height, instance.region.width, instance.region.counts.decode("ascii")]
    return [
        [outline.round(_COORDINATE_DECIMALS).tolist() for outline in (part.exterior, *part.holes)]
        for part in instance.region
    ]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
