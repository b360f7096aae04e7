"""Where each row stands: its rank, the ranks that the data leave open, and its difference to a reference.

All three are the model's, over its seeds, and the same in each of its rows. Only rows compete that are equal in
everything but model and seed, the numbers of images included that training sees and that judge; predictions from
outside never do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.evaluation.cross_validation import FOLD_MEAN
from nanoseg_bench.leaderboard.columns import COMPARABLE_BY
from nanoseg_bench.metrics.bootstrap import paired_difference
from nanoseg_bench.metrics.ranking import rank_ranges
from nanoseg_bench.runs.record import Record

PRIMARY = {"test": "map_50_95", "ood": "map_50_agnostic", "robustness": "map_50_95_agnostic_corrupted"}
"""The metric that ranks the rows of an eval set."""

_AGNOSTIC = "map_50_95_agnostic"

_AT_50 = {
    "map_50_95": "map_50",
    "map_50_95_agnostic": "map_50_agnostic",
    f"map_50_95{FOLD_MEAN}": f"map_50{FOLD_MEAN}",
    f"map_50_95_agnostic{FOLD_MEAN}": f"map_50_agnostic{FOLD_MEAN}",
}
"""The same at IoU 0.50, which has a difference too."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Fields are the columns of the tables; None for a row that does not compete, or where nothing was resampled."""

    rank: int | None = None
    rank_lo: int | None = None
    rank_hi: int | None = None
    reference: str | None = None
    difference: float | None = None
    difference_lo: float | None = None
    difference_hi: float | None = None
    difference_map_50: float | None = None
    difference_map_50_lo: float | None = None
    difference_map_50_hi: float | None = None


@dataclass(frozen=True, eq=False, slots=True)
class _Contestant:
    """A model over its seeds: its score, and (R,) the same on resampled eval sets; ``at_50`` is the one at IoU 0.50."""

    score: float
    resampled: NDArray[np.float64] | None
    at_50: "_Contestant | None" = None


def ranked_metric(records: Sequence[Record], eval_set: str) -> str:
    """The metric that ranks.

    With one class the class-agnostic AP is the same number as the class-aware one, and models that know no classes
    are ranked with it. Of a cross-validation the mean over the folds ranks, see ``evaluation.cross_validation``.
    """
    if eval_set != "test":
        return PRIMARY[eval_set]
    metric = _AGNOSTIC if all(len(record.classes) == 1 for record in records) else PRIMARY[eval_set]
    return f"{metric}{FOLD_MEAN}" if any(record.folds for record in records) else metric


def unranked_metrics(metric: str) -> tuple[str, ...]:
    """By which rows of the test set stand in order that have no ``metric``, the first that they have."""
    if metric.endswith(FOLD_MEAN):
        return f"{_AGNOSTIC}{FOLD_MEAN}", metric.removesuffix(FOLD_MEAN), _AGNOSTIC
    return (_AGNOSTIC,)


def competes(record: Record, metric: str) -> bool:
    """Whether a row has a rank."""
    return record.status == "ok" and not record.external and record.scores.get(metric) is not None


def training_images(record: Record) -> int | None:
    """Images that the training of a row sees; None for a model without training.

    By the recipe where it gives a number: the images that were seen differ from it by what whole batches round.
    """
    seen = record.recipe.get("images_seen")
    if seen is None and record.training is not None:
        seen = record.training.images_seen
    return seen or None


def comparison_groups(records: Sequence[Record]) -> list[tuple[object, ...]]:
    """What each row has in common with those that it competes with, the images that training sees last.

    A row without training competes with the most models that it can: where their trainings see several numbers of
    images, with the largest group, and of equal ones with that of the most images.

    Args:
        records: All that stand together; those of several eval sets stand in each by themselves.
    """
    models: dict[tuple[object, ...], dict[int, set[str]]] = {}
    for record in records:
        images = training_images(record)
        if images is not None and record.status == "ok" and not record.external:
            alike = (record.eval_set, *comparable(record))
            models.setdefault(alike, {}).setdefault(images, set()).add(record.model)

    def images_of(record: Record) -> int | None:
        own = training_images(record)
        others = models.get((record.eval_set, *comparable(record)), {})
        if own is not None or record.external or not others:
            return own
        return max(others, key=lambda images: (len(others[images]), images))

    return [(*comparable(record), images_of(record)) for record in records]


