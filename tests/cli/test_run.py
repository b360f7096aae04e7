"""The main job for real: prepare, run, leaderboard through the command line."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import psutil
import pytest
from earlier_files import rewrite
from kept_records import read_records

from nanoseg_bench.cli import main
from nanoseg_bench.files import read_json, write_json
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.registry import ABLATION, BUILT_IN
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs import executors, job

SHORT = ("images_seen=8", "images_per_epoch=8", "canvas=64")


def run_arguments(data, root, *more):
    places = ["--runs", str(root / "runs"), "--leaderboards", str(root / "boards"), "--device", "cpu"]
    return ["run", str(data), "--preset", "smoke", *places, *more]


def records_of(data, root):
    return read_records(root / "boards", PreparedSet(data).name)


def test_otsu_from_predictions_to_leaderboard(tiny_set, tmp_path, capsys, monkeypatch):
    assert main(run_arguments(tiny_set, tmp_path, "--models", "otsu")) == 0
    name = PreparedSet(tiny_set).name
    table = pd.read_csv(tmp_path / "boards" / f"{name}-test.csv")
    assert list(table["model"]) == ["otsu"]
    assert table.loc[0, "status"] == "ok"
    assert table["map_50_95"].isna().all(), "Otsu knows no classes"
    assert 0.2 < table.loc[0, "map_50_agnostic"] <= 1
    assert 0.3 < table.loc[0, "iou_pixel"] <= 1
    ood = pd.read_csv(tmp_path / "boards" / f"{name}-ood.csv")
    assert 0 < ood.loc[0, "detection_rate_triangle"] <= 1
    shown = capsys.readouterr().out
    assert "Otsu" in shown
    assert f"nanoseg-bench predict MY_IMAGES --model {tmp_path / 'runs' / 'otsu-smoke-seed0'} " in shown
    assert "--final" not in shown

    boards = {path.name: path.read_bytes() for path in (tmp_path / "boards").rglob("*") if path.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr(executors, "_run_alone", lambda job_file: pytest.fail("a run that is up to date is begun"))
        assert main(run_arguments(tiny_set, tmp_path, "--models", "otsu")) == 0
    assert main(["leaderboard", "--leaderboards", str(tmp_path / "boards")]) == 0
    again = {path.name: path.read_bytes() for path in (tmp_path / "boards").rglob("*") if path.is_file()}
    assert again == boards


@pytest.mark.usefixtures("runs_in_this_process")
def test_an_operating_point_that_is_lost_or_damaged_is_chosen_again(tiny_set, tmp_path):
    command = run_arguments(tiny_set, tmp_path, "--models", "otsu")
    assert main(command) == 0
    point = tmp_path / "runs" / "otsu-smoke-seed0" / "operating_point.json"
    chosen, records = point.read_bytes(), records_of(tiny_set, tmp_path)
    for spoil in (point.unlink, lambda: point.write_bytes(chosen[:40])):
        spoil()
        assert main(command) == 0
        assert point.read_bytes() == chosen and records_of(tiny_set, tmp_path) == records


def test_an_unknown_model_is_a_usage_error_with_a_suggestion(tiny_set, tmp_path, capsys):
    assert main(run_arguments(tiny_set, tmp_path, "--models", "yolo12")) == 2
    message = capsys.readouterr().err
    assert "yolo12" in message
    assert "did you mean 'yolo11n'" in message
    assert not (tmp_path / "boards").exists()


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (("--time-limit", "soon"), "--time-limit soon"),
        (("--device", "cuda:99"), "device cuda:99: this machine shows"),
        (("--device", "98,99"), "device 98,99: this machine shows"),
        (("--seeds", "0", "-1"), "--seeds -1"),
        (("--weights", "nowhere.safetensors"), "nowhere.safetensors"),
    ],
)
def test_bad_flags_are_usage_errors(tiny_set, tmp_path, capsys, flags, part):
    assert main(run_arguments(tiny_set, tmp_path, "--models", "otsu", *flags)) == 2
    assert part in capsys.readouterr().err


def test_a_preset_that_goes_on_from_weights_is_not_begun_from_scratch_without_a_word(tiny_set, tmp_path, capsys):
    command = run_arguments(tiny_set, tmp_path, "--models", "nsyolo", "--preset", "fine", "--dry-run")
    assert main(command) == 0
    assert "warning: preset fine goes on from weights of preset cpu, and none are given" in capsys.readouterr().out
    assert main([*command, "--weights", "shipped"]) == 0
    assert "preset fine goes on" not in capsys.readouterr().out


def test_a_missing_set_and_a_missing_preset_say_what_to_do(tiny_set, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where no other sets lie
    assert main(run_arguments(tmp_path / "nothing", tmp_path, "--models", "otsu")) == 2
    assert "nanoseg-bench prepare" in capsys.readouterr().err
    arguments = run_arguments(tiny_set, tmp_path, "--models", "otsu", "--preset", "papr")
    assert main(arguments) == 2
    assert "no preset 'papr'; did you mean 'paper'?" in capsys.readouterr().err


def test_a_set_without_its_audit_is_refused(tiny_set, tmp_path, capsys):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(tiny_set, copy)
    (copy / "split_audit.json").unlink()
    assert main(run_arguments(copy, tmp_path, "--models", "otsu")) == 1
    assert "no split audit" in capsys.readouterr().err

    shutil.copy(tiny_set / "split_audit.json", copy)
    rewrite(copy / "split_audit.json", content_hash="0" * 64)
    assert main(run_arguments(copy, tmp_path, "--models", "otsu")) == 1
    assert "made for content" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_model_of_the_paper_gets_an_ok_row(tiny_set, tmp_path):
    assert main(run_arguments(tiny_set, tmp_path, "--models", "all", "--recipe", *SHORT)) == 0
    name = PreparedSet(tiny_set).name
    test = pd.read_csv(tmp_path / "boards" / f"{name}-test.csv")
    assert set(test["model"]) == set(BUILT_IN)
    assert set(test["status"]) == {"ok"}
    ablation = pd.read_csv(tmp_path / "boards" / f"{name}-ablation.csv")
    assert set(ablation["model"]) == set(ABLATION)
    trained = test[test["model"] != "otsu"]
    assert (trained["parameters"] > 1e6).all()
    assert (trained["training_images_seen"] > 0).all()


@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_one_budget_for_all(preset):
    recipes = {model: load_recipe(model, preset) for model in BUILT_IN if model != "otsu"}
    family = [recipe for model, recipe in recipes.items() if "yolo" in model or preset != "quick"]
    assert len({(recipe.images_seen, recipe.epochs) for recipe in family}) == 1
    # In quick the others get about the time of the YOLO networks, which is fewer images.
    others = [recipe for recipe in recipes.values() if recipe not in family]
    assert len({recipe.images_seen for recipe in others}) == (1 if preset == "quick" else 0)
    assert len({recipe.canvas for recipe in recipes.values()}) == 1


@pytest.mark.slow
def test_a_model_that_fails_is_a_row_and_the_others_go_on(tiny_set, tmp_path):
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(b"not weights")
    arguments = run_arguments(tiny_set, tmp_path, "--models", "unet", "otsu", "--weights", str(foreign))
    assert main(arguments) == 1
    status = {record.model: record for record in records_of(tiny_set, tmp_path) if record.eval_set == "test"}
    assert status["unet"].status == "failed"
    assert "foreign.safetensors" in status["unet"].reason
    assert status["otsu"].status == "ok"


@pytest.mark.slow
def test_a_time_limit_stops_with_a_checkpoint_and_the_same_command_goes_on(tiny_set, tmp_path, monkeypatch):
    def begun_late(job_file):
        """The hour has passed while the process started."""
        document = read_json(job_file)
        write_json(job_file, document | {"deadline": document["deadline"] | {"at": time.monotonic()}})
        return job.carry_out(job_file)

    assert main(run_arguments(tiny_set, tmp_path, "--models", "unet", "otsu", "--time-limit", "0.001s")) == 1
    assert {record.status for record in records_of(tiny_set, tmp_path)} == {"skipped"}
    with monkeypatch.context() as patch:
        patch.setattr(executors, "_run_alone", begun_late)
        assert main(run_arguments(tiny_set, tmp_path, "--models", "unet", "--time-limit", "1h")) == 1
    timed_out = next(record for record in records_of(tiny_set, tmp_path) if record.model == "unet")
    assert timed_out.status == "timeout"
    assert "1h" in timed_out.reason
    assert main(run_arguments(tiny_set, tmp_path, "--models", "unet")) == 0
    done = next(record for record in records_of(tiny_set, tmp_path) if record.model == "unet")
    assert done.status == "ok"
    assert done.training.resumes == 1


def start(arguments):
    command = [sys.executable, "-m", "nanoseg_bench", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for(condition, seconds=240):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("waited in vain")


@pytest.mark.faults
@pytest.mark.parametrize("model", ["unet", "nsyolo"])
def test_kill_9_in_training_then_the_same_command_continues(tiny_set, tmp_path, model):
    arguments = run_arguments(tiny_set, tmp_path, "--models", model)
    process = start(arguments)
    state = tmp_path / "runs" / f"{model}-smoke-seed0" / "state.pt"
    wait_for(state.is_file)
    workers = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    # The worker must not live on as an orphan that writes into the run.
    _, alive = psutil.wait_procs(workers, timeout=120)
    assert not alive
    assert not (tmp_path / "runs" / f"{model}-smoke-seed0" / "fit.json").exists(), "killed too late to show anything"

    assert main(arguments) == 0
    record = next(record for record in records_of(tiny_set, tmp_path) if record.eval_set == "test")
    assert record.status == "ok"
    assert record.training.resumes == 1


@pytest.mark.faults
def test_a_worker_killed_by_the_system_is_a_row_and_the_others_go_on(tiny_set, tmp_path):
    process = start(run_arguments(tiny_set, tmp_path, "--models", "unet", "otsu"))
    wait_for((tmp_path / "runs" / "unet-smoke-seed0" / "state.pt").is_file)
    for worker in psutil.Process(process.pid).children(recursive=True):
        worker.kill()
    assert process.wait(timeout=240) == 1
    status = {record.model: record.status for record in records_of(tiny_set, tmp_path) if record.eval_set == "test"}
    assert status == {"unet": "oom", "otsu": "ok"}


def test_a_table_that_cannot_be_written_ends_no_run(tiny_set, tmp_path, capsys, caplog):
    """A program that shows it may lock it; the second run was not begun."""
    boards, name = tmp_path / "boards", PreparedSet(tiny_set).name
    table = boards / f"{name}-test.csv"
    (table / "no file").mkdir(parents=True)
    words = run_arguments(tiny_set, tmp_path, "--models", "otsu", "--seeds", "0", "1")
    assert main(words) == 1
    assert "cannot be read or written (Is a directory)" in capsys.readouterr().err
    assert str(table) in caplog.text and "`nanoseg-bench leaderboard` makes them" in caplog.text
    assert {(each.seed, each.status) for each in records_of(tiny_set, tmp_path)} == {(0, "ok"), (1, "ok")}
    shutil.rmtree(table)
    assert main(["leaderboard", name, "--leaderboards", str(boards)]) == 0 and len(pd.read_csv(table)) == 2


@pytest.mark.slow
def test_two_seeds_are_two_rows_of_one_rank(tiny_set, tmp_path):
    assert main(run_arguments(tiny_set, tmp_path, "--models", "yolo11n", "--seeds", "0", "1", "--recipe", *SHORT)) == 0
    table = pd.read_csv(tmp_path / "boards" / f"{PreparedSet(tiny_set).name}-test.csv")
    assert sorted(table["seed"]) == [0, 1]
    assert list(table["rank"]) == [1, 1]


@pytest.mark.usefixtures("runs_in_this_process")
def test_a_run_ends_with_the_table_and_the_commands_that_follow(tiny_set, tmp_path, capsys, monkeypatch):
    place = tmp_path / "Größe 2"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["run", str(tiny_set), "--models", "otsu", "--preset", "smoke", "--runs", "my runs"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert any("Otsu + watershed" in line for line in shown) and not any("…" in line for line in shown)
    page, found = (shlex.split(line.split(" # ")[0].removeprefix("next:")) for line in shown[-2:])
    assert page[:2] == ["nanoseg-bench", "leaderboard"] and found[:2] == ["nanoseg-bench", "predict"]
    # As they can be pasted.
    assert main(page[1:]) == 0
    assert (place / page[page.index("--html") + 1]).is_file()
    picture = PreparedSet(tiny_set).images("test")[0].image_path
    assert main([str(picture) if word == "MY_IMAGES" else word for word in found[1:]]) == 0
    assert (place / "predictions" / "overlay").is_dir()
