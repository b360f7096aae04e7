"""A tiny prepared set of discs and squares, and the pieces that tests of models share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nanoseg_bench.annotations.instance import Instance, Micrograph
from nanoseg_bench.annotations.raster import mask_to_rle
from nanoseg_bench.annotations.source import Loaded
from nanoseg_bench.imageio import as_rgb, read_image
from nanoseg_bench.models.assembly import InstanceBatch, assemble
from nanoseg_bench.models.base import CanvasImage
from nanoseg_bench.models.data import Sample
from nanoseg_bench.models.packed import pack
from nanoseg_bench.models.views import plain_views
from nanoseg_bench.preparation.choices import Choices
from nanoseg_bench.preparation.pipeline import prepare
from nanoseg_bench.preparation.prepared_set import PreparedSet

CLASSES = ("disc", "square")
HEIGHT, WIDTH = 96, 120


@pytest.fixture(autouse=True)
def one_thread():
    """Training must be repeatable and polite to other tests on the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def batch_of() -> Callable[..., InstanceBatch]:
    """A function: samples of one size, as they are, to a batch."""

    def make(*samples: Sample, ignored: bool = False) -> InstanceBatch:
        size, numbers = samples[0].pixels.shape[0], list(range(len(samples)))
        return assemble(pack(samples, numbers, len(samples), size, ignored=ignored), plain_views(numbers, size))

    return make


def draw_scene(rng: np.random.Generator) -> tuple[np.ndarray, list[Instance]]:
    """Bright discs and squares, one per cell of a 2 x 3 grid, on a dark, noisy ground."""
    ys, xs = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    pixels = rng.normal(60, 6, (HEIGHT, WIDTH))
    instances = []
    for row in range(2):
        for column in range(3):
            x, y = 20 + 40 * column + rng.uniform(-3, 3), 24 + 48 * row + rng.uniform(-5, 5)
            half = rng.uniform(8, 14)
            label = CLASSES[int(rng.integers(2))]
            inside = (
                (xs - x) ** 2 + (ys - y) ** 2 < half**2
                if label == "disc"
                else np.maximum(abs(xs - x), abs(ys - y)) < half
            )
            pixels[inside] = rng.normal(180, 6, int(inside.sum()))
            instances.append(Instance(label, mask_to_rle(inside)))
    return pixels.clip(0, 255).astype(np.uint8), instances


@pytest.fixture(scope="session")
def prepared_set(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    """Ten micrographs of 120 x 96 px in ten groups on canvases of 128 px: 8 train, 1 val, 1 test."""
    source = tmp_path_factory.mktemp("discs")
    rng = np.random.default_rng(7)
    micrographs = []
    for number in range(10):
        pixels, instances = draw_scene(rng)
        path = Path(source / f"scene-{number}.png")
        Image.fromarray(pixels).save(path)
        micrographs.append(
            Micrograph(path.stem, path, WIDTH, HEIGHT, tuple(instances), source_group=f"specimen-{number}")
        )
    assignment = {m.name: ("val" if i == 8 else "test" if i == 9 else "train") for i, m in enumerate(micrographs)}
    return prepare(
        [Loaded(micrograph) for micrograph in micrographs],
        name="discs",
        dataset="discs",
        classes=CLASSES,
        out=source / "set",
        choices=Choices(canvas=128, assignment=assignment, augment_copies=0),
        workers=1,
    )


@pytest.fixture(scope="session")
def test_images(prepared_set: PreparedSet) -> list[CanvasImage]:
    """The canvases of the split ``test`` as models take them."""
    return [
        CanvasImage(image.name, as_rgb(read_image(image.image_path)), image.letterbox)
        for image in prepared_set.images("test")
    ]
