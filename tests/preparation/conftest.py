"""Micrographs with bright discs on a dark, noisy ground, whose truth is known exactly."""

import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.annotations.instance import Instance, Micrograph, Polygon


def circle(x, y, radius, points=90):
    angles = np.arange(points) * 2 * np.pi / points
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)


@pytest.fixture
def disc():
    """``disc(x, y, radius, label="a")``: an instance."""

    def make(x, y, radius, label="a"):
        return Instance(label, (Polygon(circle(x, y, radius)),))

    return make


@pytest.fixture
def micrograph(tmp_path):
    """``micrograph(name, seed, ...)``: writes an image of discs and returns it with its truth."""

    def make(name, seed=0, width=96, height=72, discs=3, labels=("a",), group=None, rgb=False, **fields):
        rng = np.random.default_rng(seed)
        rows, columns = np.mgrid[:height, :width] + 0.5
        # Coarse: in finer noise each pixel is a feature, and comparing takes most of the time.
        coarse = rng.integers(20, 60, (height, width)).astype(np.uint8)[::6, ::6]
        pixels = np.array(Image.fromarray(coarse).resize((width, height)))
        instances = []
        for number in range(discs):
            x, y, radius = rng.uniform(5, width - 5), rng.uniform(5, height - 5), rng.uniform(4, 12)
            pixels[(columns - x) ** 2 + (rows - y) ** 2 < radius**2] = 200
            instances.append(Instance(labels[number % len(labels)], (Polygon(circle(x, y, radius)),)))
        if rgb:
            pixels = np.stack([pixels, pixels // 2, 255 - pixels], axis=2)
        path = tmp_path / "micrographs" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return Micrograph(name, path, width, height, tuple(instances), source_group=group, **fields)

    return make


@pytest.fixture
def collection(micrograph):
    """``collection(groups, per_group)``: micrographs of several specimens."""

    def make(groups=12, per_group=2, **fields):
        return [
            micrograph(
                f"specimen-{group:02d}/view-{view}", seed=group * 100 + view, group=f"specimen-{group:02d}", **fields
            )
            for group in range(groups)
            for view in range(per_group)
        ]

    return make
