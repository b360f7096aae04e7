"""What is refused, kept or cleared before anything is trained."""

import json
import shutil
import subprocess
import sys

import pytest
from earlier_files import rewrite
from kept_records import read_records
from releases import make_release

from nanoseg_bench.errors import BusyError, DatasetError, NanosegError, OutOfReachError, RecordError, StorageError
from nanoseg_bench.models.base import Deadline
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.executors import OnThisMachine
from nanoseg_bench.runs.failure import Outcome, record_failure
from nanoseg_bench.runs.plan import Job, plan_runs
from nanoseg_bench.runs.record import read_record, record_path, write_record
from nanoseg_bench.runs.runner import BenchmarkFolders, run_plan
from nanoseg_bench.runs.scored import is_of
from nanoseg_bench.weights.release import KEY, TrainedOn

pytestmark = pytest.mark.usefixtures("runs_in_this_process")


@pytest.fixture(scope="module")
def prepared(rendered_set):
    return rendered_set


def places(prepared, root):
    return BenchmarkFolders(prepared.root, root / "runs", root / "boards")


def job(prepared, root):
    (spec,) = plan_runs(prepared, ["otsu"], "smoke", [0])
    return Job(spec, prepared.root, root / "runs" / spec.run_id, root / "boards", "cpu")


def fail(prepared, root, outcome):
    record_failure(job(prepared, root), outcome)


def failure_record(prepared, root, **changes):
    fail(prepared, root, Outcome("failed", "for the test"))
    path = record_path(root / "boards", prepared.name, job(prepared, root).spec.run_id, "test")
    write_record(path, read_record(path).model_copy(update=changes))
    return path


def run(prepared, root, seeds=(0,), executor=None, sharing=None, **changes):
    specs = plan_runs(prepared, ["otsu"], "smoke", seeds)
    return run_plan(specs, places(prepared, root), "cpu", Deadline(**changes), executor=executor, sharing=sharing)


class Noted:
    """Shares nothing, and notes what is asked of it."""

    def __init__(self, away=()):
        self.away = away
        self.ended = []

    def begin(self, spec):
        if spec.run_id in self.away:
            raise StorageError(f"{spec.run_id}: the network is away")
        return ""

    def end(self, spec, outcome):
        self.ended.append(spec.run_id)
        return outcome


ONE_BY_ONE_OR_BESIDE = pytest.mark.parametrize("jobs", [1, 2])


def executor_of(jobs):
    return OnThisMachine(jobs) if jobs > 1 else None


def test_a_failure_does_not_overwrite_a_good_row_of_the_same_inputs(prepared, tmp_path):
    path = failure_record(prepared, tmp_path, status="ok", reason="")
    fail(prepared, tmp_path, Outcome("oom", "later"))
    assert read_record(path).status == "ok"
    recipe = {**read_record(path).recipe, "learning_rate": 1.0}
    write_record(path, read_record(path).model_copy(update={"recipe": recipe}))
    fail(prepared, tmp_path, Outcome("oom", "later"))
    assert read_record(path).status == "oom", "the good row is of another recipe"


def test_what_went_wrong_stays_where_there_was_no_time_to_try_again(prepared, tmp_path):
    path = failure_record(prepared, tmp_path)
    run(prepared, tmp_path, at=0.0, limit="0s")
    assert (read_record(path).status, read_record(path).reason) == ("failed", "for the test")
    fail(prepared, tmp_path, Outcome("timeout", "later"))
    assert read_record(path).status == "timeout", "a new attempt replaces the old one"
    path.unlink()
    run(prepared, tmp_path, at=0.0, limit="0s")
    assert read_record(path).status == "skipped"


def test_temporary_files_of_a_killed_writer_are_no_records(prepared, tmp_path):
    path = failure_record(prepared, tmp_path)
    path.with_name(f".{path.stem}.abc.json").write_bytes(b"")
    assert len(read_records(tmp_path / "boards", prepared.name)) == 2  # test and ood


@pytest.mark.parametrize(("change", "score_helps"), [({"set_hash": "0" * 64}, False), ({"evaluator": "0"}, True)])
def test_stale_records_of_the_plan_are_replaced_and_others_refused(prepared, tmp_path, change, score_helps):
    path = failure_record(prepared, tmp_path, **change)
    other = path.with_name("unet-smoke-seed0-test.json")
    shutil.copy(path, other)
    before = path.read_bytes()
    with pytest.raises(RecordError, match="unet-smoke-seed0-test") as caught:
        run(prepared, tmp_path, at=0.0, limit="0s")
    assert ("`nanoseg-bench score" in str(caught.value)) == score_helps, "score refuses predictions for other content"
    assert path.read_bytes() == before, "what is refused removes nothing"
    other.unlink()
    assert run(prepared, tmp_path, at=0.0, limit="0s")["otsu-smoke-seed0"].status == "skipped"
    assert is_of(read_record(path), prepared)


