"""Auditing a prepared set that lies on disk: are its files what the manifest says, and do splits share a source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanoseg_bench.errors import DatasetError, ImageError
from nanoseg_bench.files import visible_files
from nanoseg_bench.parallel import OpenPool, Workers, open_processes
from nanoseg_bench.preparation.audit import (
    AUDIT_FORMAT,
    FoundPair,
    ReviewedPair,
    audit_folds,
    audit_split,
    make_check,
    read_audit,
    write_audit,
)
from nanoseg_bench.preparation.audit_page import write_audit_page
from nanoseg_bench.preparation.fingerprint import canvas_fingerprint, write_fingerprint
from nanoseg_bench.preparation.hashing import pixels_sha256
from nanoseg_bench.preparation.prepared_set import (
    AUDIT_FILE,
    AUDIT_PAGE,
    AUDITED_COLUMNS,
    PREVIEW,
    PreparedImage,
    PreparedSet,
)
from nanoseg_bench.preparation.preview import write_preview
from nanoseg_bench.preparation.set_statistics import split_statistics
from nanoseg_bench.preparation.shards import damaged_shard
from nanoseg_bench.preparation.shared_sources import find_shared_sources
from nanoseg_bench.preparation.shortcomings import as_json, find_shortcomings, fold_shortcomings
from nanoseg_bench.staging import hold_folder, scratch_folder

_FILES_FINDS = "an image that is missing, was changed, or lies in another split than the manifest says"
_SHARDS_FIND = "a shard that is missing or was changed in any byte, and the images that are hit"


@dataclass(frozen=True, eq=False, slots=True)
class _Look:
    image: PreparedImage
    fingerprint_path: Path | None


def make_audit(
    prepared: PreparedSet,
    pairs: Sequence[FoundPair],
    reviewed: Sequence[ReviewedPair],
    more_checks: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The audit of a set by its manifest, and of every fold where it has folds.

    Args:
        prepared: The set.
        pairs: Images that show the same, by name.
        reviewed: Pairs that a person looked at and found to have no common source.
        more_checks: Further results of ``make_check``.

    Returns:
        The document of ``split_audit.json``.
    """
    views = [prepared.of_fold(fold) for fold in prepared.folds] or [prepared]
    found = [find_shortcomings(split_statistics(view)) for view in views]
    audits = [
        audit_split(
            [{column: getattr(image, column) or "" for column in AUDITED_COLUMNS} for image in view.all_images],
            pairs,
            view.content_hash,
            reviewed,
            more_checks,
            as_json(shortcomings),
        )
        for view, shortcomings in zip(views, found, strict=True)
    ]
    if not prepared.folds:
        return audits[0]
    together = fold_shortcomings(found, find_shortcomings(split_statistics(prepared)))
    return {**audit_folds(audits, prepared.content_hash), "shortcomings": as_json(together)}


def audit_set(
    prepared: PreparedSet, reviewed: Sequence[ReviewedPair], workers: int, open_pool: OpenPool = open_processes
) -> dict[str, Any]:
    """Audit a set anew: write ``split_audit.json``, ``split_audit.html``, and the preview anew where there is one.

    The images are compared on their canvases. On canvases below 640 px that is less than ``prepare`` saw, so the pairs
    of an earlier audit of the same content stay in, and so does what a person has reviewed.

    Args:
        prepared: The set.
        reviewed: Pairs that a person looked at and found to have no common source.
        workers: Processes.
        open_pool: Where they are.

    Returns:
        The document of ``split_audit.json``.
    """
    with hold_folder(prepared.root):
        return _audit(prepared, reviewed, workers, open_pool)


