"""Predictions from outside, made into predictions like ours, with what was decided on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nanoseg_bench.annotations.coco.format import Coco
from nanoseg_bench.annotations.coco.results import is_coco_results
from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.json_values import is_number
from nanoseg_bench.annotations.masks.options import MaskOptions
from nanoseg_bench.annotations.predictions import PredictionOptions, PredictionReader, Regions
from nanoseg_bench.annotations.registry import get_format
from nanoseg_bench.errors import PredictionsError, UsageError
from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.external.answers import Answers
from nanoseg_bench.evaluation.external.coco_ids import read_results
from nanoseg_bench.evaluation.external.handed_in import HandedIn, find_predictions
from nanoseg_bench.evaluation.predictions import Predictions, read_predictions
from nanoseg_bench.files import read_json
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.progress import track
from nanoseg_bench.wording import counted, shortened

_OURS_NO_PARTICLE = "An image without particles has an empty list"


@dataclass(frozen=True, slots=True)
class External:
    """What was read.

    Attributes:
        path: What was handed in.
        predictions: Complete, in the micrographs' pixels; every score is 1 where the tool gives none.
        scored: Whether the tool gave scores.
        notes: What was decided, one sentence each.
    """

    path: Path
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
        format: ``OURS``, one of ``registry.PREDICTED``, or ``auto``.
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
    options = PredictionOptions(classes, masks or MaskOptions(label=None), format_is_given=format != "auto")
    confident, read_notes = _read(handed_in, answers, prepared, eval_set, options)
    complete = answers.complete(_OURS_NO_PARTICLE if handed_in.reader is None else handed_in.reader.no_particle)
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
    return External(path, predictions, scored, (read, *read_notes, *class_note, *score_note))


def _read(
    handed_in: HandedIn, answers: Answers, prepared: PreparedSet, eval_set: EvalSet, options: PredictionOptions
) -> tuple[bool, tuple[str, ...]]:
    """Fill in the answers: whether scores may be confidences, by the file's account; and what was decided."""
    first, reader = handed_in.files[0], handed_in.reader
    takes_masks = reader is not None and "masks" in get_format(handed_in.format).options
    if not takes_masks and (given := options.masks.given):
        raise UsageError(f"{', '.join(given)}: for masks, and {handed_in.root} holds {handed_in.format} predictions")
    if reader is None:
        return _read_ours(first, answers, eval_set), ()
    if handed_in.format == Coco.name and is_coco_results(read_json(first)):
        return True, read_results(first, answers, prepared, eval_set, options.classes)
    return True, _read_files(handed_in, reader, answers, options)


def _read_files(
    handed_in: HandedIn, reader: PredictionReader, answers: Answers, options: PredictionOptions
) -> tuple[str, ...]:
    """Fill in the answers by the code that reads annotations; what was left out, or seems wrong."""
    refs = reader.open(handed_in.files, handed_in.root, options)
    read: dict[str, tuple[Path, Regions]] = {}
    for ref in track(refs, f"reading {reader.plural}"):
        name = next((name for name in ref.names if answers.knows(name)), ref.names[-1])
        place = answers.place(name)
        if place is not None:
            regions = ref.read((place.width, place.height))
            if regions.size is not None:
                answers.require_size(place, regions.size, ref.where)
            answers.put(place, regions.instances)
            read[place.name] = (ref.path, regions)
    return reader.check(read, options)


def _read_ours(path: Path, answers: Answers, eval_set: EvalSet) -> bool:
    """Fill in the answers from a predictions file of this package: whether its scores are confidences, as it says."""
    predictions = read_predictions(path)
    if (predictions.eval_set, predictions.set_hash) != (eval_set.name, eval_set.set_hash):
        raise PredictionsError(
            f"{path}: predictions for {predictions.eval_set!r} of the prepared set {predictions.set_hash[:16]}, and "
            f"{eval_set.name!r} of {eval_set.set_hash[:16]} is to be scored; give those, or the prepared set that they "
            "were made for"
        )
    for name, instances in predictions.images.items():
        place = answers.place(name)
        if place is not None:
            answers.require_size(place, predictions.sizes[name], f"{path}: image {name!r}")
            answers.put(place, instances)
    return predictions.has_confidence


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
        foreign = f"the classes {shortened(others)}" if others else "particles without a class"
        raise PredictionsError(
            f"{path}: holds {foreign} beside {', '.join(sorted(map(str, known)))}; the set's are {', '.join(classes)}. "
            "Rename them, or give --class-less, which disregards all"
        )
    note = "class-less: class-aware columns stay empty"
    if others and not class_less:
        note += f", since the classes {shortened(others)} are none of the set's ({', '.join(classes)})"
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
