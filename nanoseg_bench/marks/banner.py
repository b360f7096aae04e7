"""The information bar of an instrument: a strip along an edge whose rows consist mostly of one flat grey value."""

import numpy as np
from numpy.typing import NDArray

FLAT_STEP = 4
"""Grey values of a bar's ground differ by at most so much: what JPEG leaves of a constant."""

_FLAT_SHARE = 0.5
"""A row belongs to the bar when at least this share of it is ground; the rest is text, scale and logo."""

_SHARE_BEYOND = 0.25
"""Share of ground in the rows beyond the bar, at most."""

_STEP = 0.4
"""Where it is larger: what the share falls by, from the last row of the bar to the next and to those beyond."""

_MAX_BAR = 0.25
_MIN_BAR = 0.02
_GAP = 0.03
_MARGIN = 0.01
"""Parts of the image's height: of a bar, of rows within it that are mostly text or a rule, of its soft edge."""


def strip_rows(grey: NDArray[np.uint8], *, on_bright: bool = False) -> int:
    """Rows of a flat strip along the upper edge, up to a quarter of the height; 0 where there is none.

    Args:
        grey: (H, W) uint8; reversed for the lower edge.
        on_bright: Also where the micrograph beyond has the strip's grey value in places, if it ends at a stroke. What
            images are compared by does without, so that it stays what published sets were grouped by.
    """
    height = grey.shape[0]
    limit = int(height * _MAX_BAR)
    seed_rows = max(int(height * _MIN_BAR), 2)
    if limit <= seed_rows:
        return 0
    counts = np.bincount(grey[:seed_rows].ravel(), minlength=256)
    ground = int(np.convolve(counts, np.ones(2 * FLAT_STEP + 1), mode="same").argmax())
    margin = margin_rows(height)
    # Of an image that fills the memory, no more rows than are asked for.
    looked_at = grey[: limit + margin + seed_rows].astype(np.int16)
    share = (np.abs(looked_at - ground) <= FLAT_STEP).mean(axis=1)
    end, gap = 0, 0
    for row, is_flat in enumerate(share[:limit] >= _FLAT_SHARE):
        gap = 0 if is_flat else gap + 1
        if gap > max(height * _GAP, 3):
            break
        end = row + 1 if is_flat else end
    if end < seed_rows or end >= limit - 1:
        return 0
    # The flat background of the micrograph itself thins out where the particles begin; a bar ends at a stroke.
    beyond = share[end + margin : end + margin + seed_rows].mean()
    ends_sharply = on_bright and share[end - 1] - share[end] >= _STEP and share[end - 1] - beyond >= _STEP
    if beyond > _SHARE_BEYOND and not ends_sharply:
        return 0
    return end


def margin_rows(height: int) -> int:
    """Rows beyond a strip of an image of this height that may hold its soft edge."""
    return max(int(height * _MARGIN), 2)
