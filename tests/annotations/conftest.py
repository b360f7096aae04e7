import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.annotations.instance import Polygon

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture
def disc():
    """disc(x, y, radius): a fine polygon of a disc."""

    def make(x, y, radius, points=720):
        angles = 2 * np.pi * np.arange(points) / points
        return Polygon(np.stack((x + radius * np.cos(angles), y + radius * np.sin(angles)), axis=1))

    return make


@pytest.fixture
def square():
    """square(left, top, right, bottom): its outline."""

    def make(left, top, right, bottom):
        return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], dtype=float)

    return make


@pytest.fixture
def labelme_file(tmp_path):
    """labelme_file(shapes, ...): a LabelMe JSON of hand-written shapes beside a grey image; returns its path."""

    def make(shapes, name="a", size=(60, 40), image=True, **top_level):
        path = tmp_path / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        if image:
            Image.new("L", size, 90).save(path.with_suffix(".png"))
        document = {
            "version": "5.5.0",
            "flags": {},
            "shapes": shapes,
            "imagePath": path.with_suffix(".png").name,
            "imageData": None,
            "imageHeight": size[1],
            "imageWidth": size[0],
            **top_level,
        }
        path.write_text(
            json.dumps({key: value for key, value in document.items() if value != "absent"}), encoding="utf-8"
        )
        return path

    return make


@pytest.fixture
def shared_data():
    """Real data beside the checkout; the test is skipped where there are none."""
    if not SHARED.is_dir():
        pytest.skip(f"no real data at {SHARED}")
    return SHARED
