"""What the ids in COCO results stand for: they name neither images nor classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.annotations.coco.document import is_coco
from nanoseg_bench.annotations.coco.reading import read_coco_index
from nanoseg_bench.annotations.coco.results import CocoResult, read_coco_results
from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.errors import PredictionsError
from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.external.answers import Answers
from nanoseg_bench.evaluation.external.numbering import require_own_order
from nanoseg_bench.files import read_json
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.wording import counted, shortened

Ids = Mapping[int | str, str]


@dataclass(frozen=True, slots=True)
class _Meaning:
    """How the ids of a file are read.

    Attributes:
        images: Image name by id.
        sizes: (width, height) by id, where somebody states it.
        categories: Class name by id; None where nobody knows.
        answered: Ids of the images that the tool was given: those without a result show no particle.
        note: What they were taken for.
        guessed: The COCO file that they may be of, where nothing but their numbers speaks for it.
    """

    images: Ids
    sizes: Mapping[int | str, tuple[int, int] | None]
    categories: Ids | None
    answered: frozenset[int | str] = frozenset()
    note: str = ""
    guessed: Path | None = None


def read_results(
    path: Path, answers: Answers, prepared: PreparedSet, eval_set: EvalSet, classes: Sequence[str] | None
) -> tuple[str, ...]:
    """Read COCO results.

    Ids are those of the one COCO file that lies beside the results; without such, they are names of images; else they
    are those of the prepared set's own ``truth/<eval set>.json``, if the particles lie on those of these images rather
    than of others. Only a file beside says which images the tool was given and found nothing in.

    Args:
        path: The results.
        answers: Where the particles go.
        prepared: The prepared set.
        eval_set: Its eval set.
        classes: Class names by category id, from 1, where no COCO file tells.

    Returns:
        What the ids were taken for.

    Raises:
        AnnotationError: A file is malformed.
        PredictionsError: It is not clear what the ids mean, or an image is of another size.
    """
    by_image: dict[int | str, list[CocoResult]] = {}
    for result in read_coco_results(path):
        by_image.setdefault(result.image_id, []).append(result)
    meaning = _meaning(path, list(by_image), answers, prepared, eval_set, classes)
    silent = [each for each in meaning.answered if each not in by_image and answers.knows(meaning.images[each])]
    found: dict[str, list[Instance]] = {}
    for image_id in (*by_image, *silent):
        place = answers.place(meaning.images.get(image_id, str(image_id)))
        if place is not None:
            size = meaning.sizes.get(image_id) or (place.width, place.height)
            answers.require_size(place, size, f"{path}: image {image_id!r}")
            results = by_image.get(image_id, [])
            found[place.name] = [result.read(size, meaning.categories, str(path)) for result in results]
            answers.put(place, found[place.name])
    if meaning.guessed is not None:
        require_own_order(path, found, eval_set, meaning.guessed)
    return (meaning.note,)


def _meaning(
    path: Path,
    ids: Sequence[int | str],
    answers: Answers,
    prepared: PreparedSet,
    eval_set: EvalSet,
    classes: Sequence[str] | None,
) -> _Meaning:
    beside_path = _file_beside(path)
    if beside_path is not None:
        beside = read_coco_index(beside_path)
        note = f"image and category ids are those of {beside_path.name}, which lies beside the results"
        return _Meaning(beside.images, beside.sizes, beside.categories, frozenset(beside.images), note)
    given: Ids | None = None if classes is None else dict(enumerate(classes, start=1))
    truth, own = prepared.instances_file("truth", eval_set.name), prepared.truth_ids(eval_set.name)
    named = all(answers.knows(str(each)) for each in ids)
    numbered = all(each in own.images for each in ids)
    if ids and named and numbered:
        raise PredictionsError(
            f"{path}: its image ids are names of images and also ids in {truth}; put the COCO file that they come from "
            "beside it"
        )
    unknown = [each for each in ids if isinstance(each, int) and each not in own.images]
    if unknown and not any(answers.knows(str(each)) for each in ids):
        raise PredictionsError(
            f"{path}: {counted(len(unknown), 'image id')} ({shortened(list(map(str, unknown)))}) neither in {truth} "
            "nor a name of an image; put the COCO file that the ids come from beside it, or write the images' names as "
            "image_id"
        )
    if numbered:
        what = "image ids" if given else "image and category ids"
        note = f"{what} taken for those of {truth}, since no COCO file lies beside the results"
        return _Meaning(own.images, {}, given or own.categories, note=note, guessed=truth if ids else None)
    note = "image ids taken for names of images"
    if ids and given is None:
        note += ", and no COCO file beside it says what its category ids mean; --classes A,B,... does, from 1 on"
    return _Meaning({each: str(each) for each in ids}, {}, given, note=note)


def _file_beside(path: Path) -> Path | None:
    files = [file for file in sorted(path.parent.glob("[!.]*.json")) if file != path and _is_coco_file(file)]
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise PredictionsError(f"{path}: several COCO files beside it ({names}); leave the one that its ids come from")
    return files[0] if files else None


def _is_coco_file(path: Path) -> bool:
    try:
        return is_coco(read_json(path))
    except (OSError, ValueError, RecursionError):
        return False
