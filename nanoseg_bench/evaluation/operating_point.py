"""The operating point: the confidence at which precision, recall, counts and sizes are read.

It is chosen on ``val`` and applied to ``test``. The threshold that is best on test would flatter every model.
"""

from collections.abc import Sequence
from itertools import groupby

from nanoseg_bench.errors import PredictionsError
from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.predictions import Predictions, compare
from nanoseg_bench.metrics.matching import GrowingMatch, ImageOverlap

FALLBACK_CONFIDENCE = 0.5
"""Taken where no prediction on val hits a particle, so F1 is 0 at every confidence."""


def choose_confidence(eval_set: EvalSet, predictions: Predictions | None) -> float | None:
    """The confidence with the best F1 on val; classes are disregarded, pairs need IoU > 0.5.

    Every score that occurs is tried. Of equally good ones the highest is taken.

    Args:
        eval_set: The eval set ``val``; any other is refused.
        predictions: The model's answer to it; None where there is none.

    Returns:
        Smallest score that counts as a detection. ``FALLBACK_CONFIDENCE`` where nothing is hit; None without
        predictions, or where val has no particle.

    Raises:
        PredictionsError: The eval set is not ``val``, or the predictions are incomplete.
    """
    if eval_set.name != "val":
        raise PredictionsError(
            f"the operating point is chosen on 'val', not on {eval_set.name!r}: a threshold picked on the set that is "
            "published cannot be compared; predict val"
        )
    if predictions is None:
        return None
    overlaps = compare(eval_set, predictions)
    truth = sum(len(overlap.truth) for overlap in overlaps)
    return _best_confidence(overlaps, truth) if truth else None


def _best_confidence(overlaps: Sequence[ImageOverlap], truth: int) -> float:
    kept = [overlap.keep(None) for overlap in overlaps]
    growing = [GrowingMatch(overlap.iou) for overlap in kept]
    detections = sorted(
        ((float(score), image, row) for image, overlap in enumerate(kept) for row, score in enumerate(overlap.scores)),
        key=lambda detection: -detection[0],
    )
    best_f1, best_confidence = 0.0, FALLBACK_CONFIDENCE
    hits = predicted = 0
    for score, tied in groupby(detections, key=lambda detection: detection[0]):
        for _, image, row in tied:
            predicted += 1
            hits += growing[image].add(row)
        f1 = 2 * hits / (predicted + truth)
        if f1 > best_f1:
            best_f1, best_confidence = f1, score
    return best_confidence
