from nanoseg_bench.leaderboard.build import build_tables
from nanoseg_bench.leaderboard.markdown import markdown_table
from nanoseg_bench.runs.facts import Training


def lines(*records):
    text = markdown_table(records, build_tables(records)["test"])
    assert text.endswith("|\n") and "\n\n" not in text
    return text.splitlines()


def test_a_table_for_a_readme(make_record):
    scores = {"map_50_95_agnostic": 0.4567, "map_50_95_agnostic_lo": 0.4, "map_50_95_agnostic_hi": 0.5}
    scores |= {"map_50_agnostic": 0.7, "precision": 1.0, "latency_ms_per_image": 12.6}
    training = Training(epochs=2, images_seen=72000, seconds=1.26, core_seconds=8100.0, resumes=0)
    head, rule, row, failed = lines(
        make_record("a", scores=scores, classes=("p",), training=training),
        make_record("b", status="timeout", reason="9 m are over", scores={}, classes=("p",), training=None),
    )
    scored = "| rank | model | AP any [95 %] | AP50 any | P | R | F1 | pixel IoU"
    assert head == f"{scored} | ms/image | training s | images seen | core hours |"
    assert rule == "|---|---|---|---|---|---|---|---|---|---|---|---|"
    assert row == "| 1 | A | 0.457 [0.400, 0.500] | 0.700 | 1.000 |  |  |  | 13 | 1 | 72,000 | 2.25 |"
    assert failed == "|  | B (timeout: 9 m are over) |  |  |  |  |  |  |  |  |  |  |"


def test_columns_for_what_tells_rows_apart(make_record):
    outside = make_record("c", 0.9, external=True, preset="external", seed=None)
    head, _, *rows = lines(make_record("a", 0.5), make_record("a", 0.4, seed=1), outside)
    assert head.startswith("| rank | model | seed | AP any")
    assert [row.split(" | ")[1:3] for row in rows] == [["C (external)", ""], ["A", "0"], ["A", "1"]]


def test_presets_stand_in_tables_of_their_own(make_record):
    records = [make_record("a", 0.5), make_record("b", 0.4), make_record("a", 0.7, preset="paper")]
    text = markdown_table(records, build_tables(records)["test"])
    paper, quick = text.split("\n\n**preset quick**\n\n")
    assert paper.startswith("**preset paper**\n\n| rank | model | AP any")
    assert [line[:9] for line in paper.splitlines()[4:]] == ["| 1 | A |"]
    assert [line[:9] for line in quick.splitlines()[2:]] == ["| 1 | A |", "| 2 | B |"]


def test_below_several_tables_what_comes_from_outside_stands_once(make_record):
    outside = make_record("c", 0.6, external=True, preset="external", seed=None, training=None)
    records = [make_record("a", 0.5), make_record("a", 0.7, preset="paper"), outside]
    text = markdown_table(records, build_tables(records)["test"])
    paper, quick, last = text.split("\n\n**")
    assert paper.startswith("**preset paper**") and quick.startswith("preset quick**")
    assert text.count("C (external)") == last.count("C (external)") == 1
    assert last.startswith("predictions from outside**\n\n| model | AP any [95 %] |") and "core hours" not in last


def test_what_compares_with_no_other_row_says_so(make_record):
    default = make_record("b", 0.4, confidence_source="default", device="GPU")
    head, _, _, row = lines(make_record("a", 0.5), default)
    assert "| device |" in head and "| ms/image, own device | training s, own device |" in head
    assert head.endswith("| images seen | core hours, own device |")
    assert row.startswith("| 2 | B (default confidence) | GPU |")


def test_a_table_whose_rows_are_of_one_device_does_not_name_it(make_record):
    records = [make_record("a", 0.5), make_record("b", 0.4, device="GPU"), make_record("a", 0.7, preset="paper")]
    text = markdown_table(records, build_tables(records)["test"])
    paper, quick = text.split("\n\n**preset quick**\n\n")
    assert "device" not in paper and "| device |" in quick and "| ms/image, own device |" in quick


def test_names_cannot_break_the_table(make_record):
    head, _, row = lines(make_record("a", 0.5, title="x | y\n<b>\\"))
    assert row.startswith("| 1 | x \\| y &lt;b>\\\\ | 0.500")
    assert row.count(" | ") == head.count(" | ")
