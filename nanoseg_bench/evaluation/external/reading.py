"""Predictions from outside, made into predictions like ours, with what was decided on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nanoseg_bench.annotations.coco.results import is_coco_results
from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.json_values import is_number
from nanoseg_bench.annotations.masks.options import MaskOptions
from nanoseg_bench.errors import PredictionsError, UsageError
from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.external.answers import Answers
from nanoseg_bench.evaluation.external.coco_ids import read_results
from nanoseg_bench.evaluation.external.formats import HandedIn, find_predictions
from nanoseg_bench.evaluation.external.readers import (
    read_coco_file,
    read_labelme_files,
    read_labels,
    read_maps,
    read_ours,
)
from nanoseg_bench.evaluation.predictions import Predictions
from nanoseg_bench.files import read_json
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.wording import counted

_SHOWN = 5

_WAYS_OUT = {
    "predictions": "An image without particles has an empty list",
    "coco": "An image without particles stands in 'images' of the COCO file, or of the one beside COCO results",
    "masks": "An image without particles has a map of zeros",
    "yolo": "An image without particles has an empty .txt file; Ultralytics writes none, so make it",
    "labelme": "An image without particles has a JSON without shapes",
}


@dataclass(frozen=True, slots=True)
class External:
    """What was read.

    Attributes:
        predictions: Complete, in the micrographs' pixels; every score is 1 where the tool gives none.
        scored: Whether the tool gave scores.
        notes: What was decided, one sentence each.
    """

    predictions: Predictions
    scored: bool
    notes: tuple[str, ...]


def read_external(
    path: Path,
    name: str,
    prepared: PreparedSet,
    eval_set: EvalSet,
    *,
    format: str = "auto",
    classes: Sequence[str] | None = None,
    class_less: bool = False,
    masks: MaskOptions | None = None,
) -> External:
    """Read the predictions of somebody else's tool for an eval set.

    Class names that are classes of the set make the predictions class-aware. Where none is, or the format has none,
    they are class-less. A tool whose scores all lie in [0, 1] has confidences; other scores only rank its particles.

    Args:
        path: A file, or a folder with a file for each image.
        name: What the tool is called.
        prepared: The prepared set.
        eval_set: Its eval set.
        format: One of ``FORMATS``, or ``auto``.
        classes: Class names in the order of their numbers, for YOLO labels (from 0) and COCO results (from 1).
        class_less: Disregard class names.
        masks: How masks are read. By default values number the particles, and what looks like something else is
            refused.

    Raises:
        UsageError: There is no such path.
        PredictionsError: The format is not known, an image is missing, unknown or of another size, some class names
            are not the set's, or some particles have scores and others none.
        AnnotationError, ImageError: A file is malformed.
    """
    handed_in = find_predictions(path, format, eval_set.name)
    answers = Answers(path, prepared, eval_set)
    # Whoever names the format has looked; an explicit kind needs no suspicion either.
    meant = format == "masks" or (masks is not None and masks.kind != "auto")
    options = masks or MaskOptions(label=None)
    confident, read_notes = _read(handed_in, answers, prepared, eval_set, classes, options, binary_is_meant=meant)
    complete = answers.complete(_WAYS_OUT[handed_in.format])
    knows_classes, labelled, class_note = _with_classes(path, complete, eval_set.classes, class_less)
    scored, within, images, score_note = _with_scores(path, labelled)
    predictions = Predictions(
        model=name,
        eval_set=eval_set.name,
        set_hash=eval_set.set_hash,
        knows_classes=knows_classes,
        classes=eval_set.classes,
        images=images,
        sizes=dict(eval_set.sizes),
        has_confidence=confident and within,
    )
    particles = counted(sum(map(len, images.values())), "particle")
    read = f"{eval_set.name}: {counted(len(images), 'image')}, {particles} ({handed_in.format})"
    return External(predictions, scored, (read, *read_notes, *class_note, *score_note))


def _read(
    handed_in: HandedIn,
    answers: Answers,
    prepared: PreparedSet,
    eval_set: EvalSet,
    classes: Sequence[str] | None,
    masks: MaskOptions,
    *,
    binary_is_meant: bool,
) -> tuple[bool, tuple[str, ...]]:
    """Fill in the answers: whether scores may be confidences, by the file's account; and what was decided."""
    first = handed_in.files[0]
    notes: tuple[str, ...] = ()
    if handed_in.format != "masks" and (given := masks.given):
        raise UsageError(f"{', '.join(given)}: for masks, and {handed_in.root} holds {handed_in.format} predictions")
    if handed_in.format == "predictions":
        return read_ours(first, answers, eval_set), notes
    if handed_in.format == "coco" and is_coco_results(read_json(first)):
        notes = read_results(first, answers, prepared, eval_set, classes)
    elif handed_in.format == "coco":
        read_coco_file(first, answers)
    elif handed_in.format == "masks":
        notes = read_maps(handed_in, answers, masks, binary_is_meant=binary_is_meant)
    elif handed_in.format == "yolo":
        read_labels(handed_in, answers, classes)
    else:
        read_labelme_files(handed_in, answers)
    return True, notes


Images = Mapping[str, list[Instance]]


def _with_classes(
    path: Path, images: Images, classes: Sequence[str], class_less: bool
) -> tuple[bool, Images, tuple[str, ...]]:
    labels = {instance.label for instances in images.values() for instance in instances}
    known = labels & set(classes)
    others = sorted(label for label in labels if label is not None and label not in known)
    if known and not class_less:
        if len(labels) == len(known):
            return True, images, ()
        foreign = f"the classes {', '.join(others[:_SHOWN])}" if others else "particles without a class"
        raise PredictionsError(
            f"{path}: holds {foreign} beside {', '.join(sorted(map(str, known)))}; the set's are {', '.join(classes)}. "
            "Rename them, or give --class-less, which disregards all"
        )
    note = "class-less: class-aware columns stay empty"
    if others and not class_less:
        note += f", since the classes {', '.join(others[:_SHOWN])} are none of the set's ({', '.join(classes)})"
    bare = {name: [replace(each, label=None) for each in instances] for name, instances in images.items()}
    return False, bare, (note,)


def _with_scores(path: Path, images: Images) -> tuple[bool, bool, Images, tuple[str, ...]]:
    """Whether there are scores, whether they are confidences, the instances with scores, and what to say of them."""
    scores = [instance.score for instances in images.values() for instance in instances]
    given = [score for score in scores if score is not None]
    if any(not is_number(score) for score in given):
        raise PredictionsError(f"{path}: a score is no finite number; export the predictions again")
    if not given:
        certain = {name: [replace(each, score=1.0) for each in instances] for name, instances in images.items()}
        return False, False, certain, ("no scores: every particle counts",)
    if len(given) < len(scores):
        raise PredictionsError(
            f"{path}: {len(scores) - len(given)} of {len(scores)} particles have no score; give all of them one, or "
            "none"
        )
    if min(given) < 0 or max(given) > 1:
        return True, False, images, ("scores outside of [0, 1]: they rank the particles, and are no confidences",)
    return True, True, images, ()
