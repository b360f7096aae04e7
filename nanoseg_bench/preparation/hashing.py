"""What identifies pixels, truth and a whole prepared set."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Instance, Rle
from nanoseg_bench.files import sha256_json
from nanoseg_bench.preparation.prepared_set import ASIDE

PREPARATION_VERSION = 3
"""Raised whenever the same inputs and parameters would give other canvases, labels or splits."""

_COORDINATE_DECIMALS = 6


def pixels_sha256(pixels: NDArray[np.uint8]) -> str:
    """Hash of decoded pixels and their shape, whatever the file's format and compression."""
    digest = hashlib.sha256(repr(pixels.shape).encode("ascii"))
    digest.update(np.ascontiguousarray(pixels).reshape(-1).data)  # where they lie: a copy of a large field is gigabytes
    return digest.hexdigest()


def truth_sha256(instances: Sequence[Instance]) -> str:
    """Hash of labels and regions, in their order."""
    return sha256_json([[each.label, each.crowd or each.on_mark, _region(each)] for each in instances])


def content_hash(entries: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]) -> str:
    """Hash of a prepared set: source pixels, truth, split and parameters.

    Encoded bytes, absolute paths, the clock and the number of workers do not enter.

    Args:
        entries: Per micrograph: name, size, scale, attributes, source group, split (and what it is in each fold, where
            there are folds), number of copies, hashes of the decoded pixels and of the truth.
        parameters: Canvas, classes, seed, augmentation.
    """
    ordered = sorted(entries, key=lambda entry: (entry["split"] in ASIDE, entry["name"]))
    return sha256_json({"version": PREPARATION_VERSION, "parameters": parameters, "micrographs": ordered})


def fold_hash(set_hash: str, fold: int) -> str:
    """Hash of one fold of a set, which says what every micrograph is in it."""
    return sha256_json({"set": set_hash, "fold": fold})


def _region(instance: Instance) -> Any:
    if isinstance(instance.region, Rle):
        return [instance.region.height, instance.region.width, instance.region.counts.decode("ascii")]
    return [
        [outline.round(_COORDINATE_DECIMALS).tolist() for outline in (part.exterior, *part.holes)]
        for part in instance.region
    ]
