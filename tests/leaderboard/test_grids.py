import numpy as np
import pytest

from nanoseg_bench.evaluation.result import ClassResult, Confusion, Details
from nanoseg_bench.leaderboard.build import build_tables
from nanoseg_bench.leaderboard.entries import build_entries
from nanoseg_bench.leaderboard.grids import (
    BAD,
    GOOD,
    class_grid,
    confusion_grid,
    contrast,
    modality_grid,
    ood_grid,
    robustness_grid,
    shade,
)
from nanoseg_bench.leaderboard.palette import model_looks


def entries(records, eval_set="test"):
    table = build_tables(records)[eval_set]
    return build_entries(records, table, eval_set, model_looks(table["model"]))


def texts(grid):
    return {entry.record.model: [cell.text for cell in cells] for entry, cells in grid.rows}


def ap(value, particles):
    return ClassResult(map_50_95=value, map_50=value, map_75=value, instances_truth=particles, precision_at_recall=())


@pytest.mark.parametrize("end", [GOOD, BAD])
def test_numbers_are_readable_on_every_shade(end):
    assert shade(-1, end).ground == "#ffffff" and shade(2, end).ground == end
    for share in np.linspace(0, 1, 101):
        cell = shade(share, end)
        assert contrast(cell.ink, cell.ground) >= 4.5, share


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_classes_with_empty_cells_for_who_knows_none(make_record):
    details = Details(classes={"cube": ap(0.5, 10), "rod": ap(0.25, 4)})
    grid = class_grid(entries([make_record("a", 0.4, details=details), make_record("otsu", None, agnostic=0.1)]))
    assert grid.headings == ("cube (10)", "rod (4)")
    assert texts(grid) == {"a": ["0.500", "0.250"], "otsu": ["", ""]}
    (_, (best, _)), _ = grid.rows
    assert best.shade.ground == GOOD and best.exact == "0.500000"


def test_one_class_needs_no_table(make_record):
    assert class_grid(entries([make_record("a", 0.4, details=Details(classes={"particle": ap(0.4, 3)}))])) is None
    assert class_grid(entries([make_record("a", 0.4)])) is None


def test_lattice_contrast_stands_beside_the_modalities_of_the_test_set(make_record):
    def details(name, score):
        return Details(modalities={name: {"images": 3, "map_50_95_agnostic": score, "f1": None}})

    test = make_record("a", 0.4, details=details("SE-SEM", 0.5))
    other = make_record("a", 0.1, seed=1, details=details("SE-SEM", 0.4))
    lattice = make_record("a", 0.1, eval_set="hrtem", details=details("HRTEM", 0.01))
    grid = modality_grid(entries([test, other]), [lattice])
    assert grid.headings == ("SE-SEM (3)", "HRTEM (3)")
    assert [[cell.text for cell in cells] for _, cells in grid.rows] == [["0.500", "0.010"], ["0.400", ""]]
    assert modality_grid(entries([make_record("a", 0.4)])) is None


def test_new_shapes_show_the_thresholds_that_were_measured(make_record):
    scores = {"detection_rate_triangle_25": 0.5, "detection_rate_triangle_50": 0.25, "detection_rate_25": 0.5}
    records = [make_record("a", eval_set="ood", scores=scores)]
    records.append(make_record("otsu", eval_set="ood", scores={"detection_rate": 0.7, "detection_rate_triangle": 0.7}))
    grid = ood_grid(entries(records, "ood"))
    assert grid.spans == (("triangle", 3), ("all shapes", 2))
    assert grid.headings == ("≥ 0.25", "≥ 0.5", "any score", "≥ 0.25", "any score")
    assert texts(grid) == {"a": ["50", "25", "", "50", ""], "otsu": ["", "", "70", "", "70"]}


def test_a_corruption_that_helps_is_a_negative_loss(make_record):
    scores = {"map_50_95_agnostic_clean": 0.5, "map_50_95_agnostic_corrupted": 0.4, "degradation": 0.2}
    scores |= {"degradation_shot_noise": -0.04, "degradation_blur": 0.4}
    grid = robustness_grid(entries([make_record("a", eval_set="robustness", scores=scores)], "robustness"))
    assert grid.headings == ("clean", "corrupted", "mean", "Gaussian blur", "Shot noise")
    assert texts(grid) == {"a": ["0.500", "0.400", "20", "40", "−4"]}
    assert grid.rows[0][1][-1].shade.ground == "#ffffff"
    assert [cell.below for cell in grid.rows[0][1]] == ["", "", "", "", ""]
    scores |= {"map_50_95_agnostic_corrupted_lo": 0.35, "map_50_95_agnostic_corrupted_hi": 0.44}
    scores |= {"degradation_lo": -0.02, "degradation_hi": 0.31}
    grid = robustness_grid(entries([make_record("a", eval_set="robustness", scores=scores)], "robustness"))
    assert [cell.below for cell in grid.rows[0][1]] == ["", "[0.350, 0.440]", "[−2, 31]", "", ""]
    numbers = {"a": 20, "b": 40}
    records = [make_record(each, eval_set="robustness", scores=scores, images=numbers[each]) for each in numbers]
    grid = robustness_grid(entries(records, "robustness"))
    assert {entry.record.model: cells[0].below for entry, cells in grid.rows} == {"a": "20 images", "b": "40 images"}


def test_confusion_with_background_and_shares_of_a_row(make_record):
    counts = ((6, 2, 2), (0, 0, 0), (1, 1234, 0))
    confusion = Confusion(truth=("cube", "rod"), predicted=("cube", "rod"), counts=counts)
    (entry,) = entries([make_record("a", 0.4, details=Details(confusion=confusion))])
    matrix = confusion_grid(entry)
    assert matrix.predicted == ("cube", "rod", "background")
    cells = {name: [(cell.text, cell.below) for cell in row] for name, row in matrix.rows}
    assert cells == {
        "cube": [("6", "60 %"), ("2", "20 %"), ("2", "20 %")],
        "rod": [("0", ""), ("0", ""), ("0", "")],
        "background": [("1", ""), ("1\u202f234", ""), ("", "")],
    }
    assert confusion_grid(entries([make_record("a", 0.4)])[0]) is None
