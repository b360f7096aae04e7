"""Scores that excuse what a model finds on information bars, scale bars and lettering; beside the primary ones.

The primary columns stay as the literature has them. These say what part of the false positives are letters, by the same
rule for every model: a detection at the operating point that matches no particle and lies mostly on marks is left out.
"""

from collections.abc import Sequence

import numpy as np

from nanoseg_bench.annotations.raster import inside_share, mask_to_rle
from nanoseg_bench.evaluation.comparison import Comparison
from nanoseg_bench.evaluation.detection_scores import pooled
from nanoseg_bench.evaluation.result import Scores
from nanoseg_bench.marks import Mark
from nanoseg_bench.marks.coverage import MOSTLY
from nanoseg_bench.marks.mark import boxes_mask
from nanoseg_bench.metrics.counting import relative_count_error
from nanoseg_bench.metrics.matching import ImageOverlap, match, select
from nanoseg_bench.metrics.table import names

COLUMNS = names("marks")


def marks_excused_scores(comparison: Comparison) -> Scores:
    """The columns above; all None without an operating point, or where the set does not know the marks of an image."""
    eval_set = comparison.eval_set
    if comparison.kept is None or any(name not in eval_set.marks for name in eval_set.images):
        return dict.fromkeys(COLUMNS)
    kept = [
        excuse_marks(overlap, eval_set.marks[name])
        for name, overlap in zip(eval_set.images, comparison.kept, strict=True)
    ]
    pairs = pooled(kept)
    predicted, truth = (
        [len(part) for part in parts] for parts in zip(*((o.predicted, o.truth) for o in kept), strict=True)
    )
    return {
        "precision_marks_excused": pairs.precision,
        "f1_marks_excused": pairs.f1,
        "count_error_relative_marks_excused": relative_count_error(predicted, truth),
    }


def excuse_marks(overlap: ImageOverlap, marks: Sequence[Mark]) -> ImageOverlap:
    """The same image without the predictions that match no particle and lie mostly inside the boxes of marks.

    Args:
        overlap: Predictions at the operating point.
        marks: Of the image, in its pixels.
    """
    if not marks or not overlap.predicted:
        return overlap
    region = mask_to_rle(boxes_mask(marks, overlap.height, overlap.width))
    on_marks = inside_share(overlap.predicted, region) > MOSTLY
    on_marks[match(overlap.iou)[0]] = False
    return select(overlap, np.flatnonzero(~on_marks))
