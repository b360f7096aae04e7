"""Many micrographs into one folder: what is there, what has to be predicted, and the loop over it."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.annotations.begun_by import BegunBy
from nanoseg_bench.annotations.file_names import UniqueNames
from nanoseg_bench.argument_names import errors_name_arguments
from nanoseg_bench.errors import ImageError, UsageError
from nanoseg_bench.files import sha256_file
from nanoseg_bench.images import read_image
from nanoseg_bench.inference.corrections import labelme_hashes
from nanoseg_bench.inference.folder import (
    Contents,
    Settings,
    changed_weights,
    clear_leftovers,
    open_folder,
    outdated_images,
    write_folder,
)
from nanoseg_bench.inference.formats import ANNOTATIONS, DEFAULT_FORMATS, FORMATS, OVERLAY, OVERWRITE
from nanoseg_bench.inference.image_files import find_images
from nanoseg_bench.inference.overlay import write_overlay
from nanoseg_bench.inference.particles import PredictedImage
from nanoseg_bench.inference.predictor import Predictor
from nanoseg_bench.inference.tiles import AUTO, Tiles, require_tiles
from nanoseg_bench.progress import track
from nanoseg_bench.staging import hold_folder
from nanoseg_bench.storage import require_folder
from nanoseg_bench.weights.shipped import is_shipped
from nanoseg_bench.wording import counted

_LOG = logging.getLogger(__name__)

_SAVE_EVERY = 60.0  # s; what a kill loses at most


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a folder of predictions holds after a call.

    Attributes:
        folder: Where it lies.
        formats: What was written there.
        kept: Images of earlier calls that stayed as they were.
        found: Images that this call predicted.
        earlier: How many of the images that were asked for are among ``kept``.
        unreadable: What is wrong with the files that were left out.
    """

    folder: Path
    formats: tuple[str, ...]
    kept: tuple[PredictedImage, ...]
    found: tuple[PredictedImage, ...]
    earlier: int
    unreadable: tuple[ImageError, ...]

    def __repr__(self) -> str:
        counts = f"{len(self.found)} found, {len(self.kept)} kept, {len(self.unreadable)} unreadable"
        return f"Outcome({str(self.folder)!r}, {counts})"


@dataclass(frozen=True, slots=True)
class PredictionTask:
    """What has to be predicted into a folder; whoever carries it out holds the folder since before it was planned.

    Attributes:
        folder: To be written.
        predictor: The model.
        settings: For predictions.json.
        kept: Images of earlier calls that stay.
        again: Images of earlier calls that are predicted again.
        new: Files to be predicted.
        earlier: How many of the files that were asked for are among ``kept``.
        formats: What is written, also what earlier calls wrote: all formats tell the same.
        reasons: Why something is predicted again, one sentence each.
        replaces: Whether nothing of earlier calls stays.
    """

    folder: Path
    predictor: Predictor
    settings: Settings
    kept: tuple[PredictedImage, ...]
    again: tuple[PredictedImage, ...]
    new: tuple[Path, ...]
    earlier: int
    formats: tuple[str, ...]
    reasons: tuple[str, ...]
    replaces: bool

    def carry_out(self) -> Outcome:
        """Predict image by image and write the folder; files that cannot be read are left out.

        Raises:
            UsageError: LabelMe files of an earlier call were corrected meanwhile.
            NanosegError: The folder cannot be written.
        """
        clear_leftovers(self.folder)
        left = {image.name for image in self.again}
        for picture in (self.folder / OVERLAY).glob("*.png"):
            if self.replaces or picture.stem in left:
                picture.unlink()
        labelme = labelme_hashes(self.folder)
        # At once: a call that is killed leaves a folder that the next one knows as ours.
        write_folder(self.folder, self.settings, self.kept, [], labelme)
        found, unreadable = self._predict(labelme)
        annotations = [name for name in self.formats if name in ANNOTATIONS]
        images = [*self.kept, *found]
        write_folder(self.folder, self.settings, images, annotations, labelme, _begun_by(self.predictor))
        return Outcome(self.folder, self.formats, self.kept, tuple(found), self.earlier, tuple(unreadable))

    def _predict(self, labelme: Mapping[str, str]) -> tuple[list[PredictedImage], list[ImageError]]:
        names = UniqueNames()
        for image in self.kept:
            names.hold(image.name)
        found: list[PredictedImage] = []
        unreadable: list[ImageError] = []
        saved_at = time.monotonic()
        for source in track(self.new, f"predict with {self.predictor.model.recipe.title}"):
            try:
                pixels = read_image(source)
                digest = sha256_file(source)
            except ImageError as error:
                unreadable.append(error)
                continue
            there = self.predictor.find_particles(
                pixels, keep_marks=self.settings.keep_marks, tiles=self.settings.tiles, name=str(source)
            )
            image = PredictedImage(
                name=names.take(source.stem),
                source=source,
                source_sha256=digest,
                width=there.width,
                height=there.height,
                instances=there.instances,
                magnification=there.magnification,
                cut=there.cut,
            )
            if OVERLAY in self.formats:
                path = self.folder / OVERLAY / f"{image.name}.png"
                write_overlay(path, image, pixels, self.settings.classes)
            found.append(image)
            if time.monotonic() - saved_at >= _SAVE_EVERY:
                write_folder(self.folder, self.settings, [*self.kept, *found], [], labelme)
                saved_at = time.monotonic()
        return found, unreadable


