from itertools import pairwise

import pytest

from nanoseg_bench.models.budget import Budget, batches_of, plan_budget
from nanoseg_bench.models.recipe import Recipe


def recipe(**values) -> Recipe:
    return Recipe(model="unet", title="U-Net", preset="quick", canvas=96, **values)


def order(budget: Budget, seed: int | None) -> list[int]:
    return [index for epoch in range(budget.epochs) for index in budget.epoch_indices(epoch, seed)]


def test_every_image_once_before_any_twice():
    seen = order(Budget(epochs=7, images_per_epoch=6, training_images=10), seed=0)
    assert len(seen) == 42
    for start in range(0, 40, 10):
        assert sorted(seen[start : start + 10]) == list(range(10))
    assert len(set(seen[40:])) == 2


def test_each_round_has_an_order_of_its_own():
    seen = order(Budget(epochs=3, images_per_epoch=20, training_images=20), seed=0)
    rounds = [seen[start : start + 20] for start in range(0, 60, 20)]
    assert all(first != second for first, second in pairwise(rounds))


def test_the_order_follows_from_the_seed_alone():
    budget = Budget(epochs=4, images_per_epoch=8, training_images=30)
    assert order(budget, 0) == order(budget, 0)
    assert order(budget, 0) != order(budget, 1)
    assert budget.epoch_indices(2, 5) == order(budget, 5)[16:24]


def test_seed_zero_is_a_seed_and_none_is_not():
    budget = Budget(epochs=1, images_per_epoch=50, training_images=50)
    assert budget.epoch_indices(0, 0) == budget.epoch_indices(0, 0)
    assert budget.epoch_indices(0, None) != budget.epoch_indices(0, None)


def test_an_unseeded_epoch_still_shows_each_image_once():
    assert sorted(Budget(1, 12, 12).epoch_indices(0, None)) == list(range(12))


def test_epochs_are_passes_over_the_set():
    assert plan_budget(recipe(epochs=3, batch=4), 10) == Budget(3, 10, 10)


@pytest.mark.parametrize("batch", [1, 3, 8, 16])
def test_images_seen_is_kept_within_one_epoch_whatever_the_batch(batch):
    budget = plan_budget(recipe(images_seen=800, images_per_epoch=200, batch=batch), 37)
    assert budget.images_per_epoch % batch == 0
    assert abs(budget.images_seen - 800) <= budget.images_per_epoch / 2


def test_nothing_to_see_is_no_epoch():
    assert plan_budget(recipe(images_seen=0), 10).epochs == 0


@pytest.mark.parametrize("budget", [Budget(3, 4, 30), Budget(3, 10, 30), Budget(4, 10, 30), Budget(0, 4, 30)])
def test_the_images_of_a_training_are_those_of_its_epochs(budget):
    assert list(budget.images(5)) == sorted(set(order(budget, 5)))


def test_an_unseeded_training_may_draw_any_image():
    assert list(Budget(1, 4, 30).images(None)) == list(range(30))


@pytest.mark.parametrize(
    ("count", "size", "sizes"), [(8, 4, [4, 4]), (10, 4, [4, 4, 2]), (9, 4, [4, 5]), (1, 4, [1]), (3, 1, [1, 1, 1])]
)
def test_no_image_is_left_out_or_alone(count, size, sizes):
    batches = batches_of(range(count), size)
    assert [len(batch) for batch in batches] == sizes
    assert [index for batch in batches for index in batch] == list(range(count))
