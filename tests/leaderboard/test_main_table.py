from nanoseg_bench.leaderboard.build import build_tables
from nanoseg_bench.leaderboard.entries import build_entries
from nanoseg_bench.leaderboard.main_table import build_main_tables, rank_text
from nanoseg_bench.leaderboard.palette import model_looks
from nanoseg_bench.runs.facts import Training


def tables(*records, one_class=False):
    frame = build_tables(records)["test"]
    return build_main_tables(build_entries(records, frame, "test", model_looks(frame["model"])), one_class)


def table(*records, one_class=False):
    (only,) = tables(*records, one_class=one_class)
    return only


def cells(shown, model):
    (row,) = [each for entry, each in shown.rows if entry.record.model == model]
    return dict(zip([column.name for column, _ in shown.columns], row, strict=True))


def test_numbers_for_reading_with_those_of_the_csv_beside_them(make_record):
    scores = {"map_50_95": 0.41234567, "map_50_95_lo": 0.3, "map_50_95_hi": 0.5, "count_error_relative": -0.1234}
    scores |= {"diameter_w1_px": 1.5, "latency_ms_per_image": 1234.5}
    row = cells(table(make_record("a", scores=scores)), "a")
    assert (row["map_50_95"].text, row["map_50_95"].exact) == ("0.412", "0.412346")
    assert row["map_50_95"].interval == "0.300 – 0.500"
    assert row["count_error_relative"].text == "−12.3"
    assert row["parameters"].text == "2.84"
    assert row["latency_ms_per_image"].text == "1\u202f234"
    assert "diameter_w1_nm" not in row and "f1" not in row  # nobody has them


def test_what_rounds_to_zero_has_no_minus_sign(make_record):
    row = cells(table(make_record("a", scores={"map_50_95": 0.4, "count_error_relative": -0.0001})), "a")
    assert row["count_error_relative"].text == "+0.0"


def test_bars_lie_on_the_axis_of_their_column(make_record):
    def record(model, score):
        return make_record(model, scores={"map_50_95": score, "map_50_95_lo": score - 0.1, "map_50_95_hi": score + 0.1})

    shown = table(record("yolo11n", 0.3), record("a", 0.25))
    column, axis = shown.columns[0]
    assert (column.name, axis.low_text, axis.high_text, axis.zero) == ("map_50_95", "0", "0.4", None)
    bar = cells(shown, "yolo11n")["map_50_95"].bar
    assert (bar.lo, bar.value, bar.hi) == (50.0, 75.0, 100.0)


def test_differences_have_zero_on_their_axis_and_none_to_oneself(make_record):
    shown = table(make_record("yolo11n", 0.4), make_record("a", 0.2), make_record("b", 0.5))
    assert cells(shown, "yolo11n")["difference"].text == "reference"
    assert cells(shown, "yolo11n")["difference"].bar is None
    assert [cells(shown, model)["difference"].text for model in "ab"] == ["−0.200", "+0.100"]
    axis = {column.name: axis for column, axis in shown.columns}["difference"]
    assert (axis.low_text, axis.high_text, axis.zero) == ("−0.2", "0.1", 66.67)


def test_rows_that_do_not_compete_stand_in_tables_of_their_own(make_record):
    outside = make_record("c", 0.6, external=True, preset="external", seed=None)
    failed = make_record("b", status="failed", reason="no", scores={}, preset="paper")
    found = tables(make_record("a", 0.4), make_record("b", 0.5), make_record("a", 0.7, preset="paper"), outside, failed)
    assert [(each.name, [entry.record.model for entry, _ in each.rows]) for each in found] == [
        ("preset paper", ["a", "c", "b"]),
        ("preset quick", ["b", "a", "c"]),
    ]
    # One axis for all of them.
    assert found[0].columns == found[1].columns


def test_why_there_is_no_size_and_where_a_confidence_is_from(make_record):
    sizes = {"diameter_w1_px": 1.5, "diameter_median_error_relative": 0.01}
    good = make_record("a", scores={"map_50_95": 0.5, "recall": 0.9, "confidence": 0.4, **sizes})
    few = make_record("b", scores={"map_50_95": 0.1, "recall": 1 / 83, "confidence": 0.25}, confidence_source="default")
    shown = table(good, few)
    found, missed = cells(shown, "a"), cells(shown, "b")
    for name in sizes:
        assert (found[name].why, missed[name].text, missed[name].why) == ("", "", "recall < 0.5")
    assert (found["confidence"].text, found["confidence"].why) == ("0.400", "")
    assert (missed["confidence"].text, missed["confidence"].why) == ("0.250", "default")


def test_times_of_different_devices_stand_apart(make_record):
    scores = {"map_50_95": 0.5, "latency_ms_per_image": 10, "f1": 0.5}
    one, other = make_record("a", scores=scores), make_record("b", scores=scores, device="GPU")
    apart = cells(table(one, other), "a")
    assert [name for name, each in apart.items() if each.apart] == ["latency_ms_per_image", "training_seconds"]
    assert not any(each.apart for each in cells(table(one, make_record("b", scores=scores)), "a").values())


def test_what_a_training_cost_stands_together(make_record):
    training = Training(epochs=1, images_seen=72000, seconds=9, core_seconds=8100.0, resumes=0, precision="bfloat16")
    shown = table(make_record("a", 0.5, training=training))
    assert [column.name for column, _ in shown.columns][-2:] == ["training_core_seconds", "training_images_seen"]
    row = cells(shown, "a")
    assert (row["training_core_seconds"].text, row["training_core_seconds"].why) == ("2.25", "bfloat16")
    assert row["training_images_seen"].text == "72\u202f000"


def test_rows_of_one_preset_that_saw_other_numbers_of_images_stand_in_tables_of_their_own(make_record):
    few = Training(epochs=1, images_seen=28800, seconds=9, resumes=0)
    found = tables(make_record("a", 0.4), make_record("b", 0.5), make_record("unet", 0.6, training=few))
    assert [(each.name, [entry.record.model for entry, _ in each.rows]) for each in found] == [
        ("28,800 training images seen", ["unet"]),
        ("8 training images seen", ["b", "a"]),
    ]


def test_headings_say_what_is_pooled(make_record):
    scores = {"map_50_95": 0.5, "count_error_relative": 0.1, "count_error_image_typical": 0.2, "diameter_w1_px": 1.0}
    headings = {column.name: column.heading for column, _ in table(make_record("a", scores=scores)).columns}
    assert headings["count_error_relative"] == "count error, pooled"
    assert headings["count_error_image_typical"] == "count error, typical image"
    assert headings["diameter_w1_px"] == "W1, pooled"


def test_with_one_class_ap_stands_once(make_record):
    shown = table(make_record("a", 0.4, classes=("particle",)), one_class=True)
    assert [column.name for column, _ in shown.columns][:1] == ["map_50_95_agnostic"]


def test_a_failed_row_has_no_cells(make_record):
    shown = table(make_record("a", 0.4), make_record("b", status="failed", reason="no", scores={}))
    assert [(entry.record.model, bool(row)) for entry, row in shown.rows] == [("a", True), ("b", False)]


def test_ranks_that_the_data_leave_open():
    assert rank_text({"rank": "2", "rank_lo": "1", "rank_hi": "3"}) == "1–3"
    assert rank_text({"rank": "2", "rank_lo": "2", "rank_hi": "2"}) == "2"
    assert rank_text({"rank": "2", "rank_lo": "", "rank_hi": ""}) == "2"
    assert rank_text({"rank": ""}) == ""
