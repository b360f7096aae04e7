"""Tables as CSV: the columns by their names, numbers in full, texts that no spreadsheet runs."""

import io
from pathlib import Path

import pandas as pd

from nanoseg_bench.files import write_text
from nanoseg_bench.report.texts import csv_text


def csv_of(table: pd.DataFrame) -> str:
    """A table as CSV in UTF-8: empty where nothing was measured, ``true`` and ``false`` for flags.

    ``pandas.read_csv`` gives back the same numbers. A text that a spreadsheet would run as a formula begins with an
    apostrophe.
    """
    safe = table.copy()
    for name in safe.columns:
        column = safe[name]
        if pd.api.types.is_bool_dtype(column.dtype):
            safe[name] = column.map({True: "true", False: "false"})
        elif not pd.api.types.is_numeric_dtype(column.dtype):
            safe[name] = [csv_text(value) if isinstance(value, str) else value for value in column]
    stream = io.StringIO()
    safe.rename(columns=lambda name: csv_text(str(name))).to_csv(stream, index=False, lineterminator="\n")
    return stream.getvalue()


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write ``csv_of`` a table, whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    write_text(path, csv_of(table))
