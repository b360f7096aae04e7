"""Train, val and test by source group: no group is ever in two of them."""

import csv
import io
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from nanoseg_bench.errors import PreparationError, UsageError
from nanoseg_bench.files import write_text
from nanoseg_bench.preparation.grouping import IDENTICAL_PIXELS, Join
from nanoseg_bench.preparation.name_table import read_rows
from nanoseg_bench.preparation.stratification import group_contents, stratify, tolerated
from nanoseg_bench.preparation.survey import Surveyed
from nanoseg_bench.wording import counted, nearest, shortened

PARTS = ("train", "val", "test")

_JOINS_SHOWN = 20
_HINTS = 3

Record = TypeVar("Record", bound=Surveyed)


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
        PreparationError: The file is missing, lacks a column, a name is empty or there twice, or a split is unknown.
    """
    rows = [(name, part.strip(), line) for line, (name, part) in read_rows(path, ("name", "split"))]
    for name, part, line in rows:
        if not name.strip():
            raise PreparationError(f"{path}, line {line}: 'name' is empty; fill it in, or delete the row")
        if part not in PARTS:
            raise PreparationError(f"{path}, line {line}: {name!r} is put into {part!r}; use {', '.join(PARTS)}")
    for name, count in Counter(name for name, _, _ in rows).items():
        if count > 1:
            raise PreparationError(f"{path}: {name!r} stands in it {count} times; keep one line per image")
    return {name: part for name, part, _ in rows}


def write_split_file(path: Path, split: Mapping[str, str]) -> None:
    """Write a split as ``read_split_file`` reads it, sorted by name, atomically; same split, same bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("name", "split"))
    writer.writerows(sorted(split.items()))
    write_text(path, text.getvalue())


def split_by_group(
    records: Sequence[Surveyed],
    ratios: tuple[int, int, int] = (8, 1, 1),
    seed: int = 0,
    groups: Mapping[str, str] | None = None,
    joins: Sequence[Join] = (),
) -> dict[str, str]:
    """Assign train, val or test to every micrograph, whole source groups at a time.

    Each split shows every class where the classes' groups and the shares allow it, then every density; see
    ``stratify``.

    Args:
        records: In any order; the result does not depend on it.
        ratios: Parts for train, val and test.
        seed: Of the order of the groups.
        groups: Group by micrograph name; by default each one's own.
        joins: What ``source_groups`` joined, to say why there are so few groups.

    Raises:
        PreparationError: There are fewer groups than splits.
    """
    ordered = sorted(records, key=lambda each: each.name)
    # Restricted to these micrographs: groups may name those of the ood part, too.
    groups = {each.name: each.own_group if groups is None else groups[each.name] for each in ordered}
    sizes = Counter(groups[each.name] for each in ordered)
    wanted = [part for part, share in zip(PARTS, ratios, strict=True) if share]
    if len(sizes) < len(wanted):
        raise PreparationError(
            f"{counted(len(ordered), 'image')} in {counted(len(sizes), 'source group')} ({', '.join(sorted(sizes))}) "
            "cannot be split into "
            f"{', '.join(wanted)}: a group stays in one split, so at least {len(wanted)} groups are needed. "
            f"{way_to_groups(ordered, joins, len(wanted))}"
        )
    part_of = stratify(group_contents(ordered, groups), _shares(ratios), seed)
    return {each.name: part_of[groups[each.name]] for each in ordered}


