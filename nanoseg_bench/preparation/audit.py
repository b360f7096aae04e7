"""The split audit: what was looked for across the splits, and what such a look can and cannot find."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanoseg_bench.errors import AuditError, PreparationError
from nanoseg_bench.files import read_json, write_json
from nanoseg_bench.preparation.name_table import read_rows
from nanoseg_bench.seals import sealed, unsealed
from nanoseg_bench.wording import counted

AUDIT_FORMAT = "nanoseg-split-audit/2"

PREPARE_AGAIN = "prepare the set again, with the same options and `--overwrite always`"
"""The way out of a damaged set; no command to copy, since without the annotations `prepare` renders nanosynth."""

NEAR_DUPLICATES = "near-duplicates"
OVERLAPPING_FIELDS = "overlapping-fields"

_REVIEWED_COLUMNS = ("first", "second", "note")
_MAX_LISTED = 50


@dataclass(frozen=True, eq=False, slots=True)
class FoundPair:
    """Two images that a comparison found to show the same.

    Attributes:
        names: Of the images, as in the manifest's ``name``.
        check: ``near-duplicates`` or ``overlapping-fields``.
        evidence: See ``shared_sources.SharedSource``.
    """

    names: tuple[str, str]
    check: str
    evidence: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReviewedPair:
    """Two images that a person looked at and found to have no common source.

    Attributes:
        first: Either image, as the manifest's ``name`` or ``micrograph`` has it.
        second: The other.
        note: Who looked, and why they are unrelated.
    """

    first: str
    second: str
    note: str


def audit_split(
    rows: Sequence[Mapping[str, str]],
    pairs: Sequence[FoundPair],
    content_hash: str,
    reviewed: Sequence[ReviewedPair] = (),
    more_checks: Sequence[Mapping[str, Any]] = (),
    shortcomings: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Check a prepared set's manifest for sources that two splits share.

    Args:
        rows: Of the manifest, all values as text.
        pairs: What ``find_shared_sources`` found among the originals, by name.
        content_hash: Of the set; the audit holds for nothing else.
        reviewed: Pairs that are known to be unrelated; they fail no check.
        more_checks: Further results of ``make_check``.
        shortcomings: What the split cannot carry, as ``shortcomings.as_json`` gives it; none of it fails the audit.

    Returns:
        The document of ``split_audit.json``. Hashes that agree are a warning, similar is not yet the same; a shared
        field that geometry and pixels confirm fails the audit.

    Raises:
        PreparationError: A reviewed pair names an image that the set does not hold.
    """
    originals = [row for row in rows if not row["parent"]]
    names = [(row["name"], row["micrograph"] or row["name"]) for row in originals]
    notes = resolve_reviewed(reviewed, names)
    split_of = {row["name"]: row["split"] for row in originals}
    ordered = sorted(pairs, key=lambda pair: (pair.names, pair.check))
    across = [pair for pair in ordered if split_of[pair.names[0]] != split_of[pair.names[1]]]
    checks = [
        _check_groups(originals),
        _check_pixels(originals),
        _check_copies(rows),
        _check_similar(across, split_of, notes),
        _check_fields(across, split_of, notes),
        *(dict(check) for check in more_checks),
    ]
    return {
        "format": AUDIT_FORMAT,
        "content_hash": content_hash,
        "passed": all(check["passed"] for check in checks),
        "conclusion": _conclude(checks),
        "checks": checks,
        "shortcomings": [dict(each) for each in shortcomings],
        "related": [
            {
                "images": list(pair.names),
                "split": split_of[pair.names[0]],
                "check": pair.check,
                "evidence": pair.evidence,
            }
            for pair in ordered
            if split_of[pair.names[0]] == split_of[pair.names[1]]
        ],
        "reviewed": [{"images": sorted(names), "note": note} for names, note in notes.items()],
    }


def audit_folds(audits: Sequence[Mapping[str, Any]], content_hash: str) -> dict[str, Any]:
    """One audit of the audits of all folds, each of which it holds whole.

    Args:
        audits: Of ``audit_split``, in the order of the folds.
        content_hash: Of the set.

    Returns:
        The document of ``split_audit.json``. A finding of several folds stands in ``checks`` once, with its ``folds``;
        it passes when every fold does.
    """
    checks = [_merge_check(same) for same in zip(*(audit["checks"] for audit in audits), strict=True)]
    across = {frozenset(detail["images"]) for check in checks for detail in check["details"] if "evidence" in detail}
    return {
        "format": AUDIT_FORMAT,
        "content_hash": content_hash,
        "passed": all(audit["passed"] for audit in audits),
        "conclusion": _conclude(checks),
        "checks": checks,
        "related": [pair for pair in audits[0]["related"] if frozenset(pair["images"]) not in across],
        "reviewed": audits[0]["reviewed"],
        "folds": [dict(audit) for audit in audits],
    }


