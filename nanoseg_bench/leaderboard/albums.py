"""Worst and best test images of each model, with outlines of what was found, missed and invented.

Drawn from the prepared set and the kept predictions, on what every model was given, without the padding of its canvas.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Rle
from nanoseg_bench.drawing.colours import WHITE, Colour
from nanoseg_bench.drawing.outlines import class_outlines
from nanoseg_bench.drawing.picture import draw_outlines, resized
from nanoseg_bench.errors import DatasetError
from nanoseg_bench.evaluation.predictions import Predictions, read_predictions
from nanoseg_bench.evaluation.result import ImageResult
from nanoseg_bench.files import sha256_file
from nanoseg_bench.leaderboard.entries import LeaderboardRow
from nanoseg_bench.metrics.matching import image_overlap, match
from nanoseg_bench.pages import data_uri
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.cross_validation import fold_runs, predictions_sha256
from nanoseg_bench.runs.folder import find_runs

OUTLINES: dict[str, Colour] = {
    "truth, found": WHITE,
    "prediction, right": (0, 229, 255),
    "truth, missed": (255, 92, 214),
    "prediction, wrong": (255, 170, 0),
}
"""Light on a dark rim, as in the previews; told apart with any colour vision by lightness and place."""

_TRUTH_FOUND, _RIGHT, _MISSED, _WRONG = OUTLINES

_EACH = 3
_MAX_ALBUMS = 12
_SIDE = 640  # px; shown at less, so that outlines are crisp on dense screens
_ALL_BYTES, _MOST_BYTES = 4_200_000, 80_000  # of the pictures together, of one; a third larger as text


@dataclass(frozen=True, slots=True)
class Picture:
    """An image with its outlines.

    Attributes:
        result: Its scores.
        uri: The picture.
        width: In pixels.
        height: In pixels.
    """

    result: ImageResult
    uri: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Album:
    """Worst and best images of an entry by PQ, the worst and the best first; no image is in both."""

    entry: LeaderboardRow
    worst: tuple[Picture, ...]
    best: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Albums:
    """The albums, in the table's order.

    Attributes:
        albums: Of the rows whose predictions are kept.
        missing: What is lacking for the others, in a sentence; empty where nothing is.
    """

    albums: tuple[Album, ...]
    missing: str


def build_albums(entries: Sequence[LeaderboardRow], prepared: PreparedSet, runs: Path) -> Albums:
    """Draw the albums of the first seed of each model, of a dozen rows at most.

    Args:
        entries: Rows of the test set, best first.
        prepared: The set that they were scored on.
        runs: Folder of its runs.

    Raises:
        DatasetError, ImageError: The prepared set is malformed, or lacks an image.
        PredictionsError: Kept predictions are malformed.
    """
    wanted = [entry for entry in entries if entry.leads and _ranked_images(entry)][:_MAX_ALBUMS]
    kept_in = _kept_predictions(runs, prepared)
    kept = [(entry, kept_in.get(entry.record.predictions_sha256 or "")) for entry in wanted]
    found = [(entry, paths) for entry, paths in kept if paths is not None]
    lacking = [entry.name for entry, paths in kept if paths is None]
    missing = f"No predictions of {', '.join(lacking)} are at hand, so their images are not shown." if lacking else ""
    # All pictures share the bytes of the page; the worst and the best of an entry are six.
    most_bytes = min(_MOST_BYTES, _ALL_BYTES // max(2 * _EACH * len(found), 1))
    artist = _Artist(prepared, [name for entry, _ in found for name in _names(entry)], most_bytes)
    return Albums(tuple(artist.album(entry, [*map(read_predictions, paths)]) for entry, paths in found), missing)


class _Artist:
    """Draws images of a prepared set, whose truth is read once."""

    def __init__(self, prepared: PreparedSet, names: Sequence[str], most_bytes: int) -> None:
        self._images = {image.name: image for image in prepared.judged_images("test")} if names else {}
        self._truth = prepared.instances_of("truth", "test", set(names)) if names else {}
        self._most_bytes = most_bytes
        unknown = [name for name in names if name not in self._images or name not in self._truth]
        if unknown:
            raise DatasetError(f"{prepared.root}: lacks the test image {unknown[0]!r}; prepare the set again")

    def album(self, entry: LeaderboardRow, predictions: Sequence[Predictions]) -> Album:
        """Draw an entry's images; of a cross-validation, ``predictions`` are those of its folds in their order."""
        confidences = _confidences(entry)
        answers = {
            name: (found, confidence)
            for part, confidence in zip(predictions, confidences, strict=True)
            for name, found in part.images.items()
        }
        worst, best = _worst_and_best(entry)

        def pictures(results: Sequence[ImageResult]) -> tuple[Picture, ...]:
            return tuple(self._picture(result, *answers[result.name]) for result in results)

        return Album(entry, pictures(worst), pictures(best))

    def _picture(self, result: ImageResult, predicted: Sequence[Instance], confidence: float | None) -> Picture:
        image = self._images[result.name]
        size = (image.letterbox.width, image.letterbox.height)
        outlines = class_outlines(judge(predicted, self._truth[result.name], confidence, size), size, OUTLINES)
        zoom = _SIDE / image.letterbox.canvas
        width, height = (round(side * zoom) for side in image.letterbox.content_size)
        pixels = draw_outlines(resized(image.read_content(), (width, height)), outlines, size)
        return Picture(result, data_uri(pixels, self._most_bytes), width, height)


