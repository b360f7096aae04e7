import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont


def _field(height=512, width=640, seed=0, level=125, spread=18):
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=(height, width)), (0, 0), 2)
    return np.clip(level + noise / noise.std() * spread, 62, 192).astype(np.uint8)


def _write(image, text, place, grey, size):
    """Write text with its upper left corner at ``place``; return (left, top, right, bottom) of its ink."""
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=size)
    draw.text(place, text, grey, font)
    image[:] = np.asarray(picture)
    return tuple(int(edge) for edge in draw.textbbox(place, text, font))


@pytest.fixture
def field():
    return _field


@pytest.fixture
def write():
    return _write
