"""The rules by which rows were measured, as the page prints them."""

from nanoseg_bench.leaderboard.columns import COMPARABLE_BY
from nanoseg_bench.metrics.ranking import RANK_RULE
from nanoseg_bench.metrics.size_distribution import BORDER_RULE


def protocol(evaluator: str) -> dict[str, str]:
    """Name of each rule to its text.

    Args:
        evaluator: Version of the scoring code.
    """
    return {
        "Pixels": "Masks are scored in pixels of the original image, whatever size a network ran at. Every image of "
        "the eval set is answered for: predictions that lack one are refused. Regions labelled ignore and the "
        "instrument's information bar are neither truth nor false positives.",
        "AP": "COCO's average precision of masks over IoU 0.50:0.05:0.95 at 101 recalls, with a limit of detections "
        "per image taken from the data instead of 100. “Any class” takes all particles as one class; AP is the mean "
        "over classes and is empty for models that know none.",
        "Operating point": "P, R, F1, PQ, counts and sizes are read at one confidence, that of the best F1 on val. It "
        "is never looked for on the test set. Predictions from outside have one only where it was declared, and are "
        "marked.",
        "Matching": "One to one, so that the sum of IoU is largest (Hungarian), IoU > 0.5, whatever the class; pooled "
        "over all particles.",
        "Intervals": "95 % percentile intervals of the bootstrap over source groups: what comes from one specimen, "
        "figure or paper is drawn together. 1,000 resamples, the same ones for every model, so differences are paired.",
        "Ranks": f"{RANK_RULE} Rows compete that are equal in {_listed(COMPARABLE_BY)}; seeds of a model are averaged. "
        "Predictions from outside stand in the table without a rank.",
        "Sizes": f"Diameters are those of circles of equal area. {BORDER_RULE}",
        "Time": "Latency is the median wall time of one image at batch 1, with pre- and post-processing, after 3 "
        "predictions as warm-up and with the device's clock synchronised; on the device of the row.",
        "Evaluator": f"Version {evaluator}. Records of another version are refused, not mixed in.",
    }


def _listed(columns: tuple[str, ...]) -> str:
    names = {"set_hash": "content of the prepared set"}
    words = [names.get(column, column.replace("_", " ")) for column in columns]
    return f"{', '.join(words[:-1])} and {words[-1]}"
