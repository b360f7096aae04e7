from nanoseg_bench.leaderboard.column_docs import metrics_table, with_metrics
from nanoseg_bench.resources import resource_dir


def test_the_readme_has_the_metrics_as_the_table_has_them():
    path = resource_dir("baselines").parent / "leaderboards" / "README.md"
    text = path.read_text(encoding="utf-8")
    assert text.count("<!-- metrics: ") == 8
    assert with_metrics(text) == text, f"run `python -m nanoseg_bench.leaderboard.column_docs {path}`"


def test_a_line_for_metrics_that_are_explained_together():
    lines = metrics_table(["counts"]).strip().splitlines()
    assert lines[:2] == ["| column | better | meaning |", "|---|---|---|"]
    assert lines[3] == (
        "| `count_error_absolute` | lower | mean over images of the absolute count error, in particles |"
    )
    assert lines[4].startswith("| `count_error_image_bias`, `count_error_image_typical` | near 0, lower | relative")
    assert len(lines) == 5


def test_only_what_stands_between_the_comments_is_written_anew():
    document = "# Mine\n\n<!-- metrics: protocol -->\nold\n<!-- end of metrics -->\n\n| `mine` | kept |\n"
    written = with_metrics(document)
    assert written.startswith("# Mine\n\n<!-- metrics: protocol -->\n") and written.endswith("\n\n| `mine` | kept |\n")
    assert "old" not in written and "| `max_detections` |  | predictions of one image" in written
    assert with_metrics(written) == written
