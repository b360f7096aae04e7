"""A sample as an Excel workbook: numbers with their units, what each column means, and how it was measured."""

import datetime
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from nanoseg_bench.measure.columns import COLUMNS, Column
from nanoseg_bench.measure.particles import counted
from nanoseg_bench.measure.statistics import STATISTICS
from nanoseg_bench.measure.uncertainty import Budget
from nanoseg_bench.report.distributions import distributions, notes_on
from nanoseg_bench.report.facts import facts_of
from nanoseg_bench.report.report_input import ReportInput
from nanoseg_bench.report.texts import one_line
from nanoseg_bench.report.uncertainty import factor_of, sentence_on

if TYPE_CHECKING:
    import xlsxwriter
    from xlsxwriter.worksheet import Worksheet

_WIDEST = 60


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet of statistics.

    Attributes:
        name: Of the sheet.
        head: Of its columns.
        rows: Texts, and numbers; NaN leaves a cell empty.
    """

    name: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | float]]


_MOST_ROWS = 2**20 - 1
"""Rows that Excel has below a head."""


def workbook_of(report: ReportInput) -> bytes:
    """The Excel workbook of a sample: the numbers of its Word report, and what they are of."""
    budget = report.statistics.budget
    facts = [
        *facts_of(report),
        ("Statistics", report.statistics.size.sentence),
        ("Distributions", notes_on(report.statistics)),
        *([] if budget is None else [("Uncertainty", sentence_on(budget))]),
        *(("Warning", sentence) for sentence in report.warnings),
    ]
    sheets = [*_summaries(report), *_uncertainty(budget), _micrographs(report)]
    return particle_workbook(report.particles, sheets, facts, report.made)


def _summaries(report: ReportInput) -> list[Sheet]:
    """The sheets of statistics: the distributions of the sample, and what ``samples.csv`` has of it."""
    statistics = report.statistics
    head = ["distribution", "particles"]
    for each in STATISTICS:
        head += [f"{each.heading} ({statistics.unit})" if each.of_unit else each.heading, "95 % from", "95 % to"]
    rows = []
    for name, summary in distributions(statistics).items():
        row: list[str | float] = [f"diameter, {name} distribution", summary.count]
        for each in STATISTICS:
            estimate = summary.estimates[each.name]
            row += [estimate.value, estimate.lo, estimate.hi]
        rows.append(row)
    by_group = statistics.by_group
    return [
        Sheet("Sample", head, rows),
        Sheet(
            "Classes" if statistics.groups_from == "class" else "Shapes",
            list(by_group.columns),
            by_group.values.tolist(),
        ),
    ]


def _uncertainty(budget: Budget | None) -> list[Sheet]:
    """The sheet of what the median is uncertain by, in the order of the Word report, and what it adds up to."""
    if budget is None:
        return []
    rows: list[Sequence[str | float]] = [
        *((each.name, each.standard_uncertainty, each.basis) for each in budget.components),
        ("combined", budget.combined, "root of the sum of the squares of what is known"),
        ("expanded", budget.expanded, factor_of(budget)),
    ]
    return [Sheet("Uncertainty", ("source", f"standard uncertainty ({budget.unit})", "basis"), rows)]


def _micrographs(report: ReportInput) -> Sheet:
    """The sheet that says which file each micrograph of the table is, and what its scale is."""
    numbers = counted(report.particles).groupby("image").size()
    rows: list[Sequence[str | float]] = [
        (
            image.name,
            image.shown_name,
            image.width,
            image.height,
            int(numbers.get(image.name, 0)),
            math.nan if image.nm_per_px is None else image.nm_per_px,
            image.scale_source,
            image.sha256,
        )
        for image in report.images
    ]
    head = ("image", "file", "width (px)", "height (px)", "particles", "scale (nm/px)", "scale from", "SHA-256")
    return Sheet("Micrographs", head, rows)


def particle_workbook(
    particles: pd.DataFrame,
    summaries: Sequence[Sheet],
    facts: Sequence[tuple[str, str]],
    made: datetime.datetime,
) -> bytes:
    """An .xlsx whose sheets are the particles, summaries, facts, and the meaning of the columns.

    Texts are written as texts, whatever they begin with: none becomes a formula.

    Args:
        particles: With the columns of ``measure.columns``.
        summaries: Sheets that come first.
        facts: Label and value of what is known of the analysis.
        made: Time that the file says.

    Of more particles than a sheet has rows, the first ones are there, and the sheet of facts says so.
    """
    import xlsxwriter

    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as workbook:
        workbook.set_properties({"created": made.astimezone(datetime.UTC).replace(tzinfo=None, microsecond=0)})
        formats = _Formats(workbook)
        for summary in summaries:
            _write_rows(workbook.add_worksheet(summary.name), summary.head, summary.rows, formats)
        _write_particles(workbook.add_worksheet("Particles"), particles, formats)
        meanings = [(column.name, column.heading, column.unit, column.meaning) for column in COLUMNS]
        meanings += [(statistic.name, statistic.heading, "", statistic.meaning) for statistic in STATISTICS]
        _write_rows(workbook.add_worksheet("Columns"), ("name", "heading", "unit", "meaning"), meanings, formats)
        if len(particles) > _MOST_ROWS:
            more = f"the first {_MOST_ROWS} of {len(particles)} rows, as many as a sheet has; the CSV file has all"
            facts = [*facts, ("Sheet Particles", more)]
        _write_rows(workbook.add_worksheet("Analysis"), ("what", "value"), facts, formats)
    return stream.getvalue()


class _Formats:
    """Of cells; a workbook has each once."""

    def __init__(self, workbook: "xlsxwriter.Workbook") -> None:
        self.head = workbook.add_format({"bold": True, "text_wrap": True, "valign": "top", "bottom": 1})
        self.wrapped = workbook.add_format({"text_wrap": True, "valign": "top"})
        self._workbook = workbook
        self._numbers: dict[int, Any] = {}

    def number(self, digits: int) -> Any:
        """Shows a number with digits after the point; the cell holds all."""
        if digits not in self._numbers:
            text = "0" if digits == 0 else f"0.{'0' * digits}"
            self._numbers[digits] = self._workbook.add_format({"num_format": text})
        return self._numbers[digits]


def _write_particles(sheet: "Worksheet", particles: pd.DataFrame, formats: _Formats) -> None:
    table = particles.head(_MOST_ROWS)
    columns = [column for column in COLUMNS if column.name in table.columns]
    for number, column in enumerate(columns):
        sheet.write_string(0, number, column.title, formats.head)
        sheet.set_column(number, number, _width(column))
        _write_column(sheet, number, column, table[column.name], formats)
    sheet.freeze_panes(1, 2)
    sheet.autofilter(0, 0, max(len(table), 1), len(columns) - 1)


def _write_column(sheet: "Worksheet", number: int, column: Column, values: pd.Series, formats: _Formats) -> None:
    form = formats.number(column.digits) if column.kind in ("number", "whole") else None
    for row, value in enumerate(values.tolist(), start=1):
        if value is None or value != value:
            continue
        if isinstance(value, str):
            sheet.write_string(row, number, one_line(value))
        elif isinstance(value, bool):
            sheet.write_boolean(row, number, value)
        else:
            sheet.write_number(row, number, value, form)


def _write_rows(
    sheet: "Worksheet", head: Sequence[str], rows: Sequence[Sequence[str | float]], formats: _Formats
) -> None:
    for number, text in enumerate(head):
        sheet.write_string(0, number, one_line(text), formats.head)
        widest = max([len(text), *(len(str(row[number])) for row in rows)])
        sheet.set_column(number, number, min(widest + 2, _WIDEST), formats.wrapped)
    for row, values in enumerate(rows, start=1):
        for number, value in enumerate(values):
            if isinstance(value, str):
                sheet.write_string(row, number, one_line(value))
            elif value == value:
                sheet.write_number(row, number, value)
    sheet.freeze_panes(1, 0)


def _width(column: Column) -> int:
    return {"text": 18, "whole": 9, "flag": 10, "number": 12}[column.kind]
