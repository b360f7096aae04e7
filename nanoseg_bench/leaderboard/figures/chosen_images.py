"""Which images of an eval set a figure shows: those that were asked for, or some from the best to the worst."""

from collections.abc import Sequence

from nanoseg_bench.errors import UsageError
from nanoseg_bench.leaderboard.figures.contenders import Contender
from nanoseg_bench.leaderboard.figures.drawn import NothingToDrawError
from nanoseg_bench.preparation.prepared_set import PreparedImage, PreparedSet
from nanoseg_bench.preparation.preview import spread
from nanoseg_bench.wording import did_you_mean, shortened

SHOWN_SETS = ("test", "ood")
"""Eval sets whose images figures show."""

_NAMED = 8  # names listed in an error


def choose_images(
    prepared: PreparedSet,
    contenders: Sequence[Contender],
    eval_set: str,
    names: Sequence[str] | None,
    count: int,
) -> list[PreparedImage]:
    """Images of an eval set.

    Without names they are spread evenly over the quality (PQ) that the best contender reaches on each image, and where
    that is not known, over the images in their order: neither the best nor the worst are picked by hand, and the same
    records give the same images.

    Args:
        prepared: The prepared set.
        contenders: The best first.
        eval_set: One of ``SHOWN_SETS``.
        names: Of images, or of their micrographs, of any of ``SHOWN_SETS``; those of this one are kept, in this order.
        count: How many without names.

    Raises:
        UsageError: There is no such image; the message offers the nearest.
        NothingToDrawError: None of them is in this eval set, or the prepared set has no such part.
    """
    if prepared.folds:
        raise NothingToDrawError(
            f"{prepared.root}: in a set with folds each image is tested by the network of its fold; `nanoseg-bench "
            "leaderboard SET --html --runs DIR` shows the worst and best of them with their outlines"
        )
    if not prepared.has(eval_set):
        raise NothingToDrawError(f"{prepared.root}: the prepared set has no part {eval_set!r}")
    if names is not None:
        known = _by_name(prepared)
        chosen = [image for name in names if (image := _named(name, known)).split == eval_set]
        if not chosen:
            raise NothingToDrawError(f"none of the images that --show names is in the eval set {eval_set!r}")
        return chosen
    images = {image.name: image for image in prepared.images(eval_set)}
    quality = _quality(contenders, eval_set)
    ranked = sorted((name for name in quality if name in images), key=lambda name: (-quality[name], name))
    return [images[name] for name in spread(ranked or list(images), count)]


def choose_image(prepared: PreparedSet, contenders: Sequence[Contender], names: Sequence[str] | None) -> PreparedImage:
    """The first image that was asked for, of any of ``SHOWN_SETS``; else the one of middle quality of the test set.

    Args and Raises as of ``choose_images``.
    """
    if names:
        return _named(names[0], _by_name(prepared))
    return choose_images(prepared, contenders, "test", None, 1)[0]


def _by_name(prepared: PreparedSet) -> dict[str, PreparedImage]:
    shown = [image for image in prepared.all_images if image.split in SHOWN_SETS]
    return {**{image.micrograph: image for image in shown}, **{image.name: image for image in shown}}


def _quality(contenders: Sequence[Contender], eval_set: str) -> dict[str, float]:
    for contender in contenders:
        record = contender.first.records.get(eval_set)
        results = record.details.images if record else ()
        quality = {each.name: each.pq for each in results if each.pq is not None}
        if quality:
            return quality
    return {}


def _named(name: str, images: dict[str, PreparedImage]) -> PreparedImage:
    if name in images:
        return images[name]
    hint = did_you_mean(name, images, 0.4)
    known = list(dict.fromkeys(image.name for image in images.values()))
    raise UsageError(f"--show {name}: not in an eval set; {hint}there are {shortened(known, _NAMED)}")
