"""What a page shows of reviewed micrographs, ready for JSON: numbers, charts and outlines; NaN is None."""

import datetime
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from nanoseg_bench.annotations.instance import BY_HAND, Rle
from nanoseg_bench.drawing.colours import class_colours, css
from nanoseg_bench.measure.columns import column_of
from nanoseg_bench.measure.fits import better_fit
from nanoseg_bench.measure.particles import EXCLUSIONS, count_exclusions, counted
from nanoseg_bench.measure.resampling import Estimate
from nanoseg_bench.measure.sample import ALL, RESAMPLES, Summary, Unit
from nanoseg_bench.measure.statistics import STATISTICS
from nanoseg_bench.report.analysis.micrograph import AnalysedMicrograph
from nanoseg_bench.report.analysis.pooling import median_diameter
from nanoseg_bench.report.by_hand import is_removed
from nanoseg_bench.report.charts.style import class_colour
from nanoseg_bench.report.distributions import notes_on
from nanoseg_bench.report.grouping import group_of, groups_in_order
from nanoseg_bench.report.histogram import Histogram, make_histogram
from nanoseg_bench.report.report_input import Method, without_options
from nanoseg_bench.report.review.filters import Filters
from nanoseg_bench.report.review.geometry import MultiPolygon, outline_of
from nanoseg_bench.report.review.sample import ReviewedSample, make_sample
from nanoseg_bench.report.review.scale import LEFT_IN_PX
from nanoseg_bench.report.uncertainty import as_json

_SCATTERS = {"circularity_area": ("area", "circularity"), "aspect_ratio": ("diameter", "aspect_ratio")}
"""Quantities across and up, by the name of the chart."""

_AS_ANALYSED = Filters()

# Where nothing is known of what found the particles, and of a sample that no file is written of.
_NO_METHOD = Method(model="")
_NO_TIME = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def summary_of(analysed: AnalysedMicrograph) -> dict[str, Any]:
    """What a list of micrographs says of one.

    Args:
        analysed: Edited and rescaled or not.
    """
    image = analysed.image
    return {
        "width": image.width,
        "height": image.height,
        "particles": len(counted(analysed.table)),
        "unit": "px" if image.nm_per_px is None else "nm",
        "d50": median_diameter(analysed.table, image.nm_per_px, border_weighted=analysed.border == "weight"),
        "nm_per_px": image.nm_per_px,
        "scale_uncertainty": None if image.nm_per_px is None else analysed.scale.relative_uncertainty,
        "scale_sure": analysed.scale.is_sure,
        "edited": image.edited,
    }


def outlines_of(analysed: AnalysedMicrograph) -> list[MultiPolygon]:
    """All outlines, as a person can edit them, in the order of their numbers.

    Those of the model take a second for some hundreds; whoever shows a micrograph again and again keeps them.
    """
    return [outline_of(each.region) for each in analysed.image.instances]


def detail_of(analysed: AnalysedMicrograph, outlines: Sequence[MultiPolygon] | None = None) -> dict[str, Any]:
    """What a page shows of one micrograph, without ``summary_of``.

    Args:
        analysed: Edited and rescaled or not, without filters.
        outlines: ``outlines_of`` the same micrograph as the model left it, where they are known.

    Returns:
        ``bottom``, ``warnings``, ``scale``, and ``particles``: every outline that is kept, whatever counts, with its
        row of the table. ``confidence`` is that which a threshold applies to: None where a person answers for it.
    """
    image, scale, table = analysed.image, analysed.scale, analysed.table
    rows = _rows(table)
    removed = is_removed(table).tolist()
    known = outlines or ()
    particles = [
        {
            "number": number,
            "origin": instance.origin or "model",
            "label": instance.label,
            "shape": row["shape"],
            "confidence": None if instance.origin in BY_HAND else instance.score,
            "outline": known[number - 1]
            if number <= len(known) and isinstance(instance.region, Rle)
            else outline_of(instance.region),
            "on_mark": instance.on_mark,
            "removed": taken_out,
            "values": row,
        }
        for number, (instance, row, taken_out) in enumerate(zip(image.instances, rows, removed, strict=True), start=1)
    ]
    return {
        "bottom": image.bottom,
        "warnings": [without_options(sentence) for sentence in scale.warnings],
        "scale": {
            "nm_per_px": scale.nm_per_px,
            "used": image.nm_per_px,
            "source": scale.source,
            "sentence": image.scale_source,
            "confidence": scale.confidence,
            "is_sure": scale.is_sure,
            "left_in_px": image.scale_source == LEFT_IN_PX,
            "bar": None if scale.bar is None else list(scale.bar),
            "text": scale.text,
            "value_nm": scale.value_nm,
            "others": [
                {"bar": list(each.ends), "text": each.text, "value_nm": each.value_nm, "confidence": each.confidence}
                for each in scale.others
            ],
        },
        "particles": particles,
    }