def test_a_run_of_which_no_table_could_be_made_is_refused_before_training(prepared, tmp_path):
    """From weights of another training of the same images: the rows would differ in nothing that a table shows."""
    data = TrainedOn(set_name="rendered", set_hash="0a1b2c3d" + "0" * 56, dataset="", train=9, val=1, particles=90)
    release = make_release(images_seen=72000, trained_on=data).model_dump(mode="json")

    def weights(name):
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(name.encode())
        path.with_suffix(".json").write_text(json.dumps({KEY: release}), encoding="utf-8")
        return path

    def run_from(path, seed=0):
        specs = plan_runs(prepared, ["unet"], "smoke", [seed], path)
        return run_plan(specs, places(prepared, tmp_path), "cpu", Deadline(at=0.0, limit="0s"))

    first, second = weights("first"), weights("second")
    for _ in range(2):
        assert [each.status for each in run_from(first).values()] == ["skipped"]
    (row_id,) = run_from(second, seed=1)
    refused = row_id.replace("seed1", "seed0")
    with pytest.raises(RecordError, match=rf"is of the .* start that {refused} would be of.*give another --seeds"):
        run_from(second)
    assert not (tmp_path / "runs" / refused).exists()


def test_a_set_without_val_is_refused_before_training(prepared, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(prepared.root, copy)
    lines = (copy / "manifest.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (copy / "manifest.csv").write_text("".join(line for line in lines if ",val," not in line), encoding="utf-8")
    rewrite(copy / "prepared.json")
    with pytest.raises(DatasetError, match="no split 'val'"):
        run(PreparedSet(copy), tmp_path)


def test_a_folder_that_cannot_be_written_is_named_before_training(prepared, tmp_path):
    (tmp_path / "boards").write_text("a file, no folder")
    with pytest.raises(NanosegError, match="--leaderboards"):
        run(prepared, tmp_path)


def test_the_log_of_a_run_holds_the_traceback(prepared, tmp_path):
    assert run(prepared, tmp_path)["otsu-smoke-seed0"].status == "ok"
    folder = tmp_path / "runs" / "otsu-smoke-seed0"
    predictions = folder / "predictions" / "test.json.gz"
    predictions.unlink()
    predictions.mkdir()  # nothing that the package expects
    outcome = run(prepared, tmp_path)["otsu-smoke-seed0"]
    assert outcome.status == "failed"
    assert str(folder / "log.txt") in outcome.reason
    assert "Traceback (most recent call last)" in (folder / "log.txt").read_text(encoding="utf-8")


def test_a_damaged_set_is_told_by_its_file(prepared, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(prepared.root, copy)
    (copy / "truth" / "test.json").write_text(json.dumps({"images": 3}))
    outcome = run(PreparedSet(copy), tmp_path)["otsu-smoke-seed0"]
    assert outcome.status == "failed"
    assert "test.json" in outcome.reason


def test_a_run_that_another_command_works_on_is_refused_by_name(prepared, tmp_path):
    folder = tmp_path / "runs" / "otsu-smoke-seed0"
    code = (
        "import sys\nfrom pathlib import Path\nfrom nanoseg_bench.locks import hold\n"
        "with hold(Path(sys.argv[1]), wait=False):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        other.stdout.readline()
        with pytest.raises(BusyError, match=rf"otsu-smoke-seed0: another nanoseg-bench command \(process {other.pid}"):
            run(prepared, tmp_path, seeds=(0, 1))
        other.kill()
    (row,) = {each.seed: each.status for each in read_records(tmp_path / "boards", prepared.name)}.items()
    assert row == (1, "ok"), "the next one is none of its business"
    assert run(prepared, tmp_path)["otsu-smoke-seed0"].status == "ok", "killed, it is at work no more"


@ONE_BY_ONE_OR_BESIDE
def test_a_run_that_cannot_be_read_now_keeps_its_row_and_ends_no_other(prepared, tmp_path, jobs):
    """No later run of the plan was begun."""
    run(prepared, tmp_path, seeds=(0, 1))
    first, second = (tmp_path / "runs" / f"otsu-smoke-seed{seed}" for seed in (0, 1))
    row = record_path(tmp_path / "boards", prepared.name, first.name, "test")
    before = row.read_bytes()
    (first / "run.json").unlink()
    (first / "run.json").symlink_to("run.json")  # nobody can read that, root neither
    shutil.rmtree(second)
    sharing = Noted()
    with pytest.raises(OutOfReachError, match=r"otsu-smoke-seed0/run\.json: cannot be read now"):
        run(prepared, tmp_path, seeds=(0, 1), executor=executor_of(jobs), sharing=sharing)
    assert row.read_bytes() == before and (second / "run.json").is_file()
    assert sharing.ended == [first.name, second.name], "others need wait for neither"


@ONE_BY_ONE_OR_BESIDE
def test_a_run_that_cannot_be_fetched_ends_no_other(prepared, tmp_path, jobs):
    sharing = Noted(away=["otsu-smoke-seed0"])
    with pytest.raises(StorageError, match="otsu-smoke-seed0: the network is away"):
        run(prepared, tmp_path, seeds=(0, 1), executor=executor_of(jobs), sharing=sharing)
    assert {each.seed for each in read_records(tmp_path / "boards", prepared.name)} == {1}
    assert sharing.ended == ["otsu-smoke-seed1"]
