"""The manifest: one row per canvas image, where it comes from and how it was made."""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nanoseg_bench.files import atomic_path
from nanoseg_bench.marks.mark import marks_as_json
from nanoseg_bench.preparation.canvases import WrittenMicrograph
from nanoseg_bench.preparation.letterbox import Letterbox
from nanoseg_bench.preparation.plan import PlannedMicrograph
from nanoseg_bench.preparation.prepared_set import MANIFEST_COLUMNS


def manifest_rows(planned: PlannedMicrograph, written: WrittenMicrograph, canvas: int) -> list[dict[str, str]]:
    """The rows of one micrograph: its own, then its copies'; all values as text, see ``MANIFEST_COLUMNS``.

    Args:
        planned: What was decided about it.
        written: What it became.
        canvas: Side of the canvas in pixels.
    """
    seen, micrograph = planned.seen, planned.seen.micrograph
    box = Letterbox(micrograph.width, micrograph.height, canvas)
    pad_x, pad_y = box.padding
    shared = {
        "split": planned.split,
        "micrograph": micrograph.name,
        "source_group": planned.source_group,
        "width": str(micrograph.width),
        "height": str(micrograph.height),
        "ratio": repr(box.ratio),
        "pad_x": str(pad_x),
        "pad_y": str(pad_y),
        "nm_per_px": "" if micrograph.nm_per_px is None else repr(float(micrograph.nm_per_px)),
        "scale_from": seen.scale_from,
        "attributes": _json(dict(sorted(micrograph.attributes.items()))),
        "reading": _json(dict(seen.reading)),
        "marks": _json(marks_as_json(seen.marks)),
        "pixels_sha256": seen.pixels_sha256,
        "begun_by": "" if micrograph.begun_by is None else _json(micrograph.begun_by.as_json()),
    }
    rows = []
    for image in written.canvases:
        copy = image.name != planned.stem
        own = {
            "name": image.name,
            "parent": planned.stem if copy else "",
            "instances": str(image.particles),
            "dropped": str(image.dropped),
            "label_iou": "" if image.label_loss is None else repr(image.label_loss.worst_iou),
            "augmentation": _json(image.transforms) if copy else "",
            # Of the original: a copy is moved, and no copy is judged on.
            **({"marks": ""} if copy else {}),
            "canvas_sha256": image.pixels_sha256,
        }
        rows.append({column: own[column] if column in own else shared[column] for column in MANIFEST_COLUMNS})
    return rows


@contextmanager
def manifest_writer(path: Path) -> Iterator["csv.DictWriter[str]"]:
    """A writer for the rows of ``manifest.csv``, which appears when the block ends: same rows, same bytes."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, MANIFEST_COLUMNS, lineterminator="\n")
        writer.writeheader()
        yield writer


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
