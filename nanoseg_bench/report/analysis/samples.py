"""Which micrographs are one sample."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.errors import UsageError
from nanoseg_bench.preparation.name_table import read_name_table

FOLDER, REGEX, CSV = "folder", "regex", "csv"

COLUMN = "sample"
"""Of a CSV, beside ``name``."""


@dataclass(frozen=True, slots=True)
class Member:
    """A micrograph that is looked up in a user's table.

    Attributes:
        name: In the table of particles.
        image_path: The file.
    """

    name: str
    image_path: Path


def group_samples(members: Sequence[Member], by: str = FOLDER) -> dict[str, str]:
    """The sample of each micrograph, by its name.

    Args:
        members: The micrographs.
        by: ``folder``: those of one folder are one sample, called as the folder; a single micrograph is called as its
            file. ``regex:PATTERN``: what the first
            group of the pattern matches in the file's name, or all that it matches. ``csv:PATH``: a table with the
            columns ``name`` and ``sample``.

    Raises:
        UsageError: ``by`` is none of these, the pattern is malformed, or a micrograph has no sample.
        PreparationError: The CSV cannot be read.
    """
    how, _, argument = by.partition(":")
    if how == FOLDER and not argument:
        return _by_folder(members)
    if how == REGEX and argument:
        return _by_pattern(members, argument)
    if how == CSV and argument:
        return _by_table(members, Path(argument))
    raise UsageError(f"--sample-by {by}: give folder, regex:PATTERN (regex:'(.+)_[0-9]+'), or csv:FILE (name, sample)")


def _by_folder(members: Sequence[Member]) -> dict[str, str]:
    if len(members) == 1:
        return {members[0].name: members[0].image_path.stem}
    folders = {member.image_path.absolute().parent for member in members}
    names = _apart(sorted(folders))
    return {member.name: names[member.image_path.absolute().parent] for member in members}


def _apart(folders: Sequence[Path]) -> dict[Path, str]:
    """Each folder's name; of folders with one name, as many of those above as tell them apart."""
    names: dict[Path, str] = {}
    for folder in folders:
        same = [each for each in folders if each.name == folder.name]
        depth = 1
        while depth < len(folder.parts) and len({each.parts[-depth:] for each in same}) < len(same):
            depth += 1
        names[folder] = "/".join(folder.parts[-depth:]) if folder.name else "sample"
    return names


def _by_pattern(members: Sequence[Member], pattern: str) -> dict[str, str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--sample-by regex:{pattern}: is no regular expression ({error})") from error
    found: dict[str, str] = {}
    for member in members:
        match = compiled.search(member.image_path.name)
        sample = "" if match is None else (match[1] if compiled.groups else match[0]) or ""
        if not sample.strip():
            raise UsageError(
                f"--sample-by regex:{pattern}: finds no sample in {member.image_path.name!r}; a pattern must match the "
                "name of every micrograph"
            )
        found[member.name] = sample.strip()
    return found


def _by_table(members: Sequence[Member], path: Path) -> dict[str, str]:
    table = read_name_table(path, COLUMN)
    missing, _ = table.check(members)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UsageError(f"--sample-by csv:{path}: has no row for {missing[0]!r}{more}; add it")
    return {member.name: str(table.lookup(member)) for member in members}


def members_of(samples: Mapping[str, str]) -> dict[str, list[str]]:
    """Names of the micrographs of each sample, in their order."""
    found: dict[str, list[str]] = {}
    for name, sample in samples.items():
        found.setdefault(sample, []).append(name)
    return found