def plan_task(
    folder: Path,
    earlier: Contents | None,
    predictor: Predictor,
    sources: Sequence[Path],
    formats: Sequence[str] = DEFAULT_FORMATS,
    *,
    keep_marks: bool = False,
    tiles: Tiles = AUTO,
) -> PredictionTask:
    """Look what has to be predicted, by what an earlier call found.

    Args:
        folder: As ``open_folder`` allows it.
        earlier: What ``open_folder`` returned.
        predictor: The model.
        sources: Image files, as ``find_images`` returns them.
        formats: Of ``FORMATS``.
        keep_marks: What lies on information bars, scale bars and lettering counts.
        tiles: How large micrographs are looked at, see ``tiles.find_everywhere``.

    Raises:
        UsageError: The folder holds predictions of another kind.
        RecordError, ModelError: The operating point that is kept with the model is malformed.
    """
    settings = Settings(
        f"{predictor.model.recipe.model} ({_origin(predictor)})",
        predictor.operating_point.confidence,
        predictor.classes,
        keep_marks,
        predictor.weights_sha256,
        tiles,
        predictor.views,
    )
    before = () if earlier is None else earlier.images
    change = changed_weights(folder, None if earlier is None else earlier.settings, settings)
    if change is not None and before:
        again = before
        many = counted(len(before), "image")
        reasons = [f"{folder}: {many} predicted anew, since the model is another one now: {change}"]
    else:
        again = tuple(outdated_images(before, sources))
        reasons = [f"{image.source}: predicted anew, since the file is another one now" for image in again]
    left = {image.name for image in again}
    kept = tuple(image for image in before if image.name not in left)
    known = {os.path.realpath(image.source) for image in kept}
    asked = {os.path.realpath(source): source for source in (*sources, *(image.source for image in again))}
    new = tuple(source for file, source in asked.items() if file not in known)
    also = [name for name in FORMATS if name not in formats and (folder / name).is_dir()]
    return PredictionTask(
        folder=folder,
        predictor=predictor,
        settings=settings,
        kept=kept,
        again=again,
        new=new,
        earlier=len(asked) - len(new),
        formats=(*formats, *also),
        reasons=tuple(reasons),
        replaces=earlier is None,
    )


@errors_name_arguments
def predict_folder(
    predictor: Predictor,
    images: Path | str | Sequence[Path | str],
    out: Path | str,
    *,
    formats: Sequence[str] | str = DEFAULT_FORMATS,
    overwrite: str = "never",
    keep_marks: bool = False,
    tiles: Tiles = AUTO,
) -> Outcome:
    """Find the particles of many micrographs and write what ``nanoseg-bench predict`` writes.

    Args:
        predictor: The model, see ``open_predictor``.
        images: Image files, and folders of them.
        out: Folder to write.
        formats: Of ``labelme``, ``coco``, ``masks`` and ``overlay``; ``predictions.json`` is always written.
        overwrite: Where ``out`` holds predictions: ``never``: stop. ``missing``: add what has come or changed since.
            ``always``: replace them.
        keep_marks: What lies on information bars, scale bars and lettering counts; by default it is flagged.
        tiles: How large micrographs are looked at, see ``tiles.find_everywhere``.

    Returns:
        The images that were predicted, those that were there, and what could not be read.

    Raises:
        UsageError: There is no image, or ``out`` must not be written.
        NanosegError: ``out`` cannot be written.
    """
    if not isinstance(predictor, Predictor):
        raise UsageError(f"predictor {predictor!r}: give what open_predictor returns")
    require_folder(out, "out")
    folder = Path(out)
    formats = (formats,) if isinstance(formats, str) else formats
    if unknown := [name for name in formats if name not in FORMATS]:
        raise UsageError(f"{', '.join(unknown)}: give formats of {', '.join(FORMATS)}")
    if overwrite not in OVERWRITE:
        raise UsageError(f"overwrite {overwrite!r}: is one of {', '.join(OVERWRITE)}")
    require_tiles(tiles)
    try:
        given = [Path(path) for path in ([images] if isinstance(images, Path | str) else images)]
    except TypeError as no_path:
        raise UsageError("images: give files, or folders of them; pixels are for Predictor.find_particles") from no_path
    if not given:
        raise UsageError("images: no image is given; give files, or folders of them")
    sources = find_images(given, folder)
    with hold_folder(folder, wait=overwrite != "never"):
        earlier = open_folder(folder, overwrite)
        task = plan_task(folder, earlier, predictor, sources, formats, keep_marks=keep_marks, tiles=tiles)
        for reason in task.reasons:
            _LOG.info("%s", reason)
        outcome = task.carry_out()
    for error in outcome.unreadable:
        _LOG.warning("left out: %s", error)
    return outcome


def _origin(predictor: Predictor) -> str:
    """Where a model comes from, in words that stay true on another machine where it ships."""
    if predictor.path is None:
        return "from no file"
    if not is_shipped(predictor.path):
        return str(predictor.path.resolve())
    return f"shipped weights {predictor.path.stem}"


def _begun_by(predictor: Predictor) -> BegunBy:
    """What the written annotations say of the model that drew them."""
    return BegunBy(predictor.model.recipe.model, predictor.run, predictor.weights_sha256)
