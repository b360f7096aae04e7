"""Small eval sets of discs, and predictions made from their truth."""

import numpy as np
import pytest

from nanoseg_bench.annotations.instance import Instance, Rle
from nanoseg_bench.annotations.raster import mask_to_rle
from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.predictions import Predictions

CLASSES = ("cube", "sphere")
WIDTH, HEIGHT = 140, 100


def draw_disc(x: float, y: float, radius: float) -> Rle:
    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    return mask_to_rle((columns - x) ** 2 + (rows - y) ** 2 <= radius**2)


def build_eval_set(truth, name="test", groups=None, nm_per_px=None, attributes=None) -> EvalSet:
    names = tuple(truth)
    return EvalSet(
        name=name,
        set_hash="hash-a",
        classes=CLASSES,
        images=names,
        truth=truth,
        sizes=dict.fromkeys(names, (WIDTH, HEIGHT)),
        source_groups=groups or {image: f"group-{index // 2}" for index, image in enumerate(names)},
        max_detections=100,
        nm_per_px=nm_per_px or dict.fromkeys(names),
        attributes=attributes or {},
        marks=dict.fromkeys(names, ()),
    )


def build_predictions(eval_set, images, **changes) -> Predictions:
    values = {
        "model": "toy",
        "eval_set": eval_set.name,
        "set_hash": eval_set.set_hash,
        "knows_classes": True,
        "classes": eval_set.classes,
        "images": images,
        "sizes": dict(eval_set.sizes),
        "timing": None,
    }
    return Predictions(**{**values, **changes})


def random_truth(rng, images=8, particles=7):
    """Particles on a jittered grid, so that none covers another."""
    truth = {}
    for index in range(images):
        cells = rng.permutation(20)[:particles]
        truth[f"image-{index}"] = [
            Instance(
                str(rng.choice(CLASSES)),
                draw_disc(14 + 28 * (cell % 5), 12.5 + 25 * (cell // 5), rng.uniform(4, 11)),
            )
            for cell in cells
        ]
    return truth


def perfect_answer(truth, score=0.9):
    return {name: [Instance(one.label, one.region, score) for one in instances] for name, instances in truth.items()}


def noisy_answer(rng, truth, decimals=2):
    """Some particles missed, some doubled, some shrunk below IoU 0.5, some invented."""
    images = {}
    for name, instances in truth.items():
        found = []
        for one in (one for one in instances if not one.ignored):
            for _ in range(rng.choice([0, 1, 1, 1, 2])):
                found.append(Instance(one.label, one.region, round(float(rng.beta(4, 2)), decimals)))
        for _ in range(rng.integers(0, 5)):
            x, y = rng.uniform(10, WIDTH - 10), rng.uniform(10, HEIGHT - 10)
            found.append(Instance("cube", draw_disc(x, y, rng.uniform(3, 9)), round(float(rng.beta(2, 4)), decimals)))
        images[name] = found
    return images


@pytest.fixture
def disc():
    return draw_disc


@pytest.fixture
def make_eval_set():
    return build_eval_set


@pytest.fixture
def make_predictions():
    return build_predictions


@pytest.fixture
def make_truth():
    return random_truth


@pytest.fixture
def perfect():
    return perfect_answer


@pytest.fixture
def noisy():
    return noisy_answer