def judge(
    predicted: Sequence[Instance], truth: Sequence[Instance], confidence: float | None, size: tuple[int, int]
) -> list[Instance]:
    """Truth and predictions of an image, labelled by what became of them (``OUTLINES``), in the order of drawing.

    Args:
        predicted: With scores.
        truth: Ignore regions included; they keep their label.
        confidence: Smallest score that counts.
        size: (width, height) of the image, px.
    """
    overlap = image_overlap(predicted, truth, *size).keep(confidence)
    rows, columns = match(overlap.iou)
    right, found = set(rows.tolist()), set(columns.tolist())

    def label(regions: Sequence[Rle], chosen: set[int], name: str, other: str) -> list[Instance]:
        return [Instance(name if place in chosen else other, region) for place, region in enumerate(regions)]

    particles = label(overlap.truth, found, _TRUTH_FOUND, _MISSED)
    detections = label(overlap.predicted, right, _RIGHT, _WRONG)
    return [*(Instance(IGNORE_LABEL, region) for region in overlap.ignore), *particles, *detections]


def _confidences(entry: LeaderboardRow) -> list[float | None]:
    """The operating point, or those of the folds."""
    points: list[float | None] = [result.operating_point.confidence for result in entry.record.fold_results]
    return points or [entry.record.scores.get("confidence")]


def _ranked_images(entry: LeaderboardRow) -> list[ImageResult]:
    """Images with a PQ, the worst first; equal ones in the order of their names."""
    measured = [(result.pq, result.name, result) for result in entry.record.details.images if result.pq is not None]
    return [result for _, _, result in sorted(measured, key=lambda each: each[:2])]


def _worst_and_best(entry: LeaderboardRow) -> tuple[list[ImageResult], list[ImageResult]]:
    ranked = _ranked_images(entry)
    best = ranked[::-1][: min(_EACH, (len(ranked) + 1) // 2)]
    return ranked[: min(_EACH, len(ranked) - len(best))], best


def _names(entry: LeaderboardRow) -> list[str]:
    worst, best = _worst_and_best(entry)
    return [result.name for result in (*worst, *best)]


def _kept_predictions(runs: Path, prepared: PreparedSet) -> Mapping[str, Sequence[Path]]:
    """SHA-256 of predictions for the test set, by which a record names them, to their files: one for each fold."""
    found = list(find_runs(runs))
    paths = [run.predictions_path("test") for run in found]
    kept: dict[str, Sequence[Path]] = {sha256_file(path): [path] for path in paths if path.is_file()}
    for row in fold_runs(found, prepared):
        if not row.missing(prepared):
            kept[predictions_sha256(row)] = [row.run(fold).predictions_path("test") for fold in row.folds]
    return kept
