from nanoseg_bench.leaderboard.build import build_tables
from nanoseg_bench.leaderboard.entries import build_entries, groups
from nanoseg_bench.leaderboard.palette import model_looks


def entries(*records):
    table = build_tables(records)["test"]
    return build_entries(records, table, "test", model_looks(table["model"]))


def test_rows_are_named_by_what_tells_them_apart(make_record):
    assert [entry.name for entry in entries(make_record("a", 0.3), make_record("b", 0.2))] == ["A", "B"]
    outside = make_record("c", 0.9, external=True, preset="external", seed=None)
    rows = entries(
        make_record("a", 0.5), make_record("a", 0.4, seed=None), make_record("a", 0.3, preset="paper"), outside
    )
    assert [entry.name for entry in rows] == [
        "A (preset quick, seed 0)",
        "A (preset quick, unseeded)",
        "A (preset paper, seed 0)",
        "C",
    ]


def test_the_first_seed_stands_for_its_model(make_record):
    rows = entries(make_record("a", 0.5, seed=2), make_record("a", 0.4, seed=1), make_record("a", 0.3, seed=None))
    assert [(entry.record.seed, entry.leads) for entry in rows] == [(2, False), (1, True), (None, False)]


def test_rows_that_compete_are_together_with_those_from_outside_beside_them(make_record):
    rows = entries(
        make_record("a", 0.5),
        make_record("b", 0.4),
        make_record("a", 0.6, preset="paper"),
        make_record("c", 0.9, external=True, preset="external", seed=None),
        make_record("d", status="failed", reason="no", scores={}),
    )
    found = {group.name: [entry.record.model for entry in group.entries] for group in groups(rows)}
    assert found == {"preset paper": ["a", "c"], "preset quick": ["a", "b", "c"]}
    assert [group.name for group in groups(entries(make_record("a", 0.5)))] == [""]
    outside = entries(make_record("c", 0.9, external=True))
    assert [[entry.record.model for entry in group.entries] for group in groups(outside)] == [["c"]]
    assert groups(entries(make_record("d", status="failed", reason="no", scores={}))) == []


def test_what_stands_above_a_group_is_not_said_again_of_its_rows(make_record):
    rows = entries(make_record("a", 0.5, seed=1), make_record("a", 0.4, seed=2), make_record("a", 0.6, preset="paper"))
    assert [entry.note for entry in rows] == ["preset paper, seed 0", "preset quick, seed 1", "preset quick, seed 2"]
    found = {group.name: [entry.note for entry in group.entries] for group in groups(rows)}
    assert found == {"preset paper": ["seed 0"], "preset quick": ["seed 1", "seed 2"]}


def test_weights_of_one_name_are_told_apart_by_their_hash(make_record):
    one, other = (f"weights.safetensors sha256:{digit * 64}" for digit in "ab")
    rows = entries(make_record("a", 0.5, initial_weights=one), make_record("b", 0.4, initial_weights=other))
    assert sorted(group.name for group in groups(rows)) == [
        "from weights.safetensors (aaaaaaaa…)",
        "from weights.safetensors (bbbbbbbb…)",
    ]
    assert {entry.note for group in groups(rows) for entry in group.entries} == {""}
    learnt = {"initial_training": "72,000 images of synthetic (0a1b2c3d) by cpu"}
    rows = entries(
        make_record("a", 0.5, initial_weights=one, **learnt),
        make_record("b", 0.4, initial_weights=other, **learnt),
        make_record("b", 0.3),
    )
    assert [(group.name, len(group.entries)) for group in groups(rows)] == [
        ("from 72,000 images of synthetic (0a1b2c3d) by cpu", 2),
        ("from scratch", 1),
    ]
    rows = entries(make_record("a", 0.5, initial_weights=one), make_record("b", 0.4))
    assert sorted(group.name for group in groups(rows)) == ["from scratch", "from weights.safetensors"]
