"""Reading a prepared set; ``pipeline`` writes it.

Layout of ``data/<name>``:

    prepared.json               name, data set, classes, canvas, parameters, content hash, counts
    data.yaml                   for Ultralytics
    manifest.csv                one row per canvas image: where it comes from and how it was made
    split.csv                   split by micrograph, ready for `prepare --split-file`
    split_audit.json            what was checked about the split, for which content hash; split_audit.html shows it
    prepare_report.json         files that take no part, and why
    preview.html                contact sheets and statistics, where asked for
    images/<split>/NAME.png     letterboxed canvases; split is train, val, test, ood or hrtem
    labels/<split>/NAME.txt     YOLO-seg polygons on the canvas (lossy, for training only); not of ood and hrtem
    canvas/<split>.json         COCO RLE on the canvas: training targets, augmented copies included
    truth/<split>.json          COCO RLE in original pixels: what scoring reads; originals only
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from nanoseg_bench.annotations.begun_by import BegunBy, read_begun_by
from nanoseg_bench.annotations.coco import read_coco
from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.errors import AuditError, DatasetError
from nanoseg_bench.files import read_json
from nanoseg_bench.preparation.letterbox import Letterbox

ASIDE = ("ood", "hrtem")
"""Splits that lie outside of what is trained on: judged on only, drawn by no ratio, never augmented.

