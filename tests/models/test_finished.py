"""Whether a finished model lies at a path is told by its files alone."""

import pytest

from nanoseg_bench.errors import ModelError
from nanoseg_bench.models.finished import require_finished


@pytest.mark.parametrize("name", ["weights.safetensors", "fit.json"])
def test_a_finished_run_is_one_with_weights_or_with_the_report_of_a_training_that_left_none(tmp_path, name):
    (tmp_path / name).touch()
    require_finished(tmp_path)
    (tmp_path / name).rename(tmp_path / "other")
    with pytest.raises(ModelError, match=r"holds no weights\.safetensors"):
        require_finished(tmp_path)


def test_a_pickle_is_taken_where_it_is_trusted(tmp_path):
    (tmp_path / "best.pt").touch()
    require_finished(tmp_path / "best.pt")
    with pytest.raises(ModelError, match=r"best\.pt: a \.pt is a pickle.*--trust-pickle"):
        require_finished(tmp_path / "best.pt", trust_pickle=False)
