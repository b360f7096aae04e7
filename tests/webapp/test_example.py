"""The micrograph that comes with the page is rendered by this package, so that it may be passed on."""

import numpy as np
from example_micrograph import FILE, render
from PIL import Image


def test_it_is_what_the_synthesis_renders():
    rendered = render()
    shipped = np.asarray(Image.open(FILE))
    assert shipped.shape == rendered.pixels.shape
    # Exponentials differ in the last digit from machine to machine; noise is drawn with them.
    assert np.abs(shipped.astype(int) - rendered.pixels).mean() < 1
    assert len(rendered.instances) > 40


def test_it_is_small():
    assert FILE.stat().st_size < 400_000
