import os
import shutil

import pytest
import torch
from torch import nn

from nanoseg_bench.errors import ModelError, TimeLimitReached
from nanoseg_bench.models.base import Deadline, FitContext
from nanoseg_bench.models.checkpoint import seed_everything
from nanoseg_bench.models.compilation import compile_errors, compiled
from nanoseg_bench.models.recipe import Recipe, load_recipe
from nanoseg_bench.models.registry import build
from nanoseg_bench.models.training import train

needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="torch.compile on the CPU needs a C++ compiler"
)


class Squares:
    """Grey squares to be told by size; 26 of them, so that the last batch of four is smaller."""

    def __len__(self) -> int:
        return 26

    def load(self, images, device) -> None:
        pass

    def __getitem__(self, draw):
        pixels = torch.zeros(len(draw.images), 3, 16, 16)
        for number, image in enumerate(draw.images):
            pixels[number, :, : 3 + image % 10, : 3 + image % 10] = 1
        return pixels, torch.tensor([image % 10 / 10 for image in draw.images])


def loss_step(network, batch):
    pixels, size = batch
    return {"fit": nn.functional.mse_loss(network(pixels).mean(dim=(1, 2, 3)), size)}


def fit(run_dir, compile_it, **context) -> tuple[nn.Module, list[str]]:
    seed_everything(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.SiLU(), nn.Conv2d(8, 1, 3))
    plan = Recipe(
        model="unet", title="T", preset="smoke", canvas=32, batch=4, epochs=2, optimizer="sgd", compile=compile_it
    )
    train(network, loss_step, Squares(), plan, FitContext(run_dir, **context), {}, ema=True)
    return network, (run_dir / "history.csv").read_text().splitlines()


def test_nothing_is_compiled_unless_wanted_on_this_device():
    network = nn.Linear(2, 2)
    assert compiled(network, "cpu", False) is network
    assert compiled(network, "cpu", True) is network, "true means CUDA alone"
    assert compiled(network, "cuda:0", False) is network


@pytest.mark.slow
@pytest.mark.parametrize(("device", "wanted"), [("cuda:0", True), ("cpu", "always")])
def test_a_compiled_network_shares_its_parameters(device, wanted):
    network = nn.Linear(2, 2)
    wrapped = compiled(network, device, wanted)
    assert wrapped is not network
    assert wrapped.weight is network.weight
    assert set(network.state_dict()) == {"weight", "bias"}


def test_other_errors_stay_as_they_are():
    with pytest.raises(RuntimeError, match="out of memory"), compile_errors("unet"):
        raise RuntimeError("CUDA out of memory")


@needs_compiler
@pytest.mark.slow
def test_a_compiled_training_is_that_of_the_plain_network(tmp_path):
    plain, ours = fit(tmp_path / "plain", False)
    fast, theirs = fit(tmp_path / "fast", "always")
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(fast.state_dict()[name], value, rtol=1e-3, atol=1e-4, msg=name)
    losses = [[float(line.split(",")[3]) for line in lines[1:]] for lines in (ours, theirs)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


@needs_compiler
@pytest.mark.slow
def test_a_compiled_training_goes_on_exactly(tmp_path):
    whole, _ = fit(tmp_path / "whole", "always")
    with pytest.raises(TimeLimitReached):
        fit(tmp_path / "parts", "always", deadline=Deadline(at=0.0, limit="1s"))
    parts, _ = fit(tmp_path / "parts", "always")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:dynamo_pgo force disabled")
def test_a_missing_compiler_is_named_with_the_way_out(tmp_path):
    import torch._inductor.config as inductor

    torch._dynamo.reset()
    with (
        inductor.patch({"cpp.cxx": ("/nowhere/c++",), "force_disable_caches": True}),
        pytest.raises(ModelError, match=r"unet: torch.compile failed .*/nowhere/c\+\+.*set `compile: false`"),
    ):
        fit(tmp_path, "always")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["yolo11n", "nsyolo", "unet", "deeplabv3plus"])
def test_a_network_is_one_graph(name):
    """A graph that breaks is compiled piece by piece, which takes longer and gains less."""
    network = build(load_recipe(name, "smoke"), ("a", "b"), 10).build_network().train()
    explained = torch._dynamo.explain(network)(torch.rand(2, 3, 64, 64))
    assert (explained.graph_count, explained.graph_break_count) == (1, 0), explained.break_reasons
