import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont


def _field(height=480, width=640, seed=0, level=125, spread=14):
    """Grey noise as of a support film."""
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=(height, width)), (0, 0), 1.5)
    return np.clip(level + noise / noise.std() * spread, 50, 205).astype(np.uint8)


def _write(image, text, place, grey, size):
    """Write text with its upper left corner at ``place``."""
    picture = Image.fromarray(image)
    ImageDraw.Draw(picture).text(place, text, grey, ImageFont.load_default(size=size))
    image[:] = np.asarray(picture)


def _draw_bar(image, x0, x1, top, bottom, grey):
    """Draw a strip whose edges lie anywhere between pixels: each pixel is as grey as it is covered."""

    def covered(start, stop, number):
        edges = np.arange(number)
        return np.clip(np.minimum(edges + 1, stop) - np.maximum(edges, start), 0, 1)

    cover = np.outer(covered(top, bottom, image.shape[0]), covered(x0, x1, image.shape[1]))
    image[:] = np.rint(image * (1 - cover) + grey * cover).astype(np.uint8)


@pytest.fixture
def field():
    return _field


@pytest.fixture
def write():
    return _write


@pytest.fixture
def draw_bar():
    return _draw_bar
