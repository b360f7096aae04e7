"""A drawn figure and the numbers behind it, and how both become files: same input, same bytes."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nanoseg_bench.errors import NanosegError
from nanoseg_bench.files import atomic_path, unwritable, write_text

FORMATS = ("png", "svg", "pdf")

_DPI = 300
# What would put a date or a clock into the file.
_METADATA: dict[str, dict[str, None]] = {
    "png": {},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}


class NothingToDrawError(NanosegError):
    """What a figure needs is not there; the message says what, and how to get it."""


@dataclass(frozen=True, eq=False, slots=True)
class Drawn:
    """One figure.

    Attributes:
        name: Stem of its files.
        figure: Made without pyplot.
        columns: Of the CSV.
        rows: Of the CSV, one value per column; None is an empty cell. Numbers are as exact as in the records.
        notes: What was left out and why, one sentence each.
        arrays: Maps behind the figure by name, for an ``.npz`` beside the CSV.
    """

    name: str
    figure: Figure
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    notes: tuple[str, ...] = ()
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def write_drawn(drawn: Drawn, folder: Path, file_format: str) -> list[Path]:
    """Write the figure and what lies behind it, each atomically.

    Call it within the ``figure_style`` that the figure was drawn in.

    Args:
        drawn: The figure.
        folder: Made where it is missing.
        file_format: One of ``FORMATS``.

    Returns:
        The files, the figure first.

    Raises:
        NanosegError: The folder cannot be written.
    """
    picture, table = folder / f"{drawn.name}.{file_format}", folder / f"{drawn.name}.csv"
    paths = [picture, table]
    try:
        with atomic_path(picture) as temporary:
            drawn.figure.savefig(temporary, dpi=_DPI, metadata=_METADATA[file_format])
        write_text(table, _csv(drawn))
        if drawn.arrays:
            paths.append(folder / f"{drawn.name}.npz")
            with atomic_path(paths[-1]) as temporary:
                arrays: dict[str, Any] = dict(drawn.arrays)
                np.savez_compressed(temporary, **arrays)
    except OSError as error:
        raise unwritable(folder, error, "--out") from error
    return paths


def _csv(drawn: Drawn) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(drawn.columns)
    writer.writerows(drawn.rows)
    return text.getvalue()
