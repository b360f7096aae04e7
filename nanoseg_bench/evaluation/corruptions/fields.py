"""Random fields that are smooth over a given length, the same at every resolution of an image."""

import cv2
import numpy as np

from nanoseg_bench.evaluation.corruptions.view import Floats, View

_CELLS_PER_PATCH = 4


def smooth_field(view: View, patch_px: float, rng: np.random.Generator) -> Floats:
    """(H, W) values from 0 to 1, every value equally frequent, smooth over about ``patch_px`` reference pixels.

    It is drawn on a grid that is coarser than the pixels, so an image and its enlargement get the same field.
    """
    height, width = view.intensity.shape
    cell = patch_px / _CELLS_PER_PATCH
    grid = tuple(int(np.ceil(side / view.px / cell)) + 2 for side in (height, width))
    waves = cv2.GaussianBlur(rng.standard_normal(grid), (0, 0), _CELLS_PER_PATCH / 2, borderType=cv2.BORDER_REFLECT)
    order = np.argsort(waves, axis=None)
    values = np.empty(waves.size, dtype=np.float32)
    values[order] = np.linspace(0, 1, waves.size, dtype=np.float32)
    # Pixel centre (column + 0.5) lies at (column + 0.5) / (cell px) cells, whose first node is at cell 0.
    step = 1 / (cell * view.px)
    to_grid = np.array([[step, 0, 0.5 * step], [0, step, 0.5 * step]])
    return np.asarray(
        cv2.warpAffine(
            values.reshape(grid),
            to_grid,
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )
