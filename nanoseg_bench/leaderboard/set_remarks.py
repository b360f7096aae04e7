"""What a reader of a set's rows must know: how its split judges, what that cannot carry, whose seeds are no seeds."""

from collections.abc import Sequence

from nanoseg_bench.changes import list_changes
from nanoseg_bench.evaluation.cross_validation import FOLD_MEAN, RESAMPLED_OVER_FOLDS
from nanoseg_bench.models.identity import recipe_changes
from nanoseg_bench.models.recipe import Side
from nanoseg_bench.runs.record import Record

JOINT = " · "
"""Between the shortcomings in the cell of a table."""

POOLED_AP = (
    "Detections of all folds are sorted together here, so the AP is the pooled one, not the mean over the folds that "
    "ranks."
)
"""Said where parts of a cross-validation are shown by an AP that has no mean over the folds."""

POOLED_CURVES = (
    f"{POOLED_AP} A dot is the F1 at the folds' own operating points, drawn at the median of their confidences."
)


def fold_count(records: Sequence[Record]) -> int | None:
    """Number of folds that the rows of a set are cross-validated in; None where they are not."""
    return next((record.folds for record in records if record.folds), None)


def shown_column(name: str, folds: int | None) -> str:
    """The column that stands where a score is shown once: of a cross-validation the mean over folds, which ranks.

    Args:
        name: Of the column in a set without folds.
        folds: From ``fold_count``.
    """
    over_folds = f"{name}{FOLD_MEAN}"
    return over_folds if folds and over_folds in RESAMPLED_OVER_FOLDS else name


def set_remarks(records: Sequence[Record]) -> list[str]:
    """Sentences to stand below the rows of a prepared set."""
    remarks = _mixed_recipes(records)
    if folds := fold_count(records):
        remarks.append(
            f"{folds}-fold cross-validation: every micrograph is tested once, by a network that has not seen its "
            "source group. AP is a mean over the folds; P, R, F1, counts and sizes are pooled, training time is a sum."
        )
    if shortcomings := dict.fromkeys(line for record in records for line in record.shortcomings):
        remarks.append("What the split of this set cannot carry:")
        remarks += [f"- {line}" for line in shortcomings]
    return remarks


def _mixed_recipes(records: Sequence[Record]) -> list[str]:
    """Models whose seeds are of different recipes by one name, as where a preset changed between two trainings."""
    first: dict[tuple[str, ...], Record] = {}
    remarks = []
    for record in records:
        if record.status != "ok" or record.external:
            continue
        other = first.setdefault((record.model, record.preset, record.started_from), record)
        changes = recipe_changes(other.recipe, record.recipe)
        if told := list_changes((*changes[Side.TRAINING], *changes[Side.PREDICTION])):
            who = f"{record.title}, preset {record.preset}, seeds {other.seed} and {record.seed}"
            remarks.append(f"{who}: of different recipes ({told}), and ranked by their mean; run all its seeds again.")
    return list(dict.fromkeys(remarks))  # of several eval sets each
