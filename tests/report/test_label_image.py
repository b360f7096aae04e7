"""Numbers in pixels are those of the table, and ImageJ finds the scale."""

import io

import numpy as np
import pytest
import tifffile

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import mask_to_rle
from nanoseg_bench.errors import NanosegError
from nanoseg_bench.images.scale import tiff_scale
from nanoseg_bench.report.label_image import as_tiff, label_image


def box(left, top, right, bottom):
    mask = np.zeros((40, 60), bool)
    mask[top:bottom, left:right] = True
    return Instance("particle", mask_to_rle(mask))


def test_each_pixel_has_its_particles_number():
    labels = label_image([(1, box(0, 0, 10, 10)), (300, box(5, 5, 20, 20)), (7, box(59, 39, 60, 40))], 40, 60)
    assert labels.dtype == np.uint16 and labels.shape == (40, 60)
    assert {number: int((labels == number).sum()) for number in (1, 300, 7)} == {1: 100, 300: 225 - 25, 7: 1}
    assert labels[7, 7] == 1, "the first particle keeps what they share"


@pytest.mark.parametrize("nm_per_px", [None, 0.42, 12.5])
def test_the_scale_comes_back(nm_per_px):
    data = as_tiff(label_image([(1, box(3, 3, 9, 9))], 40, 60), nm_per_px)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert file.is_imagej
        assert (file.asarray() == label_image([(1, box(3, 3, 9, 9))], 40, 60)).all()
        scale = tiff_scale(file.pages[0])
    assert (scale and scale.nm_per_px) == (nm_per_px and pytest.approx(nm_per_px, rel=1e-4))
    assert data == as_tiff(label_image([(1, box(3, 3, 9, 9))], 40, 60), nm_per_px)


def test_numbers_beyond_16_bits_are_refused():
    with pytest.raises(NanosegError, match=r"65536.*65535"):
        label_image([(65536, box(0, 0, 2, 2))], 40, 60)