def way_to_groups(records: Sequence[Surveyed], joins: Sequence[Join], wanted: int) -> str:
    """What gives more groups: other ones by the user's rule, or a look at the pairs that joined them.

    Args:
        records: Micrographs.
        joins: What ``source_groups`` joined.
        wanted: How many groups are needed.
    """
    named = {each.own_group for each in records}
    ours = {each.name for each in records}
    linked: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for join in joins:
        if ours.issuperset(join.names):
            linked[join.names].append(join.reason)
    if len(named) < wanted or not linked:
        return "Add images of other specimens, or group them otherwise (--group-by, or source_group in the JSON)"
    lines = [f"\n  {', '.join(names)} ({', '.join(reasons)})" for names, reasons in linked.items()]
    shown = "".join(lines[:_JOINS_SHOWN])
    more = f"\n  and {len(lines) - _JOINS_SHOWN} more" if len(lines) > _JOINS_SHOWN else ""
    way_out = "Add images of other specimens"
    if any(reasons != [IDENTICAL_PIXELS] for reasons in linked.values()):
        way_out = (
            "Look at the pairs: list those that show different sources in a CSV with the columns first,second,note and "
            "give it with --reviewed, or add images of other specimens"
        )
    return (
        f"There would be {len(named)} groups, but images that show the same were joined, which --group-by does not "
        f"undo:{shown}{more}\n{way_out}"
    )


def fixed_split(
    records: Sequence[Surveyed],
    assignment: Mapping[str, str],
    groups: Mapping[str, str],
    *,
    extend: bool = False,
    ratios: tuple[int, int, int] = (8, 1, 1),
    seed: int = 0,
    joins: Sequence[Join] = (),
) -> dict[str, str]:
    """Check a split that was decided elsewhere and return it for these micrographs.

    Args:
        records: All of the data set, without its ood part.
        assignment: Split by micrograph name.
        groups: Source group by micrograph name.
        extend: Whether ``assignment`` may leave micrographs out. They go where their source group is; whole new
            groups go where classes, images and densities are lacking, see ``stratify``. No named micrograph ever moves.
        ratios: Parts for train, val and test that the new groups are to approach.
        seed: Of the order of new groups of one size.
        joins: What ``source_groups`` joined, to say why a group is one; other micrographs may occur in it.

    Raises:
        PreparationError: A micrograph is not named (unless ``extend``), a name is unknown, a split has another name
            than train, val or test, nothing is in train, or a source group is in two splits.
    """
    names = sorted(each.name for each in records)
    missing = [name for name in names if name not in assignment]
    if missing and not extend:
        raise PreparationError(
            f"the split does not name {len(missing)} of {counted(len(names), 'image')}: {shortened(missing, 20)}; "
            "add them"
        )
    unknown = sorted(set(assignment) - set(names))
    if unknown:
        hint = "".join(_did_you_mean(name, missing or names) for name in unknown[:_HINTS])
        raise PreparationError(
            f"the split names {counted(len(unknown), 'image')} that the data set does not hold: "
            f"{shortened(unknown, 20)}; {hint}Put the images back, or mend or delete their lines"
        )
    for name in sorted(assignment):
        if assignment[name] not in PARTS:
            raise PreparationError(f"the split puts {name!r} into {assignment[name]!r}; use {', '.join(PARTS)}")
    part_of = _parts_of_groups(names, assignment, groups, joins)
    if missing:
        ordered = sorted(records, key=lambda each: each.name)
        part_of = stratify(group_contents(ordered, groups), _shares(ratios), seed, part_of)
    if "train" not in part_of.values():
        raise PreparationError("the split has no image in train; nothing could be trained on it")
    return {name: part_of[groups[name]] for name in names}


def share_warnings(split: Mapping[str, str], groups: Mapping[str, str], ratios: tuple[int, int, int]) -> list[str]:
    """One sentence for each split that deviates from its share by more than half of it, and by more than an image."""
    total = len(split)
    counts = Counter(split.values())
    sizes = Counter(groups[name] for name in split)
    part_of = {groups[name]: part for name, part in split.items()}
    warnings = []
    for part, ratio in zip(PARTS, ratios, strict=True):
        share = total * ratio / sum(ratios)
        if abs(counts[part] - share) <= tolerated(share):
            continue
        # What fills a split too far lies in it; what it lacks may lie anywhere.
        candidates = [group for group in sorted(sizes) if counts[part] < share or part_of[group] == part]
        largest = max(candidates, key=lambda group: sizes[group])
        reason = ""
        if sizes[largest] > 1:
            reason = (
                f"; the source group {largest!r} has {sizes[largest]} images and stays whole, in {part_of[largest]}. "
                "Add images of other sources, group more finely (--group-by), or ask for other shares (--split)"
            )
        warnings.append(f"{part} has {counts[part]} of {total} images where its share is {share:.1f}{reason}")
    return warnings


