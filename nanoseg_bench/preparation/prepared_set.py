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

A set with folds (`prepare --folds 5`) holds everything that is split under `train`, each micrograph once and with its
copies, and `folds.csv` in place of `split.csv` and `data.yaml`: what each micrograph is in each fold. One fold, read
with `PreparedSet(root, fold=1)`, answers like a set of its own: its images, labels, truth, audit and content hash; of
the copies it holds those of its training images. Without a fold, all is train: what a last model is trained on.
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.begun_by import BegunBy, read_begun_by
from nanoseg_bench.annotations.coco.reading import read_coco
from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.errors import AuditError, DatasetError
from nanoseg_bench.files import read_json
from nanoseg_bench.imageio import as_rgb, read_image
from nanoseg_bench.marks.mark import Mark, marks_from_json
from nanoseg_bench.preparation.folds import FOLDS_FILE, read_fold
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
    "marks",  # JSON list of [kind, left, top, right, bottom] in px of the original: what is written on it
    "pixels_sha256",  # of the source's decoded pixels
    "canvas_sha256",  # of the canvas' pixels
    "begun_by",  # JSON object: the model that drew the truth's first outlines; empty where a person did
)

AUDITED_COLUMNS = ("name", "split", "micrograph", "parent", "source_group", "pixels_sha256")
"""What the split audit reads of the manifest."""


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """One canvas image of a prepared set; the fields are those of ``MANIFEST_COLUMNS``.

    ``split`` is what it is in the fold that is read; its files lie where they were written.
    """

    name: str
    split: str
    micrograph: str
    parent: str | None
    source_group: str
    letterbox: Letterbox
    nm_per_px: float | None
    image_path: Path
    pixels_sha256: str
    canvas_sha256: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    begun_by: BegunBy | None = None
    marks: tuple[Mark, ...] | None = None  # None where nobody looked: copies, and sets of earlier releases

    def read_canvas(self) -> NDArray[np.uint8]:
        """(S, S, 3) pixels of the canvas.

        Raises:
            ImageError: The file is missing or cannot be read.
        """
        return as_rgb(read_image(self.image_path))

    def read_content(self) -> NDArray[np.uint8]:
        """(h, w, 3) pixels of the canvas without its padding; raises as ``read_canvas``."""
        return np.ascontiguousarray(self.letterbox.content(self.read_canvas()))


