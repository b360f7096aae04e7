"""How long a model takes for one image: what was measured, and the columns of the leaderboards made of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nanoseg_bench.evaluation.result import Scores


@dataclass(frozen=True, slots=True)
class Timing:
    """Measurements of single images, in milliseconds; ``runs.timing`` says how they are made.

    Attributes:
        total_ms: Wall time of each prediction.
        pre_ms: The part before the network; empty, like the next two, for a model that marks no network.
        network_ms: The part inside of it.
        post_ms: The part after it. The three add up to the total of the same measurement.
        energy_j_per_image: Mean energy that the GPU took, joules; None where there is no counter.
    """

    total_ms: tuple[float, ...]
    pre_ms: tuple[float, ...] = ()
    network_ms: tuple[float, ...] = ()
    post_ms: tuple[float, ...] = ()
    energy_j_per_image: float | None = None


def timing_scores(timing: Timing | None) -> Scores:
    """Columns of a row: medians over the measurements, how many these are, and the energy.

    Args:
        timing: None where nothing was measured: all columns stay empty.
    """
    measured = timing or Timing(())
    return {
        "latency_ms_per_image": _median(measured.total_ms),
        "latency_pre_ms_per_image": _median(measured.pre_ms),
        "latency_network_ms_per_image": _median(measured.network_ms),
        "latency_post_ms_per_image": _median(measured.post_ms),
        "latency_measurements": len(measured.total_ms) or None,
        "energy_j_per_image": measured.energy_j_per_image,
    }


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None
