"""Confusion matrix with a background row and column (paper, Fig. 10): which class is taken for which."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.metrics.matching import ImageOverlap, match


def confusion_matrix(
    overlaps: Sequence[ImageOverlap], truth_classes: Sequence[str], predicted_classes: Sequence[str]
) -> NDArray[np.int64]:
    """Count pairs of classes at the operating point.

    Predictions and particles are paired whatever their classes, one to one, at IoU > 0.5, as for precision and recall.
    A particle without a pair counts in the last column, a prediction without one in the last row: background.

    Args:
        overlaps: One per image, from ``overlap.keep(confidence)``.
        truth_classes: Classes of the particles. They need not be those of the model: shapes that it was never trained
            on show what it calls them.
        predicted_classes: Classes that the model was trained on.

    Returns:
        (len(truth_classes) + 1, len(predicted_classes) + 1) counts, rows are the truth; the last cell is 0, since
        background taken for background is no event.

    Raises:
        ValueError: A particle or prediction has a class that is not listed, or none.
    """
    rows = {name: index for index, name in enumerate(truth_classes)}
    columns = {name: index for index, name in enumerate(predicted_classes)}
    matrix = np.zeros((len(rows) + 1, len(columns) + 1), dtype=np.int64)
    for overlap in overlaps:
        truth = np.array([_number(rows, label, "particle") for label in overlap.truth_labels], dtype=np.intp)
        predicted = np.array([_number(columns, label, "prediction") for label in overlap.labels], dtype=np.intp)
        paired_predictions, paired_particles = match(overlap.iou)
        missed, invented = np.delete(truth, paired_particles), np.delete(predicted, paired_predictions)
        cell_rows = np.concatenate([truth[paired_particles], missed, np.full(invented.size, len(rows))])
        cell_columns = np.concatenate([predicted[paired_predictions], np.full(missed.size, len(columns)), invented])
        np.add.at(matrix, (cell_rows, cell_columns), 1)
    return matrix


def _number(numbers: dict[str, int], label: str | None, what: str) -> int:
    if label is None or label not in numbers:
        raise ValueError(f"{what} of class {label!r}, which is none of {', '.join(numbers)}; list every class")
    return numbers[label]
