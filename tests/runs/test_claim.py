"""A finished training survives whatever does not concern it: kept, judged anew, or moved aside, never deleted."""

import dataclasses
import json
import shutil

import pandas as pd
import pytest
import torch
from earlier_files import rewrite

from nanoseg_bench.cli import main
from nanoseg_bench.errors import ModelError, TimeLimitReached
from nanoseg_bench.evaluation.predictions import read_predictions
from nanoseg_bench.files import sha256_file
from nanoseg_bench.models.base import Deadline, FitContext
from nanoseg_bench.models.checkpoint import load_weights, round_parameters, save_weights
from nanoseg_bench.models.mask_cleaning import clean_masks
from nanoseg_bench.models.recipe import Recipe, Training
from nanoseg_bench.models.registry import BUILT_IN, build
from nanoseg_bench.models.trained import open_trained
from nanoseg_bench.runs.claim import claim_folder, clear_folder, trained_alike
from nanoseg_bench.runs.executors import run_in_process
from nanoseg_bench.runs.folder import RunFolder, find_runs
from nanoseg_bench.runs.forecast import Forecaster
from nanoseg_bench.runs.inputs import input_differences, training_hash
from nanoseg_bench.runs.job import execute, is_complete
from nanoseg_bench.runs.plan import Job, plan_runs
from nanoseg_bench.runs.record import read_record, record_path

pytestmark = pytest.mark.usefixtures("runs_in_this_process")

# An encoder of a tenth of the weights: most of what is done here writes, copies and hashes them.
VALUES = {"canvas": 64, "batch": 2, "images_seen": 4, "images_per_epoch": 4, "options.encoder": "mobilenet_v2"}


@pytest.fixture(scope="module")
def prepared(rendered_set):
    return rendered_set


class Bench:
    """One run in a folder, planned anew for each call, as each call of the command does."""

    def __init__(self, prepared, root, model):
        self.prepared, self.root, self.model = prepared, root, model
        self.path = root / "runs" / self.spec().run_id

    def spec(self, **changes):
        (spec,) = plan_runs(self.prepared, [self.model], "smoke", [0], overrides=VALUES)
        # The same folder whatever the values: a recipe's file was edited, not the command line.
        recipe = spec.recipe.model_dump() | {"preset": "smoke"} | changes
        recipe["options"] = spec.recipe.options | changes.get("options", {})
        return dataclasses.replace(spec, recipe=Recipe(**recipe))

    def job(self, **changes):
        return Job(self.spec(**changes), self.prepared.root, self.path, self.root / "boards", "cpu")

    def run(self, **changes):
        assert execute(self.job(**changes)).status == "ok"
        return RunFolder(self.path)

    def record(self):
        return read_record(record_path(self.root / "boards", self.prepared.name, self.path.name, "test"))


@pytest.fixture(scope="module")
def trained(prepared, tmp_path_factory):
    """A U-Net after four images, predicted and scored."""
    bench = Bench(prepared, tmp_path_factory.mktemp("trained"), "unet")
    bench.run()
    return bench


@pytest.fixture
def bench(trained, tmp_path):
    """A copy of it, to be changed."""
    shutil.copytree(trained.root, tmp_path, dirs_exist_ok=True)
    return Bench(trained.prepared, tmp_path, "unet")


def contents(folder, pattern="**/*"):
    files = (path for path in folder.glob(pattern) if path.is_file() and path.name != "log.txt")
    return {str(path.relative_to(folder)): sha256_file(path) for path in files}


def test_a_new_defaulted_field_of_the_recipe_leaves_a_finished_run_finished(bench, monkeypatch):
    class Later(Recipe):
        not_yet: Training[int | None] = None

    before = contents(bench.root)
    monkeypatch.setattr(Recipe, "model_fields", Later.model_fields)
    job = bench.job()
    recipe = Later(**job.spec.recipe.model_dump())
    later = dataclasses.replace(job, spec=dataclasses.replace(job.spec, recipe=recipe))
    assert "not_yet" in later.spec.inputs()["recipe"]
    assert is_complete(later)
    assert claim_folder(RunFolder(bench.path), later.spec, bench.prepared) == []
    assert contents(bench.root) == before

    other = dataclasses.replace(job.spec, recipe=Later(**job.spec.recipe.model_dump(), not_yet=320))
    (told,) = claim_folder(RunFolder(bench.path), other, bench.prepared)
    assert "not_yet none -> 320" in told