def statistics_of(
    micrographs: Mapping[str, AnalysedMicrograph],
    filters: Filters = _AS_ANALYSED,
    *,
    method: Method = _NO_METHOD,
    classes: tuple[str, ...] = (),
    intervals: bool = False,
) -> dict[str, Any]:
    """The numbers of a sample, and what its charts are drawn from.

    Args:
        micrographs: By id, at least one; edited and rescaled, without filters.
        filters: Which particles count.
        method: What found them; what is known of its outlines belongs to the median's uncertainty.
        classes: Of the model, in the order of the colours.
        intervals: Whether statistics get 95 % intervals and the median its uncertainty, by bootstrap, which takes most
            of the time; all other numbers are the same without.

    Raises:
        MeasurementError: A diameter of the filters is in nm, and no micrograph has a scale.
    """
    reviewed = make_sample(
        micrographs,
        filters,
        method=method,
        made=_NO_TIME,
        classes=classes,
        resamples=RESAMPLES if intervals else 0,
    )
    report = reviewed.report
    statistics, particles = report.statistics, report.particles
    unit, size = statistics.unit, statistics.size
    groups = groups_in_order(particles, classes)
    shown = counted(particles)
    points = _Points(reviewed, shown, group_of(shown, statistics.groups_from), unit, groups)
    return {
        "unit": unit,
        "count": size.count,
        "images": size.images,
        "sentence": size.sentence if intervals else f"{size.subject}.",
        "filters": list(report.filters),
        "estimates": _estimates(size),
        "weightings": [
            {"name": each.weighting, "estimates": _estimates(each)}
            for each in (statistics.by_area, statistics.by_volume)
        ],
        "weightings_note": notes_on(statistics),
        "uncertainty": as_json(statistics.budget) if intervals and statistics.budget is not None else None,
        "groups": _groups(statistics.by_group, statistics.groups_from, groups, particles, unit),
        "groups_from": statistics.groups_from,
        "histogram": points.histogram("diameter", size),
        "aspect_ratios": points.histogram("aspect_ratio", least=1.0),
        "scatter": {name: points.scatter(*quantities) for name, quantities in _SCATTERS.items()},
        "curve": _rows(statistics.curve),
        "left_out": [
            {"reason": reason, "meaning": EXCLUSIONS[reason], "count": count}
            for reason, count in count_exclusions(particles).items()
        ],
        "warnings": list(report.warnings),
        "exclusions": _exclusions(reviewed),
    }


class _Points:
    """The particles that count, as charts show them: each by the id of its micrograph and its number."""

    def __init__(
        self, reviewed: ReviewedSample, shown: pd.DataFrame, group: pd.Series, unit: Unit, groups: Sequence[str]
    ) -> None:
        ids = {each.image.name: key for key, each in reviewed.members.items()}
        self._shown = shown
        self._group = group
        self._unit = unit
        self._groups = groups
        self._micrographs = [ids[name] for name in shown["image"]]

    def histogram(self, quantity: str, size: Summary | None = None, least: float = 0.0) -> dict[str, Any] | None:
        """Bins as Word shows them, and the particles in each; None without a value."""
        column = column_of(quantity, self._unit)
        values = self._shown[column.name].to_numpy(dtype=np.float64)
        measured = ~np.isnan(values)
        if not measured.any():
            return None
        bins = make_histogram(values[measured], least)
        # A value on an edge belongs to the bin above; a few may lie beyond the first or the last edge.
        place = np.searchsorted(bins.edges, values, side="right") - 1
        shown = measured & (place >= 0) & (place < len(bins.counts))
        members: list[list[list[Any]]] = [[] for _ in bins.counts]
        rows = zip(shown.tolist(), place.tolist(), self._micrographs, self._shown["particle"].tolist(), strict=True)
        for is_shown, bin_, micrograph, number in rows:
            if is_shown:
                members[bin_].append([micrograph, number])
        ordered = np.sort(values[measured])
        return {
            "column": column.name,
            "heading": column.heading,
            "unit": column.unit,
            "edges": bins.edges.tolist(),
            "middles": bins.middles.tolist(),
            "logarithmic": bins.is_logarithmic,
            "groups": [
                {"name": name, "counts": bins.count(values[measured & (self._group == name).to_numpy()]).tolist()}
                for name in self._groups
            ],
            "cumulative": (np.searchsorted(ordered, bins.edges, side="left") / ordered.size).tolist(),
            "particles": members,
            "not_shown": bins.not_shown(column.unit),
            "fit": None if size is None else _fit(size, bins, int(measured.sum())),
        }

    def scatter(self, across: str, up: str) -> dict[str, Any]:
        """A point for each particle that has both quantities."""
        x, y = (self._shown[column_of(each, self._unit).name].tolist() for each in (across, up))
        rows = zip(self._micrographs, self._shown["particle"].tolist(), x, y, self._group.tolist(), strict=True)
        points = [
            {"micrograph": micrograph, "number": number, "x": right, "y": high, "group": group}
            for micrograph, number, right, high, group in rows
            if right == right and high == high
        ]
        return {"x": across, "y": up, "points": points}


