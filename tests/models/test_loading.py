import logging
import time

import numpy as np
import psutil
import pytest
import torch
from torch.utils.data import DataLoader

from nanoseg_bench.errors import DatasetError, ModelError
from nanoseg_bench.models import process_group, training_batches
from nanoseg_bench.models.augmentation import Draw
from nanoseg_bench.models.base import FitContext
from nanoseg_bench.models.budget import plan_budget
from nanoseg_bench.models.data import TrainingImages
from nanoseg_bench.models.loading import Loader, Order, to_device, worker_batches
from nanoseg_bench.models.packed_images import PackedImages, Regions, pack
from nanoseg_bench.models.recipe import Recipe
from nanoseg_bench.models.training_batches import TrainingBatches
from nanoseg_bench.models.yolo_data import yolo_targets


def recipe(**values) -> Recipe:
    common = {"model": "yolo11n", "title": "T", "preset": "smoke", "canvas": 64, "batch": 3, "epochs": 2}
    return Recipe(**{**common, **values})


def batches_of(prepared, plan: Recipe, seed=0, first_step=0, epoch=0, device="cpu") -> list[dict[str, torch.Tensor]]:
    source = TrainingBatches(prepared, plan, seed, yolo_targets)
    budget = plan_budget(plan, len(source))
    source.load(budget.images(seed), device)
    context = FitContext(prepared.root, seed=seed, device=device)
    return list(Loader(source, plan, context, budget).batches(epoch, first_step))


