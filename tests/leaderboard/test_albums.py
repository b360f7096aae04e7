import numpy as np

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import window_to_rle
from nanoseg_bench.evaluation.result import Details, ImageResult
from nanoseg_bench.leaderboard.albums import OUTLINES, build_albums, judge
from nanoseg_bench.leaderboard.build import build_tables
from nanoseg_bench.leaderboard.entries import build_entries
from nanoseg_bench.leaderboard.palette import model_looks

SIZE = (64, 48)


def block(x, label="p", score=None):
    return Instance(label, window_to_rle(np.ones((8, 10), bool), x, 12, 48, 64), score)


def test_what_became_of_truth_and_predictions():
    truth = [block(0), block(20), block(50, "ignore")]
    predicted = [block(1, score=0.9), block(35, score=0.8), block(20, score=0.1), block(50, score=0.9)]
    outlines = judge(predicted, truth, 0.5, SIZE)
    # Below the operating point nothing counts; what lies on an ignore region is neither right nor wrong.
    assert [each.label for each in outlines] == [
        "ignore", "truth, found", "truth, missed", "prediction, right", "prediction, wrong",
    ]  # fmt: skip
    assert set(OUTLINES) == {each.label for each in outlines} - {"ignore"}


def test_rows_without_kept_predictions_are_named(tmp_path, make_record):
    image = ImageResult(
        name="x", instances_truth=1, instances_predicted=1, f1=1, pq=1, diameter_median_error_relative=0
    )
    records = [make_record("a", 0.5, details=Details(images=(image,)), predictions_sha256="f" * 64)]
    table = build_tables(records)["test"]
    entries = build_entries(records, table, "test", model_looks(table["model"]))
    albums = build_albums(entries, None, tmp_path)
    assert albums.albums == ()
    assert albums.missing == "No predictions of A are at hand, so their images are not shown."