class PreparedSet:
    """A prepared set on disk, read-only.

    Args:
        root: The folder that ``prepare`` wrote.
        fold: Read it as this fold, counted from 1; None reads it as it lies on disk.

    Raises:
        DatasetError: The folder is not a prepared set, or has no such fold.
    """

    def __init__(self, root: Path | str, fold: int | None = None) -> None:
        self.root = root = Path(root)
        self.fold = fold
        summary = root / MARKER
        if not summary.is_file():
            raise DatasetError(
                f"{root}: not a prepared set (no prepared.json); give the folder that `nanoseg-bench prepare` "
                f"wrote, or write it there with --out {root}"
            )
        self.summary: dict[str, Any] = read_json(summary)
        if self.summary.get("format") != FORMAT:
            found = self.summary.get("format")
            raise DatasetError(f"{summary}: format {found!r}, expected {FORMAT!r}; prepare it again")
        folds: list[dict[str, Any]] = self.summary.get("folds", [])
        self.folds = range(1, len(folds) + 1)
        """Numbers of the folds; empty in a set without."""
        if fold is not None:
            if fold not in self.folds:
                has = f"it has folds 1 to {len(folds)}" if folds else "it has none; prepare it with --folds"
                raise DatasetError(f"{root}: has no fold {fold}; {has}")
            self.summary |= folds[fold - 1]

    def of_fold(self, fold: int) -> "PreparedSet":
        """The same set, read as one of its folds."""
        return PreparedSet(self.root, fold)

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
        """Hash of source pixels, truth, split and parameters; of a fold, its own."""
        return str(self.summary["content_hash"])

    @property
    def max_instances(self) -> int:
        """Particles in the densest image of any split: sets maxDets and every model's detection limit."""
        return int(self.summary["max_instances"])

    @cached_property
    def all_images(self) -> tuple[PreparedImage, ...]:
        """Every row of the manifest, in its order; of a fold, without the copies of what it does not train on."""
        with (self.root / "manifest.csv").open(encoding="utf-8", newline="") as stream:
            images = tuple(self._image(row) for row in csv.DictReader(stream))
        if self.fold is None:
            return images
        part_of = read_fold(self.root / FOLDS_FILE, self.fold)
        in_fold = []
        for image in images:
            split = image.split
            if split not in ASIDE:
                if image.micrograph not in part_of:
                    raise DatasetError(f"{self.root / FOLDS_FILE}: lacks {image.micrograph!r}; prepare the set again")
                split = part_of[image.micrograph]
            if image.parent is None or split == "train":
                in_fold.append(replace(image, split=split))
        return tuple(in_fold)

    def images(self, split: str) -> list[PreparedImage]:
        """The canvas images of a split, augmented copies included (they are only in ``train``)."""
        return [image for image in self.all_images if image.split == split]

    def judged_images(self, split: str) -> list[PreparedImage]:
        """The images of an eval set. Of a set with folds, ``test`` is every micrograph in them: each is tested once."""
        if split == "test" and self.folds and self.fold is None:
            return [image for image in self.images("train") if image.parent is None]
        return self.images(split)

    def has(self, split: str) -> bool:
        """Whether the set holds images of this split."""
        return any(image.split == split for image in self.all_images)

    def canvas_instances(self, split: str) -> dict[str, list[Instance]]:
        """Training targets: instances on the canvas by ``PreparedImage.name``."""
        return self._instances("canvas", split)

    def truth(self, split: str) -> dict[str, list[Instance]]:
        """Truth in original pixels by ``PreparedImage.name``."""
        return self._instances("truth", split)

    def coco_file(self, kind: str, split: str) -> Path:
        """The file that holds the instances of a split; where there are folds, those of all its parts together.

        Args:
            kind: ``canvas`` or ``truth``.
            split: One of ``SPLITS``.
        """
        stored = split if not self.folds or split in ASIDE else "train"
        return self.root / kind / f"{stored}.json"

    @property
    def audit(self) -> dict[str, Any]:
        """The split audit of this content; empty where there is none."""
        document = self._audit(self.root / "split_audit.json")
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
        audit = self._audit(path)
        if audit.get("content_hash") != self.content_hash:
            audited = audit.get("content_hash")
            raise AuditError(f"{path}: made for content {audited}, the set is {self.content_hash}; {again}")
        if not audit.get("passed"):
            failed = ", ".join(check["name"] for check in audit.get("checks", []) if not check.get("passed"))
            raise AuditError(
                f"{path}: the split audit failed ({failed}), see split_audit.html; mend the split, then {again}. "
                f"Pairs that show different sources are listed with `nanoseg-bench audit {self.root} --reviewed CSV`"
            )

    def _audit(self, path: Path) -> dict[str, Any]:
        document: dict[str, Any] = read_json(path) if path.is_file() else {}
        if self.fold is None:
            return document
        folds: list[dict[str, Any]] = document.get("folds", [])
        return folds[self.fold - 1] if self.fold <= len(folds) else {}

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
            pixels_sha256=row["pixels_sha256"],
            canvas_sha256=row["canvas_sha256"],
            attributes=json.loads(row["attributes"] or "{}"),
            # Sets of earlier versions do not have the column.
            begun_by=read_begun_by(self.root / "manifest.csv", json.loads(row.get("begun_by") or "null")),
            marks=marks_from_json(json.loads(row["marks"])) if row.get("marks") else None,
        )

    def _instances(self, kind: str, split: str) -> dict[str, list[Instance]]:
        instances = read_coco(self.coco_file(kind, split)).instances
        if self.fold is None:
            return instances
        names = {image.name for image in self.images(split)}
        return {name: found for name, found in instances.items() if name in names}
