"""Otsu's threshold with a watershed: what a microscopist does in ImageJ, without training.

N. Otsu, A threshold selection method from gray-level histograms, IEEE Trans. SMC 9 (1979) 62-66.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.images import as_grey
from nanoseg_bench.models.base import CanvasImage, FitContext, FitReport, Model
from nanoseg_bench.models.options import OtsuOptions
from nanoseg_bench.models.pixels import PixelInstance, instances_from_probability, restore_instances
from nanoseg_bench.preparation.letterbox import Letterbox
from nanoseg_bench.preparation.prepared_set import PreparedSet


class Otsu(Model):
    """Smooth, threshold, fill holes, split; one nameless class."""

    Options = OtsuOptions
    options: OtsuOptions
    knows_classes = False
    has_confidence = False

    def fit(self, prepared: PreparedSet, context: FitContext) -> FitReport:
        """Nothing to train."""
        return FitReport(None)

    def load(self, checkpoint: Path | None, device: str) -> None:
        """Nothing to load."""

    def predict(self, images: Sequence[CanvasImage]) -> list[list[Instance]]:
        """Segment each image on its own; the score is the mean distance from the threshold, normalised to [0, 1]."""
        return [self._predict_one(image) for image in images]

    def complexity(self) -> None:
        """A threshold has no weights."""

    def _predict_one(self, image: CanvasImage) -> list[Instance]:
        foreground = otsu_foreground(image.pixels, image.letterbox, self.options.smoothing)
        found = [
            # 0.5 is the threshold itself, and a filled hole lies below it.
            PixelInstance(part.mask, part.x, part.y, None, max(2 * part.score - 1, 0.0))
            for part in instances_from_probability(foreground, image.letterbox, parameters=self.options)
        ]
        return restore_instances(found, image.letterbox, self.classes, self.max_detections)


def otsu_foreground(pixels: NDArray[np.uint8], letterbox: Letterbox, smoothing: float) -> NDArray[np.float32]:
    """(S, S) float32 in [0, 1]: 0.5 at Otsu's threshold, linear on either side to the extreme grey values.

    Only the content counts, not the padding. Particles may be darker or brighter than the support: the side of the
    threshold that holds most of the image's border is background.
    """
    grey = letterbox.content(as_grey(pixels)).astype(np.float32)
    if smoothing > 0:
        grey = cv2.GaussianBlur(grey, (0, 0), smoothing, borderType=cv2.BORDER_REPLICATE)
    foreground = np.zeros(pixels.shape[:2], dtype=np.float32)
    low, high = float(grey.min()), float(grey.max())
    if high - low < 1:
        return foreground  # one grey value: no particles
    threshold = float(threshold_otsu(grey))
    border = np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])
    if (border > threshold).mean() > 0.5:
        grey, threshold, low, high = -grey, -threshold, -high, -low
    above = (grey - threshold) / max(high - threshold, 1e-6)
    below = (grey - threshold) / max(threshold - low, 1e-6)
    letterbox.content(foreground)[:] = 0.5 + 0.5 * np.where(grey > threshold, above, below)
    return foreground