def test_a_changed_post_processing_only_predicts_anew(bench):
    before = contents(bench.path)
    threshold = bench.record().recipe["options"]["threshold"]
    earlier = read_predictions(bench.path / "predictions" / "test.json.gz").images
    origins = contents(bench.path, "**/*.made-from.json")
    changed = {"options": {"threshold": 0.01, "min_area": 0.0}}
    assert not is_complete(bench.job(**changed))
    bench.run(**changed)
    after = contents(bench.path)
    same = {name for name in before if before[name] == after.get(name)}
    assert {"fit.json", "weights.safetensors", "weights.json", "history.csv"} <= same
    assert read_predictions(bench.path / "predictions" / "test.json.gz").images != earlier
    assert not set(origins) & same, "val, test and ood"
    made_from = json.loads((bench.path / "predictions" / "test.made-from.json").read_text())
    assert made_from["prediction"]["options"]["threshold"] == 0.01
    assert (threshold, bench.record().recipe["options"]["threshold"]) == (0.5, 0.01)
    assert "options.threshold 0.5 -> 0.01" in (bench.path / "log.txt").read_text(encoding="utf-8")
    assert is_complete(bench.job(**changed))
    for path in (bench.path, bench.path / "weights.safetensors"):
        assert open_trained(path).options.threshold == 0.01, "what is used is what was judged"


def test_cleaned_masks_only_predict_anew(bench):
    """A network after four images says next to nothing: cut at its median, it is full of holes."""
    ragged = {"options": {"threshold": 0.74, "min_area": 0.0, "max_hole": 0.0, "neck": 0.0}}
    trained = sha256_file(bench.run(**ragged).fit_path)
    path = bench.path / "predictions" / "test.json.gz"
    before = read_predictions(path)
    bench.run(**ragged, mask_cleaning="largest-filled")
    assert sha256_file(bench.path / "fit.json") == trained
    assert "mask_cleaning none -> largest-filled" in (bench.path / "log.txt").read_text(encoding="utf-8")
    after = read_predictions(path)
    altered = 0
    for name, raw in before.images.items():
        regions = [each.region for each in after.images[name]]
        assert regions == [each.region for each in clean_masks(raw, "largest-filled", *before.sizes[name][::-1])]
        altered += regions != [each.region for each in raw]
    assert altered
    assert bench.record().recipe["mask_cleaning"] == "largest-filled"

    assert open_trained(bench.path).recipe.mask_cleaning == "largest-filled", "what is used is what was judged"


def test_another_judged_canvas_only_predicts_anew(bench):
    fit = bench.path / "fit.json"
    trained, path = sha256_file(fit), bench.path / "predictions" / "test.json.gz"

    def regions():
        return {name: [each.region for each in found] for name, found in read_predictions(path).images.items()}

    options = {"options": {"threshold": 0.74, "min_area": 0.0}}
    bench.run(**options)
    before = regions()
    assert not is_complete(bench.job(**options, judged_canvas=64))
    bench.run(**options, judged_canvas=64)  # the canvas itself
    assert regions() == before
    bench.run(**options, judged_canvas=96)
    assert regions() != before
    assert sha256_file(fit) == trained
    assert "judged_canvas 64 -> 96" in (bench.path / "log.txt").read_text(encoding="utf-8")
    sizes = {image.name: image.letterbox for image in bench.prepared.images("test")}
    for name, found in regions().items():
        assert {(each.width, each.height) for each in found} <= {(sizes[name].width, sizes[name].height)}
    assert open_trained(bench.path).recipe.judged_canvas == 96


def test_an_operating_point_is_not_taken_for_other_predictions(bench):
    run = RunFolder(bench.path)
    assert run.operating_point() is not None
    claim_folder(run, bench.spec(options={"threshold": 0.3}), bench.prepared)
    assert run.operating_point() is None


