import csv
import json
import time
from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from nanoseg_bench.errors import ModelError, TimeLimitReached
from nanoseg_bench.models.base import Deadline, FitContext
from nanoseg_bench.models.checkpoint import seed_everything
from nanoseg_bench.models.recipe import Recipe
from nanoseg_bench.models.training import (
    WeightAverage,
    batches_of,
    learning_rate_at,
    load_initial_weights,
    load_trained,
    measure_complexity,
    train,
)

PASSED = Deadline(at=time.monotonic() - 1, limit="1s")


class Points:
    """y = 2 x0 - x1, forty times; remembers what was asked for."""

    def __init__(self, size: int = 40) -> None:
        self.x = torch.randn(size, 2, generator=torch.Generator().manual_seed(0))
        self.y = self.x @ torch.tensor([[2.0], [-1.0]])
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int):
        self.asked.append(index)
        return self.x[index], self.y[index]


def collate(samples):
    xs, ys = zip(*samples, strict=True)
    return {"x": torch.stack(xs), "y": torch.stack(ys)}


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


def fit(run_dir, *, dataset=None, step=loss_step, plan=None, ema=False, **context):
    network = make_network(context.get("seed", 0))
    dataset = Points() if dataset is None else dataset
    about = {"format": "nanoseg-weights/1", "model": "unet", "classes": ["a"]}
    given = FitContext(run_dir, **{"seed": 0, **context})
    return network, train(network, step, dataset, collate, plan or recipe(), given, about, ema=ema)


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


@pytest.mark.parametrize("ema", [False, True])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_training_stopped_after_every_epoch_ends_with_the_same_weights(tmp_path, ema, optimizer):
    plan = recipe(optimizer=optimizer)
    whole, _ = fit(tmp_path / "whole", plan=plan, ema=ema)
    for done in (1, 2, 3):
        with pytest.raises(TimeLimitReached, match=rf"1s reached at epoch {done} of 4"):
            fit(tmp_path / "parts", plan=plan, ema=ema, deadline=PASSED)
    parts, report = fit(tmp_path / "parts", plan=plan, ema=ema, deadline=PASSED)
    assert (report.epochs, report.images_seen, report.resumes) == (4, 160, 3)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
    ours, theirs = history(tmp_path / "whole"), history(tmp_path / "parts")
    assert [row["fit"] for row in ours] == [row["fit"] for row in theirs]
    assert float(theirs[-1]["seconds"]) >= float(theirs[0]["seconds"])


def test_seconds_add_up_over_sessions(tmp_path):
    def slow(network, batch):
        time.sleep(0.01)
        return loss_step(network, batch)

    with pytest.raises(TimeLimitReached):
        fit(tmp_path, step=slow, deadline=PASSED)
    _, report = fit(tmp_path, step=slow)
    assert report.seconds >= 4 * 10 * 0.01


def test_a_finished_training_is_not_repeated(tmp_path):
    _, first = fit(tmp_path)
    points = Points()
    network, second = fit(tmp_path, dataset=points)
    assert points.asked == []
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
    assert not torch.equal(plain[0].weight, averaged[0].weight)


def test_the_average_follows_its_formula():
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, 0.0)
    average = WeightAverage(network)
    expected = 0.0
    for update in range(1, 6):
        nn.init.constant_(network.weight, float(update))
        average.update(network)
        decay = 0.9999 * (1 - np.exp(-update / 2000))
        expected = decay * expected + (1 - decay) * update
    assert average.values["weight"].item() == pytest.approx(expected, rel=1e-5)


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    with pytest.raises(TimeLimitReached):
        fit(tmp_path, deadline=PASSED)
    with pytest.raises(ModelError, match=r"state\.pt: checkpoint of another training"):
        fit(tmp_path, plan=recipe(learning_rate=0.01))


def test_divergence_is_an_error_with_epoch_and_way_out(tmp_path):
    calls = []

    def explode(network, batch):
        calls.append(1)
        factor = float("nan") if len(calls) == 15 else 1.0
        return {"fit": loss_step(network, batch)["fit"] * factor}

    with pytest.raises(ModelError, match=r"diverged at epoch 2, step 14 \(fit nan\); lower learning_rate \(0.05\)"):
        fit(tmp_path, step=explode)
    assert len(history(tmp_path)) == 1


def test_no_images_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="no images"):
        fit(tmp_path, dataset=Points(0))


def test_images_come_in_the_order_of_the_budget(tmp_path):
    points = Points()
    fit(tmp_path, dataset=points)
    assert [sorted(points.asked[start : start + 40]) for start in range(0, 160, 40)] == [list(range(40))] * 4
    assert points.asked[:40] != points.asked[40:80]


def test_rate_rises_then_falls_to_one_percent():
    plan = recipe(learning_rate=1.0, warmup_fraction=0.1)
    rates = [learning_rate_at(step, 100, plan) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert rates[10] == 1.0
    assert all(first >= second for first, second in pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.01, abs=0.001)


@pytest.mark.parametrize(
    ("count", "size", "sizes"), [(8, 4, [4, 4]), (10, 4, [4, 4, 2]), (9, 4, [4, 5]), (1, 4, [1]), (3, 1, [1, 1, 1])]
)
def test_no_image_is_left_out_or_alone(count, size, sizes):
    batches = batches_of(range(count), size)
    assert [len(batch) for batch in batches] == sizes
    assert [index for batch in batches for index in batch] == list(range(count))


def test_initial_weights_are_taken_where_they_fit(tmp_path):
    source = make_network(5).state_dict()
    source["3.weight"] = torch.zeros(7, 8)  # a head for other classes
    save_file(source, tmp_path / "initial.safetensors")
    network = make_network(0)
    own_head = network[3].weight.clone()
    assert load_initial_weights(network, tmp_path / "initial.safetensors") == len(source) - 1
    assert torch.equal(network[0].weight, source["0.weight"])
    assert torch.equal(network[3].weight, own_head)


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


def test_loading_checks_what_the_weights_are(tmp_path):
    trained, report = fit(tmp_path)
    loaded = load_trained(make_network(9), report.checkpoint, recipe(), ("a",), "cpu")
    assert torch.equal(loaded[0].weight, trained[0].weight)
    assert not loaded.training
    with pytest.raises(ModelError, match=r"classes is \['a'\], expected \['a', 'b'\]"):
        load_trained(make_network(), report.checkpoint, recipe(), ("a", "b"), "cpu")
    with pytest.raises(ModelError, match=r"model is 'unet', expected 'deeplabv3plus'"):
        load_trained(make_network(), report.checkpoint, recipe(model="deeplabv3plus"), ("a",), "cpu")
    with pytest.raises(ModelError, match="needs a checkpoint"):
        load_trained(make_network(), None, recipe(), ("a",), "cpu")
    with pytest.raises(ModelError, match="does not fit the network"):
        load_trained(nn.Linear(3, 3), report.checkpoint, recipe(), ("a",), "cpu")
    about = json.loads((tmp_path / "weights.json").read_text())
    assert about["training"]["signature"]["seed"] == 0


def test_complexity_of_a_known_network():
    network = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1, bias=False), nn.Conv2d(5, 2, 1))
    complexity = measure_complexity(network, 32)
    assert complexity.parameters == 5 * 27 + 10 + 2
    assert complexity.gflops == pytest.approx(2 * 32 * 32 * (5 * 27 + 10) / 1e9)
