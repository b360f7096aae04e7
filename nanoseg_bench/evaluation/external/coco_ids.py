"""What the ids in COCO results stand for: they name neither images nor classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.annotations.coco import CocoIndex, is_coco, read_coco_index
from nanoseg_bench.annotations.coco_results import CocoResult, read_coco_results
from nanoseg_bench.errors import PredictionsError
from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.external.answers import Answers
from nanoseg_bench.files import read_json
from nanoseg_bench.preparation.prepared_set import PreparedSet

Ids = Mapping[int | str, str]


@dataclass(frozen=True, slots=True)
class _Meaning:
    """How the ids of a file are read.

    Attributes:
        images: Image name by id.
        sizes: (width, height) by id, where somebody states it.
        categories: Class name by id; None where nobody knows.
        answered: Ids of the images that the tool was given: those without a result show no particle.
    """

    images: Ids
    sizes: Mapping[int | str, tuple[int, int] | None]
    categories: Ids | None
    answered: frozenset[int | str] = frozenset()


def read_results(
    path: Path, answers: Answers, prepared: PreparedSet, eval_set: EvalSet, classes: Sequence[str] | None
) -> None:
    """Read COCO results.

    Ids are those of the one COCO file that lies beside the results; without such, they are names of images; else they
    are those of the prepared set's own ``truth/<eval set>.json``. Only a file beside says which images the tool was
    given and found nothing in.

    Args:
        path: The results.
        answers: Where the particles go.
        prepared: The prepared set.
        eval_set: Its eval set.
        classes: Class names by category id, from 1, where no COCO file tells.

    Raises:
        AnnotationError: A file is malformed.
        PredictionsError: It is not clear what the ids mean, or an image is of another size.
    """
    by_image: dict[int | str, list[CocoResult]] = {}
    for result in read_coco_results(path):
        by_image.setdefault(result.image_id, []).append(result)
    meaning = _meaning(path, list(by_image), answers, prepared, eval_set, classes)
    silent = [each for each in meaning.answered if each not in by_image and answers.knows(meaning.images[each])]
    for image_id in (*by_image, *silent):
        place = answers.place(meaning.images.get(image_id, str(image_id)))
        if place is not None:
            size = meaning.sizes.get(image_id) or (place.width, place.height)
            answers.require_size(place, size, f"{path}: image {image_id!r}")
            results = by_image.get(image_id, [])
            answers.put(place, [result.read(size, meaning.categories, str(path)) for result in results])


def _meaning(
    path: Path,
    ids: Sequence[int | str],
    answers: Answers,
    prepared: PreparedSet,
    eval_set: EvalSet,
    classes: Sequence[str] | None,
) -> _Meaning:
    beside = _index_beside(path)
    if beside is not None:
        return _Meaning(beside.images, beside.sizes, beside.categories, frozenset(beside.images))
    given: Ids | None = None if classes is None else dict(enumerate(classes, start=1))
    truth = prepared.root / "truth" / f"{eval_set.name}.json"
    own = read_coco_index(truth)
    named = all(answers.knows(str(each)) for each in ids)
    numbered = all(each in own.images for each in ids)
    if ids and named and numbered:
        raise PredictionsError(
            f"{path}: its image ids are names of images and also ids in {truth}; put the COCO file that they come from "
            "beside it"
        )
    if numbered:
        return _Meaning(own.images, {}, given or own.categories)
    return _Meaning({each: str(each) for each in ids}, {}, given)


def _index_beside(path: Path) -> CocoIndex | None:
    files = [file for file in sorted(path.parent.glob("[!.]*.json")) if file != path and _is_coco_file(file)]
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise PredictionsError(f"{path}: several COCO files beside it ({names}); leave the one that its ids come from")
    return read_coco_index(files[0]) if files else None


def _is_coco_file(path: Path) -> bool:
    try:
        return is_coco(read_json(path))
    except (OSError, ValueError, RecursionError):
        return False
