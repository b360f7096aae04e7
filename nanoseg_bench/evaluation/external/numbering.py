"""Whether image ids that nobody explains number the images of an eval set as it numbers them itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import iou_matrix, to_rle
from nanoseg_bench.errors import PredictionsError
from nanoseg_bench.evaluation.eval_sets import EvalSet

_OTHER_ORDERS = 8
_PARTICLES_LOOKED_AT = 100  # of an image
_MARGIN = 1.1


def require_own_order(path: Path, found: Mapping[str, Sequence[Instance]], eval_set: EvalSet, truth_file: Path) -> None:
    """Refuse particles that lie on those of other images as well as on those of the images their ids lead to.

    The mean IoU of each particle with the true one that it fits best is compared with that after exchanging images of
    one size. This decides nothing but whether the ids can be believed: particles that fit nowhere are refused too, and
    the COCO file that the ids come from settles it.

    Args:
        path: The results.
        found: Particles by the image that their id leads to.
        eval_set: The eval set.
        truth_file: The COCO file whose ids they were taken for.

    Raises:
        PredictionsError: Another order fits as well.
    """
    by_size: dict[tuple[int, int], list[str]] = {}
    for name in found:
        by_size.setdefault(eval_set.sizes[name], []).append(name)
    rows = [names for names in by_size.values() if len(names) > 1]
    names = [name for row in rows for name in row]
    if not any(found[name] for name in names) or not any(eval_set.truth[name] for name in names):
        return
    own = _fit(found, eval_set, {name: name for name in names})
    others = [
        _fit(
            found, eval_set, {name: other for row in rows for name, other in zip(row, _turned(row, step), strict=True)}
        )
        for step in range(min(max(map(len, rows)) - 1, _OTHER_ORDERS))
    ]
    if own <= _MARGIN * max(others):
        raise PredictionsError(
            f"{path}: its image ids are numbers, and no COCO file beside it says of which images. Taken for the ids in "
            f"{truth_file}, particles have a mean IoU of {own:.2f} with those of their images, and of "
            f"{max(others):.2f} with those of other images: the ids are of another file, or the particles fit nowhere. "
            "Put the COCO file that they come from beside it, or write the images' names as image_id"
        )


def _turned(row: Sequence[str], step: int) -> list[str]:
    """Names moved on by so many places, at least one, never back to where they were."""
    places = 1 + step % (len(row) - 1)
    return [*row[places:], *row[:places]]


def _fit(found: Mapping[str, Sequence[Instance]], eval_set: EvalSet, image_of: Mapping[str, str]) -> float:
    """Mean over the particles of the largest IoU with a true one of the image that theirs is exchanged for."""
    best: list[float] = []
    for name, image in image_of.items():
        width, height = eval_set.sizes[name]
        # The surest ones: a tool may hand in thousands that it hardly believes in.
        surest = sorted(found[name], key=lambda each: -(each.score or 0))[:_PARTICLES_LOOKED_AT]
        masks = [to_rle(each, height, width) for each in surest]
        truth = [to_rle(each, height, width) for each in eval_set.truth[image] if not each.ignored]
        if masks:
            overlaps = iou_matrix(masks, truth)
            best += (overlaps.max(axis=1) if truth else np.zeros(len(masks))).tolist()
    return float(np.mean(best)) if best else 0.0
