"""Folds for cross-validation: every micrograph is tested exactly once, and each fold has a val of its own.

Sets of labs are small: of 30 micrographs a tenth are three. Folds judge on all of them, at the price of one training
per fold.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path

from nanoseg_bench.errors import DatasetError, PreparationError, UsageError
from nanoseg_bench.files import write_text
from nanoseg_bench.preparation.grouping import Join
from nanoseg_bench.preparation.split import way_to_groups
from nanoseg_bench.preparation.stratification import group_contents, stratify
from nanoseg_bench.preparation.survey import Surveyed
from nanoseg_bench.wording import counted, shortened

FOLDS_FILE = "folds.csv"

FEWEST_FOLDS = 3
"""One source group each for test, val and train at least."""

_NAME = "name"
_COLUMN = "fold_"


def check_folds(folds: int, ratios: tuple[int, int, int]) -> None:
    """Refuse folds that cannot be made of any set.

    Raises:
        UsageError: Too few folds, or no val in them.
    """
    if not isinstance(folds, Integral):
        raise UsageError(f"--folds {folds!r}: give a whole number")
    if folds < FEWEST_FOLDS:
        raise UsageError(f"--folds {folds}: give {FEWEST_FOLDS} or more; each fold needs a train, a val and a test")
    if not ratios[1]:
        raise UsageError(
            f"--split {':'.join(map(str, ratios))} with --folds {folds}: each fold chooses its operating point on val; "
            "give val a share"
        )


def fold_by_group(
    records: Sequence[Surveyed],
    folds: int,
    ratios: tuple[int, int, int],
    seed: int,
    groups: Mapping[str, str],
    joins: Sequence[Join] = (),
) -> dict[str, tuple[str, ...]]:
    """What every micrograph is in each fold, whole source groups at a time.

    Test parts are of one size and show every class where there are groups for it; so does the val of each fold, which
    is drawn from what the fold does not test, see ``stratify``.

    Args:
        records: In any order; the result does not depend on it.
        folds: How many.
        ratios: Parts for train, val and test; the first two share out what a fold does not test.
        seed: Of the order of the groups.
        groups: Group by micrograph name.
        joins: What ``source_groups`` joined, to say why there are so few groups.

    Returns:
        By name: train, val or test in the first, second, ... fold; test in exactly one of them.

    Raises:
        PreparationError: There are fewer groups than folds.
        UsageError: See ``check_folds``.
    """
    check_folds(folds, ratios)
    ordered = sorted(records, key=lambda each: each.name)
    contents = group_contents(ordered, groups)
    if len(contents) < folds:
        raise PreparationError(
            f"--folds {folds}: there {'is' if len(contents) == 1 else 'are'} "
            f"{counted(len(contents), 'source group')} ({shortened(sorted(contents))}), and a group stays in one fold"
            f"{f'; give --folds {len(contents)} or fewer' if len(contents) >= FEWEST_FOLDS else ''}. "
            f"{way_to_groups(ordered, joins, folds)}"
        )
    tested_in = stratify(contents, {str(fold): 1.0 for fold in range(folds)}, seed)
    parts: dict[str, list[str]] = {group: [] for group in contents}
    for fold in range(folds):
        rest = {group: content for group, content in contents.items() if tested_in[group] != str(fold)}
        part_of = stratify(rest, {"train": ratios[0], "val": ratios[1]}, seed, stream=fold + 1)
        for group in contents:
            parts[group].append(part_of.get(group, "test"))
    return {each.name: tuple(parts[groups[each.name]]) for each in ordered}


def write_folds_file(path: Path, parts: Mapping[str, Sequence[str]]) -> None:
    """Write what every micrograph is in each fold, sorted by name, atomically; same folds, same bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    folds = len(next(iter(parts.values())))
    writer.writerow((_NAME, *(f"{_COLUMN}{fold}" for fold in range(1, folds + 1))))
    writer.writerows((name, *parts[name]) for name in sorted(parts))
    write_text(path, text.getvalue())


def read_fold(path: Path, fold: int) -> dict[str, str]:
    """Train, val or test by micrograph name in one fold, counted from 1.

    Raises:
        DatasetError: The file is missing or has no such column.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return {row[_NAME]: row[f"{_COLUMN}{fold}"] for row in csv.DictReader(stream)}
    except (OSError, KeyError) as error:
        raise DatasetError(f"{path}: does not say what fold {fold} is ({error}); prepare the set again") from error
