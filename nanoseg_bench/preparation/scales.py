"""The scale of each micrograph from a user's CSV."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.decimals import read_decimal
from nanoseg_bench.errors import PreparationError
from nanoseg_bench.images.scale import PLAUSIBLE_NM_PER_PX
from nanoseg_bench.preparation.name_table import NAME, NameTable, read_name_table, read_rows
from nanoseg_bench.preparation.survey import Named
from nanoseg_bench.wording import counted, shortened

NM_PER_PX = "nm_per_px"


@dataclass(frozen=True, slots=True)
class ScaleTable:
    """Nanometres per pixel by the names of a CSV, matched as ``NameTable`` says."""

    names: NameTable

    def lookup(self, record: Named) -> float | None:
        """The scale of a micrograph; None where no row fits it."""
        cell = self.names.lookup(record)
        return None if cell is None else read_decimal(cell)

    def check(self, records: Sequence[Named]) -> list[str]:
        """One sentence for the micrographs that have no row, and one for the rows that fit no micrograph.

        Raises:
            PreparationError: One row fits several micrographs.
        """
        without_row, unused = self.names.check(records)
        warnings = []
        if without_row:
            warnings.append(
                f"{self.names.path}: has no row for {len(without_row)} of {counted(len(records), 'image')}, whose "
                f"scale stays as their files give it: {shortened(without_row)}"
            )
        if unused:
            warnings.append(
                f"{self.names.path}: {counted(len(unused), 'name')} without an image: {shortened(unused)}; mend "
                "the table"
            )
        return warnings


def read_scale_table(path: Path) -> ScaleTable:
    """Read a CSV with the columns ``name`` and ``nm_per_px``, with decimal points or commas.

    Raises:
        PreparationError: The file cannot be read, lacks a column, or a value is no plausible scale.
    """
    # Checked line by line first: a fault is to be found in the file by its line.
    for line, (name, cell) in read_rows(path, (NAME, NM_PER_PX)):
        _parse(cell.strip(), f"{path}, line {line} ({name})")
    return ScaleTable(read_name_table(path, NM_PER_PX))


def _parse(cell: str, where: str) -> float:
    try:
        value = read_decimal(cell)
    except ValueError as error:
        raise PreparationError(
            f"{where}: {NM_PER_PX} is {cell!r}; {error}, the nanometres that one pixel spans"
        ) from error
    if not (math.isfinite(value) and value > 0):
        raise PreparationError(f"{where}: {NM_PER_PX} is {cell!r}; it must be above 0")
    if not PLAUSIBLE_NM_PER_PX[0] <= value <= PLAUSIBLE_NM_PER_PX[1]:
        raise PreparationError(
            f"{where}: {NM_PER_PX} is {cell!r}, which no electron microscope takes images at; give nanometres per "
            "pixel (1 µm per pixel is 1000; 2 pixels per nm are 0.5)"
        )
    return value
