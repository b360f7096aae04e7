"""The split audit: what was looked for across the splits, and what such a look can and cannot find."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.imageio import as_grey

AUDIT_FORMAT = "nanoseg-split-audit/1"

NEAR_DUPLICATE_BITS = 4
"""Two images are reported as possibly the same when their hashes differ in at most so many of 64 bits."""

_HASH_SIDE = 8
_SAMPLE_SIDE = 32
_MAX_LISTED = 50


def perceptual_hashes(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """64-bit DCT hash of an image in its 8 orientations.

    The image is averaged to 32x32 and transformed (DCT-II); the bits say which of the 8x8 lowest frequencies exceed
    their median. A flip changes the sign of every other coefficient and a transposition transposes them, so one
    transform gives all eight.

    Args:
        pixels: (H, W) or (H, W, 3) uint8.

    Returns:
        (8, 64) bool; row 0 is the image as it is.
    """
    from scipy.fft import dctn

    small = Image.fromarray(as_grey(pixels)).resize((_SAMPLE_SIDE, _SAMPLE_SIDE), Image.Resampling.BOX)
    low = dctn(np.asarray(small, dtype=np.float64), norm="ortho")[:_HASH_SIDE, :_HASH_SIDE]
    signs = np.where(np.arange(_HASH_SIDE) % 2, -1.0, 1.0)
    flipped = [low, low * signs, low * signs[:, None], low * signs * signs[:, None]]
    oriented = np.stack([*flipped, *(each.T for each in flipped)]).reshape(8, -1)
    return np.asarray(oriented > np.median(oriented, axis=1, keepdims=True))


def audit_split(
    rows: Sequence[Mapping[str, str]], hashes: Mapping[str, NDArray[np.bool_]], content_hash: str
) -> dict[str, Any]:
    """Check a prepared set's manifest for sources that two splits share.

    Args:
        rows: Of the manifest, all values as text.
        hashes: ``perceptual_hashes`` of the originals by ``name``.
        content_hash: Of the set; the audit holds for nothing else.

    Returns:
        The document of ``split_audit.json``. Near-duplicates are warnings: similar is not yet the same.
    """
    originals = [row for row in rows if not row["parent"]]
    checks = [
        _check_groups(originals),
        _check_pixels(originals),
        _check_copies(rows),
        _check_similar(originals, hashes),
    ]
    failed = [check["name"] for check in checks if not check["passed"]]
    return {
        "format": AUDIT_FORMAT,
        "content_hash": content_hash,
        "passed": not failed,
        "conclusion": _conclude(checks),
        "checks": checks,
    }


def _conclude(checks: Sequence[Mapping[str, Any]]) -> str:
    silent = [check["name"] for check in checks if not check["findings"]]
    parts = [f"checks {', '.join(silent)} found no shared source"] if silent else []
    parts += [
        f"{check['name']} {'has' if check['passed'] else 'failed with'} {check['findings']} findings"
        for check in checks
        if check["findings"]
    ]
    return "; ".join(parts)


def read_audit(path: Path) -> dict[str, Any]:
    """Read ``split_audit.json``."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _check_groups(originals: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    return _check(
        "source-groups",
        _shared(originals, "source_group"),
        finds="a specimen, figure or paper, as named by the data set or by --group-by, in two splits",
        cannot_find="a specimen that the data set does not name, or names differently in two images",
    )


def _check_pixels(originals: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    return _check(
        "identical-pixels",
        _shared(originals, "pixels_sha256"),
        finds="the same decoded image in two splits, whatever the file's name, format or compression",
        cannot_find="the same image cropped, resized, turned, adjusted or compressed with loss",
    )


def _check_copies(rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    split_of = {row["name"]: row["split"] for row in rows if not row["parent"]}
    strays = []
    for row in rows:
        if not row["parent"]:
            continue
        parent_split = split_of.get(row["parent"], "missing")
        if row["split"] != "train" or parent_split != "train":
            strays.append(
                {"copy": row["name"], "split": row["split"], "parent": row["parent"], "parent_split": parent_split}
            )
    return _check(
        "augmented-copies",
        strays,
        finds="an augmented copy outside train, or one whose parent is not in train or does not exist",
        cannot_find="copies that were made before this package saw the images",
    )


def _check_similar(originals: Sequence[Mapping[str, str]], hashes: Mapping[str, NDArray[np.bool_]]) -> dict[str, Any]:
    pairs = _similar_pairs(originals, hashes)
    check = _check(
        "near-duplicates",
        pairs,
        finds=f"images whose 64-bit DCT hash agrees to {NEAR_DUPLICATE_BITS} bits in one of 8 flips and rotations: "
        "resized, recompressed or brightened copies",
        cannot_find="crops, other fields of view of the same specimen, rotations by other angles; images that are "
        "nearly empty may look alike without being the same",
    )
    # Two images may look alike without a common source: a person has to look.
    return {**check, "passed": True, "warnings": len(pairs)}


def _check(name: str, findings: Sequence[Mapping[str, Any]], finds: str, cannot_find: str) -> dict[str, Any]:
    return {
        "name": name,
        "passed": not findings,
        "finds": finds,
        "cannot_find": cannot_find,
        "findings": len(findings),
        "details": [dict(finding) for finding in findings[:_MAX_LISTED]],
    }


def _shared(originals: Sequence[Mapping[str, str]], column: str) -> list[dict[str, Any]]:
    members: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in originals:
        members[row[column]][row["split"]].append(row["name"])
    return [
        {column: value, "images": {split: sorted(names) for split, names in sorted(splits.items())}}
        for value, splits in sorted(members.items())
        if len(splits) > 1
    ]


def _similar_pairs(
    originals: Sequence[Mapping[str, str]], hashes: Mapping[str, NDArray[np.bool_]]
) -> list[dict[str, Any]]:
    if not originals:
        return []
    bits = np.stack([hashes[row["name"]] for row in originals]).astype(np.float32) * 2 - 1
    best = np.full((len(originals), len(originals)), 64.0)
    for orientation in range(8):
        # Scalar product of +-1 vectors: 64 less twice the number of differing bits.
        best = np.minimum(best, (64 - bits[:, 0] @ bits[:, orientation].T) / 2)
    splits = np.array([row["split"] for row in originals])
    near = (best <= NEAR_DUPLICATE_BITS) & (splits[:, None] != splits[None, :])
    pairs = [
        {
            "images": [originals[i]["name"], originals[j]["name"]],
            "splits": [originals[i]["split"], originals[j]["split"]],
            "differing_bits": int(min(best[i, j], best[j, i])),
        }
        for i, j in zip(*np.nonzero(np.triu(near | near.T, k=1)), strict=True)
    ]
    return sorted(pairs, key=lambda pair: (pair["differing_bits"], pair["images"]))
