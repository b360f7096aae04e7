"""``conversion_report.json``: what every image lost, and every file that took no part, why, and the way out."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from nanoseg_bench.annotations.faults import FaultReport
from nanoseg_bench.annotations.image_conversion import Converted
from nanoseg_bench.annotations.labels import warn_of_similar_labels
from nanoseg_bench.annotations.masks.specks import warn_of_specks
from nanoseg_bench.annotations.tally import Tallies
from nanoseg_bench.files import write_bytes
from nanoseg_bench.images import warn_of_invisible, warn_of_uneven_pixels, warn_of_unknown_units

REPORT_FORMAT = "nanoseg-conversion-report/1"
REPORT_FILE = "conversion_report.json"

_SUMMED = (
    "instances",
    "outside",
    "vanished",
    "ignored_lost",
    "parts_joined",
    "holes_lost",
    "points_clipped",
    "overlapped_pixels",
    "simplified",
    "points_before",
    "points_after",
)


@dataclass(slots=True, kw_only=True)
class ConversionReport(FaultReport):
    """What became of the files of a conversion.

    Attributes:
        source_format: What they were.
        to: What was written.
        classes: Class names, in the order of their indices.
        images: One row per image: name, file, particles, and whatever was lost, noted or decided.
        totals: Sums over the images, and the worst and mean IoU.
        without_area: Shapes that outline nothing and were left out, by kind.
        not_carried_over: Keys of the source that the new files say nothing of, and how many images have them.
        labels: Particles by label.
        pieces: ``Micrograph.pieces`` by name, where there are any.
        tallies: What became of shapes that are no particle, or may not be one of their own.
        invisible: Images that are transparent everywhere.
        path: Where the report was written.
    """

    source_format: str
    to: str
    classes: tuple[str, ...] = ()
    images: list[dict[str, Any]] = field(default_factory=list)
    totals: dict[str, Any] = field(default_factory=dict)
    without_area: Counter[str] = field(default_factory=Counter)
    not_carried_over: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    pieces: dict[str, Mapping[str, int]] = field(default_factory=dict)
    tallies: Tallies = field(default_factory=Tallies)
    invisible: list[str] = field(default_factory=list)
    path: Path | None = None

    def __post_init__(self) -> None:
        self.totals = {"images": 0, "background": 0, "rewritten_images": 0, **dict.fromkeys(_SUMMED, 0)}
        self.totals |= {"worst_iou": 1.0, "mean_iou": 1.0}

    def add(self, converted: Converted) -> None:
        """Enter one image."""
        loss, micrograph, scale = converted.loss, converted.micrograph, converted.scale
        row: dict[str, Any] = {"name": micrograph.name, "image": converted.files[0], **loss.as_json()}
        if micrograph.nm_per_px is not None:
            row["nm_per_px"] = micrograph.nm_per_px
        if micrograph.source_group is not None:
            row["source_group"] = micrograph.source_group
        if micrograph.all_notes:
            row["notes"] = [self._shorten(note) for note in micrograph.all_notes]
        if converted.rewritten:
            row["rewritten"] = converted.reading
        if scale is not None and scale.uneven_nm is not None:
            row["uneven_nm"] = list(scale.uneven_nm)
        if scale is not None and scale.unknown_unit is not None:
            row["unknown_unit"] = scale.unknown_unit
        self.images.append(row)
        totals = self.totals
        before, particles = totals["instances"] + totals["vanished"], loss.instances + loss.vanished
        if particles:
            mean = totals["mean_iou"] * before + loss.mean_iou * particles
            totals["mean_iou"] = mean / (before + particles)
            totals["worst_iou"] = min(totals["worst_iou"], loss.worst_iou)
        totals["images"] += 1
        totals["background"] += not particles
        totals["rewritten_images"] += converted.rewritten
        for name in _SUMMED:
            totals[name] += getattr(loss, name)
        self.without_area.update(micrograph.without_area)
        self.not_carried_over.update(converted.not_carried)
        self.labels.update(converted.labels)
        if micrograph.pieces:
            self.pieces[micrograph.name] = micrograph.pieces
        self.tallies.add(micrograph.name, micrograph.tally, micrograph.without_area)
        if converted.reading.get("invisible"):
            self.invisible.append(micrograph.name)

    @property
    def warnings(self) -> list[str]:
        """What a person should look at, each told once for all images."""
        uneven = [(row["name"], row["uneven_nm"]) for row in self.images if "uneven_nm" in row]
        units = [(row["name"], row["unknown_unit"]) for row in self.images if "unknown_unit" in row]
        return [
            *self.tallies.warnings(),
            *warn_of_similar_labels(self.labels),
            *warn_of_uneven_pixels(uneven),
            *warn_of_unknown_units(units),
            *warn_of_specks(self.pieces),
            *warn_of_invisible(self.invisible),
        ]

    def write(self, path: Path) -> None:
        """Write the report; same report, same bytes."""
        totals = {**self.totals, "mean_iou": round(self.totals["mean_iou"], 6)}
        totals |= {"problems": len(self.problems), "unannotated": len(self.unannotated)}
        document = {
            "format": REPORT_FORMAT,
            "from": self.source_format,
            "to": self.to,
            "classes": self.classes,
            "totals": totals,
            "warnings": self.warnings,
            "without_area": dict(sorted(self.without_area.items())),
            "told": self.tallies.as_json(),
            "not_carried_over": dict(sorted(self.not_carried_over.items())),
            "images": self.images,
            "problems": self._rows(self.problems),
            "faults_of_files": self._rows(self.of_files),
            "passed_over": self._rows(self.passed_over),
            "unannotated": sorted(self._relative(path) for path in self.unannotated),
        }
        write_bytes(path, orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        self.path = path
