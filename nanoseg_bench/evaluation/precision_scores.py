"""Average precision of one model on one eval set: masks and boxes, all sizes and by size."""

from nanoseg_bench.evaluation.comparison import Comparison, Matches
from nanoseg_bench.evaluation.result import Scores
from nanoseg_bench.metrics.average_precision import (
    NOT_MEASURED,
    ApResult,
    average_precision,
    average_precision_by_size,
)


def precision_scores(comparison: Comparison) -> Scores:
    """Columns of AP; the class-aware ones are None for a model that knows no classes.

    They are None also where the data have only one class: nothing was classified. Sizes are those of
    ``average_precision.SIZE_STRATA``, boxes those around the masks.
    """
    by_size = average_precision_by_size(comparison.overlaps, comparison.eval_set.max_detections)
    return {
        **_columns(class_aware(comparison.masks), ""),
        **_columns(average_precision([comparison.masks.agnostic]), "_agnostic"),
        **{f"map_50_95_agnostic_{stratum}": result.map_50_95 for stratum, result in by_size.items()},
        **_columns(class_aware(comparison.boxes), "_box"),
        **_columns(average_precision([comparison.boxes.agnostic]), "_agnostic_box"),
    }


def class_aware(matches: Matches) -> ApResult:
    """Average precision over the classes; not measured for a model that knows none."""
    return NOT_MEASURED if matches.aware is None else average_precision(matches.aware)


def _columns(result: ApResult, suffix: str) -> Scores:
    return {
        f"map_50_95{suffix}": result.map_50_95,
        f"map_50{suffix}": result.map_50,
        f"map_75{suffix}": result.map_75,
    }
