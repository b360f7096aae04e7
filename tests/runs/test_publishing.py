"""What is published beside the records is enough to score them again, and no more."""

import shutil

import pytest

from nanoseg_bench.cli import main
from nanoseg_bench.errors import PublishingError
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.publishing import publish_runs

pytestmark = pytest.mark.usefixtures("runs_in_this_process")

ROW = "otsu-smoke-seed0"


@pytest.fixture(scope="module")
def bench(tiny_set, tmp_path_factory):
    """A row on test and on ood, from one run."""
    root = tmp_path_factory.mktemp("bench")
    places = ["--runs", str(root / "runs"), "--leaderboards", str(root / "boards"), "--device", "cpu"]
    assert main(["run", str(tiny_set), "--preset", "smoke", "--models", "otsu", *places]) == 0
    return root


@pytest.fixture
def own(bench, tmp_path):
    return shutil.copytree(bench, tmp_path / "own")


def name_of(data):
    return PreparedSet(data).name


def publish(data, root):
    return publish_runs(root / "boards", name_of(data), root / "runs")


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_published_row_can_be_scored_again_without_its_run(tiny_set, own, capsys):
    boards, name = own / "boards", name_of(tiny_set)
    assert main(["leaderboard", name, "--publish", "--leaderboards", str(boards), "--runs", str(own / "runs")]) == 0
    published = boards / "predictions" / name / ROW
    assert capsys.readouterr().out.splitlines() == [str(published)]
    predictions = {
        f"predictions/{each}.{kind}" for each in ("val", "test", "ood") for kind in ("json.gz", "made-from.json")
    }
    assert set(files(published)) == {"run.json", "fit.json", *predictions}
    run = files(own / "runs" / ROW)
    assert all(run[path] == data for path, data in files(published).items())
    shutil.rmtree(own / "runs")
    assert main(["score", str(published), "--data", str(tiny_set), "--leaderboards", str(boards), "--check"]) == 0
    # Again, on a machine without the runs.
    before = files(boards)
    assert publish(tiny_set, own) == [published]
    assert files(boards) == before


def test_what_has_no_row_any_more_goes_and_nothing_else(tiny_set, own):
    (published,) = publish(tiny_set, own)
    stale = published.with_name("unet-smoke-seed0")
    shutil.copytree(published, stale)
    (published / "predictions" / "robustness").mkdir()
    (published / "predictions" / "robustness" / "blur-1.json.gz").write_bytes(b"of an earlier record")
    notes = published.parent / "notes"
    notes.mkdir()
    assert publish(tiny_set, own) == [published]
    assert not stale.exists() and notes.is_dir()
    assert not [path for path in files(published) if "robustness" in path]


def test_what_a_run_does_not_keep_any_more_stays_published(tiny_set, own):
    """Predictions may be deleted to make room once they are published; the other records are still of the run."""
    (published,) = publish(tiny_set, own)
    before = files(published)
    for path in (own / "runs" / ROW / "predictions").glob("ood.*"):
        path.unlink()
    assert publish(tiny_set, own) == [published]
    assert files(published) == before


def test_other_predictions_than_the_record_says_are_refused(tiny_set, own):
    path = own / "runs" / ROW / "predictions" / "ood.json.gz"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(PublishingError, match=rf"{ROW}-ood.json: was scored from other predictions than .*{ROW} keeps"):
        publish(tiny_set, own)
    assert not (own / "boards" / "predictions").exists(), "nothing is published of the others either"


def test_a_row_without_its_run_is_refused(tiny_set, own):
    shutil.rmtree(own / "runs" / ROW)
    with pytest.raises(PublishingError, match=f"{ROW} is not there"):
        publish(tiny_set, own)


@pytest.mark.slow
def test_all_folds_of_a_row_are_published(tmp_path):
    data = tmp_path / "data"
    prepare = ["prepare", "--dataset", "nanosynth", "--easy", "--images", "30", "--size", "64", "--workers", "1"]
    assert main([*prepare, "--augment-copies", "0", "--folds", "3", "--out", str(data)]) == 0
    places = ["--runs", str(tmp_path / "runs"), "--leaderboards", str(tmp_path / "boards"), "--device", "cpu"]
    # The folds run side by side, and their row is made when all are done.
    assert main(["run", str(data), "--preset", "smoke", "--models", "otsu", "--jobs", "3", *places]) == 0
    published = publish(data, tmp_path)
    assert [path.name for path in published] == [f"{ROW}-fold{fold}" for fold in (1, 2, 3)]
    for path in published:
        assert (path / "fit.json").is_file() and (path / "predictions" / "val.json.gz").is_file()
    shutil.rmtree(tmp_path / "runs")
    score = ["score", str(published[0].parent), "--data", str(data), "--leaderboards", str(tmp_path / "boards")]
    assert main([*score, "--check"]) == 0