def _fit(size: Summary, bins: Histogram, count: int) -> dict[str, Any] | None:
    """The distribution that describes the sample better, as the numbers that it expects in the bins."""
    best = better_fit(size.fits)
    if best is None:
        return None
    expected = count * np.diff(best.cumulative(bins.edges))
    return {"name": best.name, "centre": best.centre, "width": best.width, "counts": expected.tolist()}


def _estimates(summary: Summary) -> list[dict[str, Any]]:
    return [
        {
            "name": each.name,
            "heading": each.heading,
            "meaning": each.meaning,
            "unit": summary.unit if each.of_unit else "",
            **_estimate(summary.estimates[each.name]),
        }
        for each in STATISTICS
    ]


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    return {"value": _number(estimate.value), "lo": _number(estimate.lo), "hi": _number(estimate.hi)}


def _groups(
    by_group: pd.DataFrame,
    groups_from: Literal["class", "shape"],
    groups: Sequence[str],
    particles: pd.DataFrame,
    unit: Unit,
) -> list[dict[str, Any]]:
    """All particles, then each group in the order of its colour, with every quantity that is worth a line.

    Those of which there is none, counted or not, are there for their colours' sake alone.
    """
    quantities: dict[str, list[dict[str, Any]]] = {}
    for row in by_group.to_dict("records"):
        column = column_of(row["quantity"], unit)
        quantities.setdefault(row[groups_from], []).append(
            {
                "quantity": row["quantity"],
                "heading": column.heading,
                "unit": column.unit,
                "count": row["count"],
                "estimates": {
                    each.name: {key: _number(row[f"{each.name}{end}"]) for key, end in _ENDS.items()}
                    for each in STATISTICS
                },
            }
        )
    colours = class_colours(groups)
    found = set(group_of(particles, groups_from))
    numbers = group_of(counted(particles), groups_from).value_counts()
    everything = {"name": ALL, "found": True, "count": int(numbers.sum()), "quantities": quantities.get(ALL, [])}
    return [
        everything,
        *(
            {
                "name": name,
                "found": name in found,
                "count": int(numbers.get(name, 0)),
                "colour": css(colours[name]),
                "chart_colour": f"#{class_colour(position)}",
                "quantities": quantities.get(name, []),
            }
            for position, name in enumerate(groups)
        ),
    ]


_ENDS = {"value": "", "lo": "_lo", "hi": "_hi"}


def _exclusions(reviewed: ReviewedSample) -> dict[str, dict[int, str]]:
    """Why particles do not count, by the id of the micrograph and their number."""
    found: dict[str, dict[int, str]] = {}
    for key, each in reviewed.members.items():
        everywhere = reviewed.unscaled.get(key)
        of_each = zip(each.table["particle"].tolist(), each.table["exclusion"].tolist(), strict=True)
        reasons = {number: reason if isinstance(reason, str) else everywhere for number, reason in of_each}
        found[key] = {number: reason for number, reason in reasons.items() if reason is not None}
    return found


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    columns = [[None if value != value else value for value in table[name].tolist()] for name in table.columns]
    return [dict(zip(table.columns, values, strict=True)) for values in zip(*columns, strict=True)]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
