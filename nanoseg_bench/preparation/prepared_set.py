"""Reading a prepared set; ``pipeline`` writes it.

Layout of ``data/<name>``:

    prepared.json               name, data set, classes, canvas, parameters, content hash, counts; sealed (``seals``),
                                with the SHA-256 of manifest.csv, folds.csv, prepare_report.json and of the files below
                                canvas/ and truth/
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

A set in shards (`prepare --shards 256M`) holds `shards/` in place of `images/`, `labels/`, `canvas/`, `truth/` and
`data.yaml`: see `shards`. It answers like a set of single files, with the same content hash, and reads the instances of
an image when they are asked for.
"""

import csv
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from nanoseg_bench.annotations.begun_by import BegunBy, read_begun_by
from nanoseg_bench.annotations.coco.reading import CocoIndex, read_coco, read_coco_index
from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.errors import AuditError, DatasetError
from nanoseg_bench.files import read_json, sha256_file
from nanoseg_bench.images import as_rgb, read_image, read_image_bytes
from nanoseg_bench.marks.mark import Mark, marks_from_json
from nanoseg_bench.preparation.audit import PREPARE_AGAIN, read_audit
from nanoseg_bench.preparation.folds import FOLDS_FILE, read_fold
from nanoseg_bench.preparation.instance_stream import Region, read_instances, read_regions, regions_of
from nanoseg_bench.preparation.letterbox import Letterbox
from nanoseg_bench.preparation.set_names import MARKER
from nanoseg_bench.preparation.shards import Extent, ShardedInstances, ShardIndex
from nanoseg_bench.seals import unsealed
from nanoseg_bench.storage import require_folder
from nanoseg_bench.wording import first_fault

