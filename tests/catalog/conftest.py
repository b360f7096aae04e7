from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.catalog.card import Card

EMPS = Path(__file__).parents[2].parent / "shared" / "data" / "emps"


@pytest.fixture
def card():
    """card(**fields): a card of three images in the layout of EMPS."""

    def make(**fields):
        defaults = {
            "name": "tiny",
            "title": "t",
            "description": "d",
            "format": "emps",
            "classes": ("particle",),
            "source": "https://example.org",
            "revision": "1",
            "licence": "MIT",
            "citation": "c",
            "pixel_values": "p",
            "source_group": "s",
        }
        return Card.model_validate(defaults | fields)

    return make


@pytest.fixture
def emps_folder(tmp_path):
    """A folder in the layout of EMPS: three images of two papers with 2, 1 and 3 particles."""
    folder = tmp_path / "emps"
    for part in ("images", "segmaps"):
        (folder / part).mkdir(parents=True)
    rows = ["filename,doi,locator,regions"]
    for name, doi, particles in (("b", "10.1/x", 2), ("a", "10.1/x", 1), ("c", "10.1/y", 3)):
        Image.new("RGB", (30, 20), (9, 9, 9)).save(folder / "images" / f"{name}.png")
        values = np.zeros((20, 30), dtype=np.uint16)
        for number in range(particles):
            values[2:7, 2 + 8 * number : 8 + 8 * number] = number + 1
        Image.fromarray(values).save(folder / "segmaps" / f"{name}.png")
        rows.append(f'{name}.png,{doi},gr1,"{"[" + "x" * 200_000 + "]"}"')
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")
    (folder / "train.csv").write_text("a\nb\n")
    (folder / "test.csv").write_text("c\n")
    return folder


@pytest.fixture
def real_emps():
    """The real EMPS beside the checkout; the test is skipped where it is missing."""
    if not EMPS.is_dir():
        pytest.skip(f"no EMPS at {EMPS}")
    return EMPS
