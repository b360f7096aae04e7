"""Fig. 8 and 9: what each model finds in some images, beside the truth.

A row is an image, a column a model at its operating point. A particle that was found has the colour that it has in the
truth, so that joined, split and missed particles show; what has no counterpart in the truth is white and hatched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nanoseg_bench.annotations.instance import Rle
from nanoseg_bench.annotations.raster import to_rle
from nanoseg_bench.drawing.axes import draw_outlines, draw_scale_bar, show_micrograph
from nanoseg_bench.drawing.colours import IGNORE_COLOUR, WHITE, Colour, neighbour_colours
from nanoseg_bench.drawing.outlines import Outline, Size, outline_of
from nanoseg_bench.drawing.scale_bar import place_scale_bar
from nanoseg_bench.errors import PredictionsError
from nanoseg_bench.evaluation.eval_sets import EvalSet, load_eval_set
from nanoseg_bench.evaluation.predictions import Predictions, read_predictions, require_complete
from nanoseg_bench.files import sha256_file
from nanoseg_bench.leaderboard.figures.contenders import IDENTITY, Contender
from nanoseg_bench.leaderboard.figures.drawn import Drawn, NothingToDrawError
from nanoseg_bench.leaderboard.figures.page_grid import PageGrid
from nanoseg_bench.leaderboard.figures.style import SMALL_SIZE, lettered
from nanoseg_bench.metrics.matching import ImageOverlap, image_overlap, match
from nanoseg_bench.preparation.prepared_set import PreparedImage, PreparedSet
from nanoseg_bench.runs.folder import RunFolder
from nanoseg_bench.wording import counted, without_middle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = ("image", *IDENTITY, "label", "score", "matched", "height", "width", "counts")
"""``counts`` is COCO's compressed RLE; ``model`` is ``truth`` for the truth; ``matched`` says whether IoU > 0.5."""

_NAMES = {"test": "overlays", "ood": "overlays-ood"}

_EXPLANATION = (
    "Particles that were found (IoU > 0.5) have their colour in the truth; white and hatched: no such particle."
)


@dataclass(frozen=True, eq=False, slots=True)
class _Answer:
    """A contender's predictions, and the operating point at which they are cut off."""

    contender: Contender
    predictions: Predictions
    confidence: float | None

    def overlap(self, eval_set: EvalSet, name: str) -> ImageOverlap:
        """What is scored: predictions at or above the operating point that are not in an ignore region."""
        overlap = image_overlap(self.predictions.images[name], eval_set.truth[name], *eval_set.sizes[name])
        return overlap.keep(self.confidence)


def draw_overlays(
    contenders: Sequence[Contender],
    prepared: PreparedSet,
    runs: Path,
    images: Sequence[PreparedImage],
    eval_set: str = "test",
) -> Drawn:
    """Draw micrograph, truth and every contender that has predictions, for each of the images.

    The pixels are those of the prepared canvases, without padding; outlines are in original pixels.

    Args:
        contenders: In the leaderboard's order; each is shown with its lowest seed.
        prepared: The set that they were scored on.
        runs: Folder of its runs.
        images: Of the eval set.
        eval_set: ``test``, or ``ood``, whose shapes no model was trained on.

    Raises:
        NothingToDrawError: No contender has predictions.
        DatasetError, ImageError: The prepared set is damaged.
    """
    truth = load_eval_set(prepared, eval_set)
    answers: list[_Answer] = []
    notes = []
    for each in contenders:
        try:
            answer = _read(each, RunFolder(runs / each.first.run_id), truth)
        except PredictionsError as error:
            notes.append(f"Without {each.label}: {error}.")
            continue
        answers.append(answer)
        if answer.confidence is None:
            notes.append(f"{each.label}: all of its predictions, since it has no operating point.")
        if len(each.runs) > 1:
            notes.append(f"{each.label}: seed {each.first.seed} of {len(each.runs)}.")
    if not answers:
        raise NothingToDrawError(f"{runs}: no predictions that belong to the records; " + " ".join(notes))
    overlaps = {image.name: [answer.overlap(truth, image.name) for answer in answers] for image in images}
    rows = [row for image in images for row in _rows(image.name, truth, answers, overlaps[image.name])]
    return Drawn(_NAMES[eval_set], _draw(images, truth, answers, overlaps), COLUMNS, rows, tuple(notes))