ASIDE = ("ood", "hrtem")
"""Splits that lie outside of what is trained on: judged on only, drawn by no ratio, never augmented.

``ood`` shows shapes that are not among the classes, ``hrtem`` the classes with lattice contrast.
"""
SPLITS = ("train", "val", "test", *ASIDE)
FORMAT = "nanoseg-prepared/2"
SHARDED_FORMAT = "nanoseg-prepared-shards/1"
MANIFEST = "manifest.csv"
SPLIT_FILE = "split.csv"
REPORT_FILE = "prepare_report.json"
AUDIT_FILE = "split_audit.json"
AUDIT_PAGE = "split_audit.html"
PREVIEW = "preview.html"
FILES = "files"
"""Of ``prepared.json``: SHA-256 by the name of a file below the folder; sets of earlier versions do not have it."""

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

    ``split`` is what it is in the fold that is read; its files lie where they were written. ``image_path`` is the file
    that holds the canvas: an image, or the shard in which ``in_shard`` says where it lies.
    """

    name: str
    split: str
    micrograph: str
    parent: str | None
    source_group: str
    letterbox: Letterbox
    nm_per_px: float | None
    image_path: Path
    pixels_sha256: str = field(repr=False)
    canvas_sha256: str = field(repr=False)
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    begun_by: BegunBy | None = None
    # None where nobody looked: copies, and sets of earlier releases.
    marks: tuple[Mark, ...] | None = field(default=None, repr=False)
    in_shard: Extent | None = None

    def read_pixels(self) -> NDArray[np.uint8]:
        """(S, S) grey or (S, S, 3) RGB pixels of the canvas, as ``read_image`` gives them.

        Raises:
            ImageError: The file is missing or cannot be read.
            DatasetError: Its shard is missing or damaged.
        """
        if self.in_shard is None:
            return read_image(self.image_path)
        return read_image_bytes(self.in_shard.read(f"the image of {self.name}"), self.image_path)

    def read_canvas(self) -> NDArray[np.uint8]:
        """(S, S, 3) pixels of the canvas; raises as ``read_pixels``."""
        return as_rgb(self.read_pixels())

    def read_content(self) -> NDArray[np.uint8]:
        """(h, w, 3) pixels of the canvas without its padding; raises as ``read_canvas``."""
        return np.ascontiguousarray(self.letterbox.content(self.read_canvas()))


class _Fold(BaseModel):
    content_hash: str


class _Summary(BaseModel):
    """What is read of ``prepared.json``; a key that is missing is told when it is asked for."""

    name: str = ""
    dataset: str = ""
    classes: tuple[str, ...] = ("particle",)
    canvas: int = Field(default=1, gt=0)
    content_hash: str = ""
    max_instances: int = Field(default=0, ge=0)
    folds: tuple[_Fold, ...] = ()
    files: dict[str, str] = Field(default_factory=dict)


class PreparedSet:
    """A prepared set on disk, read-only. A file that is not as ``prepare`` wrote it is refused when it is read.

    Args:
        root: The folder that ``prepare`` wrote.
        fold: Read it as this fold, counted from 1; None reads it as it lies on disk.

    Raises:
        DatasetError: The folder is not a prepared set, its ``prepared.json`` is damaged, or it has no such fold.
    """

    def __init__(self, root: Path | str, fold: int | None = None) -> None:
        require_folder(root, "root")
        self.root = root = Path(root)
        self.fold = fold
        summary = root / MARKER
        if not summary.is_file():
            raise DatasetError(
                f"{root}: not a prepared set (no {MARKER}); give the folder that `nanoseg-bench prepare` wrote, which "
                "is data/NAME where it was told no other"
            )
        self.summary = _read_summary(summary)
        self._as_written: set[str] = set()
        folds: list[dict[str, Any]] = self.summary.get("folds", [])
        self.folds = range(1, len(folds) + 1)
        """Numbers of the folds; empty in a set without."""
        if fold is not None:
            if fold not in self.folds:
                has = f"it has folds 1 to {len(folds)}" if folds else "it was prepared without folds"
                raise DatasetError(f"{root}: has no fold {fold!r}; {has}")
            self.summary |= folds[fold - 1]

    def __repr__(self) -> str:
        fold = "" if self.fold is None else f", fold={self.fold}"
        return f"PreparedSet({str(self.root)!r}{fold})"

    def of_fold(self, fold: int) -> "PreparedSet":
        """The same set, read as one of its folds."""
        return PreparedSet(self.root, fold)

    @property
    def name(self) -> str:
        """Name in tables and file names, with the size of a subset: ``emps``, ``nanosynth-24``."""
        return str(self._fact("name"))

    @property
    def dataset(self) -> str:
        """Name of the card that it was made from."""
        return str(self._fact("dataset"))

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the position is the YOLO class index, the position + 1 the COCO category id."""
        return tuple(self._fact("classes"))

    @property
    def canvas(self) -> int:
        """Side of the canvas images in pixels."""
        return int(self._fact("canvas"))

    @property
    def content_hash(self) -> str:
        """Hash of source pixels, truth, split and parameters; of a fold, its own."""
        return str(self._fact("content_hash"))

    @property
    def shard_bytes(self) -> int | None:
        """What size of shards was asked for; None of a set of single files."""
        size: int | None = self.summary.get("shard_bytes")
        return size

    @property
    def max_instances(self) -> int:
        """Particles in the densest image of any split: sets maxDets and every model's detection limit."""
        return int(self._fact("max_instances"))

    @cached_property
    def shards(self) -> ShardIndex | None:
        """The index of its shards; None of a set of single files.

        Raises:
            DatasetError: A file of the index is missing or damaged.
        """
        return ShardIndex(self.root) if self.summary["format"] == SHARDED_FORMAT else None

    @cached_property
    def all_images(self) -> tuple[PreparedImage, ...]:
        """Every row of the manifest, in its order; of a fold, without the copies of what it does not train on.

        Raises:
            DatasetError: The manifest, or the list of folds, is missing, malformed, or not as it was written.
        """
        images = tuple(self._manifest())
        if self.fold is None:
            return images
        part_of = read_fold(self.file(FOLDS_FILE), self.fold)
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
        """The canvas images of a split, augmented copies included (they are only in ``train``); none where it is empty.

        Raises:
            DatasetError: There is no such split, or each fold has its own, or as ``all_images``.
        """
        self._require_split(split)
        if self._is_whole and split in ("val", "test"):
            raise DatasetError(
                f"{self.root}: each of its {len(self.folds)} folds has a {split} of its own; read one of them, such as "
                f"PreparedSet({str(self.root)!r}, fold=1)"
            )
        return [image for image in self.all_images if image.split == split]

    def judged_images(self, split: str) -> list[PreparedImage]:
        """The images of an eval set. Of a set with folds, ``test`` is every micrograph in them: each is tested once.

        Its ``val`` is empty: an operating point is a fold's.
        """
        if self._is_whole and split in ("val", "test"):
            return [image for image in self.images("train") if image.parent is None] if split == "test" else []
        return self.images(split)

    @property
    def _is_whole(self) -> bool:
        """Whether it has folds, and is read as none of them."""
        return bool(self.folds) and self.fold is None

    def has(self, split: str) -> bool:
        """Whether the set holds images of this split."""
        return any(image.split == split for image in self.all_images)

    def canvas_instances(self, split: str) -> Mapping[str, list[Instance]]:
        """Training targets: instances on the canvas by ``PreparedImage.name``; of shards, read as they are asked for.

        Raises:
            AnnotationError: The file is missing or malformed.
            DatasetError: A shard is missing or cut off.
        """
        return self._instances("canvas", split)

    def truth(self, split: str) -> Mapping[str, list[Instance]]:
        """Truth in original pixels by ``PreparedImage.name``; as ``canvas_instances``."""
        return self._instances("truth", split)

    def instances_of(self, kind: str, split: str, names: Collection[str]) -> dict[str, list[Instance]]:
        """The instances of a few images; only theirs are kept in memory.

        Args:
            kind: ``canvas`` or ``truth``.
            split: That the images are in.
            names: Of the images.

        Returns:
            Instances by name, for every name that the split has.

        Raises:
            DatasetError, AnnotationError: A file is missing or malformed.
        """
        if self.shards is None:
            return read_instances(self.coco_file(kind, split), names)
        stored = ShardedInstances(self.shards, kind, names)
        return {name: stored[name] for name in stored}

    def truth_regions(self, split: str) -> Iterator[Region]:
        """Every annotation of a split's truth, without its mask, one after the other.

        Where there are folds, those of all micrographs that are not aside.

        Raises:
            DatasetError: A file is missing or malformed.
        """
        if self.shards is None:
            yield from read_regions(self.coco_file("truth", split))
            return
        stored = ShardedInstances(self.shards, "truth", [image.name for image in self._stored_with(split)])
        for document in stored.documents():
            yield from regions_of(document, self.shards.path)

    def truth_ids(self, split: str) -> CocoIndex:
        """What the ids in the COCO file of a split's truth stand for; in shards, those that it would have.

        Raises:
            AnnotationError: The file is missing or malformed.
        """
        if self.shards is None:
            return read_coco_index(self.coco_file("truth", split))
        originals = [image for image in self._stored_with(split) if image.parent is None]
        numbered = list(enumerate(originals, start=1))
        classes = (*self.classes, *self.summary["ood_classes"]) if split == "ood" else self.classes
        return CocoIndex(
            images={number: f"{image.name}.png" for number, image in numbered},
            sizes={number: (image.letterbox.width, image.letterbox.height) for number, image in numbered},
            categories=dict(enumerate(classes, start=1)),
        )

    def instances_file(self, kind: str, split: str) -> Path:
        """Where the instances of a split lie, for messages: their COCO file, or the index of the shards."""
        return self.coco_file(kind, split) if self.shards is None else self.shards.path

    def coco_file(self, kind: str, split: str) -> Path:
        """The file that holds the instances of a split; where there are folds, those of all its parts together.

        A set in shards has none: see ``instances_of``, ``truth_regions`` and ``truth_ids``.

        Args:
            kind: ``canvas`` or ``truth``.
            split: One of ``SPLITS``.

        Raises:
            DatasetError: It is not as it was written, or the set has no such split.
        """
        path = self.file(f"{kind}/{self._stored(split)}.json")
        if not path.is_file() and not self.has(split):
            raise self._no_split(split)
        return path

    @property
    def audit(self) -> dict[str, Any]:
        """The split audit of this content; empty where there is none."""
        document = self._audit(self.root / AUDIT_FILE)
        return document if document.get("content_hash") == self.content_hash else {}

    def require_audit(self) -> None:
        """Refuse a set whose split audit is missing, failed, or made for other content.

        Raises:
            AuditError: Says which of the three, and what to do.
        """
        path = self.root / AUDIT_FILE
        if not path.is_file():
            raise AuditError(f"{path}: no split audit, so nothing says that train and test are apart; {PREPARE_AGAIN}")
        audit = self._audit(path)
        if audit.get("content_hash") != self.content_hash:
            audited = audit.get("content_hash")
            raise AuditError(f"{path}: made for content {audited}, the set is {self.content_hash}; {PREPARE_AGAIN}")
        if not audit.get("passed"):
            failed = ", ".join(check["name"] for check in audit.get("checks", []) if not check.get("passed"))
            raise AuditError(
                f"{path}: the split audit failed ({failed}), see {AUDIT_PAGE}; mend the split, then prepare the "
                "set again with `--overwrite always`. Pairs that show different sources are listed with "
                f"`nanoseg-bench audit {self.root} --reviewed CSV`"
            )

    def _audit(self, path: Path) -> dict[str, Any]:
        document: dict[str, Any] = read_audit(path) if path.is_file() else {}
        if self.fold is None:
            return document
        folds: list[dict[str, Any]] = document.get("folds", [])
        return folds[self.fold - 1] if self.fold <= len(folds) else {}

    def require_files(self) -> None:
        """Refuse a set of which a file is missing, or not as it was written; canvases are what ``audit`` looks at.

        Raises:
            DatasetError: Names the file.
        """
        for name in self.summary.get(FILES, {}):
            if not self.file(name).is_file():
                raise DatasetError(f"{self.root / name}: is missing; {PREPARE_AGAIN}")

    def _fact(self, key: str) -> Any:
        try:
            return self.summary[key]
        except KeyError as error:
            raise DatasetError(f"{self.root / MARKER}: lacks {key!r}; {PREPARE_AGAIN}") from error

    def file(self, name: str) -> Path:
        """The path of a file of the set, which need not be there.

        Args:
            name: Below the set's folder, with forward slashes.

        Raises:
            DatasetError: It is one of those whose hash is kept, and is not as ``prepare`` wrote it.
        """
        path = self.root / name
        expected = self.summary.get(FILES, {}).get(name)
        if expected is None or name in self._as_written or not path.is_file():
            return path
        if sha256_file(path) != expected:
            raise DatasetError(
                f"{path}: is not as prepare wrote it: its SHA-256 is not the one in {MARKER}; {PREPARE_AGAIN}"
            )
        self._as_written.add(name)
        return path

    def _manifest(self) -> Iterator[PreparedImage]:
        path = self.file(MANIFEST)
        line = 1
        try:
            with path.open(encoding="utf-8", newline="") as stream:
                reader = csv.DictReader(stream)
                for row in reader:
                    line = reader.line_num
                    yield self._image(row)
        except OSError as error:
            raise DatasetError(f"{path}: cannot be read ({error.strerror or error}); {PREPARE_AGAIN}") from error
        except (csv.Error, KeyError, TypeError, ValueError, RecursionError, AttributeError) as error:
            raise DatasetError(f"{path}, line {line}: malformed ({error!r}); {PREPARE_AGAIN}") from error

    def _image(self, row: dict[str, str]) -> PreparedImage:
        name, split = row["name"], row["split"]
        in_shard = None
        if self.shards is not None:
            in_shard = self.shards.extent("image", name)
            if in_shard is None:
                raise DatasetError(f"{self.shards.path}: lacks {name!r} of the manifest; prepare the set again")
        return PreparedImage(
            name=name,
            split=split,
            micrograph=row["micrograph"],
            parent=row["parent"] or None,
            source_group=row["source_group"],
            letterbox=Letterbox(int(row["width"]), int(row["height"]), self.canvas),
            nm_per_px=float(row["nm_per_px"]) if row["nm_per_px"] else None,
            image_path=self.root / "images" / split / f"{name}.png" if in_shard is None else in_shard.shard,
            in_shard=in_shard,
            pixels_sha256=row["pixels_sha256"],
            canvas_sha256=row["canvas_sha256"],
            attributes=json.loads(row["attributes"] or "{}"),
            # Sets of earlier versions do not have the column.
            begun_by=read_begun_by(self.root / MANIFEST, json.loads(row.get("begun_by") or "null")),
            marks=marks_from_json(json.loads(row["marks"])) if row.get("marks") else None,
        )

    def _require_split(self, split: str) -> None:
        if split not in SPLITS:
            raise self._no_split(split)

    def _no_split(self, split: str) -> DatasetError:
        there = [name for name in SPLITS if self.has(name)]
        return DatasetError(f"{self.root}: has no split {split!r}; it has {', '.join(there)}")

    def _stored(self, split: str) -> str:
        """The split under which the images of a split lie on disk."""
        self._require_split(split)
        return split if not self.folds or split in ASIDE else "train"

    def _stored_with(self, split: str) -> list[PreparedImage]:
        """All images that lie with those of a split on disk: of a set with folds, those of all parts."""
        whole = self if self.fold is None else PreparedSet(self.root)
        return whole.images(self._stored(split))

    def _instances(self, kind: str, split: str) -> Mapping[str, list[Instance]]:
        if self.shards is not None:
            self.shards.require_whole()
            # As in single files: of a set with folds that is read as a whole, those of all parts.
            images = self._stored_with(split) if self._is_whole else self.images(split)
            return ShardedInstances(self.shards, kind, [image.name for image in images])
        instances = read_coco(self.coco_file(kind, split)).instances
        if self.fold is None:
            return instances
        names = {image.name for image in self.images(split)}
        return {name: found for name, found in instances.items() if name in names}


def _read_summary(path: Path) -> dict[str, Any]:
    again = "prepare it again"
    try:
        summary = read_json(path)
        if isinstance(summary, dict) and summary.get("format") not in (FORMAT, SHARDED_FORMAT):
            raise DatasetError(f"{path}: format {summary.get('format')!r}, expected {FORMAT!r}; prepare it again")
        summary = unsealed(summary)
        _Summary.model_validate(summary)
    except ValidationError as error:
        raise DatasetError(f"{path}: {first_fault(error)}; {again}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: cannot be read ({error}); {again}") from error
    return dict(summary)
