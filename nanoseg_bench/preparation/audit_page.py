"""The split audit as a page: what was checked, and every suspicious pair side by side, for a person to judge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from nanoseg_bench.annotations.instance import Polygon
from nanoseg_bench.drawing.colours import Colour
from nanoseg_bench.drawing.outlines import Outline
from nanoseg_bench.drawing.svg import outline_paths
from nanoseg_bench.errors import AuditError, DatasetError, ImageError
from nanoseg_bench.files import write_text
from nanoseg_bench.pages import data_uri, render
from nanoseg_bench.preparation.audit import NEAR_DUPLICATES, OVERLAPPING_FIELDS
from nanoseg_bench.preparation.begun_truth import begun_truth
from nanoseg_bench.preparation.fingerprint import compared_at
from nanoseg_bench.preparation.prepared_set import PreparedImage, PreparedSet

MAX_PAIRS = 60
"""Suspicious pairs with pictures; what is beyond stands in a table."""

MAX_RELATED = 30

_PAIR_CHECKS = (NEAR_DUPLICATES, OVERLAPPING_FIELDS)
_MAX_PICTURE_BYTES = 90_000
_MAX_PICTURE_SIDE = 960
_MAX_DETAILS = 200
_FIELD_COLOUR: Colour = (255, 212, 0)
_FIELD_LINE = 2.5

_ORIENTATIONS = (
    "",
    "mirrored left to right",
    "mirrored top to bottom",
    "turned by 180°",
    "mirrored along the diagonal",
    "turned by 90°",
    "turned by 90°",
    "mirrored along the other diagonal",
)
# Below these, a difference is that of the fit and not of the fields.
_SAME_SCALE = 1.03
_SAME_ANGLE = 1.0


@dataclass(frozen=True, slots=True)
class _Side:
    """One image of a pair, as shown; sizes are those that images are compared at."""

    image: PreparedImage
    picture: str | None  # None where the canvas is missing: the audit is what tells it
    width: int
    height: int
    outline: Markup | None = None  # of the other's field on it, as SVG


@dataclass(frozen=True, slots=True)
class _Pair:
    sides: tuple[_Side, _Side]
    check: str
    evidence: str
    reviewed: bool = False
    note: str | None = None


def write_audit_page(prepared: PreparedSet, audit: Mapping[str, Any], path: Path) -> None:
    """Write the page of a split audit, atomically; same audit, same bytes.

    Args:
        prepared: The set that was audited.
        audit: The document of ``split_audit.json``.
        path: The HTML file.

    Raises:
        AuditError: The audit was made for another set.
        OSError: The page cannot be written.
    """
    if audit["content_hash"] != prepared.content_hash:
        raise AuditError(
            f"{path}: the audit was made for content {audit['content_hash']}, {prepared.root} is "
            f"{prepared.content_hash}; audit it again"
        )
    folds = [prepared.of_fold(fold) for fold in prepared.folds]
    originals = {image.name: image for image in prepared.all_images if image.parent is None}
    for fold in folds:
        # All of them lie under train: what tells them apart is where they are tested.
        tested = f"tested in fold {fold.fold}"
        originals |= {image.name: replace(image, split=tested) for image in fold.images("test")}
    notes = {frozenset(entry["images"]): str(entry["note"]) for entry in audit["reviewed"]}
    found = [
        {**detail, "check": check["name"]}
        for check in audit["checks"]
        if check["name"] in _PAIR_CHECKS
        for detail in check["details"]
    ]
    shown = {frozenset(detail["images"]) for detail in found}
    page = render(
        "nanoseg_bench.preparation",
        "audit_page.html",
        prepared=prepared,
        audit=audit,
        folds=folds,
        originals=originals,
        begun_truth=begun_truth(prepared),
        begun_images=[image for image in originals.values() if image.begun_by is not None],
        pair_checks=[check for check in audit["checks"] if check["name"] in _PAIR_CHECKS],
        pairs=[_pair(detail, originals, notes, path) for detail in found[:MAX_PAIRS]],
        unpictured=[{**detail, "words": describe_evidence(detail)} for detail in found[MAX_PAIRS:]],
        related=[_pair(detail, originals, notes, path) for detail in audit["related"][:MAX_RELATED]],
        reviewed=[entry for entry in audit["reviewed"] if frozenset(entry["images"]) not in shown],
        other_findings=[
            (check, [_describe(detail) for detail in check["details"][:_MAX_DETAILS]])
            for check in audit["checks"]
            if check["name"] not in _PAIR_CHECKS and check["findings"]
        ],
    )
    write_text(path, page)


def describe_evidence(detail: Mapping[str, Any]) -> str:
    """What a check found about a pair, in words.

    Args:
        detail: With ``check`` and ``evidence`` as in ``split_audit.json``.
    """
    evidence = detail["evidence"]
    if detail["check"] == NEAR_DUPLICATES:
        parts = [f"perceptual hashes differ in {evidence['differing_bits']} of 64 bits"]
        orientation = _ORIENTATIONS[evidence["orientation"]]
        return ", ".join([*parts, *([f"the second {orientation}"] if orientation else [])])
    parts = [
        _scale_words(evidence),
        f"rotated {round(abs(evidence['rotation_degrees']))}°"
        if abs(evidence["rotation_degrees"]) >= _SAME_ANGLE
        else "not rotated",
        "mirrored" if evidence["mirrored"] else "",
        f"{evidence['inliers']} matching points",
        f"the second shows {_percent(evidence['shared_first'])} of the first",
        f"the first shows {_percent(evidence['shared_second'])} of the second",
    ]
    return ", ".join(part for part in parts if part)


def _scale_words(evidence: Mapping[str, Any]) -> str:
    factor = max(evidence["scale"], 1 / evidence["scale"])
    return "same scale" if factor < _SAME_SCALE else f"scale 1:{factor:.3g}"


def _percent(share: float) -> str:
    return f"{round(100 * share)} %"


def _pair(
    detail: Mapping[str, Any],
    originals: Mapping[str, PreparedImage],
    notes: Mapping[frozenset[str], str],
    path: Path,
) -> _Pair:
    first, second = (_find(name, originals, path) for name in detail["images"])
    note = notes.get(frozenset(detail["images"]))
    return _Pair(
        sides=(_side(first, detail["evidence"].get("outline")), _side(second)),
        check=detail["check"],
        evidence=describe_evidence(detail),
        reviewed=bool(detail.get("reviewed")) or note is not None,
        note=note,
    )


def _find(name: str, originals: Mapping[str, PreparedImage], path: Path) -> PreparedImage:
    if name not in originals:
        raise AuditError(f"{path}: the audit names {name!r}, which is no original of the set; audit the set again")
    return originals[name]


def _side(image: PreparedImage, outline: Sequence[Sequence[float]] | None = None) -> _Side:
    box = image.letterbox
    # Images are compared at this size, whatever the canvas; the outline is in its pixels.
    width, height = compared_at(box.width, box.height).content_size
    if outline is None:
        return _Side(image, _picture(image), width, height)
    field = Outline((Polygon(np.array(outline)),), _FIELD_COLOUR, "tint")
    return _Side(image, _picture(image), width, height, outline_paths([field], _FIELD_LINE))


def _picture(image: PreparedImage) -> str | None:
    try:
        content = Image.fromarray(image.read_content())
    except (ImageError, DatasetError):
        return None
    content.thumbnail((_MAX_PICTURE_SIDE, _MAX_PICTURE_SIDE))
    return data_uri(np.asarray(content), _MAX_PICTURE_BYTES)


def _describe(detail: Mapping[str, Any]) -> str:
    """A finding of the other checks on one line."""
    images = detail.get("images")
    parts = [f"{key.replace('_', ' ')} {value}" for key, value in detail.items() if key != "images"]
    if isinstance(images, Mapping):
        parts += [f"{split}: {', '.join(names)}" for split, names in images.items()]
    return "; ".join(parts)
