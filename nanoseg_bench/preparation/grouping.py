"""Source groups: what must stay in one split, because it shows the same specimen, session, figure or paper."""

import re
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nanoseg_bench.errors import PreparationError, UsageError
from nanoseg_bench.preparation.name_table import NameTable, read_name_table
from nanoseg_bench.preparation.survey import Named, Surveyed
from nanoseg_bench.wording import counted, shortened

IDENTICAL_PIXELS = "identical-pixels"
"""The reason of a join that needs no search: two files decode to the same pixels."""

_REGEX_PREFIX, _CSV_PREFIX = "regex:", "csv:"


@dataclass(frozen=True, slots=True)
class Purpose:
    """What groups are made for, as messages say it.

    Attributes:
        option: Of the command line, that the rule is given to.
        group: What a group is called.
    """

    option: str
    group: str


SOURCE_GROUPS = Purpose("--group-by", "source group")


class GroupRule(ABC):
    """Says which group a micrograph belongs to.

    Attributes:
        text: The rule as it was given.
        way_out: What to do about a micrograph that has no group by it.
        purpose: What the groups are for.
    """

    text: str
    way_out: str
    purpose: Purpose

    @abstractmethod
    def find(self, record: Named) -> str | None:
        """The group, or None where the rule does not fit."""

    def check(self, records: Sequence[Named]) -> None:
        """Refuse micrographs that only their comparison shows to be ambiguous.

        Raises:
            PreparationError: Two micrographs cannot be told apart.
        """
        del records


@dataclass(frozen=True, slots=True)
class _FolderRule(GroupRule):
    text: str = "folder"
    way_out: str = ""
    purpose: Purpose = SOURCE_GROUPS

    def find(self, record: Named) -> str:
        return str(PurePosixPath(record.name).parent)


@dataclass(frozen=True, slots=True)
class _PatternRule(GroupRule):
    text: str
    pattern: re.Pattern[str]
    way_out: str = "change the pattern so that its (group) is found in every name"
    purpose: Purpose = SOURCE_GROUPS

    def find(self, record: Named) -> str | None:
        match = self.pattern.search(record.name)
        return (match.group(1) or None) if match else None


@dataclass(frozen=True, slots=True)
class _TableRule(GroupRule):
    text: str
    table: NameTable
    way_out: str = "add a row for each: its name, its last part or the image's file name in the column name"
    purpose: Purpose = SOURCE_GROUPS

    def find(self, record: Named) -> str | None:
        return self.table.lookup(record)

    def check(self, records: Sequence[Named]) -> None:
        self.table.check(records)


@dataclass(frozen=True, slots=True)
class Join:
    """Micrographs that are kept in one source group because of what they show.

    Attributes:
        names: Sorted.
        reason: ``identical-pixels``, or the check that found the pair.
    """

    names: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return f"kept in one source group: {', '.join(self.names)} ({self.reason})"


def parse_group_rule(text: str, purpose: Purpose = SOURCE_GROUPS) -> GroupRule:
    """Read a rule; the file of a ``csv`` rule is read at once.

    Args:
        text: ``folder`` (the folder that the image lies in, below the root), ``regex:PATTERN``, whose first capture
            group is searched for in the micrograph's name, or ``csv:FILE:COLUMN``, a CSV with the columns ``name``
            and COLUMN (doi, specimen, session, ...), see ``NameTable`` for how names are matched.
        purpose: What the groups are for.

    Raises:
        UsageError: The rule is unknown or malformed.
        PreparationError: Its CSV cannot be read or lacks what is needed.
    """
    if text == "folder":
        return _FolderRule(purpose=purpose)
    if text.startswith(_REGEX_PREFIX):
        return _PatternRule(text, _compile(text, purpose.option), purpose=purpose)
    if text.startswith(_CSV_PREFIX):
        # From the right: a Windows path has a colon of its own.
        file, _, column = text.removeprefix(_CSV_PREFIX).rpartition(":")
        if not file or not column or re.fullmatch(r"[A-Za-z]", file):
            raise UsageError(f"{purpose.option} {text!r}: write csv:FILE:COLUMN, e.g. csv:metadata.csv:doi")
        return _TableRule(text, read_name_table(Path(file), column.strip()), purpose=purpose)
    raise UsageError(f"{purpose.option} {text!r}: unknown rule; use 'folder', 'regex:(...)' or 'csv:FILE:COLUMN'")


def regroup(records: Sequence[Named], rule: GroupRule) -> dict[str, str]:
    """Source group of every micrograph by a rule, which wins over a group that the file names.

    Args:
        records: Any.
        rule: From ``parse_group_rule``.

    Returns:
        Group by micrograph name.

    Raises:
        PreparationError: It does not fit all micrographs; the message lists those that it misses.
    """
    rule.check(records)
    groups: dict[str, str] = {}
    missed = []
    for record in records:
        group = rule.find(record)
        if group is None:
            missed.append(f"{record.name!r}")
        else:
            groups[record.name] = group
    if missed:
        raise PreparationError(
            f"{rule.purpose.option} {rule.text!r}: gives no {rule.purpose.group} for {len(missed)} of "
            f"{counted(len(records), 'image')}: {shortened(sorted(missed), 20)}; {rule.way_out}"
        )
    return groups


def source_groups(
    records: Sequence[Surveyed],
    pixels_sha256: Mapping[str, str],
    found_pairs: Iterable[tuple[str, str, str]] = (),
) -> tuple[dict[str, str], list[Join]]:
    """Group of each micrograph; groups that share an image, or were found to show the same, become one.

    Args:
        records: Each with its own group.
        pixels_sha256: SHA-256 of the decoded pixels by micrograph name.
        found_pairs: (name, name, check that found them): micrographs that show the same.

    Returns:
        (group by micrograph name, the joins). Joins name all images of identical pixels, and the found pairs whose
        groups were different. Joined groups take the name that sorts first. Neither depends on the order of anything.
    """
    own = {each.name: each.own_group for each in records}
    same_pixels: dict[str, list[str]] = defaultdict(list)
    for each in records:
        same_pixels[pixels_sha256[each.name]].append(each.name)
    joins = {Join(tuple(sorted(names)), IDENTICAL_PIXELS) for names in same_pixels.values() if len(names) > 1}
    for first, second, check in found_pairs:
        # What is identical also looks alike: said once.
        if own[first] != own[second] and pixels_sha256[first] != pixels_sha256[second]:
            joins.add(Join((min(first, second), max(first, second)), check))
    merged = _merge({own[each.name] for each in records}, [{own[name] for name in join.names} for join in joins])
    ordered = sorted(joins, key=lambda join: (join.reason != IDENTICAL_PIXELS, join.names, join.reason))
    return {each.name: merged[own[each.name]] for each in records}, ordered


def _merge(groups: Iterable[str], links: Iterable[Iterable[str]]) -> dict[str, str]:
    """Each group's name after merging: the smallest of all that are linked to it, directly or in a chain."""
    from scipy.cluster.hierarchy import DisjointSet

    merged = DisjointSet(groups)
    for first, *others in links:
        for other in others:
            merged.merge(first, other)
    names: dict[str, str] = {}
    for linked in merged.subsets():
        names |= dict.fromkeys(linked, min(linked))
    return names


def _compile(rule: str, option: str) -> re.Pattern[str]:
    text = rule.removeprefix(_REGEX_PREFIX)
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise UsageError(f"{option} {rule!r}: not a regular expression ({error})") from error
    if pattern.groups < 1:
        raise UsageError(f"{option} {rule!r}: has no capture group; write e.g. 'regex:^([^_]+)_'")
    return pattern
