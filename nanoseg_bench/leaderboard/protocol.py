"""The rules by which rows were measured, as the page prints them."""

from nanoseg_bench.evaluation.cross_validation import RULE as CROSS_VALIDATION_RULE
from nanoseg_bench.evaluation.operating_point import RULE
from nanoseg_bench.evaluation.size_scores import LEAST_RECALL
from nanoseg_bench.leaderboard.columns import GROUPED_BY, RANKED_AT
from nanoseg_bench.metrics.ranking import RANK_RULE
from nanoseg_bench.metrics.size_distribution import BORDER_RULE
from nanoseg_bench.metrics.size_pairs import LEAST_PAIRS

WORDS = {
    "preset, seed": "The preset names the recipes, the same budget for all models; the seed decides all that is random "
    "in a training.",
    "from scratch": "Trained without weights of an earlier training; otherwise the file of weights is named.",
    "source group": "All images of one specimen, session, figure or paper: they stand in one part of the split, and "
    "are drawn together for an interval.",
    "external": "Predictions that were handed in as a file: beside the table, without a rank.",
    "val": "Images apart from the training's and the test's, by which the operating point is chosen.",
}
"""Words of titles and rows, for who reads a table for the first time."""


def protocol(evaluator: str, *, cross_validated: bool = False) -> dict[str, str]:
    """Name of each rule to its text.

    Args:
        evaluator: Version of the scoring code.
        cross_validated: Whether the rows pool the folds of a set.
    """
    return {
        **({"Cross-validation": CROSS_VALIDATION_RULE} if cross_validated else {}),
        "Pixels": "Masks are scored in pixels of the original image, whatever size a network ran at. Every image of "
        "the eval set is answered for: predictions that lack one are refused. Regions labelled ignore are "
        "neither truth nor false positives; an information bar is one only where the set labels it so.",
        "AP": "COCO's average precision of masks over IoU 0.50:0.05:0.95 at 101 recalls, with a limit of detections "
        "per image taken from the data instead of 100. “Any class” takes all particles as one class; AP is the mean "
        "over classes and is empty for models that know none.",
        "Operating point": f"P, R, F1, PQ, counts and sizes are read at one confidence. {RULE} It is never looked for "
        "on the test set. The interval of a confidence is that of val's choice over its resampled source groups. "
        "Predictions from outside have one only where it was declared, or chosen on their val, and are marked.",
        "Matching": "One to one at IoU > 0.5 (Hungarian), whatever the class: as many pairs as possible, and of "
        "equally many those of the largest sum of IoU; pooled over all particles.",
        "Intervals": "95 % percentile intervals of the bootstrap over source groups: what comes from one specimen, "
        "figure or paper is drawn together. 1,000 resamples, the same ones for every model, so differences are paired.",
        "Ranks": f"{RANK_RULE} Rows compete that are equal in {_listed(GROUPED_BY)}; seeds of a model are averaged. "
        "A model without training stands with the largest group of its preset. Predictions from outside stand in the "
        "table without a rank.",
        "Sizes": f"Diameters are those of circles of equal area. {BORDER_RULE} Columns of the pooled distribution are "
        f"empty below a recall of {LEAST_RECALL:g}: the sizes of the few that are found say nothing of those of all. "
        "Errors of pairs compare each prediction with the particle that it hits: the bias is the median of "
        "(predicted − true) / true, the spread half the distance of the 16th and the 84th percentile; of fewer than "
        f"{LEAST_PAIRS} pairs nothing is said.",
        "Time": "Latency is the median wall time of one image at batch 1, with pre- and post-processing, after 3 "
        "predictions as warm-up and with the device's clock synchronised; on the device of the row. Latency and "
        "training time compare only among rows of one device; ranks and differences do not depend on it.",
        "Evaluator": f"Version {evaluator}. Records of another version are refused, not mixed in.",
    }


def _listed(columns: tuple[str, ...]) -> str:
    names = {"set_hash": "content of the prepared set", "images": "images judged on", RANKED_AT: "training images seen"}
    words = [names.get(column, column.replace("_", " ")) for column in columns]
    return f"{', '.join(words[:-1])} and {words[-1]}"
