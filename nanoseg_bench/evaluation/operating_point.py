"""The operating point: the confidence at which precision, recall, counts and sizes are read.

It is chosen on ``val`` and applied to ``test``. The threshold that is best on test would flatter every model. A val
of a few micrographs may not be able to decide; then a default is taken, and the record says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.errors import PredictionsError
from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.predictions import Predictions, compare
from nanoseg_bench.evaluation.result import OperatingPointChoice
from nanoseg_bench.metrics.bootstrap import draw_weights, group_indices, percentile_interval
from nanoseg_bench.metrics.matching import GrowingMatch, ImageOverlap

DEFAULT_CONFIDENCE = 0.25
"""The one default: where val cannot decide, and where a model comes without an operating point."""

EVERY_PARTICLE = 0.0
"""The default of a model whose scores, from 0 up, only rank: no number among them means anything.

Where scores of a tool from outside lie below, the lowest of them stands for it.
"""

DECISIVE_GROUPS = 20
"""From this many source groups on val decides: a single one makes 5 % of it. Fewer have to show that they can."""

FLAT = 0.01
"""Confidences whose F1 on val lies within this of the best make no difference that one sees in a table."""

RULE = (
    "The operating point is the confidence of the best F1 on val (IoU > 0.5, one to one, any class): of the range of "
    f"confidences that keep the same detections, the middle. A val of fewer than {DECISIVE_GROUPS} source groups has "
    "to show that it can decide, by leave-one-group-out: each group is judged at the confidence that the others "
    "choose, and the F1 of all together must not be below the default's. Else, with a single group, or where no "
    f"prediction hits a particle, the default is taken: {DEFAULT_CONFIDENCE}, or every particle where scores only rank."
)
"""As it is printed."""

_RESAMPLES = 1000
_SEED = 0
_DIGITS = 6


def default_confidence(*, has_confidence: bool) -> float:
    """The operating point of a model of which nothing is known.

    Args:
        has_confidence: Whether its scores are confidences; others only rank.
    """
    return DEFAULT_CONFIDENCE if has_confidence else EVERY_PARTICLE


def default_of_answers(answers: Sequence[Predictions]) -> float:
    """The same of a tool from outside, of which only its answers are known, and whose scores may lie below 0.

    Args:
        answers: To all eval sets, val included.
    """
    scores = (each.score for answer in answers for found in answer.images.values() for each in found)
    default = default_confidence(has_confidence=all(answer.has_confidence for answer in answers))
    return min([default, *(score for score in scores if score is not None and score < EVERY_PARTICLE)])


def default_in_words(confidence: float) -> str:
    """``0.25``, or what a default that keeps everything means."""
    return "every particle" if confidence <= EVERY_PARTICLE else f"{confidence:g}"


def choose_operating_point(
    eval_set: EvalSet, predictions: Predictions, default: float | None = None
) -> OperatingPointChoice:
    """The operating point by ``RULE``, and how well val knows it.

    Args:
        eval_set: The eval set ``val``; any other is refused.
        predictions: The model's answer to it.
        default: What is taken where val cannot decide, if that is not to be known from these predictions alone.

    Returns:
        ``lo`` and ``hi`` are the 95 % interval of the choice over resampled source groups, ``flat_lo`` and ``flat_hi``
        the confidences around it whose F1 lies within ``FLAT`` of the best one.

    Raises:
        PredictionsError: The eval set is not ``val``, or the predictions are incomplete.
    """
    if eval_set.name != "val":
        raise PredictionsError(
            f"the operating point is chosen on 'val', not on {eval_set.name!r}: a threshold picked on the set that is "
            "published cannot be compared; predict val"
        )
    overlaps = compare(eval_set, predictions)
    groups, count = group_indices([eval_set.source_groups[name] for name in eval_set.images])
    sweep = _sweep(overlaps, groups, count)
    if default is None:
        default = default_confidence(has_confidence=predictions.has_confidence)
    everything = np.ones(count)
    best = sweep.best(everything)
    reason = _why_undecided(sweep, best, default)
    known = {"groups": count, "particles": int(sweep.truth.sum())}
    if best is None:
        return OperatingPointChoice(confidence=default, source="default", reason=reason, f1=sweep.f1(default), **known)
    lo, hi = _interval(sweep)
    flat_lo, flat_hi = sweep.flat(best)
    return OperatingPointChoice(
        confidence=default if reason else best,
        source="default" if reason else "val",
        reason=reason,
        f1=sweep.f1(default if reason else best),
        lo=lo,
        hi=hi,
        flat_lo=flat_lo,
        flat_hi=flat_hi,
        **known,
    )


def _why_undecided(sweep: "_Sweep", best: float | None, default: float) -> str:
    """Why val cannot decide; empty where it can."""
    groups, particles = sweep.truth.size, int(sweep.truth.sum())
    if particles == 0:
        return "val has no particle"
    if best is None:
        return f"no prediction hits one of the {particles} particles of val"
    if groups == 1:
        return "val is of one source group, which says nothing of others"
    if groups >= DECISIVE_GROUPS:
        return ""
    chosen, standard = _f1_where_left_out(sweep), sweep.f1(default)
    if standard is None or chosen >= standard:
        return ""
    return (
        f"chosen on all but one of the {groups} source groups of val, the confidence has F1 {chosen:.3f} on the one "
        f"left out, the default {standard:.3f}"
    )


def _f1_where_left_out(sweep: "_Sweep") -> float:
    """F1 of all groups, each at the confidence that the others choose; without a choice nothing of it is found."""
    hits = predicted = 0.0
    for group in range(sweep.truth.size):
        only = np.zeros(sweep.truth.size)
        only[group] = 1
        confidence = sweep.best(1 - only)
        counted = sweep.counts(confidence, only) if confidence is not None else (0.0, 0.0)
        hits, predicted = hits + counted[0], predicted + counted[1]
    return float(2 * hits / (predicted + sweep.truth.sum()))


def _interval(sweep: "_Sweep") -> tuple[float | None, float | None]:
    """95 % percentile interval of the choice over resampled source groups; None with one group."""
    if sweep.truth.size < 2:
        return None, None
    weights = draw_weights(sweep.truth.size, _RESAMPLES, np.random.default_rng(_SEED))
    choices = [sweep.best(row) for row in weights]
    ends = percentile_interval(np.array([np.nan if choice is None else choice for choice in choices]))
    return (None, None) if ends is None else (round(ends[0], _DIGITS), round(ends[1], _DIGITS))


@dataclass(frozen=True, eq=False, slots=True)
class _Sweep:
    """What every confidence keeps; D detections in descending order of score, G source groups.

    Attributes:
        scores: (D,) scores.
        gains: (D,) 1 where a detection adds a pair to those before it.
        groups: (D,) index of each detection's source group.
        truth: (G,) particles.
    """

    scores: NDArray[np.float64]
    gains: NDArray[np.float64]
    groups: NDArray[np.intp]
    truth: NDArray[np.float64]

    def best(self, weights: NDArray[np.float64]) -> float | None:
        """The confidence of the best F1 of groups that are drawn (G,) ``weights`` times; None where nothing is hit."""
        drawn = weights[self.groups] > 0
        if not drawn.any():
            return None
        scores, weight = self.scores[drawn], weights[self.groups[drawn]]
        # Equal scores cannot be told apart by a confidence: only the last of them is a choice.
        ends = np.append(np.flatnonzero(np.diff(scores)), scores.size - 1)
        hits, predicted = np.cumsum(weight * self.gains[drawn])[ends], np.cumsum(weight)[ends]
        f1 = 2 * hits / (predicted + weights @ self.truth)
        place = int(np.argmax(f1))  # of equals the first, with the highest score
        if f1[place] == 0:
            return None
        return _middle(float(scores[ends[place]]), float(scores[ends[place + 1]]) if place + 1 < ends.size else None)

    def counts(self, confidence: float, weights: NDArray[np.float64]) -> tuple[float, float]:
        """(pairs, detections) at a confidence in groups that are drawn ``weights`` times."""
        weight = np.where(self.scores >= confidence, weights[self.groups], 0.0)
        return float(weight @ self.gains), float(weight.sum())

    def f1(self, confidence: float) -> float | None:
        """F1 at a confidence; None without a detection and a particle."""
        hits, predicted = self.counts(confidence, np.ones(self.truth.size))
        both = predicted + float(self.truth.sum())
        return 2 * hits / both if both else None

    def flat(self, confidence: float) -> tuple[float, float]:
        """(lowest, highest) confidence around this one, which is the best, with an F1 within ``FLAT`` of its own."""
        ends = np.append(np.flatnonzero(np.diff(self.scores)), self.scores.size - 1)
        f1 = 2 * np.cumsum(self.gains)[ends] / (ends + 1 + self.truth.sum())
        steps = self.scores[ends]
        here = int(np.flatnonzero(steps >= confidence)[-1])
        good = f1 >= f1[here] - FLAT
        worse_above, worse_below = np.flatnonzero(~good[:here]), np.flatnonzero(~good[here:])
        first = int(worse_above[-1]) + 1 if worse_above.size else 0
        last = here + int(worse_below[0]) - 1 if worse_below.size else steps.size - 1
        below = float(steps[last + 1]) if last + 1 < steps.size else min(0.0, float(steps[last]))
        return round(below, _DIGITS), round(float(steps[first]), _DIGITS)


def _middle(score: float, below: float | None) -> float:
    """Half way from a score to the next lower one, or to 0 below the last: as far from either as can be."""
    lower = min(0.0, score) if below is None else below
    middle = (score + lower) / 2
    # Of two neighbouring numbers the half may be the lower one itself.
    return middle if middle > lower else score


def _sweep(overlaps: Sequence[ImageOverlap], groups: NDArray[np.intp], group_count: int) -> _Sweep:
    kept = [overlap.keep(None) for overlap in overlaps]
    gains: list[bool] = []
    for overlap in kept:
        growing = GrowingMatch(overlap.iou)
        gains += [growing.add(row) for row in range(len(overlap.scores))]
    scores = np.concatenate([np.zeros(0), *(overlap.scores for overlap in kept)])
    order = np.argsort(-scores, kind="stable")
    return _Sweep(
        scores=scores[order],
        gains=np.array(gains, dtype=np.float64)[order],
        groups=np.repeat(groups, [len(overlap.scores) for overlap in kept])[order],
        truth=np.bincount(groups, weights=[len(overlap.truth) for overlap in kept], minlength=group_count).astype(
            np.float64
        ),
    )