def same(first, second) -> bool:
    return len(first) == len(second) and all(
        one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
        for one, two in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("augmentation", [None, "shared"])
def test_both_loaders_give_the_same_batches(prepared_set, augmentation):
    stock, device = (
        batches_of(prepared_set, recipe(loader=loader, augmentation=augmentation)) for loader in ("stock", "gpu")
    )
    assert [len(batch["img"]) for batch in stock] == [3, 3, 2]
    assert same(stock, device)
    assert sum(len(batch["cls"]) for batch in stock) > 20


@pytest.mark.parametrize("augmentation", [None, "shared"])
def test_what_does_not_fit_is_read_batch_by_batch(prepared_set, monkeypatch, caplog, augmentation):
    plan = recipe(augmentation=augmentation)
    held = batches_of(prepared_set, plan)
    monkeypatch.setattr(training_batches, "MEMORY_SHARE", 0.0)
    with caplog.at_level(logging.WARNING):
        read = batches_of(prepared_set, plan)
    assert same(held, read)
    assert "8 training images of 64 px need 3.28e-05 GB, more than the 0 GB" in caplog.text
    with pytest.raises(ModelError, match=r"yolo11n: 8 training images of 64 px need .* set `loader: stock`"):
        batches_of(prepared_set, recipe(loader="gpu"))


def test_few_images_are_read_before_they_are_packed(prepared_set, monkeypatch):
    """Those that wait are held beside the room that is kept for all of them."""
    begun, ahead = [], []

    class Counted(TrainingImages):
        def __getitem__(self, index):
            begun.append(index)
            return super().__getitem__(index)

    def pack_slowly(samples, images, *others, **options):
        for taken, _ in enumerate(samples, start=1):
            time.sleep(0.02)
            ahead.append(len(begun) - taken)
        return pack(map(packed.__getitem__, images), images, *others, **options)

    packed = TrainingImages(prepared_set, 64)
    monkeypatch.setattr(training_batches, "TrainingImages", Counted)
    monkeypatch.setattr(training_batches, "pack", pack_slowly)
    monkeypatch.setattr(training_batches, "default_workers", lambda: 2)
    source = TrainingBatches(prepared_set, recipe(), 0, yolo_targets)
    source.load(list(range(len(source))) * 10, "cpu")
    assert len(ahead) == 10 * len(source)
    assert max(ahead) <= 4


def test_processes_that_hold_the_images_side_by_side_share_the_memory(prepared_set, monkeypatch):
    def holds(processes):
        monkeypatch.setattr(process_group, "size", lambda: processes)
        source = TrainingBatches(prepared_set, recipe(), 0, yolo_targets)
        source.load(range(len(source)), "cpu")
        return not source.streams

    needed = 8 * 64 * 64
    free = psutil.virtual_memory()._replace(available=3 * needed)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    assert holds(1) and not holds(2)


def test_without_a_seed_no_image_comes_twice_before_all_came_once(prepared_set):
    plan = recipe(epochs=None, images_seen=8, images_per_epoch=2, batch=2)
    source = TrainingBatches(prepared_set, plan, None, lambda batch: batch.pixels)
    budget = plan_budget(plan, len(source))
    source.load(budget.images(None), "cpu")
    loader = Loader(source, plan, FitContext(prepared_set.root, seed=None), budget)
    seen = [
        image.numpy().tobytes() for epoch in range(budget.epochs) for batch in loader.batches(epoch) for image in batch
    ]
    expected = [image.numpy().tobytes() for image in source._packed.pixels]
    assert budget.epochs == 4 and sorted(seen) == sorted(expected)


def test_an_epoch_can_be_taken_up_in_its_middle(prepared_set):
    plan = recipe(augmentation="shared")
    whole = [batches_of(prepared_set, plan, epoch=epoch) for epoch in (0, 1)]
    assert not same(whole[0], whole[1])
    assert same(whole[1][2:], batches_of(prepared_set, plan, epoch=1, first_step=2))


def test_augmentation_follows_the_seed(prepared_set):
    plan = recipe(augmentation="shared")
    assert same(batches_of(prepared_set, plan), batches_of(prepared_set, plan))
    assert not same(batches_of(prepared_set, plan), batches_of(prepared_set, plan, seed=1))


def test_only_the_images_of_a_short_training_are_held(prepared_set):
    plan = recipe(epochs=None, images_seen=3, images_per_epoch=3)
    source = TrainingBatches(prepared_set, plan, 0, yolo_targets)
    budget = plan_budget(plan, len(source))
    source.load(budget.images(0), "cpu")
    assert len(source._packed.pixels) == 3
    (batch,) = Loader(source, plan, FitContext(prepared_set.root), budget).batches(0)
    whole = TrainingBatches(prepared_set, plan, 0, yolo_targets)
    whole.load(range(len(whole)), "cpu")
    assert same([batch], [whole[Draw(budget.epoch_indices(0, 0), 0, 3)]])


def test_the_order_of_the_network_s_own_random_numbers_is_left_alone(prepared_set):
    torch.manual_seed(0)
    np.random.seed(0)
    expected = torch.rand(1).item(), np.random.random()
    torch.manual_seed(0)
    np.random.seed(0)
    batches_of(prepared_set, recipe(augmentation="shared"))
    assert (torch.rand(1).item(), np.random.random()) == expected


def test_batches_keep_their_nesting_on_the_way_to_the_device():
    tensor = torch.arange(3)
    batch = to_device({"a": [tensor, (tensor, "name")], "b": 4}, "meta")
    assert batch["a"][0].device.type == batch["a"][1][0].device.type == "meta"
    assert (batch["a"][1][1], batch["b"]) == ("name", 4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("loader", ["stock", "gpu"])
@pytest.mark.parametrize("augmentation", [None, "shared"])
def test_a_cuda_device_gets_what_the_cpu_gets(prepared_set, loader, augmentation):
    plan = recipe(loader=loader, augmentation=augmentation)
    here, there = batches_of(prepared_set, plan), batches_of(prepared_set, plan, device="cuda:0")
    assert all(tensor.is_cuda for batch in there for tensor in batch.values())
    there = [to_device(batch, "cpu") for batch in there]
    if loader == "stock" or augmentation is None:
        assert same(here, there)
        return
    for one, two in zip(here, there, strict=True):
        # Positions differ in the last bit: grey levels by one, a pixel on an edge now and then.
        assert (one["img"].int() - two["img"].int()).abs().max() <= 1
        assert one["cls"].shape == two["cls"].shape
        assert (one["masks"] != two["masks"]).float().mean() < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("augmentation", [None, "shared"])
def test_worker_processes_give_the_same_batches_in_the_same_order(prepared_set, augmentation):
    plan = recipe(augmentation=augmentation)
    source = TrainingBatches(prepared_set, plan, 0, yolo_targets)
    budget = plan_budget(plan, len(source))
    source.load(budget.images(0), "cpu")
    order = Order(budget, 0, plan.batch)
    workers = worker_batches(source, order, workers=2, pinned=False)
    for epoch in range(2):
        order.epoch = epoch
        assert same(list(workers), batches_of(prepared_set, plan, epoch=epoch))


class Damaged:
    """A source of which no batch can be read."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, draw) -> None:
        raise DatasetError("shard-3.tar: is damaged: a sum is wrong; prepare the set anew")


def test_what_a_worker_process_cannot_read_is_told_in_a_sentence():
    plan = recipe()
    batches = worker_batches(Damaged(), Order(plan_budget(plan, 8), 0, plan.batch), workers=1, pinned=False)
    with pytest.raises(DatasetError) as told:
        list(batches)
    assert str(told.value) == "shard-3.tar: is damaged: a sum is wrong; prepare the set anew"


class Sums:
    """A source that holds as much as a training set, and reads all of it for every batch."""

    def __init__(self, packed: PackedImages) -> None:
        self.packed = packed

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.tensor([self.packed.pixels.sum(), psutil.Process().pid, psutil.Process().memory_full_info().uss])


@pytest.mark.slow
@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_worker_processes_share_the_training_set(context):
    """What a worker has for itself is less than the set: there is one copy, whatever their number."""
    pixels = torch.randint(0, 255, (400, 1, 640, 640), dtype=torch.uint8)
    nothing = np.zeros(0, dtype=np.int64)
    packed = PackedImages(pixels, torch.zeros(0, dtype=torch.bool), Regions(*[nothing] * 7), nothing, nothing)
    loader = DataLoader(Sums(packed), batch_size=None, num_workers=2, multiprocessing_context=context)
    rows = torch.stack(list(loader))
    small = Sums(replace_pixels(packed, pixels[:1].clone()))
    baseline = torch.stack(list(DataLoader(small, batch_size=None, num_workers=2, multiprocessing_context=context)))
    assert len(rows[:, 1].unique()) == 2
    assert (rows[:, 0] == pixels.sum()).all()
    own = rows[:, 2].max() - baseline[:, 2].min()
    assert own < 0.3 * pixels.nbytes, f"{own / 2**20:.0f} MiB of {pixels.nbytes / 2**20:.0f} MiB"


def replace_pixels(packed: PackedImages, pixels: torch.Tensor) -> PackedImages:
    return PackedImages(pixels, packed.covered, packed.regions, packed.first, packed.slots)
