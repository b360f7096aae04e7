"""What scoring says of one model on one eval set: numbers for the tables, and what pages and figures draw of it.

Records keep all of this, so leaderboards, pages and figures are made without predictions, images or a GPU.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Scores = dict[str, float | None]
"""Column names of the leaderboards to numbers; None means not measured."""

Numbers = tuple[float | None, ...]
"""A curve or a sample; None where it is not defined."""


def to_numbers(values: NDArray[np.float64], digits: int) -> Numbers:
    """Round an (N,) array for a record, which should not hold more digits than anybody can use; NaN becomes None."""
    return tuple(None if np.isnan(value) else round(value, digits) for value in values.tolist())


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OperatingPointChoice(_Part):
    """The confidence from which detections count, and how well val knows it; see ``operating_point.RULE``."""

    confidence: float
    source: Literal["val", "default", "folds"] = "val"
    """Chosen on val; the default because val cannot decide; or the median of what the folds chose, each on its val."""
    reason: str = ""
    """Why val cannot decide, or in how many folds it could not."""
    f1: float | None = None
    """On val, at the confidence."""
    lo: float | None = None
    hi: float | None = None
    """95 % interval of what val chooses, over resampled source groups; also where the default was taken."""
    flat_lo: float | None = None
    flat_hi: float | None = None
    """The confidences around val's choice that make no difference on val."""
    groups: int | None = None
    """Source groups of val."""
    particles: int | None = None
    """Particles of val."""


class ClassResult(_Part):
    """Average precision of one class, and its precision at COCO's 101 recalls at IoU 0.50."""

    map_50_95: float
    map_50: float
    map_75: float
    map_50_95_box: float | None = None
    map_50_box: float | None = None
    map_75_box: float | None = None
    instances_truth: int
    precision_at_recall: Numbers


class ByConfidence(_Part):
    """Precision, recall and F1 at the 101 confidences 0.00, 0.01, ... 1.00; IoU > 0.5, any class."""

    precision: Numbers
    recall: Numbers
    f1: Numbers


class Confusion(_Part):
    """Counts at the operating point; rows are the truth, the last row and column are background."""

    truth: tuple[str, ...]
    predicted: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class Reliability(_Part):
    """Detections at the operating point in ten bins of confidence: how many, how confident, how often right."""

    count: tuple[int, ...]
    confidence: Numbers
    precision: Numbers


class Diameters(_Part):
    """Percentiles 0, 1, ... 100 of the diameters of truth and predictions, all images pooled, borders left out."""

    unit: str
    """``px``, or ``nm`` with the images whose scale is known."""
    truth_count: int
    predicted_count: int
    truth: Numbers
    predicted: Numbers


class ImageResult(_Part):
    """One image at the operating point."""

    name: str
    instances_truth: int
    instances_predicted: int
    f1: float | None
    pq: float | None
    diameter_median_error_relative: float | None


class Details(_Part):
    """What does not fit in a row of a table; each part is empty where it was not measured."""

    classes: dict[str, ClassResult] = {}
    """Class-aware, by class of the truth; empty for a model that knows no classes."""
    precision_at_recall: Numbers = ()
    """All particles as one class, IoU 0.50, COCO's 101 recalls."""
    by_confidence: ByConfidence | None = None
    confusion: Confusion | None = None
    reliability: Reliability | None = None
    diameters: tuple[Diameters, ...] = ()
    images: tuple[ImageResult, ...] = ()
    modalities: dict[str, Scores] = {}
    """The eval set's images by how they were taken, each scored by itself."""
    corruptions: dict[str, tuple[Scores, ...]] = {}
    """Eval set ``robustness``: the scores at severity 1 to 5 of each corruption."""


class FoldResult(_Part):
    """One fold of a cross-validation, judged on its own test images."""

    fold: int
    images: int
    groups: int
    """Source groups of its test images."""
    operating_point: OperatingPointChoice
    """Chosen on the fold's own val."""
    scores: Scores
    """AP, and precision, recall and F1 at its operating point."""


class Evaluation(_Part):
    """Everything that scoring finds.

    Attributes:
        scores: The row of the table.
        resampled: Metric to its value on each bootstrap resample of the source groups. All models are resampled with
            the same draws, so differences between models are paired.
        details: For pages and figures.
    """

    scores: Scores
    resampled: dict[str, Numbers] = {}
    details: Details = Details()
