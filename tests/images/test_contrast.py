import numpy as np
import pytest

from nanoseg_bench.images.contrast import map_percentiles


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "uint32", "int64", "float32", "float64"])
@pytest.mark.parametrize("count", [1, 2, 3, 999, 1000, 1001, 5000])
def test_percentiles_are_those_of_numpy(dtype, count):
    values = (np.random.default_rng(count).standard_normal(count) * 3000 + 5000).clip(0).astype(dtype)
    mapped = map_percentiles(values)
    low, high = np.percentile(values.astype(np.float64), (0.1, 99.9))
    assert mapped.low == pytest.approx(low, rel=1e-12) and mapped.high == pytest.approx(high, rel=1e-12)
    expected = np.floor((np.clip(values.astype(float), low, high) - low) / max(high - low, 1e-300) * 255 + 0.5)
    assert np.abs(mapped.pixels - expected).max() <= 1  # a rounding away from numpy's percentile
    assert (mapped.pixels != expected).mean() < 0.01
    assert mapped.pixels.min() == 0 and (mapped.pixels.max() == 255) == (count > 1)


def test_large_images_are_worked_on_in_blocks():
    values = np.random.default_rng(0).integers(0, 60000, (1500, 1600), dtype=np.uint16)
    assert (map_percentiles(values).pixels == map_percentiles(values.astype(np.int32)).pixels).all()


def test_tiny_and_extreme_spans():
    currents = np.linspace(1e-13, 3e-13, 1000)
    assert map_percentiles(currents).pixels.max() == 255
    extreme = np.array([-1.7e308, 0, 1.7e308])
    with np.errstate(all="raise", under="ignore"):
        first, middle, last = map_percentiles(extreme).pixels.tolist()
    assert (first, last) == (0, 255) and middle in (127, 128)


def test_what_is_no_number():
    values = np.array([[np.nan, -np.inf, np.inf], [0, 5, 10]], dtype=np.float32)
    mapped = map_percentiles(values)
    assert mapped.pixels[0].tolist() == [0, 0, 255]
    assert mapped.pixels[1, 1] in (127, 128)
    nothing = map_percentiles(np.full((2, 3), np.nan))
    assert (nothing.pixels == 0).all() and nothing.low is None and nothing.high is None


def test_a_constant_image_is_black():
    for dtype in ("uint16", "float32"):
        mapped = map_percentiles(np.full((4, 5), 7, dtype=dtype))
        assert (mapped.pixels == 0).all() and mapped.low == mapped.high == 7


def test_inverted():
    mapped = map_percentiles(np.arange(1000, dtype=np.uint16)).inverted()
    assert mapped.pixels[0] == 255 and mapped.pixels[-1] == 0 and mapped.low > mapped.high
