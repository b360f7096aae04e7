"""Paired differences over several seeds: of two models, and of one model from other initial weights.

Runs of the same seed are compared with each other: they saw the same images in the same order. The differences of the
seeds are then what ``metrics.seeds`` takes apart. ``ranks`` resamples images only; here is the other half.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nanoseg_bench.leaderboard.ranks import comparable, comparison_groups, resampled, training_images
from nanoseg_bench.metrics.bootstrap import percentile_interval
from nanoseg_bench.metrics.seeds import interval_over_both, seed_effects
from nanoseg_bench.runs.record import SCRATCH, Record

_Seeds = Mapping[int, Record]


@dataclass(frozen=True, slots=True)
class _Pair:
    """A model on one eval set and what it is compared with, seed by seed."""

    compared: str
    ones: Sequence[Record]
    others: Sequence[Record]


def difference_rows(records: Sequence[Record], reference: str) -> list[dict[str, object]]:
    """One row for each eval set, pair and resampled metric, in the order of the records.

    Two models are compared here where both have several seeds in common; with one seed the column ``difference`` says
    all there is. The same model from scratch and from other initial weights is compared whatever the number of seeds.

    Args:
        records: Of all eval sets.
        reference: Model that the others are compared with.
    """
    good = [record for record in records if record.status == "ok" and not record.external and record.seed is not None]
    return [
        row
        for pair in (*_models(good, reference), *_initial_weights(good))
        for metric in pair.ones[0].resampled
        if (row := _row(pair, metric)) is not None
    ]


def _models(records: Sequence[Record], reference: str) -> Iterator[_Pair]:
    """The rows of one comparison group, against the reference in it."""
    found: dict[tuple[object, ...], dict[str, dict[int, Record]]] = {}
    for record, key in zip(records, comparison_groups(records), strict=True):
        _put(found.setdefault((record.eval_set, *key), {}).setdefault(record.model, {}), record)
    for models in found.values():
        others = models.get(reference, {})
        for model, ones in models.items():
            pair = _paired("model", ones, others)
            if model != reference and len(pair.ones) > 1:
                yield pair


def _initial_weights(records: Sequence[Record]) -> Iterator[_Pair]:
    """A model that started from weights, against the same from scratch; all else is equal."""
    found: dict[tuple[object, ...], dict[str, dict[int, Record]]] = {}
    for record in records:
        key = (record.eval_set, record.model, *comparable(record, but="started_from"), training_images(record))
        _put(found.setdefault(key, {}).setdefault(record.started_from, {}), record)
    for starts in found.values():
        scratch = starts.get(SCRATCH, {})
        for start, ones in starts.items():
            pair = _paired("initial_weights", ones, scratch)
            if start != SCRATCH and pair.ones:
                yield pair


def _put(seeds: dict[int, Record], record: Record) -> None:
    if record.seed is not None:
        seeds[record.seed] = record


def _paired(compared: str, ones: _Seeds, others: _Seeds) -> _Pair:
    both = sorted(ones.keys() & others.keys())
    return _Pair(compared, [ones[seed] for seed in both], [others[seed] for seed in both])


def _row(pair: _Pair, metric: str) -> dict[str, object] | None:
    scores = [
        (one.scores.get(metric), other.scores.get(metric)) for one, other in zip(pair.ones, pair.others, strict=True)
    ]
    known = [one - other for one, other in scores if one is not None and other is not None]
    samples, theirs = resampled(pair.ones, metric), resampled(pair.others, metric)
    if len(known) < len(scores) or samples is None or theirs is None or samples.shape != theirs.shape:
        return None
    differences = samples - theirs
    effects = seed_effects(np.array(known), differences)
    lo, hi = percentile_interval(differences.mean(axis=0)) or (None, None)
    both_lo, both_hi = interval_over_both(effects, len(known)) or (None, None)
    one, other = pair.ones[0], pair.others[0]
    return {
        "eval_set": one.eval_set,
        "compared": pair.compared,
        "model": one.model,
        "title": one.title,
        "preset": one.preset,
        "started_from": one.started_from,
        "reference": other.model,
        "reference_started_from": other.started_from,
        "metric": metric,
        "seeds": len(known),
        "difference": effects.mean,
        "difference_lo": lo,
        "difference_hi": hi,
        "sd_seed": None if effects.variance_seed is None else effects.variance_seed**0.5,
        "standard_error": effects.standard_error,
        "both_lo": both_lo,
        "both_hi": both_hi,
    }
