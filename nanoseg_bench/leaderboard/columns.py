"""Columns of the leaderboards, in order: those of ``metrics.table``, and around them what tells rows apart.

``leaderboards/README.md`` says what each means; tests keep both in step.
"""

from collections.abc import Iterable

from nanoseg_bench.metrics.metric import Metric, Shown
from nanoseg_bench.metrics.table import METRICS, also_in, columns

RANKED_AT = "ranked_at_images"
"""Training images seen of the rows that a row is ranked among: a model that saw more is no better for it."""

_IDENTITY = ("model", "title", "preset", "seed", "started_from", "initial_weights", "external")

_RANK = ("rank", "rank_lo", "rank_hi", RANKED_AT)

_STATUS = ("status", "reason")

DIFFERENCE = Metric(
    "difference",
    "difference",
    "the model's ranked score minus the reference's, means over seeds, with the interval of the paired difference: "
    "where it does not hold 0, the two can be told apart on these images",
    hint="Paired difference of the ranked score to the reference",
    signed=True,
    better="higher",
    interval=True,
    shown=Shown(bar=True),
)

DIFFERENCE_50 = Metric(
    "difference_map_50",
    "difference",
    "the same of the AP at IoU 0.50: of `map_50`, or of `map_50_agnostic` where that ranks",
    hint="Paired difference of the AP at IoU 0.50 to the reference",
    heading="difference of AP50",
    signed=True,
    better="higher",
    interval=True,
)

_DIFFERENCE = ("reference", *DIFFERENCE.columns)

_CHOICE = (
    "confidence_source",
    "confidence_reason",
    "confidence_lo",
    "confidence_hi",
    "confidence_flat_lo",
    "confidence_flat_hi",
)

_PROVENANCE = (
    "truth_begun_by",
    "shortcomings",
    "device",
    "dataset",
    "set_name",
    "set_hash",
    "images",
    "evaluator",
    "package_version",
    "commit",
    "predictions_sha256",
    "finished",
)

_ROW = _IDENTITY + _STATUS


def _names(metrics: Iterable[Metric]) -> tuple[str, ...]:
    return tuple(each.name for each in metrics)


COLUMNS = {
    "test": (
        *_RANK, *_ROW, *columns("precision", "over_folds"), *_DIFFERENCE, *DIFFERENCE_50.columns,
        *columns("operating_point"), *_CHOICE,
        *columns("detection", "marks", "counts", "sizes", "particles", "protocol", "literature", "timing", "cost"),
        *_PROVENANCE,
    ),
    "ood": (
        *_RANK, *_ROW, *columns("ood"), *(column for each in also_in("ood") for column in each.columns), *_DIFFERENCE,
        *columns("operating_point"), *_CHOICE, *columns("timing", "cost"), *_PROVENANCE,
    ),
    "robustness": (*_RANK, *_ROW, *columns("robustness"), *_DIFFERENCE, *columns("cost"), *_PROVENANCE),
    "classes": (*_IDENTITY, "class", *_names(also_in("classes"))),
    "modality": (*_IDENTITY, "modality", "images", *_names(also_in("modality"))),
    "seeds": (
        "eval_set", "model", "title", "preset", "started_from", "device", "metric", "seeds", "mean", "spread",
        "sampling_lo", "sampling_hi", "sd_seed", "sd_sampling", "standard_error",
    ),
    "differences": (
        "eval_set", "compared", "model", "title", "preset", "started_from", "reference", "reference_started_from",
        "metric", "seeds", "difference", "difference_lo", "difference_hi", "sd_seed", "standard_error", "both_lo",
        "both_hi",
    ),
}  # fmt: skip
"""Columns by table. The ablation table is the test table with the ablation's rows."""

WHOLE_NUMBERS = frozenset(
    {
        "rank",
        "rank_lo",
        "rank_hi",
        RANKED_AT,
        "seed",
        "seeds",
        "images",
        *_names(each for each in METRICS if each.whole),
    }
)
"""Columns that are written without a decimal point."""

COMPARABLE_BY = ("preset", "started_from", "set_hash", "evaluator", "images")
"""Rows are ranked among those equal in all of these: in everything but model and seed that decides how good a model is.

The images are how many of the set a row is judged on, which ``--robustness N`` says. A device decides nothing: seeds of
one model may be trained on several machines. What is asked of a recipe besides, the images
that a training sees, stands in the column ``RANKED_AT``: a row without training has none of its own.
"""

GROUPED_BY = (*COMPARABLE_BY, RANKED_AT)
"""Columns that rows that compete have in common."""