def _audit(
    prepared: PreparedSet, reviewed: Sequence[ReviewedPair], workers: int, open_pool: OpenPool
) -> dict[str, Any]:
    earlier = _earlier_audit(prepared)
    pairs = {(*pair.names, pair.check): pair for pair in _earlier_pairs(earlier)}
    known = [ReviewedPair(pair["images"][0], pair["images"][1], pair["note"]) for pair in earlier.get("reviewed", [])]
    with scratch_folder(prepared.root) as scratch, Workers(workers, open_pool=open_pool) as processes:
        looks = [
            _Look(image, scratch / f"{number:06d}.npz" if image.parent is None else None)
            for number, image in enumerate(prepared.all_images)
        ]
        faults = [fault for fault in processes.each(_look, looks, "reading canvases") if fault is not None]
        unread = {fault["image"] for fault in faults}
        originals = sorted(
            (look.image.name, look.fingerprint_path)
            for look in looks
            if look.fingerprint_path is not None and look.image.name not in unread
        )
        for found in find_shared_sources([path for _, path in originals], processes):
            names = (originals[found.first][0], originals[found.second][0])
            pairs[(*names, found.check)] = FoundPair(names, found.check, found.evidence)
        faults += _damaged_shards(prepared, processes)
        faults += _strays(prepared)
    document = make_audit(
        prepared,
        [pairs[key] for key in sorted(pairs)],
        [*known, *reviewed],
        [
            make_check(
                "files",
                faults,
                finds=_FILES_FINDS if prepared.shards is None else _SHARDS_FIND,
                cannot_find="labels that were changed"
                if prepared.shards is None
                else "shards that were written anew together with their index",
            )
        ],
    )
    write_audit(prepared.root / AUDIT_FILE, document)
    write_audit_page(prepared, document, prepared.root / AUDIT_PAGE)
    if not faults and (prepared.root / PREVIEW).is_file():  # it shows the audit, too
        write_preview(prepared, prepared.root / PREVIEW)
    return document


def require_intact(prepared: PreparedSet) -> None:
    """Refuse a set of which anything is missing or not as it was written, canvases and shards too; nothing is written.

    Raises:
        DatasetError: Names the file, or the canvas.
    """
    prepared.require_files()
    faults = [fault for image in prepared.all_images if (fault := _look(_Look(image, None)))]
    if prepared.shards is not None:
        looked = ((shard, damaged_shard(shard)) for shard in prepared.shards.shards)
        faults += [{"image": shard.path.name, "split": shard.split, "fault": fault} for shard, fault in looked if fault]
    if faults:
        first = faults[0]
        raise DatasetError(
            f"{prepared.root}: {first['image']} ({first['split']}): {first['fault']}; {len(faults)} in all; put an "
            "intact copy there, or prepare the set again"
        )


def _look(look: _Look) -> dict[str, Any] | None:
    """Compare a canvas with its manifest row, and write its fingerprint; what is wrong comes back."""
    image = look.image
    try:
        pixels = image.read_pixels()
    except (ImageError, DatasetError):
        return {"image": image.name, "split": image.split, "fault": "missing or unreadable"}
    if pixels_sha256(pixels) != image.canvas_sha256:
        return {"image": image.name, "split": image.split, "fault": "changed since prepare wrote it"}
    if look.fingerprint_path is not None:
        write_fingerprint(look.fingerprint_path, canvas_fingerprint(image.letterbox, pixels))
    return None


def _damaged_shards(prepared: PreparedSet, processes: Workers) -> list[dict[str, Any]]:
    if prepared.shards is None:
        return []
    shards = prepared.shards.shards
    faults = processes.each(damaged_shard, shards, "reading shards", least_per_worker=2)
    return [
        {"image": shard.path.name, "split": shard.split, "fault": fault}
        for shard, fault in zip(shards, faults, strict=True)
        if fault
    ]


def _strays(prepared: PreparedSet) -> list[dict[str, Any]]:
    """Images that no row of the manifest names: a training script that lists folders would take them.

    Not hidden files, which macOS leaves in every folder that somebody looked at.
    """
    if prepared.shards is None:
        folder, known = prepared.root / "images", {image.image_path for image in prepared.all_images}
    else:
        folder, known = prepared.shards.folder, {shard.path for shard in prepared.shards.shards}
        known |= {prepared.shards.path, prepared.shards.shards_path}
    strays = (path for path in visible_files(folder) if path not in known)
    return [{"image": path.name, "split": path.parent.name, "fault": "not in the manifest"} for path in strays]


def _earlier_audit(prepared: PreparedSet) -> dict[str, Any]:
    """The audit of the same content that the set holds; empty where there is none."""
    path = prepared.root / AUDIT_FILE
    document = read_audit(path) if path.is_file() else {}
    same = document.get("format") == AUDIT_FORMAT and document.get("content_hash") == prepared.content_hash
    return document if same else {}


def _earlier_pairs(audit: Mapping[str, Any]) -> list[FoundPair]:
    listed = [(check["name"], detail) for check in audit.get("checks", []) for detail in check["details"]]
    listed += [(pair["check"], pair) for pair in audit.get("related", [])]
    return [
        FoundPair((detail["images"][0], detail["images"][1]), check, detail["evidence"])
        for check, detail in listed
        if "evidence" in detail
    ]
