"""What the cleaning of masks would do to the truth: a set whose particles have parts or holes loses them."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.raster import rle_to_window, to_rle
from nanoseg_bench.models.mask_cleaning import count_altered
from nanoseg_bench.models.recipe import MaskCleaning, Recipe
from nanoseg_bench.preparation.prepared_set import PreparedSet


def cleaned_truth_lines(recipes: Sequence[Recipe], prepared: PreparedSet) -> list[str]:
    """A sentence for each cleaning that the recipes name and that would alter training particles.

    Args:
        recipes: Of the models to be run.
        prepared: The set, whose originals in ``train`` are looked at.
    """
    titles: dict[MaskCleaning, dict[str, None]] = {}
    for recipe in recipes:
        if recipe.mask_cleaning != "none":
            titles.setdefault(recipe.mask_cleaning, {})[recipe.title] = None
    lines = []
    for cleaning in titles:
        told = count_altered(_training_masks(prepared), cleaning)
        if told.altered:
            lines.append(
                f"mask_cleaning {cleaning} ({', '.join(titles[cleaning])}): would alter {told.altered:,} of "
                f"{told.particles:,} training particles: {told.in_parts:,} in several parts, {told.with_holes:,} with "
                "holes; such particles cannot be predicted with it"
            )
    return lines


def _training_masks(prepared: PreparedSet) -> Iterator[NDArray[np.bool_]]:
    """Each particle of the original training images as the window that it fills."""
    truth = prepared.truth("train")
    for image in prepared.images("train"):
        if image.parent is None:
            height, width = image.letterbox.height, image.letterbox.width
            for instance in truth.get(image.name, []):
                if not instance.ignored:
                    yield rle_to_window(to_rle(instance, height, width))[0]
