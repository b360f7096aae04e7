"""Random scenes: discs on images, predictions that are jittered, missing, doubled or invented."""

import numpy as np
import pytest

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Rle
from nanoseg_bench.annotations.raster import mask_to_rle
from nanoseg_bench.metrics.matching import image_overlap

CLASSES = ("cube", "rod", "sphere")
WIDTH, HEIGHT = 120, 90


def draw_disc(x: float, y: float, radius: float, width: int = WIDTH, height: int = HEIGHT) -> Rle:
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return mask_to_rle((columns - x) ** 2 + (rows - y) ** 2 <= radius**2)


def draw_scene(
    rng: np.random.Generator, *, particles: int = 12, regions: bool = True, decimals: int = 2, radii=(4, 12)
):
    """(predicted, truth) of one image. Rounded scores make ties."""
    truth, predicted = [], []
    for _ in range(particles):
        x, y, radius = rng.uniform(5, WIDTH - 5), rng.uniform(5, HEIGHT - 5), rng.uniform(*radii)
        label = str(rng.choice(CLASSES))
        truth.append(Instance(label, draw_disc(x, y, radius)))
        for _ in range(rng.integers(0, 3)):
            dx, dy = rng.normal(0, radius / 8, 2)
            guess = label if rng.random() < 0.8 else str(rng.choice(CLASSES))
            region = draw_disc(x + dx, y + dy, radius * rng.uniform(0.85, 1.15))
            predicted.append(Instance(guess, region, round(float(rng.random()), decimals)))
    for _ in range(rng.integers(0, 6)):
        x, y, radius = rng.uniform(5, WIDTH - 5), rng.uniform(5, HEIGHT - 5), rng.uniform(4, 12)
        predicted.append(
            Instance(str(rng.choice(CLASSES)), draw_disc(x, y, radius), round(float(rng.random()), decimals))
        )
    if regions:
        truth.append(Instance(IGNORE_LABEL, draw_disc(rng.uniform(20, 100), rng.uniform(20, 70), 14)))
        truth.append(Instance("rod", draw_disc(rng.uniform(20, 100), rng.uniform(20, 70), 12), crowd=True))
    rng.shuffle(predicted)
    return predicted, truth


def overlap_of(scene):
    predicted, truth = scene
    return image_overlap(predicted, truth, WIDTH, HEIGHT)


@pytest.fixture
def classes():
    return CLASSES


@pytest.fixture
def disc():
    return draw_disc


@pytest.fixture
def scene():
    return draw_scene


@pytest.fixture
def overlap():
    return overlap_of
