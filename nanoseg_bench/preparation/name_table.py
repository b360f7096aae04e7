"""A user's CSV with one row per micrograph, and how its names are matched to micrographs."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.annotations.name_matching import normalised
from nanoseg_bench.errors import PreparationError
from nanoseg_bench.preparation.survey import Named
from nanoseg_bench.user_tables import separator_of
from nanoseg_bench.wording import counted, shortened

NAME = "name"
"""The column that says which micrograph a row is about."""


@dataclass(frozen=True, slots=True)
class NameTable:
    """One column of a CSV by the column ``name``.

    A name fits a micrograph when it is the micrograph's name, its last part, or one of these with the image's suffix,
    or the image's file name. The longer match wins.

    Attributes:
        path: The file.
        column: The other column.
        values: Cell by normalised name.
    """

    path: Path
    column: str
    values: dict[str, str]

    def find(self, record: Named) -> str | None:
        """The row's name that fits a micrograph; None where none does."""
        return next((name for name in _candidates(record) if name in self.values), None)

    def lookup(self, record: Named) -> str | None:
        """The cell of a micrograph; None where no row fits it."""
        name = self.find(record)
        return None if name is None else self.values[name]

    def check(self, records: Iterable[Named]) -> tuple[list[str], list[str]]:
        """(sorted names of micrographs without a row, sorted names of rows without a micrograph).

        Raises:
            PreparationError: One row fits several micrographs.
        """
        fits: dict[str, list[str]] = defaultdict(list)
        missing = []
        for record in records:
            name = self.find(record)
            if name is None:
                missing.append(record.name)
            else:
                fits[name].append(record.name)
        for name, micrographs in sorted(fits.items()):
            if len(micrographs) > 1:
                raise PreparationError(
                    f"{self.path}: {name!r} fits {len(micrographs)} images ({shortened(sorted(micrographs))}); write a "
                    "row with the full name for each of them"
                )
        return sorted(missing), sorted(set(self.values) - set(fits))


def read_name_table(path: Path, column: str) -> NameTable:
    """Read the columns ``name`` and ``column`` of a CSV; separators are commas, semicolons or tabs.

    A name may occur again with the same cell, as in tables of one row per particle.

    Raises:
        PreparationError: The file cannot be read, lacks a column, a cell is empty, or a name has two values.
    """
    values: dict[str, str] = {}
    for line, row in read_rows(path, (NAME, column)):
        name, value = normalised(row[0]), row[1].strip()
        if not name or not value:
            empty = column if name else NAME
            raise PreparationError(f"{path}, line {line}: {empty!r} is empty; fill it in, or delete the row")
        if values.setdefault(name, value) != value:
            raise PreparationError(
                f"{path}, line {line}: {row[0]!r} has the {column} {value!r} and, above, {values[name]!r}; keep one. "
                "Images of one file name in several folders need their full names (folder/name)"
            )
    return NameTable(path, column, values)


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Line number and the cells of ``columns``, for each row of a CSV that is not blank.

    Raises:
        PreparationError: The file cannot be read, lacks a column, or a row has other columns than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, delimiter=separator_of(stream))
            found = [cell.strip() for cell in next(reader, [])]
            lacking = [column for column in columns if column not in found]
            if lacking:
                raise PreparationError(
                    f"{path}: needs the columns {' and '.join(columns)}, has {', '.join(found) or 'none'}"
                )
            positions = [found.index(column) for column in columns]
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(found):
                    raise PreparationError(
                        f"{path}, line {reader.line_num}: {counted(len(cells), 'cell')} where the header has "
                        f"{len(found)}; put cells that hold the separator into quotes, and write decimals with a point"
                    )
                yield reader.line_num, [cells[position] for position in positions]
    except OSError as error:
        raise PreparationError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise PreparationError(f"{path}: not a CSV in UTF-8 ({error}); save it as 'CSV UTF-8'") from error


def _candidates(record: Named) -> tuple[str, ...]:
    last, suffix = record.name.rsplit("/", 1)[-1], record.image_path.suffix
    # The image's own name differs from the micrograph's where the annotation is named otherwise than its image.
    names = (record.name, record.name + suffix, last, last + suffix, record.image_path.name)
    return tuple(normalised(name) for name in names)
