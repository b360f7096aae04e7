"""What the figures' CSV files hold is what stands in the records."""

import pytest

from nanoseg_bench.evaluation.result import Details
from nanoseg_bench.leaderboard.figures.bars import draw_bars
from nanoseg_bench.leaderboard.figures.confusion import draw_confusions
from nanoseg_bench.leaderboard.figures.curves import draw_curves
from nanoseg_bench.leaderboard.figures.drawn import NothingToDrawError
from nanoseg_bench.leaderboard.figures.robustness import draw_robustness
from nanoseg_bench.leaderboard.figures.sizes import draw_sizes

CLASSES = ("cube", "rod")


def test_bars(scored, contenders, table):
    records = {"nsyolo": scored("nsyolo", 1), "unet": scored("unet", 2)}
    rows = table(draw_bars(contenders(), CLASSES))
    assert {row["model"] for row in rows} == set(records)
    assert {"precision", "recall", "f1", "map_50_95", "map_50", "map_50_95_agnostic"} <= {row["metric"] for row in rows}
    for row in rows:
        scores = records[row["model"]].scores
        assert row["value"] == scores[row["metric"]]
        if row["metric"] == "map_50_95":
            assert (row["lo"], row["hi"]) == (scores["map_50_95_lo"], scores["map_50_95_hi"])


def test_bars_of_one_class_draw_its_ap_once(scored, contenders, table):
    scored("nsyolo")
    metrics = {row["metric"] for row in table(draw_bars(contenders(), ("particle",)))}
    assert "map_50_95_agnostic" in metrics and "map_50_95" not in metrics


def test_bars_say_what_was_not_measured(scored, contenders):
    scores = dict(scored("nsyolo").scores)
    scored("otsu", scores={**scores, "map_50": None})
    assert draw_bars(contenders(), CLASSES).notes == ("OTSU: not measured: map_50.",)


def test_confusion(scored, contenders, table):
    counts = scored("nsyolo", 1).details.confusion.counts
    rows = table(draw_confusions(contenders()))
    names = [*CLASSES, "background"]
    cells = {(row["truth"], row["predicted"]): row for row in rows}
    assert len(rows) == 9
    for row, truth in enumerate(names):
        for column, predicted in enumerate(names):
            assert cells[truth, predicted]["count"] == counts[row][column]
    # A rod of the four particles was not found.
    assert cells["rod", "rod"]["share_of_truth"] == 0.5
    assert cells["rod", "background"]["share_of_truth"] == 0.5
    assert all(cells["background", name]["share_of_truth"] is None for name in names)


def test_confusion_of_shapes_that_nobody_was_trained_on(scored, contenders, table):
    scored("nsyolo")
    scored("nsyolo", eval_set_name="ood")
    scored("unet")
    drawn = draw_confusions(contenders(), "ood")
    assert drawn.name == "confusion-ood"
    assert {row["model"] for row in table(drawn)} == {"nsyolo"}
    assert drawn.notes == ("Without UNET: no confusion matrix in their records.",)


def test_curves(scored, contenders, table):
    details = scored("nsyolo", 1).details
    rows = table(draw_curves(contenders()))
    expected = {
        "precision_against_recall": details.precision_at_recall,
        "precision": details.by_confidence.precision,
        "recall": details.by_confidence.recall,
        "f1": details.by_confidence.f1,
    }
    for name, values in expected.items():
        curve = [row for row in rows if row["curve"] == name]
        assert [row["y"] for row in curve] == list(values)
        assert [row["x"] for row in curve] == pytest.approx([number / 100 for number in range(101)])
        assert {row["operating_point"] for row in curve} == {0.5}


def test_curves_of_folds_say_that_they_pool(scored, contenders):
    scored("nsyolo", 1)
    assert draw_curves(contenders()).notes == ()
    scored("unet", 1, folds=5)
    (note,) = draw_curves(contenders()).notes
    assert note.startswith("Detections of all folds are sorted together")


def test_sizes(scored, contenders, table):
    details = scored("nsyolo", 1).details
    drawn = draw_sizes(contenders())
    rows = table(drawn)
    assert {each.unit for each in details.diameters} == {"px", "nm"}
    for diameters in details.diameters:
        shown = [row for row in rows if row["unit"] == diameters.unit]
        assert [row["percentile"] for row in shown] == list(range(101))
        assert [row["diameter_truth"] for row in shown] == list(diameters.truth)
        assert [row["diameter_predicted"] for row in shown] == list(diameters.predicted)
    # The scale of one of the two images is not known: nanometres would show half of the particles.
    assert [axes.get_xlabel() for axes in drawn.figure.axes] == ["equivalent diameter, px"]


def test_robustness(scored, contenders, make_record, keep_records, tmp_path, table):
    scored("nsyolo")
    scored("unet")
    blur = tuple({"map_50_95_agnostic": value} for value in (0.5, 0.4, 0.3, 0.2, 0.1))
    scores = {"map_50_95_agnostic_clean": 0.6, "map_50_95_agnostic_corrupted": 0.3, "degradation": 0.5}
    robust = {"eval_set": "robustness", "scores": scores, "details": Details(corruptions={"gaussian-blur": blur})}
    keep_records(tmp_path, make_record("nsyolo", **robust))
    drawn = draw_robustness(contenders())
    shown = [(row["corruption"], row["severity"], row["map_50_95_agnostic"]) for row in table(drawn)]
    expected = enumerate((0.6, 0.5, 0.4, 0.3, 0.2, 0.1))
    assert shown == [("gaussian-blur", severity, value) for severity, value in expected]
    assert drawn.notes == ("Without UNET: not scored on corrupted images.",)
    keep_records(tmp_path, make_record("unet", images=40, **robust))
    (note,) = draw_robustness(contenders()).notes
    assert note == "Judged on different numbers of images, so lines do not compare: NSYOLO: 3; UNET: 40."


@pytest.mark.parametrize(
    ("draw", "reason"),
    [
        (lambda contenders: draw_bars(contenders, CLASSES), "no metric"),
        (draw_confusions, "confusion matrix"),
        (lambda contenders: draw_confusions(contenders, "ood"), "'ood'"),
        (draw_curves, "curves"),
        (draw_sizes, "diameters"),
        (draw_robustness, "'robustness'"),
    ],
)
def test_nothing_to_draw_says_what_is_missing(make_record, keep_records, tmp_path, contenders, draw, reason):
    keep_records(tmp_path, make_record("unet", 0.5, scores={}))
    with pytest.raises(NothingToDrawError, match=reason):
        draw(contenders())
