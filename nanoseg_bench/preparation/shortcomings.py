"""What the split of a prepared set cannot carry: told by ``prepare`` and ``audit``, and again by whoever uses it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from nanoseg_bench.preparation.folds import FEWEST_FOLDS
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.preparation.set_statistics import SplitStatistics, split_statistics
from nanoseg_bench.preparation.split import PARTS
from nanoseg_bench.wording import counted, shortened

FEWEST_GROUPS = 5
"""Source groups below which an interval over groups says little: of 4 groups there are 35 resamples that differ, so the
ends of a 95 % interval are single ones; of 5 there are 126."""

FEWEST_PARTICLES = 100
"""Particles below which a share of them, such as recall, has a standard error of more than 5 points: √(¼ / 100)."""

SIZE_FACTOR = 2.0
"""Ratio of median diameters beyond which a part shows other sizes than train. The augmented copies show a particle
0.8 to 1.25·√2 = 1.8 times as large as it is; what lies beyond is not learnt from them either."""

ADVISED_FOLDS = 5
"""Each fold then trains on seven tenths of the micrographs, a split 8:1:1 on eight; each fold costs a training."""

Kind = Literal["no-particle", "class-missing", "few-groups", "few-particles", "other-sizes"]


@dataclass(frozen=True, slots=True)
class Shortcoming:
    """One thing that a part of the split cannot carry.

    Attributes:
        kind: Which.
        part: ``train``, ``val`` or ``test``; with folds, also of which.
        text: For the user, to stand behind the part's name.
    """

    kind: Kind
    part: str
    text: str


def split_shortcomings(prepared: PreparedSet) -> list[Shortcoming]:
    """What the split of a set cannot carry, as its audit holds it; looked for where the audit does not say.

    Raises:
        DatasetError: The set's files are malformed.
    """
    audited = audited_shortcomings(prepared.audit)
    return find_shortcomings(split_statistics(prepared)) if audited is None else audited


def audited_shortcomings(audit: Mapping[str, Any]) -> list[Shortcoming] | None:
    """What an audit says that the split cannot carry; None where it was made before audits did."""
    found = audit.get("shortcomings")
    return None if found is None else [Shortcoming(**each) for each in found]


def advised_folds(prepared: PreparedSet) -> int | None:
    """In how many folds a set had better be prepared, because its test part is small; None where it is not.

    Small is a test part of fewer than ``FEWEST_GROUPS`` source groups or ``FEWEST_PARTICLES`` particles, or one that
    misses a class: what such a part says about a model depends more on which images are in it than on the model. At
    8:1:1 these are sets of fewer than about 50 source groups. A given split is left as it is.
    """
    if prepared.folds or prepared.summary["parameters"]["split"] == "fixed":
        return None
    small = any(each.part == "test" and each.kind != "other-sizes" for each in split_shortcomings(prepared))
    groups = {image.source_group for image in prepared.all_images if image.split in PARTS}
    folds = min(ADVISED_FOLDS, len(groups))
    return folds if small and folds >= FEWEST_FOLDS else None


def find_shortcomings(statistics: Sequence[SplitStatistics]) -> list[Shortcoming]:
    """What a split cannot carry.

    Args:
        statistics: Of its parts; others than train, val and test are passed over.
    """
    parts = {each.split: each for each in statistics if each.split in PARTS}
    shown_by = Counter[str]()
    for each in parts.values():
        shown_by.update(each.class_groups)
    train = parts.get("train")
    found = []
    for part in parts.values():
        if not part.particles:
            found.append(Shortcoming("no-particle", part.split, f"shows no particle, so {_WITHOUT[part.split]}"))
            continue
        found += _missing_classes(part, shown_by)
        groups = len(part.group_sizes)
        if groups < FEWEST_GROUPS:
            text = f"{counted(groups, 'source group')} (below {FEWEST_GROUPS}, {_FEW_GROUPS[part.split]})"
            found.append(Shortcoming("few-groups", part.split, text))
        if part.particles < FEWEST_PARTICLES:
            text = f"{counted(part.particles, 'particle')} (below {FEWEST_PARTICLES})"
            found.append(Shortcoming("few-particles", part.split, text))
        if part is not train and train is not None and train.particles:
            found += _other_sizes(part, train)
    return found


def fold_shortcomings(folds: Sequence[Sequence[Shortcoming]], together: Sequence[Shortcoming]) -> list[Shortcoming]:
    """What cross-validation cannot carry.

    Args:
        folds: What each fold cannot carry by itself.
        together: What the set cannot carry with all its micrographs in one part: they are all tested, and pooled.
    """
    found = [replace(each, part="all folds together") for each in together]
    where: dict[tuple[Kind, str, str], list[int]] = {}
    for fold, of_fold in enumerate(folds, start=1):
        for each in of_fold:
            if each.kind in _FEW and each.part == "test":
                continue  # the tests of all folds are pooled
            where.setdefault((each.kind, each.part, _FEW.get(each.kind, each.text)), []).append(fold)
    for (kind, part, text), numbers in where.items():
        every = len(numbers) == len(folds)
        named = "every fold" if every else f"fold{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers))}"
        found.append(Shortcoming(kind, f"{part} of {named}", text))
    return found


def shortcoming_lines(shortcomings: Sequence[Shortcoming]) -> list[str]:
    """For the user: one line for each part that cannot carry something."""
    texts: dict[str, list[str]] = {}
    for each in shortcomings:
        texts.setdefault(each.part, []).append(each.text)
    return [f"{part}: {'; '.join(of_part)}" for part, of_part in texts.items()]


def as_json(shortcomings: Sequence[Shortcoming]) -> list[dict[str, Any]]:
    """As ``split_audit.json`` keeps them."""
    return [asdict(each) for each in shortcomings]


# Folds differ in how few it is.
_FEW: dict[Kind, str] = {
    "few-groups": f"fewer than {FEWEST_GROUPS} source groups",
    "few-particles": f"fewer than {FEWEST_PARTICLES} particles",
}
_WITHOUT = {
    "train": "nothing can be learnt from it",
    "val": "no operating point can be chosen on it",
    "test": "no model can find anything in it",
}
_FEW_GROUPS = {
    "train": "few to learn from",
    "val": "the operating point hangs on them",
    "test": "intervals say little",
}


def _missing_classes(part: SplitStatistics, shown_by: Counter[str]) -> list[Shortcoming]:
    missing = [label for label in sorted(shown_by) if not part.class_particles[label]]
    if not missing:
        return []
    why = " (only 1 source group does)" if len(missing) == 1 and shown_by[missing[0]] == 1 else ""
    consequence = ", so it cannot be learnt" if part.split == "train" else ""
    return [Shortcoming("class-missing", part.split, f"shows no {shortened(missing)}{why}{consequence}")]


def _other_sizes(part: SplitStatistics, train: SplitStatistics) -> list[Shortcoming]:
    own, learnt = (float(np.median(each.diameters_canvas)) for each in (part, train))
    if 1 / SIZE_FACTOR <= own / learnt <= SIZE_FACTOR:
        return []
    text = f"other sizes than train: median diameter {own:.1f} px on the canvas, not {learnt:.1f} px"
    return [Shortcoming("other-sizes", part.split, text)]