def make_check(name: str, findings: Sequence[Mapping[str, Any]], *, finds: str, cannot_find: str) -> dict[str, Any]:
    """One entry of ``checks``: it passes when there are no findings; the first 50 are listed.

    Args:
        name: In kebab-case.
        findings: JSON objects.
        finds: What the check is able to find.
        cannot_find: What it is blind to.
    """
    return {
        "name": name,
        "passed": not findings,
        "finds": finds,
        "cannot_find": cannot_find,
        "findings": len(findings),
        "details": [dict(finding) for finding in findings[:_MAX_LISTED]],
    }


def write_audit(path: Path, audit: Mapping[str, Any]) -> None:
    """Write ``split_audit.json``, sealed (``seals``)."""
    write_json(path, sealed(audit))


def read_audit(path: Path) -> dict[str, Any]:
    """Read ``split_audit.json``.

    Raises:
        AuditError: It is missing, malformed, or not as it was written.
    """
    try:
        document = unsealed(read_json(path))
        if not isinstance(document, dict):
            raise ValueError("it is no JSON object")
    except (OSError, ValueError, RecursionError) as error:
        raise AuditError(f"{path}: cannot be read as a split audit ({error}); {PREPARE_AGAIN}") from error
    return document


def read_reviewed(path: Path) -> list[ReviewedPair]:
    """Read a CSV of pairs that a person looked at and found unrelated.

    Columns ``first``, ``second`` and ``note``, see ``name_table.read_rows``. An image is named as in the audit (the
    manifest's ``name``) or as in the source (``micrograph``: the path below its folder, without suffix).

    Raises:
        PreparationError: The file is missing, is no CSV with these columns, or has an incomplete row.
    """
    pairs = []
    for line, cells in read_rows(path, _REVIEWED_COLUMNS):
        first, second, note = (cell.strip() for cell in cells)
        if not first or not second:
            raise PreparationError(f"{path}, line {line}: {first!r}, {second!r}; name two images, or delete the row")
        if not note:
            raise PreparationError(
                f"{path}, line {line}: {first}, {second}: say in `note` who looked and what they saw"
            )
        pairs.append(ReviewedPair(first, second, note))
    return pairs


def resolve_reviewed(
    reviewed: Sequence[ReviewedPair], originals: Iterable[tuple[str, str]]
) -> dict[frozenset[str], str]:
    """Notes by the manifest's names of the two images.

    Args:
        reviewed: Pairs as a person named them.
        originals: The manifest's ``name`` and ``micrograph`` of every original.

    Raises:
        PreparationError: A pair names an image that is not there, or does not name two.
    """
    known: dict[str, set[str]] = defaultdict(set)
    for name, micrograph in originals:
        known[name].add(name)
        known[micrograph].add(name)
    notes = {}
    for pair in reviewed:
        for given in (pair.first, pair.second):
            if len(known[given]) != 1:
                fault = "names two images" if known[given] else "is in no row of the manifest"
                raise PreparationError(
                    f"reviewed pair {pair.first}, {pair.second}: {given!r} {fault}; "
                    "write it as the manifest's column `name` has it, or remove the pair"
                )
        names = frozenset((*known[pair.first], *known[pair.second]))
        if len(names) != 2:
            raise PreparationError(
                f"reviewed pair {pair.first}, {pair.second}: one image twice; name two, or remove it"
            )
        notes[names] = pair.note
    return notes


def _conclude(checks: Sequence[Mapping[str, Any]]) -> str:
    silent = [check["name"] for check in checks if not check["findings"]]
    parts = [f"checks {', '.join(silent)} found no shared source"] if silent else []
    for check in checks:
        count = check["findings"]
        if count:
            findings = counted(count, "finding")
            parts.append(
                f"{check['name']} has {findings} to look at"
                if check["passed"]
                else f"{check['name']} failed with {findings}"
            )
    looked = {
        frozenset(detail["images"]) for check in checks for detail in check["details"] if detail.get("reviewed", False)
    }
    if looked:
        parts.append(f"a person looked at {counted(len(looked), 'further pair')} and found no common source")
    return "; ".join(parts)


