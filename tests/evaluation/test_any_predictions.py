"""Whatever stands in a predictions file: it is refused, or scored."""

import gzip
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_documents import MANY, Limits, damaged, mutated, odd_values

from nanoseg_bench.errors import NanosegError
from nanoseg_bench.evaluation.predictions import read_predictions, write_predictions
from nanoseg_bench.evaluation.scoring import evaluate
from nanoseg_bench.evaluation.timing import Timing


@pytest.mark.parametrize("limits", [Limits(12), pytest.param(MANY, marks=pytest.mark.faults)], ids=["few", "many"])
def test_any_predictions(tmp_path, make_eval_set, make_predictions, make_truth, noisy, limits):
    rng = np.random.default_rng(0)
    truth = make_truth(rng, images=2, particles=3)
    eval_set, path = make_eval_set(truth), tmp_path / "test.json.gz"
    timing = Timing((3.0,) * 20, (1.0,) * 20, (1.0,) * 20, (1.0,) * 20, 0.5)
    write_predictions(path, make_predictions(eval_set, noisy(rng, truth), timing=timing))
    valid = path.read_bytes()
    document = json.loads(gzip.decompress(valid))

    def score():
        return evaluate(eval_set, read_predictions(path), 0.5, resamples=0).scores

    whole = score()
    assert np.isfinite(whole["f1"])

    @limits
    @given(
        st.one_of(
            mutated(document).map(gzip.compress),
            damaged(json.dumps(document).encode()).map(gzip.compress),
            damaged(valid),
            odd_values.map(lambda value: gzip.compress(json.dumps(value).encode("utf-8", "surrogatepass"))),
        )
    )
    def run(data):
        path.write_bytes(data)
        try:
            score()
        except NanosegError as error:
            assert str(error)

    run()
    path.write_bytes(valid)
    assert score() == whole


@pytest.mark.parametrize("counts", ["", "0", "é", "~~~~~~~~~~~~", "PPPPPPPPPPPP1", "_" * 50])
def test_a_mask_that_does_not_add_up_never_reaches_the_code_that_trusts_it(
    tmp_path, make_eval_set, make_predictions, make_truth, perfect, counts
):
    truth = make_truth(np.random.default_rng(0), images=2, particles=3)
    path = tmp_path / "test.json.gz"
    write_predictions(path, make_predictions(make_eval_set(truth), perfect(truth)))
    document = json.loads(gzip.decompress(path.read_bytes()))
    document["images"][1]["instances"][2]["counts"] = counts
    path.write_bytes(gzip.compress(json.dumps(document).encode("utf-8")))
    with pytest.raises(NanosegError, match="image 'image-1', particle 3: the runs of its mask do not add up"):
        read_predictions(path)
