"""Source groups: what must stay in one split, because it shows the same specimen, session, figure or paper."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from nanoseg_bench.annotations.instance import Micrograph
from nanoseg_bench.errors import PreparationError, UsageError

_REGEX_PREFIX = "regex:"


def regroup(micrographs: Sequence[Micrograph], rule: str) -> list[Micrograph]:
    """Set every micrograph's source group by a rule; the rule wins over a group that the file names.

    Args:
        micrographs: Any.
        rule: ``folder`` (the folder that the image lies in, below the root) or ``regex:PATTERN``, whose first capture
            group is searched for in the micrograph's name.

    Raises:
        UsageError: The rule is unknown or malformed.
        PreparationError: Its pattern does not fit a name.
    """
    if rule == "folder":
        return [replace(each, source_group=str(PurePosixPath(each.name).parent)) for each in micrographs]
    if rule.startswith(_REGEX_PREFIX):
        pattern = _compile(rule)
        return [replace(each, source_group=_capture(pattern, each)) for each in micrographs]
    raise UsageError(f"--group-by {rule!r}: unknown rule; use 'folder' or 'regex:(...)'")


def source_groups(
    micrographs: Sequence[Micrograph], pixels_sha256: Mapping[str, str]
) -> tuple[dict[str, str], list[tuple[str, ...]]]:
    """Group of each micrograph; groups that share an image with identical pixels become one.

    Args:
        micrographs: One without a source group is a group of its own.
        pixels_sha256: SHA-256 of the decoded pixels by micrograph name.

    Returns:
        (group by micrograph name, the micrographs of identical pixels, one sorted tuple per image that occurs twice).
        Joined groups take the name that sorts first.
    """
    parents: dict[str, str] = {}

    def find(group: str) -> str:
        parents.setdefault(group, group)
        while parents[group] != group:
            group = parents[group]
        return group

    own = {each.name: each.source_group or each.name for each in micrographs}
    same_pixels: dict[str, list[str]] = defaultdict(list)
    for each in micrographs:
        same_pixels[pixels_sha256[each.name]].append(each.name)
    identical = sorted(tuple(sorted(names)) for names in same_pixels.values() if len(names) > 1)
    for names in identical:
        first, *others = sorted({find(own[name]) for name in names})
        for other in others:
            parents[other] = first
    # Roots are not always the smallest name of a chain of joins, so the name is chosen at the end.
    members: dict[str, set[str]] = defaultdict(set)
    for group in own.values():
        members[find(group)].add(group)
    return {name: min(members[find(group)]) for name, group in own.items()}, identical


def _compile(rule: str) -> re.Pattern[str]:
    text = rule.removeprefix(_REGEX_PREFIX)
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise UsageError(f"--group-by {rule!r}: not a regular expression ({error})") from error
    if pattern.groups < 1:
        raise UsageError(f"--group-by {rule!r}: has no capture group; write e.g. 'regex:^([^_]+)_'")
    return pattern


def _capture(pattern: re.Pattern[str], micrograph: Micrograph) -> str:
    match = pattern.search(micrograph.name)
    if match is None or not match.group(1):
        raise PreparationError(
            f"--group-by: {pattern.pattern!r} finds nothing in {micrograph.name!r} ({micrograph.image_path}); "
            "change the pattern so that every image has a group"
        )
    return match.group(1)
