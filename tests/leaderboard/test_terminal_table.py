import re

import pytest
from rich.console import Console

from nanoseg_bench.leaderboard.build import build_tables
from nanoseg_bench.leaderboard.entries import csv_rows
from nanoseg_bench.leaderboard.terminal_table import build_terminal_tables, footnotes
from nanoseg_bench.runs.facts import Training

LONG = "YOLO11n-seg + C2PSA_BRA"
SCORES = {
    "map_50_95": 0.5, "map_50_95_lo": 0.4, "map_50_95_hi": 0.6, "map_50": 0.71, "map_50_95_agnostic": 0.55,
    "map_50_agnostic": 0.76, "precision": 0.81, "recall": 0.82, "f1": 0.83, "iou_matched": 0.84, "iou_pixel": 0.85,
    "count_error_relative": -0.123, "diameter_pair_error_bias": 0.0321, "diameter_pair_error_spread": 0.0987,
}  # fmt: skip
CLASS_LESS = {name: value for name, value in SCORES.items() if not name.startswith("map_50") or "agnostic" in name}


@pytest.fixture
def rows(make_record):
    def make(*records):
        return csv_rows(build_tables([*records], None)["test"])

    records = [make_record("yolo11n", scores=SCORES, title=LONG), make_record("otsu", scores=CLASS_LESS)]
    return lambda *more: make(*records, *more)


def lines(table, width):
    console = Console(width=width, no_color=True)
    with console.capture() as captured:
        console.print(table.table, crop=False)
    return captured.get().splitlines()


def test_eighty_columns_hold_the_scores_that_are_looked_at_first(rows):
    (table,) = build_terminal_tables(rows(), "test", 80)
    shown = lines(table, 80)
    assert table.title == "preset quick, from scratch, seed 0"
    assert max(map(len, shown)) <= 80
    assert re.split(r"\s{2,}", shown[0].strip()) == ["rank", "model", "AP", "AP any", "F1", "size error %"]
    text = "\n".join(shown)
    assert "0.500 [0.400, 0.600]" in text
    assert "+3.2 ± 9.9" in text
    assert "…" not in text


def test_an_error_that_rounds_to_zero_has_no_sign(make_record):
    scores = {**SCORES, "count_error_relative": 0.0004, "diameter_pair_error_bias": -0.0002}
    (table,) = build_terminal_tables(csv_rows(build_tables([make_record("a", scores=scores)])["test"]), "test", 200)
    text = "\n".join(lines(table, 200))
    assert " 0.0 ± 9.9" in text
    assert "-0.0" not in text and "+0.0" not in text


@pytest.mark.parametrize("width", [20, 45, 60, 80, 100, 130, 160, 250])
def test_no_number_is_cut_at_any_width(rows, width):
    (table,) = build_terminal_tables(rows(), "test", width)
    text = "\n".join(lines(table, width))
    assert "…" not in text
    assert text.count("0.500 [0.400, 0.600]") == 1


def test_a_wider_terminal_shows_what_a_narrower_one_does_and_more(rows):
    earlier = []
    for width in range(40, 260, 5):
        (table,) = build_terminal_tables(rows(), "test", width)
        headings = [str(column.header) for column in table.table.columns]
        assert [heading for heading in headings if heading in earlier] == earlier
        earlier = headings
    assert earlier[-5:] == ["IoU", "pixel IoU", "parameters", "training s", "images seen"]


def test_one_ap_where_both_are_one_number(make_record):
    same = {**SCORES, "map_50_95_agnostic": SCORES["map_50_95"]}
    records = [make_record("yolo11n", scores=same, classes=("particle",))]
    (table,) = build_terminal_tables(csv_rows(build_tables(records, None)["test"]), "test", 250)
    headings = [str(column.header) for column in table.table.columns]
    assert headings[2:4] == ["AP", "AP50"]
    assert "AP any" not in headings


def test_rows_that_do_not_compete_stand_apart_and_seeds_get_a_column(rows, make_record):
    more = rows(make_record("unet", scores=SCORES, preset="paper"), make_record("unet", scores=SCORES, seed=3))
    quick, paper = sorted(build_terminal_tables(more, "test", 80), key=lambda table: "paper" in table.title)
    assert quick.title == "preset quick, from scratch"
    assert paper.title == "preset paper, from scratch, seed 0"
    assert "seed" in [str(column.header) for column in quick.table.columns]
    assert "seed" not in [str(column.header) for column in paper.table.columns]


def test_rows_whose_trainings_saw_other_numbers_of_images_stand_apart_and_cost_is_shown(rows, make_record):
    training = Training(epochs=1, images_seen=28800, seconds=9000, core_seconds=9900.0, resumes=0, precision="bfloat16")
    tables = build_terminal_tables(rows(make_record("unet", scores=SCORES, training=training)), "test", 300)
    few, many = sorted(tables, key=lambda table: "28,800" in table.title)
    assert few.title == "preset quick, from scratch, seed 0, 8 training images seen"
    assert many.title == "preset quick, from scratch, seed 0, 28,800 training images seen"
    shown = {str(column.header): list(column.cells) for column in many.table.columns}
    assert [shown[name] for name in ("images seen", "core h", "precision")] == [["28,800"], ["2.75"], ["bfloat16"]]


def test_weights_of_one_name_are_named_once_in_a_title_with_their_hash(rows, make_record):
    weights = [f"weights.safetensors sha256:{digit * 64}" for digit in "ab"]
    records = [make_record(name, scores=SCORES, initial_weights=each) for name, each in zip("xy", weights, strict=True)]
    titles = sorted(table.title for table in build_terminal_tables(rows(*records), "test", 80))
    named = [title for title in titles if "weights" in title]
    assert named == [f"preset quick, seed 0, from weights.safetensors ({digit * 8}…)" for digit in "ab"]


def test_footnotes_name_rows_once_for_each_cause(rows, make_record):
    default = {"scores": {**SCORES, "confidence": 0.25}}
    failed = make_record("mask-rcnn", scores={}, status="failed", reason="[b]no memory[/b]")
    notes = footnotes(rows(failed, make_record("unet", **default)))
    assert notes == ["MASK-RCNN: failed: [b]no memory[/b]"]
    told = [{**row, "confidence_source": "default", "confidence": "0.25"} for row in rows()]
    told = [{**row, "confidence_reason": "2 groups"} for row in told]
    assert footnotes(told) == [f"{told[0]['title']}, {told[1]['title']}: at the default confidence, 0.25: 2 groups"]
    every = [{**told[0], "confidence": confidence} for confidence in ("0", "-5.5")]
    assert footnotes(every) == [f"{told[0]['title']}: at the default confidence, every particle: 2 groups"]
