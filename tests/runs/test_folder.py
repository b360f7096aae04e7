"""What a run's folder says of its own training; ``test_claim`` and ``test_runner`` have it worked in."""

import pytest

from nanoseg_bench.errors import ModelError
from nanoseg_bench.models.base import FitReport
from nanoseg_bench.runs.facts import MadeBy
from nanoseg_bench.runs.folder import RunFolder


def finish(run, checkpoint):
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.write_bytes(b"weights")
    run.write_fit(FitReport(checkpoint), None, MadeBy.now())


def test_weights_of_any_name_are_found_again_when_the_folder_has_moved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = RunFolder(tmp_path.joinpath("runs", "run").relative_to(tmp_path))
    finish(run, tmp_path / "runs" / "run" / "net.bin")  # absolute, where the folder is not
    run.path.rename("moved")
    assert RunFolder(tmp_path / "moved").has_weights()


def test_weights_that_nobody_would_find_again_are_refused(tmp_path):
    run = RunFolder(tmp_path / "run")
    for elsewhere in (run.path / "checkpoints" / "net.bin", tmp_path / "net.bin"):
        with pytest.raises(
            ModelError, match=r"net\.bin: .*must lie in the run's folder itself; write \S+run.net\.bin$"
        ):
            finish(run, elsewhere)
        assert not run.is_fitted