def _read(contender: Contender, run: RunFolder, eval_set: EvalSet) -> _Answer:
    record = contender.first.records.get(eval_set.name)
    if record is None:
        raise PredictionsError(f"no record of the eval set {eval_set.name!r}")
    path = run.predictions_path(eval_set.name)
    predictions = read_predictions(path)
    if record.predictions_sha256 is not None and sha256_file(path) != record.predictions_sha256:
        raise PredictionsError(f"{path} has changed since it was scored; run `nanoseg-bench score`")
    require_complete(predictions, eval_set)
    return _Answer(contender, predictions, record.scores.get("confidence"))


def _rows(
    name: str, eval_set: EvalSet, answers: Sequence[_Answer], overlaps: Sequence[ImageOverlap]
) -> list[tuple[Any, ...]]:
    width, height = eval_set.sizes[name]
    rows: list[tuple[Any, ...]] = []
    for instance in eval_set.truth[name]:
        counts = to_rle(instance, height, width).counts.decode("ascii")
        rows.append((name, "truth", "Truth", None, instance.label, None, None, height, width, counts))
    for answer, overlap in zip(answers, overlaps, strict=True):
        matched = set(match(overlap.iou)[0].tolist())
        for number, (mask, score, label) in enumerate(
            zip(overlap.predicted, overlap.scores, overlap.labels, strict=True)
        ):
            found = (label, float(score), int(number in matched), height, width, mask.counts.decode("ascii"))
            rows.append((name, *answer.contender.identity, *found))
    return rows


def _draw(
    images: Sequence[PreparedImage],
    eval_set: EvalSet,
    answers: Sequence[_Answer],
    overlaps: dict[str, list[ImageOverlap]],
) -> "Figure":
    names = ["Micrograph", "Truth", *(answer.contender.label for answer in answers)]
    titles = [lettered(number, name) for number, name in enumerate(names)]
    grid = PageGrid(titles, [_aspect(eval_set, image.name) for image in images], 2, _EXPLANATION)
    for number, image in enumerate(images):
        panels = grid.add_row(number)
        grid.add_captions(_draw_row(panels, image, eval_set, overlaps[image.name], grid.letters))
    grid.add_note()
    return grid.figure


def _draw_row(
    panels: Sequence["Axes"], image: PreparedImage, eval_set: EvalSet, overlaps: Sequence[ImageOverlap], letters: int
) -> list[str]:
    """Draw the panels of an image and say what stands below each."""
    pixels = image.read_content()
    size = width, height = eval_set.sizes[image.name]
    for axes in panels:
        show_micrograph(axes, pixels, size)
    regions = [(each.ignored, to_rle(each, height, width)) for each in eval_set.truth[image.name]]
    ignored = [mask for is_ignored, mask in regions if is_ignored]
    truth = [mask for is_ignored, mask in regions if not is_ignored]
    if image.nm_per_px is not None:
        draw_scale_bar(panels[0], place_scale_bar(size, image.nm_per_px, ignored), SMALL_SIZE)
    colours = neighbour_colours(truth)
    hatched = [outline_of(mask, size, IGNORE_COLOUR, "hatch") for mask in ignored]
    draw_outlines(panels[1], [*hatched, *_tinted(truth, size, colours)])
    captions = [f"{without_middle(image.name, letters)}\n{width} × {height} px", counted(len(truth), "particle")]
    for axes, overlap in zip(panels[2:], overlaps, strict=True):
        captions.append(_draw_answer(axes, overlap, size, colours))
    return captions


def _draw_answer(axes: "Axes", overlap: ImageOverlap, size: Size, colours: Sequence[Colour]) -> str:
    predicted, found = match(overlap.iou)
    invented = np.delete(np.arange(len(overlap.predicted)), predicted)
    hatched = [outline_of(overlap.predicted[number], size, WHITE, "hatch") for number in invented]
    right = [overlap.predicted[number] for number in predicted]
    draw_outlines(axes, [*hatched, *_tinted(right, size, [colours[number] for number in found])])
    particles = len(overlap.truth) + len(overlap.predicted)
    f1 = f"F1 {2 * len(found) / particles:.2f}" if particles else "F1 not defined"
    return f"{len(found)}/{len(overlap.truth)} found\n{len(invented)} false, {f1}"


def _tinted(masks: Sequence[Rle], size: Size, colours: Sequence[Colour]) -> list[Outline]:
    return [outline_of(mask, size, colour, "tint") for mask, colour in zip(masks, colours, strict=True)]


def _aspect(eval_set: EvalSet, name: str) -> float:
    width, height = eval_set.sizes[name]
    return height / width
