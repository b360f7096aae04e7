"""A campaign from its file to published tables, with sets and models that take seconds."""

import re
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
from nanoseg_bench.runs.campaign import Campaign, CampaignSet, Step, plan_step, read_campaign
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
  - {name: real, set: emps, models: [otsu, unet]}
  - {set: tiny, models: [unet], weights_from: real}
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
    assert "unet, seed 0: waits for its weights of real, whose set emps is not prepared" in shown
    assert "not in the estimate: 3 runs" in shown and "nothing was done" in shown
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
    steps = (
        "  - {name: first, set: tiny, preset: cpu, models: [unet]}\n"
        "  - {set: tiny, preset: quick, models: [unet], weights_from: first}\n"
    )
    head = CAMPAIGN.partition("steps:\n")[0]
    (desk.root / "campaign.yaml").write_text(f"{head}steps:\n{steps}")
    waits = "unet, seed 0: waits for its weights of first: {}/unet-{}-seed0 is not trained yet"
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
        (
            ("weights_from: real", "weights_from: rael"),
            "'rael' is no step before that one; there are real",
        ),
        (("name: real, ", "weights_from: later, "), "'later' is no step before that one; there are none with a name"),
        (("{set: tiny, models: [unet]", "{name: real, set: tiny, models: [unet]"), "two steps are named 'real'"),
        (("{set: tiny, models: [unet]", "{set: tiny, model: unet"), "steps.2.models: Field required"),
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
    planned = [each for step in campaign.steps for each in plan_step(campaign, step, sets, tmp_path, preset)]
    waiting = [each for each in planned if isinstance(each, str)]
    starting = [step for step in campaign.steps if step.weights_from for _ in step.models for _ in step.seeds]
    # What waits for the run before last waits for that one: nothing is trained here.
    first = {"rendered": "rendered", "scratch": "scratch", "rendered-first": "rendered"}
    needed = [f"waits for its weights of {first[step.weights_from]}: " for step in starting]
    assert len(waiting) == len(needed) and all(told in each for told, each in zip(needed, waiting, strict=True))
    assert [spec.run_id for spec in planned[:2]] == [f"yolo11n-{preset}-seed0", f"nsyolo-{preset}-seed0"]


@pytest.mark.parametrize("name", ["emps", "nanosynth"])
def test_our_campaign_has_every_published_run(name):
    campaign = read_campaign(OURS)

    def start(step):
        """The sets that its initial weights learnt from, the last one first."""
        origin = campaign.origin(step)
        return () if origin is None else (origin.set, *start(origin))

    planned = {
        ("+".join([step.preset or campaign.preset, *sorted(step.recipe)]), model, seed, start(step))
        for step in campaign.steps
        for model in step.models
        for seed in step.seeds
        if step.set == name
    }

    def published_start(record):
        if record.initial_training:
            return tuple(re.findall(r"images of (\w+) \(", record.initial_training))
        # Of rows made before records said so, every one started from the same set or from nothing.
        return (name,) if record.initial_weights else ()

    published = [each for each in read_records(OURS.parent, name) if not each.external]
    assert {(each.preset, each.model, each.seed, published_start(each)) for each in published} <= planned


@pytest.mark.slow
def test_a_run_starts_from_weights_that_started_from_others(desk, tiny_set, capsys):
    other = shutil.copytree(tiny_set, desk.root / "data" / "other")
    (desk.root / "campaign.yaml").write_text(
        "preset: smoke\nsets: {tiny: {dataset: nanosynth}, other: {dataset: nanosynth}}\nsteps:\n"
        "- {name: first, set: tiny, models: [unet]}\n"
        "- {name: second, set: other, models: [unet], seeds: [1], weights_from: first, weights_seed: 0}\n"
        "- {set: other, models: [unet], seeds: [1], recipe: [batch=4], weights_from: second}\n"
    )
    assert desk.call("--dry-run") == 0
    first = desk.root / "runs" / desk.name / "unet-smoke-seed0"
    waits = f"unet, seed 0: waits for its weights of first: {first.relative_to(desk.root)} is not trained yet"
    assert capsys.readouterr().out.count(waits) == 2, "the third step waits for what its start waits for"
    assert desk.call() == 0
    records = {
        each.preset: each
        for each in read_records(desk.boards, PreparedSet(other).name)
        if each.eval_set == "test" and each.initial_weights
    }
    assert sorted(records) == ["smoke", "smoke+batch=4"]
    weights = first / "weights.safetensors"
    assert records["smoke"].initial_weights.endswith(sha256_file(weights))
    digest = sha256_file(weights)[:8]
    weights = weights.parents[1] / f"unet-smoke-from-{digest}-seed1" / weights.name
    assert records["smoke+batch=4"].initial_weights.endswith(sha256_file(weights))
    assert records["smoke+batch=4"].initial_training.count("images of") == 2


def test_a_start_that_its_step_has_not_is_named(tiny_set, tmp_path):
    sets = {"tiny": PreparedSet(tiny_set)}
    for change, told in (
        ({"models": ("yolo11n",)}, "no yolo11n with seed 0"),
        ({"seeds": (3,)}, "no unet with seed 3"),
    ):
        steps = (
            Step(name="a", set="tiny", models=("unet",)),
            Step(**{"set": "tiny", "models": ("unet",), "weights_from": "a", **change}),
        )
        campaign = Campaign(preset="smoke", sets={"tiny": CampaignSet(dataset="nanosynth")}, steps=steps)
        with pytest.raises(CampaignError, match=f"weights_from a: that step has {told}"):
            list(plan_step(campaign, steps[1], sets, tmp_path))


def test_weights_of_a_set_with_folds_are_of_no_single_network(tiny_set, tmp_path):
    folded = SimpleNamespace(
        name="folded", root="data/folded", folds=range(1, 4), of_fold=lambda fold: SimpleNamespace(content_hash="s")
    )
    steps = Step(name="a", set="folded", models=("unet",)), Step(set="tiny", models=("unet",), weights_from="a")
    sets = {"tiny": CampaignSet(dataset="nanosynth"), "folded": CampaignSet(dataset="nanosynth")}
    campaign = Campaign(preset="smoke", sets=sets, steps=steps)
    (waits,) = plan_step(campaign, steps[1], {"tiny": PreparedSet(tiny_set), "folded": folded}, tmp_path)
    assert "weights of a, whose 3 folds have a network each; prepare data/folded without --folds" in waits
