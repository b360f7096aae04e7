"""What is other about a set that would be prepared now than about the one that is there, in words."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from nanoseg_bench.changes import Change, dict_changes
from nanoseg_bench.preparation.hashing import PREPARATION_VERSION
from nanoseg_bench.preparation.plan import Plan, PlannedMicrograph
from nanoseg_bench.preparation.prepared_set import PreparedImage, PreparedSet
from nanoseg_bench.wording import counted, shortened

_SHOWN = 3  # micrographs that are named
_OUTLINES = "outlines"


def set_changes(existing: PreparedSet, plan: Plan) -> list[str]:
    """Phrases on what differs; never empty where the content differs.

    Args:
        existing: The set on disk.
        plan: What would be written.
    """
    before = {"name": existing.name, "dataset": existing.dataset, **existing.summary["parameters"]}
    now = {"name": plan.name, "dataset": plan.dataset, **plan.parameters}
    earlier = existing.summary.get("preparation") != PREPARATION_VERSION
    told = ["prepared by another version of nanoseg-bench, whose canvases, copies or splits differ"] if earlier else []
    told += [_parameter(change) for change in dict_changes(before, now)]
    old = _micrographs(existing)
    new = {each.seen.name: _planned(each) for each in plan.micrographs}
    told += _names("no longer there", old.keys() - new.keys())
    told += _names("new", new.keys() - old.keys())
    by_property: dict[str, list[str]] = {}
    for name in sorted(old.keys() & new.keys()):
        for change in dict_changes(old[name], new[name]):
            by_property.setdefault(change.name, []).append(name)
    for what, names in by_property.items():
        told += _names(f"with other {what}", names)
    return told or [f"other {_OUTLINES} of particles in {counted(len(new), 'micrograph')}"]


def _parameter(change: Change) -> str:
    if change.name == "augmentation" and change.old and change.new:
        return "augmentation of an earlier version"
    return str(change)


def _names(what: str, names: Iterable[str]) -> list[str]:
    names = sorted(names)
    if not names:
        return []
    return [f"{counted(len(names), 'micrograph')} {what} ({shortened(names, _SHOWN)})"]


def _micrographs(existing: PreparedSet) -> Mapping[str, dict[str, Any]]:
    """What the manifest says of each; it does not hold the outlines."""
    copies = Counter(image.micrograph for image in existing.all_images if image.parent)
    return {
        image.micrograph: _properties(image, copies[image.micrograph])
        for image in existing.all_images
        if not image.parent
    }


def _properties(image: PreparedImage, copies: int) -> dict[str, Any]:
    return {
        "pixels": image.pixels_sha256,
        "split": image.split,
        "source group": image.source_group,
        "scale": image.nm_per_px,
        "attributes": dict(image.attributes),
        "number of augmented copies": copies,
    }


def _planned(planned: PlannedMicrograph) -> dict[str, Any]:
    return {
        "pixels": planned.seen.pixels_sha256,
        "split": planned.split,
        "source group": planned.source_group,
        "scale": planned.seen.micrograph.nm_per_px,
        "attributes": dict(planned.seen.micrograph.attributes),
        "number of augmented copies": len(planned.copy_stems),
    }
