"""Do the CSV files hold what the records give? A referee asks; nothing is written."""

import csv
import io
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path

from nanoseg_bench.leaderboard.build import TABLES, leaderboard_texts


def check_leaderboards(leaderboards: Path, set_name: str, reference: str | None = None) -> list[str]:
    """Build the tables of a prepared set's name in memory and compare bytes.

    Args:
        leaderboards: Folder of the records and the CSV files.
        set_name: Name of the prepared set.
        reference: That the files were made with.

    Returns:
        One sentence for each file that differs, with its first differing line and cell; none where all is well.

    Raises:
        RecordError: There are no records, or they do not belong in one table.
        UsageError: No ranked row is of the reference.
    """
    texts = leaderboard_texts(leaderboards, set_name, reference)
    return [fault for path, text in texts.items() if (fault := _fault(path, text))]


def stray_tables(leaderboards: Path, set_names: Iterable[str]) -> list[str]:
    """One sentence for each CSV file that belongs to none of the prepared sets with records."""
    known = {f"{set_name}-{table}.csv" for set_name in set_names for table in TABLES}
    return [_no_record(path) for path in sorted(leaderboards.glob("*.csv")) if path.name not in known]


def _fault(path: Path, expected: str | None) -> str:
    if expected is None:
        return _no_record(path) if path.is_file() else ""
    if not path.is_file():
        return f"{path}: is missing"
    found = path.read_bytes()
    if found == expected.encode("utf-8"):
        return ""
    return f"{path}, {_first_difference(found.decode('utf-8', errors='replace'), expected)}"


def _no_record(path: Path) -> str:
    return f"{path}: no record gives this table"


def _first_difference(found: str, expected: str) -> str:
    """Line and, where lines have the same cells but one, its column."""
    pairs = zip_longest(found.splitlines(keepends=True), expected.splitlines(keepends=True))
    number, (line, right) = next((number, pair) for number, pair in enumerate(pairs, start=1) if pair[0] != pair[1])
    if line is None:
        return f"line {number}: is missing"
    if right is None:
        return f"line {number}: is one too many"
    columns, cells, others = (next(csv.reader(io.StringIO(text))) for text in (expected, line, right))
    if number > 1 and len(cells) == len(others) == len(columns):
        for column, cell, other in zip(columns, cells, others, strict=True):
            if cell != other:
                return f"line {number}, column {column}: holds {cell!r}, the records give {other!r}"
    return f"line {number}: is not what the records give"
