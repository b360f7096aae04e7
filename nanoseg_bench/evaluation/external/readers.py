"""One reader for each format: what it finds goes into ``Answers``, in pixels of the micrographs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nanoseg_bench.annotations.coco.reading import read_coco
from nanoseg_bench.annotations.coco.regions import read_region
from nanoseg_bench.annotations.instance import Instance, Rle
from nanoseg_bench.annotations.labelme.reading import read_labelme_regions
from nanoseg_bench.annotations.masks.options import MaskOptions
from nanoseg_bench.annotations.masks.pairs import image_name_of
from nanoseg_bench.annotations.masks.particles import find_particles, made_for, read_values
from nanoseg_bench.annotations.masks.patterns import recognise
from nanoseg_bench.annotations.masks.specks import warn_of_specks
from nanoseg_bench.annotations.tracing import trace
from nanoseg_bench.annotations.yolo.reading import read_yolo
from nanoseg_bench.annotations.yolo.layout import find_class_names
from nanoseg_bench.errors import PredictionsError
from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.external.answers import Answers
from nanoseg_bench.evaluation.external.formats import HandedIn
from nanoseg_bench.evaluation.predictions import read_predictions
from nanoseg_bench.progress import track


def read_ours(path: Path, answers: Answers, eval_set: EvalSet) -> bool:
    """Read a predictions file of this package.

    Returns:
        Whether its scores are confidences, by its own account.

    Raises:
        PredictionsError: It is malformed, or for another eval set or prepared set.
    """
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
            where = f"{path}: image {name!r}"
            answers.require_size(place, predictions.sizes[name], where)
            answers.put(place, (_checked(instance, (place.width, place.height), where) for instance in instances))
    return predictions.has_confidence


def read_coco_file(path: Path, answers: Answers) -> None:
    """Read a COCO file with images and annotations; an image without annotations shows no particle.

    Raises:
        AnnotationError: It is malformed.
        PredictionsError: An image is of another size.
    """
    file = read_coco(path)
    for name, size in file.images.items():
        place = answers.place(name)
        if place is not None:
            answers.require_size(place, size, f"{path}: image {name!r}")
            answers.put(place, file.instances[name])


def read_maps(handed_in: HandedIn, answers: Answers, options: MaskOptions, *, binary_is_meant: bool) -> tuple[str, ...]:
    """Read a mask for each image, by the code that reads annotations.

    Args:
        handed_in: The masks.
        answers: Where the particles go.
        options: How masks are read. Of kind ``auto``, values must number the particles: a model that numbers none has
            joined those that touch, which whoever hands it in should know.
        binary_is_meant: Do not suspect masks that hold one value each: all of its pieces are one particle.

    Returns:
        What was left out, or seems wrong, one sentence each.

    Raises:
        AnnotationError, ImageError: A mask cannot be read, or is none.
        PredictionsError: A mask is of another size, or they seem to be masks whose particles have no numbers.
    """
    chosen = options.kind == "auto"
    if chosen:
        # Binary masks are found by their pieces, in all files: one piece each reads the same either way.
        kind = recognise(handed_in.files)
        options = replace(options, kind="instance")
        chosen = kind == "instance"
    found: list[tuple[Path, list[Instance]]] = []
    pieces: dict[str, Mapping[str, int]] = {}
    for path in track(handed_in.files, "reading masks"):
        name = _name(path, handed_in.root)
        place = answers.place(name if answers.knows(name) else image_name_of(name))
        if place is not None:
            values = read_values(path, options)
            size = made_for(values, (place.width, place.height), options, path)
            answers.require_size(place, size, str(path))
            particles = find_particles(values, options, path, chosen=chosen, size=size)
            answers.put(place, particles.instances)
            found.append((path, [each for each in particles.instances if not each.ignored]))
            pieces |= {place.name: particles.pieces}
    if options.kind == "instance" and not binary_is_meant:
        _refuse_binary(found)
    return tuple(warn_of_specks(pieces))


def read_labels(handed_in: HandedIn, answers: Answers, classes: Sequence[str] | None) -> None:
    """Read a YOLO-seg label for each image; a number behind an outline is its confidence.

    Args:
        handed_in: The labels.
        answers: Where the particles go.
        classes: Class names by index; None looks for ``data.yaml`` or ``classes.txt`` among the labels.

    Raises:
        AnnotationError: A label is malformed.
    """
    if classes is None:
        # data.yaml lies beside the folder of the labels.
        above = [handed_in.root.parent] if handed_in.root.name == "labels" else []
        named = (find_class_names(folder) for folder in (handed_in.root, *above))
        classes = next((names for names in named if names is not None), None)
    for path in track(handed_in.files, "reading labels"):
        place = answers.place(_name(path, handed_in.root))
        if place is not None:
            answers.put(place, read_yolo(path, classes, place.height, place.width, scored=True))


def read_labelme_files(handed_in: HandedIn, answers: Answers) -> None:
    """Read a LabelMe JSON for each image; one without shapes shows no particle.

    Raises:
        AnnotationError: A file is malformed, or made on an image of another size.
    """
    for path in track(handed_in.files, "reading LabelMe files"):
        place = answers.place(_name(path, handed_in.root))
        if place is not None:
            answers.put(place, read_labelme_regions(path, place.width, place.height))


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()


def _checked(instance: Instance, size: tuple[int, int], where: str) -> Instance:
    """Runs that anybody may have written are checked before C code trusts them."""
    if not isinstance(instance.label, str | None):
        raise PredictionsError(f"{where}: the class {instance.label!r} is no text; write the predictions again")
    if isinstance(instance.region, Rle):
        rle = instance.region
        read_region({"size": [rle.height, rle.width], "counts": rle.counts.decode("ascii")}, size, where)
    return instance


def _refuse_binary(found: Iterable[tuple[Path, list[Instance]]]) -> None:
    maps = [(path, instances) for path, instances in found if instances]
    if any(len(instances) > 1 for _, instances in maps):
        return
    for path, (instance,) in maps:
        if isinstance(instance.region, Rle) and (parts := len(trace(instance.region))) > 1:
            raise PredictionsError(
                f"{path}: one value in {parts} separate pieces, and no map of the folder holds several values: it "
                "seems to be a mask of particles against background. In an instance map every particle has a number of "
                "its own: export those, or give --mask-kind binary, which makes a particle of every piece; "
                "--mask-kind instance where all pieces are one particle"
            )
