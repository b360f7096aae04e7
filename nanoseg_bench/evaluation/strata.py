"""Parts of an eval set that are scored by themselves: the images of one imaging modality."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.predictions import Predictions

UNKNOWN_MODALITY = "unknown"
"""Stratum of the images of which nobody said how they were taken."""


def strata(eval_set: EvalSet) -> dict[str, tuple[str, ...]]:
    """Image names by modality: every image in exactly one stratum, in the eval set's order.

    The modality is the attribute of this name in the manifest (``BF-TEM``, ``SE-SEM``, ...). Strata are sorted by
    name, ``UNKNOWN_MODALITY`` last; without any image that has the attribute it is the only one.
    """
    images: dict[str, list[str]] = defaultdict(list)
    for name in eval_set.images:
        images[eval_set.attributes.get(name, {}).get("modality") or UNKNOWN_MODALITY].append(name)
    return {
        modality: tuple(images[modality])
        for modality in sorted(images, key=lambda each: (each == UNKNOWN_MODALITY, each))
    }


def part_of(eval_set: EvalSet, images: Iterable[str]) -> EvalSet:
    """The eval set with these images only; name, classes and detection limit stay those of the whole.

    Args:
        eval_set: The whole.
        images: Names of some of its images; their order does not matter.
    """
    kept = set(images)
    names = tuple(name for name in eval_set.images if name in kept)
    return replace(
        eval_set,
        images=names,
        truth={name: eval_set.truth[name] for name in names},
        sizes={name: eval_set.sizes[name] for name in names},
        source_groups={name: eval_set.source_groups[name] for name in names},
        nm_per_px={name: scale for name, scale in eval_set.nm_per_px.items() if name in kept},
        attributes={name: known for name, known in eval_set.attributes.items() if name in kept},
        marks={name: marks for name, marks in eval_set.marks.items() if name in kept},
    )


def answers_to(predictions: Predictions, images: Iterable[str]) -> Predictions:
    """The predictions for these images only; one that was not answered stays missing, and scoring refuses it.

    They are untimed: a latency is the whole eval set's.

    Args:
        predictions: Of the whole eval set.
        images: Names of some of its images.
    """
    kept = set(images)
    return replace(
        predictions,
        images={name: found for name, found in predictions.images.items() if name in kept},
        sizes={name: size for name, size in predictions.sizes.items() if name in kept},
        timing=None,
    )