def _check_groups(originals: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    return make_check(
        "source-groups",
        _shared(originals, "source_group"),
        finds="a specimen, figure or paper, as named by the data set or by --group-by, in two splits",
        cannot_find="a specimen that the data set does not name, or names differently in two images",
    )


def _check_pixels(originals: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    return make_check(
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
    return make_check(
        "augmented-copies",
        strays,
        finds="an augmented copy outside train, or one whose parent is not in train or does not exist",
        cannot_find="copies that were made before this package saw the images",
    )


def _check_similar(
    pairs: Sequence[FoundPair], split_of: Mapping[str, str], notes: Mapping[frozenset[str], str]
) -> dict[str, Any]:
    check = _check_pairs(
        NEAR_DUPLICATES,
        pairs,
        split_of,
        notes,
        finds="images whose 64-bit DCT hashes differ in at most 4 bits in one of 8 flips and rotations: re-encoded, "
        "resized or moderately brightened copies",
        cannot_find="any crop, other fields or magnifications, turns by other angles, copies whose contrast was "
        "clipped; of an image the 20 nearest partners only",
    )
    # Two images may look alike without a common source: it is overlapping-fields that confirms a pair, or a person.
    return {**check, "passed": True, "warnings": check["findings"]}


def _check_fields(
    pairs: Sequence[FoundPair], split_of: Mapping[str, str], notes: Mapping[frozenset[str], str]
) -> dict[str, Any]:
    return _check_pairs(
        OVERLAPPING_FIELDS,
        pairs,
        split_of,
        notes,
        finds="copies, crops, tiles and second magnifications of one field, also turned or mirrored, by local features "
        "that agree with one similarity and grey values that confirm it; of leaks planted in real micrographs, all "
        "re-encoded, resized, brightened, turned and mirrored copies, and at least 9 of 10 crops of 60 % of the side, "
        "tiles that share 30 % and magnifications by 2; larger magnifications less often",
        cannot_find="fields that share less than about a tenth, magnifications beyond 5, fields nearly without detail "
        "(few smooth particles on a flat ground, or noise only), particles that moved, changed or were tilted between "
        "two pictures, other fields of the same specimen",
    )


def _merge_check(same: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One check of all folds."""
    merged: dict[str, dict[str, Any]] = {}
    for fold, check in enumerate(same, start=1):
        for detail in check["details"]:
            # The splits of a pair are another in each fold, the pair is the same.
            what = json.dumps({key: value for key, value in detail.items() if key != "splits"}, sort_keys=True)
            merged.setdefault(what, {**detail, "folds": []})["folds"].append(fold)
    details = sorted(merged.values(), key=lambda detail: bool(detail.get("reviewed")))
    # Of long lists only the beginning is there.
    listed = sum(not detail.get("reviewed") for detail in details)
    findings = max(listed, *(int(check["findings"]) for check in same))
    together = {"passed": all(check["passed"] for check in same), "findings": findings, "details": details}
    if "warnings" in same[0]:
        together["warnings"] = findings
    return {**same[0], **together}


def _check_pairs(
    name: str,
    pairs: Sequence[FoundPair],
    split_of: Mapping[str, str],
    notes: Mapping[frozenset[str], str],
    *,
    finds: str,
    cannot_find: str,
) -> dict[str, Any]:
    details = [
        {
            "images": list(pair.names),
            "splits": [split_of[each] for each in pair.names],
            "evidence": pair.evidence,
            "reviewed": frozenset(pair.names) in notes,
        }
        for pair in pairs
        if pair.check == name
    ]
    open_ones = [detail for detail in details if not detail["reviewed"]]
    check = make_check(name, open_ones, finds=finds, cannot_find=cannot_find)
    # All of them, also the reviewed ones: a later audit of the same content starts from these.
    return {**check, "details": [*open_ones, *(detail for detail in details if detail["reviewed"])]}


def _shared(originals: Sequence[Mapping[str, str]], column: str) -> list[dict[str, Any]]:
    members: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in originals:
        members[row[column]][row["split"]].append(row["name"])
    return [
        {column: value, "images": {split: sorted(names) for split, names in sorted(splits.items())}}
        for value, splits in sorted(members.items())
        if len(splits) > 1
    ]