def choose_subset(
    records: Sequence[Record],
    count: int,
    seed: int,
    assignment: Mapping[str, str] | None = None,
) -> list[Record]:
    """Choose about ``count`` micrographs, whole source groups at a time.

    Groups are drawn in a seeded order and taken where they still fit, so the result never exceeds ``count``. Under a
    fixed split each split is reduced by the same factor, so that none vanishes.

    Args:
        records: All of the data set.
        count: How many to keep.
        seed: Of the draw.
        assignment: Fixed split by micrograph name, if there is one.

    Raises:
        PreparationError: There are fewer micrographs than ``count``, or more in each source group.
    """
    if count > len(records):
        raise PreparationError(f"--images {count}: the data set has only {counted(len(records), 'image')}")
    groups = {each.name: each.own_group for each in records}
    by_part: dict[str, list[str]] = defaultdict(list)
    for name in sorted(each.name for each in records):
        by_part[assignment.get(name, "") if assignment else ""].append(name)
    generator = np.random.default_rng(seed)
    chosen: set[str] = set()
    targets = _round_to_sum({part: len(members) * count / len(records) for part, members in by_part.items()}, count)
    for part in sorted(by_part):
        chosen |= _take_groups(by_part[part], groups, targets[part], generator)
    if not chosen:
        smallest = min(Counter(groups.values()).values())
        raise PreparationError(
            f"--images {count}: source groups stay whole, and the smallest has {smallest} images; give at least that"
        )
    return [each for each in records if each.name in chosen]


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    last = name.replace("\\", "/").rsplit("/", 1)[-1]  # folders that are none of the name's make it unlike
    near = nearest(name, known) or nearest(last, known)
    return f"did you mean {near!r} by {name!r}? " if near else ""


def _parts_of_groups(
    names: Sequence[str], assignment: Mapping[str, str], groups: Mapping[str, str], joins: Sequence[Join]
) -> dict[str, str]:
    """Split by group, for the groups of which a micrograph is named."""
    members: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in names:
        members[groups[name]][assignment.get(name, "")].append(name)
    for group, parts in sorted(members.items()):
        named = [part for part in PARTS if part in parts]
        if len(named) < 2:
            continue
        where = "; ".join(f"{part}: {shortened(parts[part])}" for part in named)
        if parts[""]:
            where += f"; not named yet: {shortened(parts[''])}"
        linked = [join for join in joins if group in {groups.get(name) for name in join.names}]
        why = [f"{', '.join(join.names)} ({join.reason})" for join in linked]
        because = f". They are one group because of {shortened(why, between='; ')}" if why else ""
        raise PreparationError(
            f"source group {group!r} is in {len(named)} splits ({where}); a model would be tested on a specimen "
            f"that it was trained on{because}. Put the group into one split"
            + (", or leave out the images that are not named yet" if parts[""] else "")
        )
    return {group: part for group, parts in members.items() for part in parts if part}


def _shares(ratios: tuple[int, int, int]) -> dict[str, float]:
    """Shares by split, test before val: a class of two groups is learnt and judged on."""
    train, val, test = ratios
    return {part: share for part, share in (("train", train), ("test", test), ("val", val)) if share}


def _take_groups(
    names: Sequence[str], groups: Mapping[str, str], count: int, generator: np.random.Generator
) -> set[str]:
    members: dict[str, list[str]] = defaultdict(list)
    for name in names:
        members[groups[name]].append(name)
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