def test_a_changed_training_is_told_by_name_and_the_old_one_kept(bench):
    before = contents(bench.path)
    bench.run(learning_rate=0.01)
    (kept,) = (bench.path.parent / "replaced").iterdir()
    assert contents(kept).items() >= {name: before[name] for name in before if name != "job.json"}.items()
    log = (bench.path / "log.txt").read_text(encoding="utf-8")
    assert "learning_rate 0.001 -> 0.01" in log
    assert str(kept) in log
    assert open_trained(kept).recipe.learning_rate == 0.001
    assert [run.run_id for run in find_runs(bench.path.parent)] == [bench.path.name]
    assert contents(bench.path)["weights.safetensors"] != before["weights.safetensors"]


def test_a_training_comes_back_when_its_inputs_do(bench):
    before = contents(bench.path)
    run = RunFolder(bench.path)
    claim_folder(run, bench.spec(learning_rate=0.01), bench.prepared)
    assert not run.is_fitted
    (bench.path / "state.pt").write_bytes(b"a training that was begun")
    assert forecast(bench, bench.spec())["fit"] == "cached"
    assert forecast(bench, bench.spec(), overwrite="always")["fit"] == "to do"
    told = claim_folder(run, bench.spec(), bench.prepared)
    assert "learning_rate 0.01 -> 0.001" in told[0]
    assert contents(bench.path) == before
    assert is_complete(bench.job())
    (other,) = (bench.path.parent / "replaced").iterdir()
    assert (other / "state.pt").is_file()


def test_work_without_its_run_json_is_kept_too(bench):
    (bench.path / "run.json").write_text("{", encoding="utf-8")
    (told,) = claim_folder(RunFolder(bench.path), bench.spec(), bench.prepared)
    (kept,) = (bench.path.parent / "replaced").iterdir()
    assert "run.json" in told and str(kept) in told
    assert (kept / "weights.safetensors").is_file()


@pytest.mark.parametrize("name", ["run.json", "fit.json"])
def test_a_share_that_is_away_costs_no_training(bench, name):
    """A link that leads to itself: there, and not to be read, also for root."""
    files = {path: path.read_bytes() for path in bench.path.rglob("*") if path.suffix in (".json", ".safetensors")}
    (bench.path / name).rename(bench.root / name)
    (bench.path / name).symlink_to(bench.path / name)
    outcome = execute(bench.job())
    assert outcome.status == "failed" and f"{name}: cannot be read now" in outcome.reason
    (bench.path / name).unlink()
    (bench.root / name).rename(bench.path / name)
    assert execute(bench.job()).status == "ok"
    assert not (bench.path.parent / "replaced").exists()
    assert {path: path.read_bytes() for path in files} == files


def test_a_recipe_without_the_fields_that_came_since_stays_finished(bench):
    path = bench.path / "run.json"
    about = json.loads(path.read_text(encoding="utf-8"))
    about["inputs"]["recipe"]["options"] = {"encoder": "mobilenet_v2", "dice_weight": 1.0}
    rewrite(path, inputs=about["inputs"])
    for made_from in (bench.path / "predictions").glob("*.made-from.json"):
        rewrite(made_from, prediction={})
    kept = contents(bench.path, "**/*.gz") | contents(bench.path, "weights.*")
    assert "test" in bench.run().predicted_sets()
    assert contents(bench.path, "**/*.gz") | contents(bench.path, "weights.*") == kept


def test_a_title_changes_records_alone(bench):
    patterns = ("**/*.gz", "weights.*", "**/*.made-from.*", "fit.json")
    kept = [contents(bench.path, pattern) for pattern in patterns]
    bench.run(title="Another name")
    assert bench.record().title == "Another name"
    assert [contents(bench.path, pattern) for pattern in patterns] == kept


def test_a_checkpoint_of_another_recipe_is_told_by_name(bench, prepared):
    def fit(spec, limit):
        model = build(spec.recipe, prepared.classes, prepared.max_instances)
        model.fit(prepared, FitContext(bench.root, 0, deadline=Deadline(limit, "0s")))

    longer = bench.spec(images_seen=8)
    with pytest.raises(TimeLimitReached):
        fit(longer, 0.0)
    renamed = bench.spec(images_seen=8, title="Another name")
    with pytest.raises(TimeLimitReached):  # goes on, and stops again
        fit(renamed, 0.0)
    with pytest.raises(ModelError, match=r"state\.pt: checkpoint of another training \(batch 2 -> 4\)"):
        fit(bench.spec(images_seen=8, batch=4), None)


