from nanoseg_bench.leaderboard.build import build_tables
from nanoseg_bench.leaderboard.markdown import markdown_table
from nanoseg_bench.leaderboard.ranks import ranked_metric
from nanoseg_bench.leaderboard.set_remarks import fold_count, set_remarks, shown_column

LACKS = ("test: 3 source groups (below 5, intervals say little)", "val: shows no rod")


def folded(make_record, model, mean, pooled, **changes):
    scores = {"map_50_95": pooled, "map_50_95_agnostic": pooled, "confidence": 0.4}
    for suffix in ("", "_agnostic"):
        scores |= {f"map_50_95{suffix}_fold_mean": mean, f"map_50{suffix}_fold_mean": mean}
    values = {"folds": 5, "scores": scores, "confidence_source": "folds", "shortcomings": LACKS}
    return make_record(model, **{**values, **changes})


def test_the_mean_over_folds_ranks(make_record):
    samples = {"map_50_95_fold_mean": (0.55, 0.65), "map_50_fold_mean": (0.55, 0.65)}
    worse = {"map_50_95_fold_mean": (0.35, 0.45), "map_50_fold_mean": (0.35, 0.45)}
    records = [
        folded(make_record, "yolo11n", 0.4, 0.5, resampled=worse),
        folded(make_record, "b", 0.6, 0.3, resampled=samples),
    ]
    assert ranked_metric(records, "test") == "map_50_95_fold_mean"
    table = build_tables(records)["test"]
    assert list(table["model"]) == ["b", "yolo11n"]
    assert list(table["rank"]) == [1, 2]
    assert list(table["rank_hi"]) == [1, 2]
    assert table.loc[0, "difference"] == 0.2
    assert table.loc[0, "difference_lo"] == 0.2
    assert table.loc[0, "difference_map_50"] == 0.2


def test_a_class_less_model_and_one_from_outside_stand_in_their_order(make_record):
    blind = {"map_50_95_agnostic": 0.1, "map_50_95_agnostic_fold_mean": 0.5, "confidence": 0.4}
    outside = {"map_50_95": 0.45, "map_50_95_agnostic": 0.45}
    records = [
        folded(make_record, "a", 0.4, 0.4),
        folded(make_record, "otsu", None, None, scores=blind),
        make_record("person", scores=outside, external=True, confidence_source="declared"),
    ]
    table = build_tables(records)["test"]
    assert list(table["model"]) == ["otsu", "person", "a"]
    assert table.set_index("model").loc["person", "rank"] is None


def test_with_one_class_the_class_agnostic_mean_ranks(make_record):
    records = [folded(make_record, "a", 0.4, 0.4, classes=("p",))]
    assert ranked_metric(records, "test") == "map_50_95_agnostic_fold_mean"
    assert ranked_metric([make_record("a", 0.4, classes=("p",))], "test") == "map_50_95_agnostic"


def test_markdown_shows_what_ranks_and_what_the_split_cannot_carry(make_record):
    records = [
        folded(make_record, "a", 0.41, 0.2),
        folded(make_record, "b", 0.3, 0.1, status="failed", reason="fold 2: x"),
    ]
    text = markdown_table(records, build_tables(records)["test"])
    assert "| 1 | A (5-fold) | 0.410 | 0.410 |" in text
    assert "| B (failed: fold 2: x) |" in text
    below = text.split("\n\n")[-1].splitlines()
    assert below[0].startswith("5-fold cross-validation: ")
    assert below[1:] == ["What the split of this set cannot carry:", *(f"- {line}" for line in LACKS)]


def test_seeds_of_different_recipes_are_told(make_record):
    """As where a preset changed between the trainings of two seeds; a field that came since counts as its default."""
    one, other = {"model": "a", "learning_rate": 0.002}, {"model": "a", "learning_rate": 0.01, "judged_views": 1}
    records = [make_record("a", 0.5, recipe=one), make_record("a", 0.4, seed=1, recipe=other)]
    assert set_remarks([*records, make_record("a", seed=1, recipe=other, eval_set="ood")]) == [
        "A, preset quick, seeds 0 and 1: of different recipes (learning_rate 0.002 -> 0.01), and ranked by their mean; "
        "run all its seeds again."
    ]
    apart = [records[0], make_record("a", 0.4, preset="paper", recipe=other), make_record("b", 0.4, recipe=other)]
    assert set_remarks(apart) == []
    outside = make_record("a", 0.4, seed=2, recipe=other, external=True)
    same = make_record("a", 0.4, seed=1, recipe={**one, "judged_views": 1, "title": "Another title"})
    assert set_remarks([records[0], same, outside]) == []


def test_a_set_with_one_split_says_what_it_cannot_carry_and_nothing_else(make_record):
    assert set_remarks([make_record("a", 0.5)]) == []
    assert set_remarks([make_record("a", 0.5, shortcomings=LACKS)] * 2) == [
        "What the split of this set cannot carry:",
        *(f"- {line}" for line in LACKS),
    ]
    assert fold_count([make_record("a", 0.5)]) is None
    assert shown_column("map_50_95", None) == "map_50_95"
    assert shown_column("map_50_95", 5) == "map_50_95_fold_mean"
    assert shown_column("f1", 5) == "f1"
    table = build_tables([make_record("a", 0.5, shortcomings=LACKS)])["test"]
    assert table.loc[0, "shortcomings"] == " · ".join(LACKS)