``ood`` shows shapes that are not among the classes, ``hrtem`` the classes with lattice contrast.
"""
SPLITS = ("train", "val", "test", *ASIDE)
FORMAT = "nanoseg-prepared/2"
MARKER = "prepared.json"
"""The file that says that a folder is a prepared set."""

MANIFEST_COLUMNS = (
    "name",  # stem of the files under images/ and labels/; unique in the set
    "split",
    "micrograph",  # Micrograph.name of the original
    "parent",  # `name` of the original's row, for augmented copies; empty for originals
    "source_group",
    "width",  # of the original, px
    "height",
    "ratio",  # letterbox: r, pad_x, pad_y
    "pad_x",
    "pad_y",
    "nm_per_px",  # of the original; empty where unknown
    "scale_from",  # who knows it: annotation, scale-csv, or the kind of image metadata
    "instances",  # particles on the canvas
    "dropped",  # instances of the parent that the augmentation cut below the minimum visible area
    "label_iou",  # smallest IoU of a particle's YOLO label with its truth on the canvas; empty without label
    "augmentation",  # JSON list of the applied transforms; empty for originals
    "attributes",  # JSON object
    "reading",  # JSON object: what reading the image decided (page, contrast, orientation)
    "pixels_sha256",  # of the source's decoded pixels
    "canvas_sha256",  # of the canvas' pixels
    "begun_by",  # JSON object: the model that drew the truth's first outlines; empty where a person did
)

AUDITED_COLUMNS = ("name", "split", "micrograph", "parent", "source_group", "pixels_sha256")
"""What the split audit reads of the manifest."""


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """One canvas image of a prepared set; the fields are those of ``MANIFEST_COLUMNS``."""

    name: str
    split: str
    micrograph: str
    parent: str | None
    source_group: str
    letterbox: Letterbox
    nm_per_px: float | None
    image_path: Path
    label_path: Path
    pixels_sha256: str
    canvas_sha256: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    begun_by: BegunBy | None = None


class PreparedSet:
    """A prepared set on disk, read-only.

    Args:
        root: The folder that ``prepare`` wrote.

    Raises:
        DatasetError: The folder is not a prepared set.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        summary = root / MARKER
        if not summary.is_file():
            raise DatasetError(
                f"{root}: not a prepared set (no prepared.json); give the folder that `nanoseg-bench prepare` "
                f"wrote with --data, or write it there with --out {root}"
            )
        self.summary: dict[str, Any] = read_json(summary)
        if self.summary.get("format") != FORMAT:
            found = self.summary.get("format")
            raise DatasetError(f"{summary}: format {found!r}, expected {FORMAT!r}; prepare it again")

    @property
    def name(self) -> str:
        """Name in tables and file names, with the size of a subset: ``emps``, ``nanosynth-24``."""
        return str(self.summary["name"])

    @property
    def dataset(self) -> str:
        """Name of the card that it was made from."""
        return str(self.summary["dataset"])

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the position is the YOLO class index, the position + 1 the COCO category id."""
        return tuple(self.summary["classes"])

    @property
    def canvas(self) -> int:
        """Side of the canvas images in pixels."""
        return int(self.summary["canvas"])

    @property
    def content_hash(self) -> str:
        """Hash of source pixels, truth, split and parameters."""
        return str(self.summary["content_hash"])

    @property
    def max_instances(self) -> int:
        """Particles in the densest image of any split: sets maxDets and every model's detection limit."""
        return int(self.summary["max_instances"])

    @cached_property
    def all_images(self) -> tuple[PreparedImage, ...]:
        """Every row of the manifest, in its order."""
        with (self.root / "manifest.csv").open(encoding="utf-8", newline="") as stream:
            return tuple(self._image(row) for row in csv.DictReader(stream))

    def images(self, split: str) -> list[PreparedImage]:
        """The canvas images of a split, augmented copies included (they are only in ``train``)."""
        return [image for image in self.all_images if image.split == split]

    def has(self, split: str) -> bool:
        """Whether the set holds images of this split."""
        return any(image.split == split for image in self.all_images)

    def canvas_instances(self, split: str) -> dict[str, list[Instance]]:
        """Training targets: instances on the canvas by ``PreparedImage.name``."""
        return self._instances("canvas", split)

    def truth(self, split: str) -> dict[str, list[Instance]]:
        """Truth in original pixels by ``PreparedImage.name``."""
        return self._instances("truth", split)

    @property
    def audit(self) -> dict[str, Any]:
        """The split audit of this content; empty where there is none."""
        path = self.root / "split_audit.json"
        document: dict[str, Any] = read_json(path) if path.is_file() else {}
        return document if document.get("content_hash") == self.content_hash else {}

    def require_audit(self) -> None:
        """Refuse a set whose split audit is missing, failed, or made for other content.

        Raises:
            AuditError: Says which of the three, and what to do.
        """
        path = self.root / "split_audit.json"
        again = f"run `nanoseg-bench prepare --out {self.root} --overwrite always` again"
        if not path.is_file():
            raise AuditError(f"{path}: no split audit, so nothing says that train and test are apart; {again}")
        audit = read_json(path)
        if audit.get("content_hash") != self.content_hash:
            audited = audit.get("content_hash")
            raise AuditError(f"{path}: made for content {audited}, the set is {self.content_hash}; {again}")
        if not audit.get("passed"):
            failed = ", ".join(check["name"] for check in audit.get("checks", []) if not check.get("passed"))
            raise AuditError(
                f"{path}: the split audit failed ({failed}), see split_audit.html; mend the split, then {again}. "
                f"Pairs that show different sources are listed with `nanoseg-bench audit {self.root} --reviewed CSV`"
            )

    def _image(self, row: dict[str, str]) -> PreparedImage:
        name, split = row["name"], row["split"]
        return PreparedImage(
            name=name,
            split=split,
            micrograph=row["micrograph"],
            parent=row["parent"] or None,
            source_group=row["source_group"],
            letterbox=Letterbox(int(row["width"]), int(row["height"]), self.canvas),
            nm_per_px=float(row["nm_per_px"]) if row["nm_per_px"] else None,
            image_path=self.root / "images" / split / f"{name}.png",
            label_path=self.root / "labels" / split / f"{name}.txt",
            pixels_sha256=row["pixels_sha256"],
            canvas_sha256=row["canvas_sha256"],
            attributes=json.loads(row["attributes"] or "{}"),
            # Sets of earlier versions do not have the column.
            begun_by=read_begun_by(self.root / "manifest.csv", json.loads(row.get("begun_by") or "null")),
        )

    def _instances(self, kind: str, split: str) -> dict[str, list[Instance]]:
        return read_coco(self.root / kind / f"{split}.json").instances
