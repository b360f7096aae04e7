"""Contenders whose records were scored for real, on two small images."""

from dataclasses import replace

import pytest

from nanoseg_bench.evaluation.scoring import evaluate, evaluate_ood
from nanoseg_bench.leaderboard.figures.contenders import read_contenders


@pytest.fixture
def scored(small_test, make_record, keep_records, tmp_path):
    """``scored(model, ...)`` keeps a record of its answer; ``missing`` of the four particles were not found."""
    eval_set, perfect = small_test

    def add(model, missing=0, seed=0, eval_set_name="test", **changes):
        images = {name: list(found) for name, found in perfect.images.items()}
        for name in ("a", "a", "b", "b")[:missing]:
            images[name].pop()
        judged, score = replace(eval_set, name=eval_set_name), evaluate if eval_set_name == "test" else evaluate_ood
        answer = replace(perfect, eval_set=eval_set_name, images=images)
        evaluation = score(judged, answer, 0.5, resamples=20)
        filled = {"scores": evaluation.scores, "resampled": evaluation.resampled, "details": evaluation.details}
        record = make_record(model, seed=seed, eval_set=eval_set_name, **{**filled, **changes})
        keep_records(tmp_path, record)
        return record

    return add


@pytest.fixture
def contenders(tmp_path):
    """The contenders of the records that were kept."""
    return lambda: read_contenders(tmp_path, "toy")


@pytest.fixture
def table():
    """A drawn figure's rows as dictionaries, with numbers as they are."""
    return lambda drawn: [dict(zip(drawn.columns, row, strict=True)) for row in drawn.rows]
