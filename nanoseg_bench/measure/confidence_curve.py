"""Count and D50 of a sample against the confidence from which particles count."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import BY_HAND
from nanoseg_bench.measure.particles import BELOW_CONFIDENCE
from nanoseg_bench.measure.sample import particle_weights
from nanoseg_bench.measure.statistics import compute_statistics

STEP = 0.05


def against_confidence(
    table: pd.DataFrame,
    column: str,
    confidences: Sequence[float] | None = None,
    *,
    border_weighted: bool = True,
) -> pd.DataFrame:
    """How count and median of the number distribution change with the confidence.

    A flat stretch around the confidence that was used says that the result does not hang on it. What has no confidence,
    or what a person changed, counts at all of them.

    Args:
        table: Of particles, also of those below the confidence that was used, as far down as the curve shall reach.
        column: ``diameter_nm``.
        confidences: By default in steps of ``STEP`` from the lowest one of a particle, up to the highest.
        border_weighted: As for ``sample.summarise``.

    Returns:
        ``confidence``, ``count`` and ``d50``, which is empty without particles. No row where no particle has
        a confidence.
    """
    judged_by_it = table["exclusion"].isna() | (table["exclusion"] == BELOW_CONFIDENCE)
    known = table[judged_by_it & table[column].notna()]
    scores = known["confidence"].to_numpy(dtype=np.float64)
    judged = ~np.isnan(scores)
    if confidences is None:
        confidences = _steps(scores[judged])
    always = ~judged | known["origin"].isin(BY_HAND).to_numpy(dtype=bool)
    values = known[column].to_numpy(dtype=np.float64)
    weights = particle_weights(known, "number", border_weighted)
    rows = []
    for confidence in confidences:
        kept = always | (scores >= confidence)
        d50 = compute_statistics(values[kept], weights[None, kept])["d50"][0]
        rows.append({"confidence": float(confidence), "count": int(kept.sum()), "d50": float(d50)})
    return pd.DataFrame(rows, columns=["confidence", "count", "d50"])


def _steps(scores: NDArray[np.float64]) -> list[float]:
    if not scores.size:
        return []
    first, last = np.floor(scores.min() / STEP + 1e-9), np.floor(scores.max() / STEP + 1e-9)
    return [round(number * STEP, 6) for number in np.arange(first, last + 1)]
