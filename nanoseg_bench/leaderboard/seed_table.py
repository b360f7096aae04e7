"""Models that were trained with several seeds: what training's chance changes, and what the choice of images."""

import math
from collections.abc import Sequence

import numpy as np

from nanoseg_bench.leaderboard.ranks import comparison_groups, resampled
from nanoseg_bench.metrics.bootstrap import percentile_interval
from nanoseg_bench.metrics.seeds import seed_effects
from nanoseg_bench.runs.record import Record


def seed_rows(records: Sequence[Record]) -> list[dict[str, object]]:
    """One row for each eval set, model and resampled metric, in the order of the records; see ``metrics.seeds``.

    Args:
        records: Of all eval sets. Those of one model that differ in more than the seed are told apart.
    """
    groups: dict[tuple[object, ...], list[Record]] = {}
    for record, key in zip(records, comparison_groups(records), strict=True):
        if record.status == "ok" and not record.external:
            groups.setdefault((record.eval_set, record.model, key), []).append(record)
    return [
        row
        for seeds in groups.values()
        if len(seeds) > 1
        for metric in seeds[0].resampled
        if (row := _row(seeds, metric)) is not None
    ]


def _row(seeds: Sequence[Record], metric: str) -> dict[str, object] | None:
    scores = [score for record in seeds if (score := record.scores.get(metric)) is not None]
    samples = resampled(seeds, metric)
    if samples is None or len(scores) < len(seeds):
        return None
    effects = seed_effects(np.array(scores), samples)
    lo, hi = percentile_interval(samples.mean(axis=0)) or (None, None)
    return {
        "eval_set": seeds[0].eval_set,
        "model": seeds[0].model,
        "title": seeds[0].title,
        "preset": seeds[0].preset,
        "started_from": seeds[0].started_from,
        "device": ", ".join(dict.fromkeys(record.device for record in seeds)),
        "metric": metric,
        "seeds": len(seeds),
        "mean": effects.mean,
        "spread": effects.spread,
        "sampling_lo": lo,
        "sampling_hi": hi,
        "sd_seed": _root(effects.variance_seed),
        "sd_sampling": _root(effects.variance_sampling),
        "standard_error": effects.standard_error,
    }


def _root(variance: float | None) -> float | None:
    return None if variance is None else math.sqrt(variance)
