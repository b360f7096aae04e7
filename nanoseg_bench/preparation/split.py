"""Train, val and test by source group: no group is ever in two of them."""

import csv
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Micrograph
from nanoseg_bench.errors import PreparationError, UsageError

PARTS = ("train", "val", "test")

_Stratum = tuple[str, int]
"""(class combination, tertile of the particle count)."""


def parse_ratios(text: str) -> tuple[int, int, int]:
    """``8:1:1`` to (8, 1, 1), in lowest terms.

    Raises:
        UsageError: Not three whole numbers, or nothing for train.
    """
    parts = text.split(":")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        raise UsageError(f"--split {text!r}: give three whole numbers, train:val:test, e.g. 8:1:1")
    train, val, test = (int(part) for part in parts)
    if train == 0 or val + test == 0:
        raise UsageError(f"--split {text!r}: train and at least one of val and test need a share, e.g. 8:1:1")
    divisor = math.gcd(train, val, test)
    return train // divisor, val // divisor, test // divisor


def read_split_file(path: Path) -> dict[str, str]:
    """Read a CSV with the columns ``name`` and ``split``.

    Raises:
        PreparationError: The file is missing, lacks a column, names an image twice or an unknown split.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            if not {"name", "split"} <= set(reader.fieldnames or ()):
                raise PreparationError(f"{path}: needs the columns name and split, has {reader.fieldnames}")
            rows = [(row["name"], row["split"]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PreparationError(f"{path}: cannot be read as a split file ({error})") from error
    for name, count in Counter(name for name, _ in rows).items():
        if count > 1:
            raise PreparationError(f"{path}: {name!r} stands in it {count} times; keep one line per image")
    return dict(rows)


def split_by_group(
    micrographs: Sequence[Micrograph],
    ratios: tuple[int, int, int] = (8, 1, 1),
    seed: int = 0,
    groups: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Assign train, val or test to every micrograph, whole source groups at a time.

    scikit-learn's ``StratifiedGroupKFold`` makes as many folds as the ratios have parts (8:1:1 gives 10): test and val
    take those whose sizes are nearest to an even share, train the rest. Strata are the combination of classes in the
    image times the tertile of its number of particles; strata with fewer images than folds are merged. With fewer
    groups than folds, val and test take the groups whose sizes come nearest to their shares.

    Args:
        micrographs: In any order; the result does not depend on it.
        ratios: Parts for train, val and test.
        seed: Of the shuffle.
        groups: Group by micrograph name; by default the source group, or the name where there is none.

    Raises:
        PreparationError: There are fewer groups than splits.
    """
    ordered = sorted(micrographs, key=lambda each: each.name)
    if groups is None:
        groups = {each.name: each.source_group or each.name for each in ordered}
    sizes = Counter(groups[each.name] for each in ordered)
    wanted = [part for part, share in zip(PARTS, ratios, strict=True) if share]
    if len(sizes) < len(wanted):
        raise PreparationError(
            f"{len(ordered)} images in {len(sizes)} source groups ({', '.join(sorted(sizes))}) cannot be split into "
            f"{', '.join(wanted)}: a group stays in one split, so at least {len(wanted)} groups are needed. "
            "Add images of other specimens, or group them otherwise (--group-by, or source_group in the JSON)"
        )
    split = _split_by_folds(ordered, groups, ratios, seed) if len(sizes) >= sum(ratios) else {}
    if set(split.values()) != set(wanted):
        split = _split_few_groups(sizes, groups, ratios, seed)
    return split


def fixed_split(
    micrographs: Sequence[Micrograph], assignment: Mapping[str, str], groups: Mapping[str, str]
) -> dict[str, str]:
    """Check a split that was decided elsewhere and return it for these micrographs.

    Args:
        micrographs: All of the data set, without its ood part.
        assignment: Split by micrograph name.
        groups: Source group by micrograph name.

    Raises:
        PreparationError: A micrograph is not named, a name is unknown, a split has another name than train, val or
            test, or a source group is in two splits.
    """
    names = sorted(each.name for each in micrographs)
    missing = [name for name in names if name not in assignment]
    if missing:
        raise PreparationError(
            f"the split does not name {len(missing)} of {len(names)} images: {_some(missing)}; add them"
        )
    unknown = sorted(set(assignment) - set(names))
    if unknown:
        raise PreparationError(f"the split names images that do not exist: {_some(unknown)}; mend the names")
    for name in names:
        if assignment[name] not in PARTS:
            raise PreparationError(f"the split puts {name!r} into {assignment[name]!r}; use {', '.join(PARTS)}")
    if "train" not in assignment.values():
        raise PreparationError("the split has no image in train; nothing could be trained on it")
    members: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in names:
        members[groups[name]][assignment[name]].append(name)
    for group, parts in sorted(members.items()):
        if len(parts) > 1:
            where = "; ".join(f"{part}: {_some(parts[part])}" for part in PARTS if part in parts)
            raise PreparationError(
                f"source group {group!r} is in {len(parts)} splits ({where}); a model would be tested on a specimen "
                "that it was trained on. Put the group into one split"
            )
    return {name: assignment[name] for name in names}


def share_warnings(split: Mapping[str, str], groups: Mapping[str, str], ratios: tuple[int, int, int]) -> list[str]:
    """One sentence for each split that deviates from its share by more than half of it, and by more than an image."""
    total = len(split)
    counts = Counter(split.values())
    largest, size = max(sorted(Counter(groups[name] for name in split).items()), key=lambda item: item[1])
    warnings = []
    for part, ratio in zip(PARTS, ratios, strict=True):
        share = total * ratio / sum(ratios)
        # One image more or less is rounding, however large a part of a small share it is.
        if abs(counts[part] - share) > max(share / 2, 1):
            reason = f"; the largest source group, {largest!r}, has {size} images" if size > 1 else ""
            warnings.append(f"{part} has {counts[part]} of {total} images where its share is {share:.1f}{reason}")
    return warnings


