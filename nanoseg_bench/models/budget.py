"""How long every model trains, and in which order it sees the images: one rule for all of them.

An epoch is what lies between two checkpoints. With ``epochs`` in the recipe it is one pass over the training set; with
``images_seen`` it is ``images_per_epoch`` images, drawn from seeded permutations of the training set laid end to end,
so that no image is seen twice before all were seen once. The order depends on seed and epoch alone: a resumed run sees
what an uninterrupted one would have seen, and all models of one seed see the same images in the same order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nanoseg_bench.models.recipe import Recipe

_DEFAULT_IMAGES_PER_EPOCH = 200


@dataclass(frozen=True, slots=True)
class Budget:
    """Training length.

    Attributes:
        epochs: Number of epochs.
        images_per_epoch: Images in each.
        training_images: Size of the training set.
    """

    epochs: int
    images_per_epoch: int
    training_images: int

    @property
    def images_seen(self) -> int:
        """Images through the network in all."""
        return self.epochs * self.images_per_epoch

    def epoch_indices(self, epoch: int, seed: int | None) -> list[int]:
        """Indices into the training set for ``epoch`` (from 0), in order; ``seed`` None is unseeded."""
        first = epoch * self.images_per_epoch
        positions = range(first, first + self.images_per_epoch)
        shuffles = {
            number: _shuffle(self.training_images, number, seed)
            for number in {position // self.training_images for position in positions}
        }
        return [int(shuffles[p // self.training_images][p % self.training_images]) for p in positions]

    def images(self, seed: int | None) -> Sequence[int]:
        """Indices of the training images that the whole training draws, rising; all of them where it is unseeded."""
        if seed is None or self.images_seen >= self.training_images:
            return range(self.training_images)
        return sorted({index for epoch in range(self.epochs) for index in self.epoch_indices(epoch, seed)})


def batches_of(indices: Sequence[int], size: int) -> list[list[int]]:
    """Cut an epoch into batches; a last batch of one joins the one before it.

    Batch normalisation cannot train on a single image, and dropping it would show this model fewer images than others.
    """
    batches = [list(indices[start : start + size]) for start in range(0, len(indices), size)]
    if len(batches) > 1 and len(batches[-1]) == 1 < size:
        batches[-2:] = [batches[-2] + batches[-1]]
    return batches


def plan_budget(recipe: Recipe, training_images: int) -> Budget:
    """Turn a recipe's budget into epochs for a training set of this size."""
    if recipe.epochs is not None:
        return Budget(recipe.epochs, training_images, training_images)
    seen = recipe.images_seen or 0
    per_epoch = min(recipe.images_per_epoch or _DEFAULT_IMAGES_PER_EPOCH, max(seen, 1))
    # Whole batches only: a model that drops the last small batch would see fewer images than the others.
    per_epoch = max(per_epoch // recipe.batch, 1) * recipe.batch
    return Budget(max(round(seen / per_epoch), 1) if seen else 0, per_epoch, training_images)


def _shuffle(size: int, number: int, seed: int | None) -> np.ndarray:
    generator = np.random.default_rng(None if seed is None else [seed, number])
    return generator.permutation(size)
