"""The training images of a prepared set as batches: from memory or from disk, as they are or augmented."""

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from nanoseg_bench.environment import available_memory
from nanoseg_bench.errors import ModelError
from nanoseg_bench.models import process_group
from nanoseg_bench.models.augmentation import Draw, draw_views, plain_views
from nanoseg_bench.models.batches import InstanceBatch, assemble
from nanoseg_bench.models.data import Sample, TrainingImages
from nanoseg_bench.models.packed_images import PackedImages, TooLargeError, pack
from nanoseg_bench.models.recipe import Recipe
from nanoseg_bench.parallel import Workers, default_workers
from nanoseg_bench.preparation.prepared_set import PreparedSet

MEMORY_SHARE = 0.5
"""A training set is held in memory, or on the device, when its images need at most this share of what is free."""

_LOG = logging.getLogger(__name__)


class TrainingBatches:
    """Batches of a prepared set's training images, augmented as the recipe says.

    Args:
        prepared: The prepared set.
        recipe: Canvas, loader and augmentation.
        seed: Of the augmentation; None is unseeded.
        targets: Turns assembled canvases into what the model trains on.
        ignored: Whether ``targets`` wants the regions that are to be ignored.

    Raises:
        DatasetError: The set's training targets are incomplete.
    """

    def __init__(
        self,
        prepared: PreparedSet,
        recipe: Recipe,
        seed: int | None,
        targets: Callable[[InstanceBatch], Any],
        *,
        ignored: bool = False,
    ) -> None:
        self._images = TrainingImages(prepared, recipe.canvas, copies=recipe.copies)
        self._recipe = recipe
        self._seed = seed
        self._targets = targets
        self._ignored = ignored
        self._packed: PackedImages | None = None

    def __len__(self) -> int:
        return len(self._images)

    @property
    def streams(self) -> bool:
        """Whether each batch reads its own images from disk, as it stands after ``load``."""
        return self._packed is None

    def load(self, images: Sequence[int], device: str) -> None:
        """Read the images into memory; for ``loader: gpu``, onto the device.

        Where they do not fit, and of a set in shards always, ``loader: stock`` reads the images of each batch when it
        is their turn: memory does not go with their number.

        Raises:
            ModelError: ``loader: gpu``, and they do not fit.
        """
        if self._recipe.augmentation is not None:
            images = range(len(self))  # any of them may become part of a mosaic
        on_device = self._recipe.loader == "gpu"
        if self._images.in_shards and not on_device:
            return
        try:
            packed = self._read(images)
            self._packed = _moved(packed, device) if on_device else packed
        except TooLargeError as error:
            message = f"{self._recipe.model}: {len(images)} training images of {self._recipe.canvas} px need {error}"
            if on_device:
                raise ModelError(f"{message}; set `loader: stock` in the recipe") from error
            _LOG.warning("%s; every batch reads its own from disk", message)

    def __getitem__(self, draw: Draw) -> Any:
        """The batch of a draw."""
        recipe = self._recipe
        if recipe.augmentation is None:
            views = plain_views(draw.images, recipe.canvas)
        else:
            views = draw_views(recipe.augmentation, draw, len(self), recipe.canvas, self._seed, crop=recipe.crop)
        packed = self._packed
        if packed is None:
            shown = np.unique(views.image).tolist()
            packed = self._pack(map(self._images.__getitem__, shown), shown)
        return self._targets(assemble(packed, views))

    def _read(self, images: Sequence[int]) -> PackedImages:
        # Each process of a group holds them all.
        room = MEMORY_SHARE * available_memory() / process_group.size()
        with Workers(default_workers(), open_pool=_open_threads) as readers:
            # A few ahead: decoded images that wait to be packed take memory, too.
            samples = readers.each(self._images.__getitem__, images, "read training images", ahead=2)
            return self._pack(samples, images, room)

    def _pack(self, samples: Iterable[Sample], images: Sequence[int], room: float = math.inf) -> PackedImages:
        return pack(samples, images, len(self), self._recipe.canvas, ignored=self._ignored, room=room)


def _open_threads(number: int, initializer: Callable[[], None] | None) -> Executor:
    """Decoding an image leaves the interpreter to others, so threads are enough."""
    return ThreadPoolExecutor(number, initializer=initializer)


def _moved(packed: PackedImages, device: str) -> PackedImages:
    """The images on ``device``.

    Raises:
        TooLargeError: They would take too much of its memory.
    """
    if device.startswith("cuda"):
        room = MEMORY_SHARE * torch.cuda.mem_get_info(device)[0]
        if packed.bytes > room:
            raise TooLargeError(packed.bytes, room)
    return packed.to(device)
