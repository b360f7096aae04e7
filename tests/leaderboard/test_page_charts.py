import numpy as np
import pytest

from nanoseg_bench.evaluation.result import ByConfidence, Details, Diameters, Reliability
from nanoseg_bench.leaderboard.build import build_tables
from nanoseg_bench.leaderboard.entries import build_entries, groups
from nanoseg_bench.leaderboard.page_charts import (
    f1_chart,
    precision_recall_chart,
    reliability_chart,
    severity_chart,
    size_chart,
)
from nanoseg_bench.leaderboard.page_sections import curve_sections, severity_charts
from nanoseg_bench.leaderboard.palette import model_looks

RISING = tuple(np.linspace(0, 1, 101).round(6).tolist())


def entries(*records, eval_set="test"):
    table = build_tables(records)[eval_set]
    return build_entries(records, table, eval_set, model_looks(table["model"]))


def lines(figure):
    return {line.get_gid(): line for line in figure.axes[0].get_lines()}


@pytest.fixture
def rows(make_record):
    details = Details(
        precision_at_recall=(*RISING[:100], None),
        by_confidence=ByConfidence(precision=RISING, recall=RISING, f1=RISING),
        reliability=Reliability(count=(0, 4, 1), confidence=(None, 0.15, 0.25), precision=(None, 0.5, 1.0)),
        diameters=(
            Diameters(
                unit="px",
                truth_count=5,
                predicted_count=3,
                truth=tuple(10 + 10 * share for share in RISING),
                predicted=tuple(20 + 10 * share for share in RISING),
            ),
        ),
    )
    scores = {"map_50_95": 0.5, "confidence": 0.3, "f1": 0.4}
    return entries(
        make_record("yolo11n", scores=scores, details=details),
        make_record("yolo11n", 0.4, seed=1, details=details),
        make_record("unet", 0.1),
    )


def test_lines_are_those_of_the_records(rows):
    drawn = lines(precision_recall_chart(rows))
    assert set(drawn) == {"row0-model-0", "row1-model-0"}  # U-Net has no curve
    x, y = drawn["row0-model-0"].get_data()
    assert np.allclose(x, RISING) and np.allclose(y[:100], RISING[:100]) and np.isnan(y[100])
    # Further seeds are paler, and the best lies on top.
    assert drawn["row0-model-0"].get_alpha() == 1 > drawn["row1-model-0"].get_alpha()
    assert list(drawn) == ["row1-model-0", "row0-model-0"]


def test_the_operating_point_is_a_dot(rows):
    drawn = lines(f1_chart(rows))
    assert set(drawn) == {"row0-model-0", "row1-model-0", "point-row0-model-0"}
    assert [values[0] for values in drawn["point-row0-model-0"].get_data()] == [0.3, 0.4]


def test_an_operating_point_beyond_the_axis_has_no_dot(rows):
    """A tool from outside may have scores up to 100, and what lies outside of a chart would be drawn over the page."""
    record = rows[0].record
    far = record.model_copy(update={"scores": {**record.scores, "confidence": 50.0}})
    assert set(lines(f1_chart(entries(far)))) == {"row0-model-0"}


def test_bins_without_detections_are_no_points(rows):
    drawn = lines(reliability_chart(rows))
    assert drawn["row0-model-0"].get_xdata().tolist() == [0.15, 0.25]
    assert drawn["row0-model-0"].get_ydata().tolist() == [0.5, 1.0]


def test_truth_stands_once_beside_the_models(rows):
    figure = size_chart(rows, "px")
    drawn = lines(figure)
    assert set(drawn) == {"row0-model-0", "row1-model-0", "truth"}
    assert drawn["truth"].get_xdata()[[0, 50, 100]].tolist() == [10, 15, 20]
    lowest, highest = figure.axes[0].get_xlim()
    assert 10 <= lowest < 10.5 and 29.5 < highest <= 30
    assert set(lines(size_chart(rows, "nm"))) == set()


def test_sections_hold_the_charts_that_have_lines(rows):
    (section,) = curve_sections(groups(rows))
    assert [chart.title for chart in section.curves] == [
        "Precision and recall", "F1 and confidence", "Reliability of the confidences",
    ]  # fmt: skip
    (sizes,) = section.sizes
    assert sizes.truth == (5, (11.0, 15.0, 19.0))
    assert [(entry.record.seed, count, values) for entry, count, values in sizes.rows] == [
        (0, 3, (21.0, 25.0, 29.0)),
        (1, 3, (21.0, 25.0, 29.0)),
    ]
    assert curve_sections(groups([rows[2]])) == []


def test_severities_begin_with_the_clean_images(make_record):
    corruptions = {"blur": tuple({"map_50_95_agnostic": value} for value in (0.4, 0.3, 0.2, 0.1, None))}
    scores = {"map_50_95_agnostic_clean": 0.42, "map_50_95_agnostic_corrupted": 0.2}
    record = make_record("a", eval_set="robustness", scores=scores, details=Details(corruptions=corruptions))
    found = entries(record, eval_set="robustness")
    (line,) = severity_chart(found, "blur", 0.5).axes[0].get_lines()
    assert line.get_ydata()[:5].tolist() == [0.42, 0.4, 0.3, 0.2, 0.1] and np.isnan(line.get_ydata()[5])
    assert [chart.title for chart in severity_charts(found)] == ["Gaussian blur"]
