"""From more than 8 bits to 8, by percentiles, in little more memory than the image itself."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PERCENTILES = (0.1, 99.9)
_BLOCK = 2**20  # samples worked on at once


@dataclass(frozen=True, eq=False, slots=True)
class Mapped:
    """An image mapped to 8 bits.

    Attributes:
        pixels: uint8, shaped as the values were.
        low: The value that became 0; None where no value is finite.
        high: The value that became 255.
    """

    pixels: NDArray[np.uint8]
    low: float | None
    high: float | None

    def inverted(self) -> "Mapped":
        """The same where the file says that 0 is white."""
        return Mapped(255 - self.pixels, self.high, self.low)


def map_percentiles(values: NDArray[Any]) -> Mapped:
    """Map the 0.1 percentile of the finite values to 0, the 99.9 percentile to 255, linearly, rounded half up.

    What is not a number becomes 0. A colour image is mapped as one, so that its hues stay.

    Args:
        values: Integers or floats of any shape.
    """
    values = values.astype(np.float32) if values.dtype == np.float16 else values
    if values.dtype.kind in "iu" and values.itemsize <= 2:
        return _map_by_table(values)
    low, high = _percentiles_of_finite(values)
    if low is None or high is None:
        return Mapped(np.zeros(values.shape, dtype=np.uint8), None, None)
    flat = values.reshape(-1)
    pixels = np.empty(flat.shape, dtype=np.uint8)
    for start in range(0, flat.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        pixels[block] = _stretch(flat[block].astype(np.float64), low, high)
    return Mapped(pixels.reshape(values.shape), low, high)


def _map_by_table(values: NDArray[Any]) -> Mapped:
    """The same for at most 16 bits, by counting: no copy of the image, and no sorting."""
    lowest = int(np.iinfo(values.dtype).min)
    levels = 256**values.itemsize
    flat = values.reshape(-1)
    counts = np.zeros(levels, dtype=np.int64)
    for start in range(0, flat.size, _BLOCK):
        counts += np.bincount(flat[start : start + _BLOCK].astype(np.int64) - lowest, minlength=levels)
    up_to = np.cumsum(counts)
    low, high = (
        _between(_value_of_rank(up_to, below) + lowest, _value_of_rank(up_to, above) + lowest, share)
        for below, above, share in (_ranks(percent, flat.size) for percent in _PERCENTILES)
    )
    table = _stretch(np.arange(lowest, lowest + levels, dtype=np.float64), low, high)
    pixels = np.empty(flat.shape, dtype=np.uint8)
    for start in range(0, flat.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        pixels[block] = table[flat[block].astype(np.int64) - lowest]
    return Mapped(pixels.reshape(values.shape), low, high)


def _value_of_rank(up_to: NDArray[np.int64], rank: int) -> float:
    return float(np.searchsorted(up_to, rank, side="right"))


def _percentiles_of_finite(values: NDArray[Any]) -> tuple[float | None, float | None]:
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return None, None
    positions = [_ranks(percent, finite.size) for percent in _PERCENTILES]
    finite.partition([rank for *ranks, _ in positions for rank in ranks])
    low, high = (_between(float(finite[below]), float(finite[above]), share) for below, above, share in positions)
    return low, high


def _ranks(percent: float, count: int) -> tuple[int, int, float]:
    """The two ranks between which a percentile lies, and how far from the first (numpy's "linear" definition)."""
    position = percent / 100 * (count - 1)
    below = int(position)
    return below, min(below + 1, count - 1), position - below


def _between(below: float, above: float, share: float) -> float:
    # Weighted, not below + share * (above - below): the difference of two extreme floats is infinite.
    return below if below == above else below * (1 - share) + above * share


def _stretch(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.uint8]:
    inside = np.clip(np.nan_to_num(values, nan=low), low, high)
    # Halves, since the span of two extreme floats is infinite; halving is exact.
    span = high / 2 - low / 2
    scaled = (inside / 2 - low / 2) / (span if span > 0 else 1.0)
    return np.asarray(np.floor(scaled * 255 + 0.5), dtype=np.uint8)
