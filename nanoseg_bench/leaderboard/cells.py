"""How values are written in the cells of a table."""

import math

import pandas as pd

from nanoseg_bench.leaderboard.columns import WHOLE_NUMBERS

DIGITS = 6
"""After the decimal point: more than anybody can use, and few enough that rounding errors do not show."""


def cell(column: str, value: object) -> object:
    """A value as a table holds it; None and NaN are empty, numbers are rounded.

    Args:
        column: Decides whether a number is whole.
        value: Text, number or None.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, int | float):
        return value
    if not math.isfinite(value):
        return None
    # Pandas would turn a column of integers with one empty cell into floats: 3.0 parameters.
    return int(value) if column in WHOLE_NUMBERS else round(value, DIGITS)


def frame(rows: list[dict[str, object]], columns: tuple[str, ...]) -> pd.DataFrame:
    """Rows as a table with these columns; what a row lacks is empty."""
    cells = [{name: cell(name, row.get(name)) for name in columns} for row in rows]
    # As objects, since pandas would write whole numbers beside empty cells as floats.
    return pd.DataFrame(cells, columns=list(columns), dtype=object)


def csv_text(table: pd.DataFrame) -> str:
    """The table as a CSV file; same table, same text."""
    return str(table.to_csv(index=False, lineterminator="\n"))
