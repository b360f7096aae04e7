import csv
import json
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from nanoseg_bench.errors import ModelError, TimeLimitReached
from nanoseg_bench.models import training
from nanoseg_bench.models.base import Deadline, FitContext
from nanoseg_bench.models.checkpoint import load_state, save_state, seed_everything
from nanoseg_bench.models.initial_weights import load_initial_weights
from nanoseg_bench.models.optimization import FastParameters
from nanoseg_bench.models.recipe import Recipe
from nanoseg_bench.models.training import LossSums, train

PASSED = Deadline(at=time.monotonic() - 1, limit="1s")


class Points:
    """y = 2 x0 - x1, forty times; remembers what was asked for."""

    def __init__(self, size: int = 40) -> None:
        self.x = torch.randn(size, 2, generator=torch.Generator().manual_seed(0))
        self.y = self.x @ torch.tensor([[2.0], [-1.0]])
        self.asked: list[int] = []
        self.loaded: list[int] = []

    def __len__(self) -> int:
        return len(self.x)

    def load(self, images, device) -> None:
        self.loaded = list(images)

    def __getitem__(self, draw):
        self.asked += draw.images
        return {"x": self.x[draw.images], "y": self.y[draw.images]}


class Limit:
    """A deadline that passes in step ``steps`` of a session."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    @property
    def passed(self) -> bool:
        self.left -= 1
        return self.left <= 0

    def check(self, progress: str) -> None:
        if self.left <= 0:
            raise TimeLimitReached(f"time limit reached at {progress}")


def loss_step(network, batch):
    # Noise from the global generator: an exact resume has to bring its state back.
    noise = 0.01 * torch.randn_like(batch["x"])
    return {"fit": nn.functional.mse_loss(network(batch["x"] + noise), batch["y"])}


def recipe(**values) -> Recipe:
    common = {"model": "unet", "title": "T", "preset": "smoke", "canvas": 32, "batch": 4, "epochs": 4}
    return Recipe(**{**common, "learning_rate": 0.05, **values})


def make_network(seed: int | None = 0) -> nn.Module:
    seed_everything(seed)
    return nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))


def fit(run_dir, *, source=None, step=loss_step, plan=None, ema=False, fast=False, **context):
    network = make_network(context.get("seed", 0))
    return network, train(
        network,
        step,
        Points() if source is None else source,
        plan or recipe(),
        FitContext(run_dir, **{"seed": 0, **context}),
        {"model": "unet", "classes": ["a"]},
        ema=ema,
        fast=FastParameters([network[3].bias], 10.0) if fast else None,
    )


def history(run_dir) -> list[dict[str, str]]:
    with (run_dir / "history.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_learns_and_leaves_weights_and_history(tmp_path):
    network, report = fit(tmp_path)
    rows = history(tmp_path)
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert float(rows[-1]["fit"]) < 0.5 * float(rows[0]["fit"])
    assert (report.epochs, report.images_seen, report.resumes) == (4, 160, 0)
    assert report.checkpoint == tmp_path / "weights.safetensors"
    assert not network.training
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "history.csv",
        "weights.json",
        "weights.safetensors",
    ]
    saved = load_file(report.checkpoint)
    assert all(torch.equal(saved[name], value) for name, value in network.state_dict().items())
    assert json.loads((tmp_path / "weights.json").read_text())["training"]["signature"]["seed"] == 0


@pytest.mark.parametrize("steps", [1, 3, 10])
@pytest.mark.parametrize(
    ("optimizer", "ema", "fast"), [("adamw", False, False), ("adamw", True, True), ("sgd", True, False)]
)
def test_a_training_that_is_stopped_again_and_again_ends_with_the_same_weights(tmp_path, optimizer, ema, fast, steps):
    choices = {"plan": recipe(optimizer=optimizer), "ema": ema, "fast": fast}
    whole, _ = fit(tmp_path / "whole", **choices)
    points, stops, report = Points(), 0, None
    while report is None:
        try:
            parts, report = fit(tmp_path / "parts", source=points, deadline=Limit(steps), **choices)
        except TimeLimitReached:
            stops += 1
    assert stops == -(-40 // steps) - 1
    assert (report.epochs, report.images_seen, report.resumes) == (4, 160, stops)
    assert len(points.asked) == 160, "a step was trained twice, or left out"
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
    ours, theirs = history(tmp_path / "whole"), history(tmp_path / "parts")
    assert [row["fit"] for row in ours] == [row["fit"] for row in theirs]
    assert float(theirs[-1]["seconds"]) >= float(theirs[0]["seconds"])


def test_within_an_epoch_a_checkpoint_is_written_by_the_clock(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr(training, "_LARGEST_SHARE_OF_SAVING", float("inf"))
    whole, _ = fit(tmp_path / "whole")

    def killed(network, batch):
        state = load_state(tmp_path / "parts" / "state.pt")
        if state is not None and state["within_epoch"]["step"] == 7:
            raise KeyboardInterrupt
        return loss_step(network, batch)

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "parts", step=killed)
    points = Points()
    parts, report = fit(tmp_path / "parts", source=points)
    assert (report.images_seen, report.resumes) == (160, 1)
    assert len(points.asked) == 160 - 7 * 4
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_training_computes_in_its_precision_and_keeps_it_where_it_goes_on(tmp_path, precision, monkeypatch):
    seen = []

    def step(network, batch):
        outputs = network(batch["x"])
        seen.append(outputs.dtype)
        return {"fit": nn.functional.mse_loss(outputs.float(), batch["y"])}

    monkeypatch.setattr(training, "resolve_precision", lambda wanted, device: precision)
    with pytest.raises(TimeLimitReached):
        fit(tmp_path, step=step, deadline=Limit(15))
    # As if it went on on another machine, where `auto` means something else.
    monkeypatch.setattr(training, "resolve_precision", lambda wanted, device: "neither")
    _, report = fit(tmp_path, step=step)
    assert report.precision == precision
    assert set(seen) == {getattr(torch, precision)}
    assert report.core_seconds > 0
    _, again = fit(tmp_path, step=step)
    assert again == report


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is known of processes that ended")
def test_core_seconds_are_those_of_the_processes_that_make_the_batches_too(tmp_path):
    busy = "import time\nwhile time.process_time() < 0.3:\n    pass"

    class MadeElsewhere(Points):
        def __getitem__(self, draw):
            if not self.asked:
                subprocess.run([sys.executable, "-c", busy], check=True)
            return super().__getitem__(draw)

    fit(tmp_path / "first")  # loads libraries
    _, alone = fit(tmp_path / "alone")
    _, together = fit(tmp_path / "together", source=MadeElsewhere())
    assert together.core_seconds - alone.core_seconds > 0.25


@pytest.mark.parametrize("chosen", [1, 2])
def test_trying_threads_out_leaves_no_trace(tmp_path, monkeypatch, chosen):
    monkeypatch.setenv("OMP_NUM_THREADS", str(chosen))
    monkeypatch.delenv("NANOSEG_BENCH_FREE_THREADS", raising=False)
    monkeypatch.setattr(training, "available_cores", lambda: 2)
    torch.set_num_threads(chosen)
    given, _ = fit(tmp_path / "given")
    monkeypatch.setenv("NANOSEG_BENCH_FREE_THREADS", "1")
    tried = []

    def try_out(step, most):
        step()
        tried.append(most)
        return chosen

    monkeypatch.setattr(training.threads, "quickest_threads", try_out)
    torch.set_num_threads(2)
    with pytest.raises(TimeLimitReached):
        fit(tmp_path / "own", deadline=Limit(15))
    own, _ = fit(tmp_path / "own")
    assert tried == [2], "tried again where the training went on"
    assert torch.get_num_threads() == 2
    for name, value in given.state_dict().items():
        assert torch.equal(value, own.state_dict()[name]), name


def test_a_time_limit_says_how_far_it_came(tmp_path):
    with pytest.raises(TimeLimitReached, match=r"reached at step 7 of 10 in epoch 1 of 4$"):
        fit(tmp_path, deadline=Limit(7))
    assert not (tmp_path / "history.csv").exists()
    with pytest.raises(TimeLimitReached, match=r"reached at epoch 2 of 4$"):
        fit(tmp_path, deadline=Limit(13))
    assert len(history(tmp_path)) == 2


def test_a_limit_that_passed_before_leaves_one_step_behind(tmp_path):
    with pytest.raises(TimeLimitReached, match="time limit 1s reached at step 1 of 10"):
        fit(tmp_path, deadline=PASSED)
    assert load_state(tmp_path / "state.pt")["within_epoch"]["step"] == 1


def test_seconds_add_up_over_sessions(tmp_path):
    def slow(network, batch):
        time.sleep(0.01)
        return loss_step(network, batch)

    with pytest.raises(TimeLimitReached):
        fit(tmp_path, step=slow, deadline=Limit(15))
    _, report = fit(tmp_path, step=slow)
    assert report.seconds >= 4 * 10 * 0.01


def test_a_finished_training_is_not_repeated(tmp_path):
    _, first = fit(tmp_path)
    points = Points()
    network, second = fit(tmp_path, source=points)
    assert points.asked == points.loaded == []
    assert second == first
    assert torch.equal(network.state_dict()["0.weight"], load_file(first.checkpoint)["0.weight"])


def test_seed_zero_repeats_and_differs_from_one(tmp_path):
    first, _ = fit(tmp_path / "a", seed=0)
    again, _ = fit(tmp_path / "b", seed=0)
    other, _ = fit(tmp_path / "c", seed=1)
    assert torch.equal(first[0].weight, again[0].weight)
    assert not torch.equal(first[0].weight, other[0].weight)


def test_the_average_is_what_is_published(tmp_path):
    plain, _ = fit(tmp_path / "plain")
    averaged, _ = fit(tmp_path / "ema", ema=True)
    # After so few steps the average is the last step but for less than half precision, which statistics do not have.
    assert not torch.equal(plain[1].running_mean, averaged[1].running_mean)
    assert torch.equal(plain[1].num_batches_tracked, averaged[1].num_batches_tracked)


def test_what_is_used_is_what_is_stored_in_half_precision(tmp_path):
    network, _ = fit(tmp_path, ema=True)
    stored = load_file(tmp_path / "weights.safetensors")
    parameters = dict(network.named_parameters())
    assert {name for name, value in stored.items() if value.dtype == torch.float16} == set(parameters)
    for name, value in network.state_dict().items():
        assert value.dtype in (torch.float32, torch.int64)
        assert torch.equal(stored[name].to(value.dtype), value), name
    again, _ = fit(tmp_path, ema=True)  # finished: read back
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in network.state_dict().items())


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    with pytest.raises(TimeLimitReached):
        fit(tmp_path, deadline=PASSED)
    with pytest.raises(ModelError, match=r"state\.pt: checkpoint of another training"):
        fit(tmp_path, plan=recipe(learning_rate=0.01))


def test_a_checkpoint_of_other_classes_is_refused(tmp_path):
    with pytest.raises(TimeLimitReached):
        fit(tmp_path, deadline=PASSED)
    state = load_state(tmp_path / "state.pt")
    state["network"]["0.weight"] = torch.zeros(7, *state["network"]["0.weight"].shape[1:])
    save_state(tmp_path / "state.pt", state)
    with pytest.raises(ModelError, match=r"state\.pt: checkpoint of other classes.*0\.weight.*delete it to start anew"):
        fit(tmp_path)


def test_divergence_is_an_error_with_epoch_and_way_out(tmp_path):
    calls = []

    def explode(network, batch):
        calls.append(1)
        factor = float("nan") if len(calls) == 15 else 1.0
        return {"fit": loss_step(network, batch)["fit"] * factor}

    with pytest.raises(ModelError, match=r"diverged at epoch 2 \(mean losses: fit nan\); lower learning_rate \(0.05\)"):
        fit(tmp_path, step=explode)
    assert len(history(tmp_path)) == 1
    state = load_state(tmp_path / "state.pt")
    assert state["counters"]["epochs"] == 1
    assert all(torch.isfinite(value).all() for value in state["network"].values()), "the checkpoint is poisoned"


def test_a_lost_training_is_not_saved_when_the_time_is_up(tmp_path):
    def explode(network, batch):
        return {"fit": loss_step(network, batch)["fit"] * float("inf")}

    with pytest.raises(ModelError, match="diverged at epoch 1"):
        fit(tmp_path, step=explode, deadline=PASSED)
    assert not (tmp_path / "state.pt").exists()


def test_sums_of_losses_are_exact_and_go_on():
    sums, exact = LossSums(), 0.0
    for step in range(1000):
        value = torch.tensor(1.0 + step / 3)
        sums.add({"fit": value, "size": value / 7})
        exact += float(value)
    assert sums.read()["fit"] == exact
    again = LossSums()
    again.restore(sums.read(), "cpu")
    again.add({"fit": torch.tensor(1.0), "size": torch.tensor(0.0)})
    assert again.read() == {"fit": exact + 1, "size": sums.read()["size"]}
    assert LossSums().read() == {}


def test_no_images_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="no images"):
        fit(tmp_path, source=Points(0))


def test_images_come_in_the_order_of_the_budget(tmp_path):
    points = Points()
    fit(tmp_path, source=points)
    assert [sorted(points.asked[start : start + 40]) for start in range(0, 160, 40)] == [list(range(40))] * 4
    assert points.asked[:40] != points.asked[40:80]


def test_only_what_will_be_seen_is_loaded(tmp_path):
    few, every = Points(), Points()
    fit(tmp_path / "few", source=few, plan=recipe(epochs=None, images_seen=16, images_per_epoch=8))
    assert sorted(few.asked) == few.loaded
    assert len(few.loaded) == 16
    fit(tmp_path / "all", source=every)
    assert every.loaded == list(range(40))


def test_initial_weights_are_taken_where_they_fit(tmp_path):
    source = make_network(5).state_dict()
    source["3.weight"] = torch.zeros(7, 8)  # a head for other classes
    save_file(source, tmp_path / "initial.safetensors")
    network = make_network(0)
    own_head = network[3].weight.clone()
    assert load_initial_weights(network, tmp_path / "initial.safetensors") == len(source) - 1
    assert torch.equal(network[0].weight, source["0.weight"])
    assert torch.equal(network[3].weight, own_head)


def test_a_layer_that_knows_other_classes_is_drawn_anew_whatever_its_shape(tmp_path, caplog):
    path, layer = tmp_path / "initial.safetensors", ["3.weight", "3.bias"]
    source = make_network(5).state_dict()
    save_file(source, path)

    def taken(known, classes, layer=layer):
        caplog.clear()
        path.with_suffix(".json").write_text(json.dumps({"classes": known}))
        network = make_network(0)
        number = load_initial_weights(network, path, None, classes, layer)
        assert torch.equal(network[0].weight, source["0.weight"])
        same = torch.equal(network[3].weight, source["3.weight"])
        assert number == len(source) - (0 if same else 2)
        assert same or torch.equal(network[3].weight, make_network(0)[3].weight)
        return same

    assert taken(["a", "b"], ("a", "b")) and not caplog.records
    assert not taken(["a", "b"], ("b", "a"))
    assert "initial.safetensors: knows the classes a, b, and the set has b, a: the class layer is drawn" in caplog.text
    assert taken(["particle"], ("rod",)), "anything or nothing is the same question"
    assert taken(["a", "b"], ("b", "a"), ()) and "does not say which layer" in caplog.text


def test_initial_weights_start_a_training_but_not_a_resumed_one(tmp_path):
    path = tmp_path / "initial.safetensors"
    save_file(make_network(5).state_dict(), path)
    whole, _ = fit(tmp_path / "whole", weights=path)
    scratch, _ = fit(tmp_path / "scratch")
    with pytest.raises(TimeLimitReached):
        fit(tmp_path / "parts", weights=path, deadline=PASSED)
    parts, _ = fit(tmp_path / "parts", weights=path)
    assert torch.equal(whole[0].weight, parts[0].weight)
    assert not torch.equal(whole[0].weight, scratch[0].weight)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"0.weight": torch.zeros(8, 2), "encoder": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match=r"foreign\.safetensors: only 1 of the network's 9 tensors"):
        fit(tmp_path / "run", weights=path)
    with pytest.raises(ModelError, match=r"missing\.safetensors: not readable as initial weights"):
        fit(tmp_path / "run", weights=tmp_path / "missing.safetensors")
