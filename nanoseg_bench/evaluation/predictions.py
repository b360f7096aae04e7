"""Predictions files: what a model said about every image of an eval set, as gzipped COCO RLE.

They are kept, so every number can be computed again without the model.
"""

import gzip
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nanoseg_bench.annotations.instance import Instance, Rle
from nanoseg_bench.annotations.raster import to_rle
from nanoseg_bench.annotations.run_lengths import find_wrong_runs
from nanoseg_bench.errors import PredictionsError
from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.timing import Timing
from nanoseg_bench.files import write_bytes
from nanoseg_bench.metrics.matching import ImageOverlap, image_overlap
from nanoseg_bench.wording import counted, first_fault, shortened

FORMAT = "nanoseg-predictions/2"
SUFFIX = ".json.gz"

# Predictions unpack to 2 to 8 times their size, those of images without particles to 23 times; what was made to fill
# the memory, to 1000 times.
_ALWAYS_UNPACKED, _BEST_RATIO = 2**26, 100


@dataclass(frozen=True, eq=False, slots=True)
class Predictions:
    """Predictions of one model for one eval set.

    Attributes:
        model: Id of the model.
        eval_set: Name of the eval set.
        set_hash: Content hash of the prepared set.
        knows_classes: Whether the instances carry class names.
        classes: Class names that the model was trained on.
        images: Instances per image in original pixels, in the eval set's order; an empty list is an answer.
        sizes: (width, height) of each image, px.
        timing: How long single images took; None where it was not measured.
        has_confidence: Whether a score is a confidence, so that 0.5 means the same for every model. Otsu's only rank.
    """

    model: str
    eval_set: str
    set_hash: str
    knows_classes: bool
    classes: tuple[str, ...]
    images: Mapping[str, list[Instance]]
    sizes: Mapping[str, tuple[int, int]]
    timing: Timing | None = None
    has_confidence: bool = True


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write ``NAME.json.gz`` atomically; same predictions, same bytes.

    Raises:
        PredictionsError: A score is not a finite number, or a mask has another size than its image.
    """
    document = {
        "format": FORMAT,
        "model": predictions.model,
        "eval_set": predictions.eval_set,
        "set_hash": predictions.set_hash,
        "knows_classes": predictions.knows_classes,
        "has_confidence": predictions.has_confidence,
        "classes": list(predictions.classes),
        "timing": None if predictions.timing is None else asdict(predictions.timing),
        "images": [
            _image_document(name, instances, predictions.sizes[name]) for name, instances in predictions.images.items()
        ],
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    # Without mtime=0 the clock would stand in the header.
    write_bytes(path, gzip.compress(text.encode("utf-8"), compresslevel=6, mtime=0))


def read_predictions(path: Path) -> Predictions:
    """Read what ``write_predictions`` wrote.

    Raises:
        PredictionsError: The file is missing, truncated, or no predictions file.
    """
    again = "delete it and run the model again"
    try:
        document = orjson.loads(_unpacked(path))
    except FileNotFoundError as error:
        raise PredictionsError(f"{path}: no such predictions file; run the model first") from error
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise PredictionsError(f"{path}: cannot be read ({error}); {again}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise PredictionsError(f"{path}: not a predictions file of format {FORMAT!r}; {again}")
    try:
        return _from_document(document)
    except ValidationError as error:
        raise PredictionsError(f"{path}: malformed predictions ({first_fault(error)}); {again}") from error
    except ValueError as error:
        raise PredictionsError(f"{path}: malformed predictions ({error}); {again}") from error


def _unpacked(path: Path) -> bytes:
    most = _ALWAYS_UNPACKED + _BEST_RATIO * path.stat().st_size
    with gzip.open(path) as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise ValueError(f"it unpacks to more than {most} bytes, which predictions of its size never do")
    return data


def require_complete(predictions: Predictions, eval_set: EvalSet) -> None:
    """Refuse predictions that do not answer for every image of the eval set, and only those.

    Raises:
        PredictionsError: Another eval set or prepared set, missing or foreign images, other image sizes, unknown
            classes, or scores that are no finite numbers. The message names them and the way out.
    """
    who = f"predictions of {predictions.model!r} for {eval_set.name!r}"
    if predictions.eval_set != eval_set.name:
        raise PredictionsError(f"{who}: they are for {predictions.eval_set!r}; predict {eval_set.name!r} as well")
    if predictions.set_hash != eval_set.set_hash:
        raise PredictionsError(
            f"{who}: made for the prepared set {predictions.set_hash}, this one is {eval_set.set_hash}; predict again"
        )
    _refuse(who, "lack", [name for name in eval_set.images if name not in predictions.images])
    expected = set(eval_set.images)
    _refuse(who, "hold, beyond the eval set,", [name for name in predictions.images if name not in expected])
    _refuse(
        who, "have another image size for", [name for name in expected if not _same_size(predictions, eval_set, name)]
    )
    for name, instances in predictions.images.items():
        for instance in instances:
            _check_instance(f"{who}, image {name!r}", instance, predictions, eval_set)


def compare(eval_set: EvalSet, predictions: Predictions) -> list[ImageOverlap]:
    """Overlaps of predictions and truth, one entry per image in the eval set's order.

    Raises:
        PredictionsError: As ``require_complete``.
    """
    require_complete(predictions, eval_set)
    return [
        image_overlap(predictions.images[name], eval_set.truth[name], *eval_set.sizes[name]) for name in eval_set.images
    ]


def _image_document(name: str, instances: list[Instance], size: tuple[int, int]) -> dict[str, Any]:
    width, height = size
    documents = []
    for instance in instances:
        try:
            counts = to_rle(instance, height, width).counts.decode("ascii")
        except ValueError as error:
            raise PredictionsError(f"image {name!r}: {error}; predictions are in original pixels") from error
        _check_score(f"image {name!r}", instance.score)
        score = None if instance.score is None else float(instance.score)
        documents.append({"label": instance.label, "score": score, "counts": counts})
    return {"name": name, "width": width, "height": height, "instances": documents}


class _Part(BaseModel):
    """Anybody may have written the file: a number is no text, and a class is no list."""

    model_config = ConfigDict(frozen=True, strict=True)


class _Instance(_Part):
    label: str | None
    score: float | None
    counts: str


_Pixels = Annotated[int, Field(gt=0, lt=2**31)]


class _Image(_Part):
    name: str
    width: _Pixels
    height: _Pixels
    instances: list[_Instance]


class _Timing(_Part):
    total_ms: list[float]
    pre_ms: list[float]
    network_ms: list[float]
    post_ms: list[float]
    energy_j_per_image: float | None


class _Document(_Part):
    model: str
    eval_set: str
    set_hash: str
    knows_classes: bool
    has_confidence: bool
    classes: list[str]
    timing: _Timing | None
    images: list[_Image]


def _from_document(document: dict[str, Any]) -> Predictions:
    kept = _Document.model_validate(document)
    images: dict[str, list[Instance]] = {}
    for image in kept.images:
        if image.name in images:
            raise ValueError(f"image {image.name!r} stands twice")
        images[image.name] = [
            # What is no text of COCO is found with the runs.
            Instance(item.label, Rle(image.height, image.width, item.counts.encode("utf-8")), item.score)
            for item in image.instances
        ]
    _require_runs(images)
    return Predictions(
        model=kept.model,
        eval_set=kept.eval_set,
        set_hash=kept.set_hash,
        knows_classes=kept.knows_classes,
        classes=tuple(kept.classes),
        images=images,
        sizes={image.name: (image.width, image.height) for image in kept.images},
        timing=_timing(kept),
        has_confidence=kept.has_confidence,
    )


def _require_runs(images: Mapping[str, list[Instance]]) -> None:
    owners = [(name, place) for name, instances in images.items() for place in range(len(instances))]
    regions = [each.region for instances in images.values() for each in instances if isinstance(each.region, Rle)]
    wrong = find_wrong_runs(regions)
    if len(wrong):
        name, place = owners[wrong[0]]
        raise ValueError(f"image {name!r}, particle {place + 1}: the runs of its mask do not add up to the image")


def _timing(kept: _Document) -> Timing | None:
    if kept.timing is None:
        return None
    return Timing(
        total_ms=tuple(kept.timing.total_ms),
        pre_ms=tuple(kept.timing.pre_ms),
        network_ms=tuple(kept.timing.network_ms),
        post_ms=tuple(kept.timing.post_ms),
        energy_j_per_image=kept.timing.energy_j_per_image,
    )


def _refuse(who: str, verb: str, names: list[str]) -> None:
    if names:
        raise PredictionsError(
            f"{who} {verb} {counted(len(names), 'image')}: {shortened(sorted(names))}; every image needs exactly one "
            "answer (an empty list is one), so predict the whole eval set again"
        )


def _same_size(predictions: Predictions, eval_set: EvalSet, name: str) -> bool:
    size = eval_set.sizes[name]
    return tuple(predictions.sizes[name]) == size and all(
        (instance.region.width, instance.region.height) == size
        for instance in predictions.images[name]
        if isinstance(instance.region, Rle)
    )


def _check_instance(where: str, instance: Instance, predictions: Predictions, eval_set: EvalSet) -> None:
    _check_score(where, instance.score)
    if predictions.knows_classes and instance.label not in eval_set.classes:
        raise PredictionsError(
            f"{where}: class {instance.label!r} is none of {', '.join(eval_set.classes)}; rename it, or hand the "
            "predictions in as class-less"
        )


def _check_score(where: str, score: float | None) -> None:
    if score is not None and not math.isfinite(score):
        raise PredictionsError(f"{where}: score {score} is not a finite number; the model has diverged, train it again")