def comparable(record: Record, *, but: str | None = None) -> tuple[object, ...]:
    """What rows that compete have in common, the images of their trainings aside.

    Args:
        record: A row.
        but: One of ``COMPARABLE_BY`` that is left out.
    """
    return tuple(getattr(record, name) for name in COMPARABLE_BY if name != but)


def rank_rows(records: Sequence[Record], metric: str, reference: str) -> list[Ranking]:
    """One for each record.

    Args:
        records: Of one eval set.
        metric: That ranks; higher is better.
        reference: Model that the differences are taken to; a comparison group without it has none.
    """
    keys = comparison_groups(records)
    contestants: dict[tuple[object, ...], dict[str, list[Record]]] = {}
    for record, key in zip(records, keys, strict=True):
        if competes(record, metric):
            contestants.setdefault(key, {}).setdefault(record.model, []).append(record)
    of_model = {
        key: _stand({model: _contestant(seeds, metric) for model, seeds in models.items()}, reference)
        for key, models in contestants.items()
    }
    return [
        of_model[key][record.model] if competes(record, metric) else Ranking()
        for record, key in zip(records, keys, strict=True)
    ]


def resampled(records: Sequence[Record], metric: str) -> NDArray[np.float64] | None:
    """(S, R) the metric of each record on the same R resampled eval sets; None where one of them lacks it."""
    rows = [record.resampled.get(metric, ()) for record in records]
    if not rows or not rows[0] or len({len(row) for row in rows}) > 1:
        return None
    return np.array(rows, dtype=np.float64)  # None becomes NaN


def _contestant(seeds: Sequence[Record], metric: str) -> _Contestant:
    samples = resampled(seeds, metric)
    at_50 = _AT_50.get(metric)
    measured = at_50 is not None and all(record.scores.get(at_50) is not None for record in seeds)
    return _Contestant(
        score=float(np.mean([record.scores[metric] for record in seeds])),
        resampled=None if samples is None else samples.mean(axis=0),
        at_50=_contestant(seeds, at_50) if at_50 is not None and measured else None,
    )


def _stand(contestants: Mapping[str, _Contestant], reference: str) -> dict[str, Ranking]:
    samples = [one.resampled for one in contestants.values() if one.resampled is not None]
    tested = len(samples) == len(contestants) and len({sample.size for sample in samples}) == 1
    ranges = dict(zip(contestants, rank_ranges(samples), strict=True)) if tested else {}
    other = contestants.get(reference)
    standing = {}
    for model, one in contestants.items():
        difference, lo, hi = _difference(one, other, tested)
        difference_50, lo_50, hi_50 = _difference(one.at_50, other.at_50 if other else None, tested)
        standing[model] = Ranking(
            rank=1 + sum(each.score > one.score for each in contestants.values()),
            rank_lo=ranges[model].best if tested else None,
            rank_hi=ranges[model].worst if tested else None,
            reference=reference if other else None,
            difference=difference,
            difference_lo=lo,
            difference_hi=hi,
            difference_map_50=difference_50,
            difference_map_50_lo=lo_50,
            difference_map_50_hi=hi_50,
        )
    return standing


def _difference(
    one: _Contestant | None, other: _Contestant | None, tested: bool
) -> tuple[float | None, float | None, float | None]:
    """(difference, lo, hi); without an interval where not all contestants were resampled."""
    if one is None or other is None:
        return None, None, None
    lo, hi = (_interval(one, other) if tested else None) or (None, None)
    return one.score - other.score, lo, hi


def _interval(one: _Contestant, other: _Contestant) -> tuple[float, float] | None:
    if one.resampled is None or other.resampled is None:
        return None
    return paired_difference(one.resampled, other.resampled)