def test_the_command_tells_what_changed_and_predicts_alone(trained, tmp_path, capsys):
    places = ["--runs", str(tmp_path / "runs"), "--leaderboards", str(tmp_path / "boards"), "--device", "cpu"]
    command = ["run", str(trained.prepared.root), "--preset", "smoke", "--models", "otsu", *places]
    assert main(command) == 0
    run = tmp_path / "runs" / "otsu-smoke-seed0"
    path = run / "run.json"
    about = json.loads(path.read_text(encoding="utf-8"))
    about["inputs"]["recipe"]["options"]["smoothing"] = 2.5
    path.write_text(json.dumps(about), encoding="utf-8")
    rewrite(path)
    assert main([*command, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "otsu-smoke-seed0: predicts anew, the training stays: options.smoothing 2.5 -> 1.0" in shown
    about["inputs"]["set_hash"] = "0" * 64
    path.write_text(json.dumps(about), encoding="utf-8")
    rewrite(path)
    assert main([*command, "--dry-run"]) == 0
    assert "content of the prepared set 000000000000 -> " in capsys.readouterr().out
    assert main(command) == 0
    assert (tmp_path / "runs" / "replaced").is_dir()


def test_values_from_the_command_line_stand_beside_the_preset(trained, tmp_path, capsys):
    places = ["--runs", str(tmp_path / "runs"), "--leaderboards", str(tmp_path / "boards"), "--device", "cpu"]
    command = ["run", str(trained.prepared.root), "--preset", "smoke", "--models", "otsu", *places]
    assert main(command) == 0
    assert main([*command, "--recipe", "options.neck=0.5", "options.min_depth=2"]) == 0
    table = pd.read_csv(tmp_path / "boards" / f"{trained.prepared.name}-test.csv")
    assert sorted(table["preset"]) == ["smoke", "smoke+options.min_depth=2+options.neck=0.5"]
    capsys.readouterr()
    for word, meant in (("options.nek=1", "options.neck"), ("epoch=1", "epochs"), ("neck=1", "options.neck")):
        assert main([*command, "--recipe", word]) == 2
        assert f"did you mean '{meant}'" in capsys.readouterr().err
    for words in (["neck"], ["batch=0"], ["title=x"], ["batch.x=1"], ["options=1"], ["epochs=1", "epochs=2"]):
        assert main([*command, "--recipe", *words]) == 2
        assert "--recipe" in capsys.readouterr().err


@pytest.mark.parametrize("model", [name for name in BUILT_IN if name != "otsu"])
def test_every_network_has_a_prediction_option_that_does_not_touch_its_training(model, prepared):
    (plain,) = plan_runs(prepared, [model], "smoke", [0])
    name = "nms_iou" if "nms_iou" in plain.recipe.options else "neck"
    (other,) = plan_runs(prepared, [model], "smoke", [0], overrides={f"options.{name}": 0.6})
    found = input_differences(plain.inputs(), other.inputs())
    assert training_hash(plain.inputs()) == training_hash(other.inputs())
    assert not found.training
    assert [change.name for change in found.prediction] == [f"options.{name}"]


def test_other_weights_are_predicted_anew_and_the_training_stays(bench, caplog):
    before, path = bench.record(), bench.path / "weights.safetensors"
    network = open_trained(bench.path).network
    with torch.no_grad():
        next(network.parameters()).mul_(1.5)
    _, about = load_weights(path)
    save_weights(path, round_parameters(network), about)
    assert not is_complete(bench.job())
    bench.run()
    after = bench.record()
    assert "its weights changed since it was predicted; predicting anew" in caplog.text
    assert after.predictions_sha256 != before.predictions_sha256
    assert after.training == before.training
    assert is_complete(bench.job())


def test_a_run_that_only_judges_otherwise_takes_over_the_weights_beside_it(bench):
    (spec,) = plan_runs(bench.prepared, ["unet"], "smoke", [0], overrides={**VALUES, "judged_views": 4})
    recipe = spec.recipe.model_copy(update={"preset": "smoke+judged_views=4"})
    job = dataclasses.replace(bench.job(), spec=dataclasses.replace(spec, recipe=recipe))
    folder = bench.path.with_name(spec.run_id)
    job = dataclasses.replace(job, run_dir=folder)
    before = contents(bench.path)
    assert execute(job).status == "ok"
    assert f"trained already, as {bench.path.name}" in (folder / "log.txt").read_text(encoding="utf-8")
    assert contents(bench.path) == before
    trained = {"fit.json", "weights.safetensors", "weights.json", "history.csv"}
    assert {name: digest for name, digest in contents(folder).items() if name in trained} == {
        name: before[name] for name in trained
    }
    assert contents(folder)["predictions/test.json.gz"] != before["predictions/test.json.gz"]
    assert open_trained(folder).recipe.judged_views == 4 and open_trained(bench.path).recipe.judged_views == 1
    assert is_complete(job) and is_complete(bench.job())
    # Weights that somebody changed since are nobody's.
    shutil.rmtree(folder)
    (bench.path / "weights.safetensors").write_bytes(b"other")
    claim_folder(RunFolder(folder), job.spec, bench.prepared)
    assert not (folder / "fit.json").exists()


@pytest.mark.parametrize("kill_at", range(4))
def test_a_kill_while_weights_are_taken_over_costs_no_training(bench, monkeypatch, kill_at):
    """The next call found a run of this training without its weights, and trained for hours."""
    (spec,) = plan_runs(bench.prepared, ["unet"], "smoke", [0], overrides={**VALUES, "judged_views": 4})
    run, copy, copied = RunFolder(bench.path.with_name(spec.run_id)), shutil.copyfile, []

    def copy_until_killed(*arguments):
        if len(copied) == kill_at:
            raise KeyboardInterrupt
        copied.append(copy(*arguments))

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", copy_until_killed)
        with pytest.raises(KeyboardInterrupt):
            claim_folder(run, spec, bench.prepared)
    told = claim_folder(run, spec, bench.prepared)
    assert any("trained already" in line for line in told)
    assert run.is_fitted and run.has_weights() and not run.has_other_weights()


def test_what_is_to_be_trained_anew_takes_nothing_over(bench):
    (spec,) = plan_runs(bench.prepared, ["unet"], "smoke", [0], overrides={**VALUES, "judged_views": 4})
    run = RunFolder(bench.path.with_name(spec.run_id))
    job = dataclasses.replace(bench.job(), spec=spec, run_dir=run.path)
    assert trained_alike(run, spec).path == bench.path
    assert forecast(bench, spec)["fit"] == "cached"
    assert forecast(bench, spec, overwrite="always")["fit"] == "to do"
    # As ``--overwrite always`` does it: also of a run that is there already.
    for _ in range(2):
        assert run_in_process(job, anew=True).status == "ok"
        told = (run.path / "log.txt").read_text(encoding="utf-8")
        assert "trained already" not in told
    assert trained_alike(RunFolder(bench.path), bench.spec()).path == run.path
    assert run_in_process(bench.job(), anew=True).status == "ok"
    assert "trained already" not in (bench.path / "log.txt").read_text(encoding="utf-8")


def test_what_is_to_be_trained_anew_brings_no_earlier_training_back(bench):
    before = contents(bench.path)
    run = RunFolder(bench.path)
    claim_folder(run, bench.spec(learning_rate=0.01), bench.prepared)
    (kept,) = (bench.path.parent / "replaced").iterdir()
    # As ``--overwrite always`` begins.
    clear_folder(run)
    assert claim_folder(run, bench.spec(), bench.prepared, anew=True) == []
    assert not run.is_fitted and run.about().inputs.recipe == bench.spec().inputs()["recipe"]
    assert contents(kept) == before, "what was moved aside stays there"


def forecast(bench, spec, overwrite="missing"):
    (told,) = Forecaster(bench.prepared, bench.root / "runs", bench.root / "boards", "", overwrite).forecast([spec])
    return {step.name: step.state for step in told.steps}


def test_a_hidden_folder_that_a_notebook_left_stays(bench):
    """It was taken for a temporary file, and every later run ended with "cannot be written"."""
    (bench.path / ".ipynb_checkpoints").mkdir()
    (bench.path / "predictions" / "robustness").mkdir(exist_ok=True)
    for left in (".fit.abcdef.json", "predictions/.test.json.abcdef.gz", "predictions/robustness/.blur-1.json.abc.gz"):
        (bench.path / left).write_bytes(b"of a writer that was killed")
    assert run_in_process(bench.job()).status == "ok"
    assert [path.name for path in bench.path.rglob(".*")] == [".ipynb_checkpoints"]