def choose_subset(
    micrographs: Sequence[Micrograph], count: int, seed: int, assignment: Mapping[str, str] | None = None
) -> list[Micrograph]:
    """Choose about ``count`` micrographs, whole source groups at a time.

    Groups are drawn in a seeded order and taken where they still fit, so the result never exceeds ``count``. Under a
    fixed split each split is reduced by the same factor, so that none vanishes.

    Args:
        micrographs: All of the data set.
        count: How many to keep.
        seed: Of the draw.
        assignment: Fixed split by micrograph name, if there is one.

    Raises:
        PreparationError: There are fewer micrographs than ``count``.
    """
    if count > len(micrographs):
        raise PreparationError(f"--images {count}: the data set has only {len(micrographs)} images")
    by_part: dict[str, list[Micrograph]] = defaultdict(list)
    for each in sorted(micrographs, key=lambda each: each.name):
        by_part[assignment.get(each.name, "") if assignment else ""].append(each)
    generator = np.random.default_rng(seed)
    chosen: set[str] = set()
    targets = _round_to_sum({part: len(members) * count / len(micrographs) for part, members in by_part.items()}, count)
    for part in sorted(by_part):
        chosen |= _take_groups(by_part[part], targets[part], generator)
    return [each for each in micrographs if each.name in chosen]


def _split_by_folds(
    micrographs: Sequence[Micrograph], groups: Mapping[str, str], ratios: tuple[int, int, int], seed: int
) -> dict[str, str]:
    from sklearn.model_selection import StratifiedGroupKFold

    _, val, test = ratios
    strata = _strata(micrographs, sum(ratios))
    names = np.array([groups[each.name] for each in micrographs])
    folds = StratifiedGroupKFold(sum(ratios), shuffle=True, random_state=seed).split(names, strata, names)
    # Folds of a small set differ in size; val and test take those that come nearest to their share.
    nearest = sorted(
        (members for _, members in folds), key=lambda members: abs(len(members) - len(micrographs) / sum(ratios))
    )
    split = {}
    for number, members in enumerate(nearest):
        part = "test" if number < test else "val" if number < test + val else "train"
        split.update({micrographs[index].name: part for index in members})
    return split


def _split_few_groups(
    sizes: Mapping[str, int], groups: Mapping[str, str], ratios: tuple[int, int, int], seed: int
) -> dict[str, str]:
    remaining = [str(group) for group in np.random.default_rng(seed).permutation(sorted(sizes))]
    total = sum(sizes.values())
    train, val, test = ratios
    part_of: dict[str, str] = {}
    # One group is kept back for every split that is still to be served.
    still_needed = 1 + (val > 0) + (test > 0)
    for part, ratio in (("test", test), ("val", val)):
        if not ratio:
            continue
        still_needed -= 1
        target, filled = total * ratio / (train + val + test), 0
        while len(remaining) > still_needed:
            best = min(remaining, key=lambda group: abs(target - filled - sizes[group]))
            if filled and abs(target - filled - sizes[best]) >= abs(target - filled):
                break
            remaining.remove(best)
            part_of[best] = part
            filled += sizes[best]
    return {name: part_of.get(group, "train") for name, group in sorted(groups.items())}


def _strata(micrographs: Sequence[Micrograph], folds: int) -> NDArray[np.int64]:
    counts = np.array([sum(not each.ignored for each in micrograph.instances) for micrograph in micrographs])
    tertiles = np.searchsorted(np.quantile(counts, (1 / 3, 2 / 3)), counts, side="left")
    keys = []
    for micrograph, tertile in zip(micrographs, tertiles, strict=True):
        labels = sorted({each.label or "" for each in micrograph.instances if not each.ignored})
        keys.append(("+".join(labels), int(tertile)))
    # A rare combination of classes keeps its density, then joins what is left, so that every stratum fills the folds.
    keys = _merge_rare(keys, folds, lambda key: ("*", key[1]))
    keys = _merge_rare(keys, folds, lambda _: ("*", -1))
    most_common = Counter(keys).most_common(1)[0][0]
    keys = _merge_rare(keys, folds, lambda _: most_common)
    numbers = {key: number for number, key in enumerate(sorted(set(keys)))}
    return np.array([numbers[key] for key in keys])


def _merge_rare(keys: list[_Stratum], folds: int, merged: Callable[[_Stratum], _Stratum]) -> list[_Stratum]:
    counts = Counter(keys)
    return [merged(key) if counts[key] < folds else key for key in keys]


def _take_groups(micrographs: Sequence[Micrograph], count: int, generator: np.random.Generator) -> set[str]:
    members: dict[str, list[str]] = defaultdict(list)
    for each in micrographs:
        members[each.source_group or each.name].append(each.name)
    taken: set[str] = set()
    for group in generator.permutation(sorted(members)):
        if len(taken) + len(members[group]) <= count:
            taken.update(members[group])
    return taken


def _round_to_sum(shares: Mapping[str, float], total: int) -> dict[str, int]:
    """Round up to at least 1 each; the largest share takes what rounding left."""
    rounded = {part: max(round(share), 1) for part, share in shares.items()}
    largest = max(sorted(shares), key=lambda part: shares[part])
    rounded[largest] += total - sum(rounded.values())
    return rounded


def _some(names: Sequence[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
