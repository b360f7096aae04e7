"""Truth that a model began: it lies near that model's own outlines, corrected or not, and flatters it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from nanoseg_bench.annotations.begun_by import BegunBy
from nanoseg_bench.preparation.prepared_set import SPLITS, PreparedSet
from nanoseg_bench.wording import counted

_TRAIN = "train"  # what a model learns from flatters no score


@dataclass(frozen=True, slots=True)
class BegunTruth:
    """The part that one model had in the truth that models are judged by.

    Attributes:
        begun_by: The model.
        images: Number of images that it began, by split; and of how many.
    """

    begun_by: BegunBy
    images: Mapping[str, tuple[int, int]]

    @property
    def words(self) -> str:
        """``3 of 10 val images, 12 of 40 test images``."""
        return in_splits(self.images)


def in_splits(images: Mapping[str, tuple[int, int]]) -> str:
    """``3 of 10 val images, 12 of 40 test images``.

    Args:
        images: Number of images, and of how many, by split.
    """
    numbers = [(split, *images[split]) for split in SPLITS if split in images]
    return ", ".join(f"{number} of {counted(total, f'{split} image')}" for split, number, total in numbers)


def begun_truth(prepared: PreparedSet) -> list[BegunTruth]:
    """Every model that began truth of val, test, or what is judged on only; by name.

    Of a set with folds, all micrographs that are in them count as test: each is tested in one.
    """
    in_folds = bool(prepared.folds) and prepared.fold is None
    totals: Counter[str] = Counter()
    begun: dict[BegunBy, Counter[str]] = {}
    for image in prepared.all_images:
        if image.parent is not None or (image.split == _TRAIN and not in_folds):
            continue
        split = "test" if image.split == _TRAIN else image.split
        totals[split] += 1
        if image.begun_by is not None:
            begun.setdefault(image.begun_by, Counter())[split] += 1
    found = [
        BegunTruth(model, {split: (number, totals[split]) for split, number in images.items()})
        for model, images in begun.items()
    ]
    return sorted(found, key=lambda each: str(each.begun_by))


def began_truth(prepared: PreparedSet, eval_set: str, model: str, initial_weights: str | None) -> str:
    """Whether a model is judged by truth that it began, in words; empty where it is not.

    It is taken for the model that began the truth by its id, whatever it was trained on since, or by the weights that
    it started from. Val counts too, since the operating point is chosen there.

    Args:
        prepared: The prepared set.
        eval_set: What it is judged on: a split other than train.
        model: Its id.
        initial_weights: As records name them, with their SHA-256; None where it was trained from scratch.
    """
    counts: dict[str, tuple[int, int]] = {}
    for each in begun_truth(prepared):
        digest = each.begun_by.weights_sha256
        if each.begun_by.model != model and not (digest and digest in (initial_weights or "")):
            continue
        for split, (begun, total) in each.images.items():
            if split in ("val", eval_set):
                counts[split] = (counts.get(split, (0, 0))[0] + begun, total)
    return in_splits(counts)
