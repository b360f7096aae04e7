"""A campaign from its file to published tables, with sets and models that take seconds."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from kept_records import read_records

from nanoseg_bench.cli import main
from nanoseg_bench.errors import CampaignError
from nanoseg_bench.files import sha256_file
from nanoseg_bench.leaderboard.document_section import BEGIN, END
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.campaign import Step, plan_step, read_campaign
from nanoseg_bench.runs.failure import Outcome, record_failure
from nanoseg_bench.runs.plan import Job, plan_runs
from nanoseg_bench.runs.record import find_records

pytestmark = pytest.mark.usefixtures("runs_in_this_process")

OURS = Path(__file__).parents[2] / "leaderboards" / "campaign.yaml"

CAMPAIGN = """\
preset: smoke
sets:
  tiny: {dataset: nanosynth}
  emps: {dataset: emps}
steps:
  - {set: tiny, models: [otsu], seeds: [0, 1], about: "what needs no training"}
  - {set: emps, models: [otsu]}
  - {set: tiny, models: [unet], weights_from: tiny}
"""


class Desk:
    """A folder to work in, with the tiny set prepared."""

    def __init__(self, root, tiny_set):
        self.root = root
        (root / "data").mkdir()
        (root / "data" / "tiny").symlink_to(tiny_set, target_is_directory=True)
        (root / "campaign.yaml").write_text(CAMPAIGN)
        self.name = PreparedSet(tiny_set).name
        self.boards = root / "leaderboards"

    def call(self, *more):
        return main(["campaign", "campaign.yaml", "--device", "cpu", *more])

    def files(self):
        return {path: path.read_bytes() for path in self.boards.rglob("*") if path.is_file()}


@pytest.fixture
def desk(tiny_set, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path, tiny_set)


def test_a_campaign_writes_tables_page_and_predictions_and_goes_on(desk, capsys):
    assert desk.call("--dry-run", "--jobs", "2") == 0
    shown = capsys.readouterr().out
    assert "[1/3] tiny: otsu, seeds 0, 1: what needs no training" in shown and "otsu-smoke-seed1" in shown
    assert "skipped: data/emps is not prepared; say where the data lie: --source emps=DIR" in shown
    assert f"unet, seed 0: waits for its weights on tiny: runs/{desk.name}/unet-smoke-seed0 is not trained yet" in shown
    assert "not in the estimate: 2 runs" in shown and "nothing was done" in shown
    assert not desk.boards.exists() and not (desk.root / "runs").exists()

    readme = desk.root / "README.md"
    readme.write_text(f"# Ours\n\n{BEGIN}\n{END}\n")
    assert desk.call("--readme", "README.md") == 1, "EMPS and the weights are missing"
    shown = capsys.readouterr().out
    assert "--source emps=DIR" in shown and "Otsu + watershed" in shown
    assert (desk.boards / f"{desk.name}-test.csv").is_file() and (desk.boards / f"{desk.name}.html").is_file()
    capsys.readouterr()
    assert main(["leaderboard", desk.name, "--markdown"]) == 0
    table = capsys.readouterr().out
    assert "Otsu + watershed" in table
    assert readme.read_text() == f"# Ours\n\n{BEGIN}\n**{desk.name}**, 2 test images\n\n{table}{END}\n"
    published = desk.boards / "predictions" / desk.name
    assert sorted(path.name for path in published.iterdir()) == ["otsu-smoke-seed0", "otsu-smoke-seed1"]
    before = desk.files()
    # Without its runs' weights nobody could go on, but everybody can check the rows.
    for run in published.iterdir():
        check = ["score", str(run), "--data", "data/tiny", "--leaderboards", str(desk.boards), "--check"]
        assert main(check) == 0

    assert desk.call("--jobs", "2") == 1
    assert desk.files() == before, "nothing was done again"
    capsys.readouterr()
    assert desk.call("--dry-run") == 0
    assert capsys.readouterr().out.count("cached   cached    cached") == 2


def test_a_rehearsal_goes_on_from_weights_of_its_own(desk, capsys):
    steps = "  - {set: tiny, preset: quick, models: [unet], weights_from: tiny, weights_preset: cpu}\n"
    head = CAMPAIGN.partition("steps:\n")[0]
    (desk.root / "campaign.yaml").write_text(f"{head}steps:\n{steps}")
    waits = "unet, seed 0: waits for its weights on tiny: {}/unet-{}-seed0 is not trained yet"
    assert desk.call("--dry-run") == 0
    assert waits.format(f"runs/{desk.name}", "cpu") in capsys.readouterr().out
    assert desk.call("--dry-run", "--preset", "paper", "--runs", "rehearsal", "--leaderboards", "boards") == 0
    assert waits.format(f"rehearsal/{desk.name}", "paper") in capsys.readouterr().out


def test_ctrl_c_while_a_set_is_prepared_ends_the_campaign(desk, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    (desk.root / "data" / "tiny").unlink()
    monkeypatch.setattr("nanoseg_bench.preparation.inputs.dataset_inputs", interrupted)
    assert desk.call() == 130
    shown = capsys.readouterr()
    assert "[1/3]" in shown.out and "[2/3]" not in shown.out
    assert "the same command goes on from here" in shown.err


def test_runs_that_are_under_way_have_no_row(desk, tiny_set):
    for seed, outcome in ((0, Outcome("timeout", "later")), (1, Outcome("failed", "for good"))):
        (spec,) = plan_runs(PreparedSet(tiny_set), ["otsu"], "smoke", [seed])
        record_failure(Job(spec, tiny_set, desk.root / "run", desk.boards, "cpu"), outcome)
    assert desk.call("--time-limit", "0.001s") == 1
    assert {record.status for record in read_records(desk.boards, desk.name)} == {"failed"}
    assert (desk.boards / f"{desk.name}-test.csv").read_text().count("otsu") == 1


def test_a_dry_run_says_why_a_run_failed_earlier(desk, capsys):
    assert desk.call() == 1, "EMPS and the weights are missing"
    run = desk.root / "runs" / desk.name / "otsu-smoke-seed1"
    (run / "fit.json").unlink()
    (run / "outcome.json").write_text('{"status": "failed", "reason": "for good"}')
    assert desk.call("--dry-run") == 0
    assert "otsu-smoke-seed1: failed earlier: for good" in capsys.readouterr().out


def test_where_nothing_is_finished_there_is_no_table(desk, tiny_set, capsys):
    (spec,) = plan_runs(PreparedSet(tiny_set), ["otsu"], "smoke", [0])
    record_failure(Job(spec, tiny_set, desk.root / "run", desk.boards, "cpu"), Outcome("skipped", "later"))
    assert desk.call("--time-limit", "0.001s") == 1
    assert "time limit 0.001s reached; the same command goes on from here" in capsys.readouterr().out
    assert not find_records(desk.boards, desk.name) and not list(desk.boards.glob("*.csv"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--source", "emps"), "--source emps: write DATASET=DIR"),
        (("--source", "emps=nowhere"), "nowhere: no such file or folder"),
        (("--source", "empz=data"), "--source empz: the campaign has no data set of that name; it has nanosynth, emps"),
        (("--preset", "quick"), "--preset quick: the tables in leaderboards/ are those of preset smoke"),
        (("--jobs", "0"), "--jobs 0"),
    ],
)
def test_what_is_asked_wrongly_is_usage(desk, capsys, words, told):
    assert desk.call(*words) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("set: emps", "set: empz"), "a step names the set 'empz'; there are tiny, emps"),
        (("models: [unet]", "model: unet"), "steps.2.models: Field required"),
        (("preset: smoke", "preset: ["), "cannot be read as a campaign"),
    ],
)
def test_a_malformed_campaign_is_named(desk, change, told):
    path = desk.root / "campaign.yaml"
    path.write_text(CAMPAIGN.replace(*change))
    with pytest.raises(CampaignError) as raised:
        read_campaign(path)
    assert "campaign.yaml" in str(raised.value) and told in str(raised.value)


@pytest.mark.parametrize("preset", ["cpu", "smoke"])
def test_every_step_of_our_campaign_can_be_planned(tiny_set, tmp_path, preset):
    campaign = read_campaign(OURS)
    sets = dict.fromkeys(campaign.sets, PreparedSet(tiny_set))
    planned = [each for step in campaign.steps for each in plan_step(step, preset, sets, tmp_path)]
    waiting = [each for each in planned if isinstance(each, str)]
    needed = [
        f"waits for its weights on {step.weights_from}"
        for step in campaign.steps
        for _ in step.models
        if step.weights_from
    ]
    assert needed == ["waits for its weights on emps"] * 4 + ["waits for its weights on nanosynth"] * 2
    assert len(waiting) == len(needed) and all(told in each for told, each in zip(needed, waiting, strict=True))
    assert [spec.run_id for spec in planned[:2]] == [f"yolo11n-{preset}-seed0", f"nsyolo-{preset}-seed0"]


def test_our_campaign_has_every_published_run():
    campaign = read_campaign(OURS)
    planned = {
        ("+".join([step.preset or campaign.preset, *sorted(step.recipe)]), model, seed)
        for step in campaign.steps
        for model in step.models
        for seed in step.seeds
    }
    published = [each for each in read_records(OURS.parent, "emps") if not each.external]
    assert {(each.preset, each.model, each.seed) for each in published} <= planned


@pytest.mark.slow
def test_a_run_starts_from_the_weights_of_the_same_model_on_another_set(desk, tiny_set, capsys):
    other = shutil.copytree(tiny_set, desk.root / "data" / "other")
    (desk.root / "campaign.yaml").write_text(
        "preset: smoke\nsets: {tiny: {dataset: nanosynth}, other: {dataset: nanosynth}}\nsteps:\n"
        "- {set: other, models: [unet], weights_from: tiny}\n- {set: tiny, models: [unet]}\n"
    )
    assert desk.call() == 1, "the weights are not there yet"
    assert "is not trained yet" in capsys.readouterr().out
    assert desk.call() == 0
    weights = desk.root / "runs" / desk.name / "unet-smoke-seed0" / "weights.safetensors"
    (record,) = [
        each
        for each in read_records(desk.boards, PreparedSet(other).name)
        if each.eval_set == "test" and each.initial_weights
    ]
    assert record.status == "ok" and record.initial_weights.endswith(sha256_file(weights))


def test_weights_may_come_from_a_run_of_another_preset(tiny_set, tmp_path):
    step = Step(set="tiny", models=("unet",), weights_from="tiny", weights_preset="quick")
    (waits,) = plan_step(step, "smoke", {"tiny": PreparedSet(tiny_set)}, tmp_path)
    assert "unet-quick-seed0 is not trained yet" in waits


def test_weights_of_a_set_with_folds_are_of_no_single_network(tiny_set, tmp_path):
    folded = SimpleNamespace(
        name="folded", root="data/folded", folds=range(1, 4), of_fold=lambda fold: SimpleNamespace(content_hash="s")
    )
    step = Step(set="tiny", models=("unet",), weights_from="folded")
    (waits,) = plan_step(step, "smoke", {"tiny": PreparedSet(tiny_set), "folded": folded}, tmp_path)
    assert "weights on folded, whose 3 folds have a network each; prepare data/folded without --folds" in waits
