"""A training from shards is the training from single files: the same batches, the same weights."""

from pathlib import Path

import pytest
import torch

from nanoseg_bench.errors import DatasetError
from nanoseg_bench.models import loading
from nanoseg_bench.models.base import FitContext
from nanoseg_bench.models.budget import plan_budget
from nanoseg_bench.models.loading import Loader, Order, worker_batches
from nanoseg_bench.models.recipe import Recipe, load_recipe
from nanoseg_bench.models.registry import build
from nanoseg_bench.models.training_batches import TrainingBatches
from nanoseg_bench.models.yolo_data import yolo_targets


def recipe(**values):
    common = {"model": "yolo11n", "title": "T", "preset": "smoke", "canvas": 64, "batch": 3, "epochs": 2}
    return Recipe(**{**common, **values})


def batches_of(prepared, plan, epoch=0, first_step=0):
    source = TrainingBatches(prepared, plan, 0, yolo_targets)
    budget = plan_budget(plan, len(source))
    source.load(budget.images(0), "cpu")
    return list(Loader(source, plan, FitContext(prepared.root, seed=0), budget).batches(epoch, first_step))


def same(first, second):
    return len(first) == len(second) and all(
        one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
        for one, two in zip(first, second, strict=True)
    )


def test_the_sets_are_the_same_and_the_shards_are_several(prepared_set, sharded_set):
    assert sharded_set.content_hash == prepared_set.content_hash
    assert len([shard for shard in sharded_set.shards.shards if shard.split == "train"]) > 1


@pytest.mark.parametrize("augmentation", [None, "shared"])
@pytest.mark.parametrize("loader", ["stock", "gpu"])
def test_the_batches_are_the_same(prepared_set, sharded_set, loader, augmentation):
    plan = recipe(loader=loader, augmentation=augmentation)
    for epoch in (0, 1):
        held = batches_of(prepared_set, plan, epoch=epoch)
        assert same(held, batches_of(sharded_set, plan, epoch=epoch))
        assert same(held[1:], batches_of(sharded_set, plan, epoch=epoch, first_step=1))
    assert sum(len(batch["cls"]) for batch in held) > 20


def test_nothing_is_held_in_memory_unless_on_a_device(prepared_set, sharded_set):
    for prepared, loader, streams in (
        (sharded_set, "stock", True),
        (sharded_set, "gpu", False),
        (prepared_set, "stock", False),
    ):
        source = TrainingBatches(prepared, recipe(loader=loader), 0, yolo_targets)
        source.load(range(8), "cpu")
        assert source.streams == streams


@pytest.mark.parametrize("free", [False, True])
def test_reading_ahead_changes_nothing(prepared_set, sharded_set, monkeypatch, free):
    monkeypatch.setattr(loading, "_a_core_is_free", lambda: free)
    plan = recipe(augmentation="shared")
    torch.manual_seed(0)
    assert same(batches_of(prepared_set, plan), batches_of(sharded_set, plan))
    assert torch.rand(1).item() == torch.rand(1, generator=torch.Generator().manual_seed(0)).item()


def test_a_core_is_free_where_the_network_leaves_one(monkeypatch):
    monkeypatch.setattr(loading, "available_cores", lambda: torch.get_num_threads() + 1)
    assert loading._a_core_is_free()
    monkeypatch.setattr(loading, "available_cores", torch.get_num_threads)
    assert not loading._a_core_is_free()


def test_an_error_of_the_reader_is_an_error_of_the_training(sharded_set, monkeypatch):
    monkeypatch.setattr(loading, "_a_core_is_free", lambda: True)
    plan = recipe()
    source = TrainingBatches(sharded_set, plan, 0, yolo_targets)
    source.load(range(8), "cpu")

    def damaged(_, index):
        raise DatasetError("train-000000.tar: damaged")

    monkeypatch.setattr(type(source._images), "__getitem__", damaged)
    loader = Loader(source, plan, FitContext(Path()), plan_budget(plan, 8))
    with pytest.raises(DatasetError, match="damaged"):
        next(loader.batches(0))


def test_processes_read_the_same_batches(prepared_set, sharded_set):
    """As a training on a GPU loads them."""
    plan = recipe(augmentation="shared")
    source = TrainingBatches(sharded_set, plan, 0, yolo_targets)
    source.load(range(8), "cpu")
    made = list(worker_batches(source, Order(plan_budget(plan, 8), 0, plan.batch), 1, pinned=False))
    assert same(batches_of(prepared_set, plan), made)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["yolo11n", "unet"])
def test_smoke_training_gives_the_same_weights(prepared_set, sharded_set, tmp_path, model):
    short = {"canvas": 64, "images_seen": 16, "images_per_epoch": 8}  # each image twice
    plan = load_recipe(model, "smoke").model_copy(update=short)
    weights = []
    for prepared in (prepared_set, sharded_set):
        made = build(plan, prepared.classes, prepared.max_instances)
        folder = tmp_path / str(len(weights))
        folder.mkdir()
        report = made.fit(prepared, FitContext(folder, seed=0))
        assert report.images_seen > 0
        weights.append(report.checkpoint.read_bytes())
    assert weights[0] == weights[1]
