"""The particles one by one, or the first of them and where the others are."""

import pandas as pd

from nanoseg_bench.annotations.instance import BY_HAND
from nanoseg_bench.measure.columns import Column, column_of
from nanoseg_bench.report.by_hand import removed_numbers
from nanoseg_bench.report.word.page import Page
from nanoseg_bench.report.word.styles import SMALL_TABLE_TEXT, TABLE_NOTE, TEXT_WIDTH_MM
from nanoseg_bench.report.word.tables import TableColumn, add_table
from nanoseg_bench.wording import counted

MOST_ROWS = 150

_QUANTITIES = ("diameter", "feret_max", "feret_min", "aspect_ratio", "circularity", "confidence")


def write_appendix(page: Page, all_rows_in: str) -> None:
    """A table of the particles that count.

    Args:
        page: Where it goes.
        all_rows_in: Files that have all rows and columns, in words; empty where there are none.
    """
    table = page.counted
    shown = table.head(MOST_ROWS)
    page.heading("Particles")
    if shown.empty:
        page.text("No particle counts.")
        return
    which = f"The first {len(shown)} of {len(table)} particles" if len(shown) < len(table) else "All particles"
    elsewhere = (
        f" All quantities of all outlines, with the reason of each that is left out: {all_rows_in}."
        if all_rows_in
        else ""
    )
    page.captions.table(f"{which} that count.{elsewhere}")
    columns = [column_of(quantity, page.unit) for quantity in _QUANTITIES]
    several = table["image"].nunique() > 1
    by_hand = bool(shown["origin"].isin(BY_HAND).any())
    first = [
        *([TableColumn("Micrograph", 30)] if several else []),
        TableColumn("No.", 10, is_number=True),
        TableColumn("Class" if page.report.statistics.groups_from == "class" else "Shape", 22),
        *([TableColumn("By hand", 16)] if by_hand else []),
    ]
    room = TEXT_WIDTH_MM - sum(column.width_mm for column in first)
    width = min(room / len(columns), 18 if several else 22)
    rows = [
        [
            *([row["image"]] if several else []),
            str(row["particle"]),
            name,
            *([row["origin"] if row["origin"] in BY_HAND else ""] if by_hand else []),
            *(shown_value(row[column.name], column) for column in columns),
        ]
        for row, name in zip(shown.to_dict("records"), page.group_of(shown), strict=True)
    ]
    add_table(
        page.document,
        [*first, *(TableColumn(column.title, width, is_number=True) for column in columns)],
        rows,
        description=f"{counted(len(rows), 'particle')}, one per row.",
        text_style=SMALL_TABLE_TEXT,
    )
    removed = removed_numbers(page.report.particles)
    if removed:
        page.text(f"Removed by hand, and not in the table: {removed}.", TABLE_NOTE)


def shown_value(value: float, column: Column) -> str:
    """A number with the digits of its column; a dash where it was not measured."""
    return "–" if pd.isna(value) else f"{value:.{column.digits}f}"
