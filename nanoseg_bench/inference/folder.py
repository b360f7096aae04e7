"""What ``predict`` leaves in its folder: predictions.json, and the formats that were asked for."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanoseg_bench.annotations.begun_by import BegunBy
from nanoseg_bench.annotations.conversion import convert
from nanoseg_bench.annotations.instance import Instance, Micrograph, Rle
from nanoseg_bench.annotations.raster import to_rle
from nanoseg_bench.annotations.run_lengths import find_wrong_runs
from nanoseg_bench.annotations.source import LoadedMicrograph, Source
from nanoseg_bench.changes import Change, dict_changes, list_changes
from nanoseg_bench.errors import UsageError
from nanoseg_bench.files import read_json, require_path, sha256_file, unwritable, write_json
from nanoseg_bench.inference.corrections import labelme_hashes, require_uncorrected
from nanoseg_bench.inference.formats import LABELME
from nanoseg_bench.inference.particles import PredictedImage
from nanoseg_bench.inference.tiles import Tiles
from nanoseg_bench.seals import sealed, unsealed
from nanoseg_bench.wording import counted

FILE = "predictions.json"
"""Every particle with its score; also says that a folder is ours."""

FORMAT = "nanoseg-predicted/1"


@dataclass(frozen=True, slots=True)
class Settings:
    """What all predictions of a folder have in common.

    Attributes:
        model: File or folder, and what it is.
        confidence: Particles with a lower score were left out.
        classes: Class names.
        keep_marks: Detections on information bars, scale bars and lettering count as particles.
        weights_sha256: Of the weights; None of a model without any.
        tiles: How large micrographs are looked at, see ``tiles.find_everywhere``.
        views: Sides that each micrograph is looked at from, see ``models.judged_views``.
    """

    model: str
    confidence: float
    classes: tuple[str, ...]
    keep_marks: bool
    weights_sha256: str | None
    tiles: Tiles
    views: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What a folder of predictions holds.

    Attributes:
        settings: Of all its images.
        images: In the order in which they were predicted.
        labelme_sha256: Of each LabelMe file when it was written.
    """

    settings: Settings
    images: tuple[PredictedImage, ...]
    labelme_sha256: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Contents({counted(len(self.images), 'image')}, {self.settings})"


def open_folder(folder: Path, overwrite: str) -> Contents | None:
    """Look whether ``folder`` may be written.

    Args:
        folder: Of the call.
        overwrite: ``never``: the folder must be new or empty. ``missing``: what an earlier call found stays, and
            no LabelMe file may have been corrected. ``always``: what an earlier call found is replaced, but for
            corrected LabelMe files.

    Returns:
        What stays; None where nothing does.

    Raises:
        UsageError: There is something that must not be changed.
    """
    path = folder / FILE
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    if not path.is_file():
        raise UsageError(f"--out {folder}: holds other things (no {FILE}); choose another folder")
    if overwrite == "never":
        raise UsageError(
            f"--out {folder}: holds predictions; choose another folder, or give --overwrite missing to add to them, or "
            "--overwrite always to replace them"
        )
    try:
        contents = read_folder(folder)
    except UsageError:
        if overwrite != "always":
            raise
        require_uncorrected(folder, {})  # nothing tells corrected ones from those that were written
        return None
    require_uncorrected(folder, contents.labelme_sha256)
    return None if overwrite == "always" else contents


def clear_leftovers(folder: Path) -> None:
    """Remove the temporary files of a call that was killed; the caller holds the folder, so none is in use."""
    for leftover in (*folder.glob(f".{Path(FILE).stem}.*.json"), *folder.glob("*/.*.png")):
        leftover.unlink(missing_ok=True)


def changed_weights(folder: Path, earlier: Settings | None, settings: Settings) -> Change | None:
    """Whether what an earlier call found must be found again; refuses to mix predictions of two kinds in one folder.

    The same weights are one model wherever they lie. Other weights at the same place are that model, trained anew.

    Args:
        folder: Of the predictions.
        earlier: Of the predictions that it holds; None without any.
        settings: Of this call.

    Returns:
        The weights before and now; None where what is there can stay.

    Raises:
        UsageError: It holds predictions of another model, confidence, class list, or treatment of marks or of
            large images.
    """
    if earlier is None:
        return None
    same_weights = earlier.weights_sha256 == settings.weights_sha256
    if earlier.model == settings.model and not same_weights:
        return Change("weights", earlier.weights_sha256, settings.weights_sha256)
    same_model = earlier.model == settings.model or (same_weights and settings.weights_sha256 is not None)
    changes = [
        *([] if same_model else [Change("model", earlier.model, settings.model)]),
        *dict_changes(_choices(earlier), _choices(settings)),
    ]
    if changes:
        raise UsageError(
            f"--out {folder}: holds predictions that differ from these: {list_changes(changes)}; choose another folder "
            "for these, or give --overwrite always"
        )
    return None


def outdated_images(images: Sequence[PredictedImage], sources: Sequence[Path]) -> list[PredictedImage]:
    """Those of which the file is another one now.

    Args:
        images: Predicted by earlier calls.
        sources: Files that are asked for; the others are not looked at.
    """
    asked = {os.path.realpath(source) for source in sources}
    return [
        image
        for image in images
        if (file := os.path.realpath(image.source)) in asked
        and not (Path(file).is_file() and sha256_file(Path(file)) == image.source_sha256)
    ]


def _choices(settings: Settings) -> dict[str, Any]:
    return {
        "confidence": settings.confidence,
        "classes": list(settings.classes),
        "what lies on marks": "counted" if settings.keep_marks else "left out",
        "tiles": settings.tiles,
        "views": settings.views,
    }


def write_folder(
    folder: Path,
    settings: Settings,
    images: Sequence[PredictedImage],
    formats: Sequence[str],
    labelme: Mapping[str, str],
    begun_by: BegunBy | None = None,
) -> None:
    """Write predictions.json, and a folder of annotations per format.

    Args:
        folder: As ``open_folder`` allows it.
        settings: For predictions.json.
        images: All, those of earlier calls included.
        formats: Of ``formats.ANNOTATIONS``.
        labelme: ``labelme_hashes`` from the begin of the call, which may take hours.
        begun_by: The model, for those who correct its outlines and take them for truth.

    Raises:
        UsageError: LabelMe files were corrected meanwhile; predictions.json is written, and keeps what was found.
        NanosegError: The folder cannot be written.
    """
    entries = tuple(
        LoadedMicrograph(Micrograph(each.name, each.source, each.width, each.height, each.instances, begun_by=begun_by))
        for each in images
    )
    try:
        write_json(folder / FILE, sealed(_document(settings, images, labelme)))
        if LABELME in formats:
            require_uncorrected(folder, labelme)
        for name in formats if entries else ():
            source = Source("predictions", entries, settings.classes)
            convert(source, folder / name, name, classes=settings.classes, overwrite=True)
        if LABELME in formats:
            write_json(folder / FILE, sealed(_document(settings, images, labelme_hashes(folder))))
    except OSError as error:
        raise unwritable(folder, error, "--out") from error


def _document(settings: Settings, images: Sequence[PredictedImage], labelme: Mapping[str, str]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "model": settings.model,
        "confidence": settings.confidence,
        "classes": list(settings.classes),
        "keep_marks": settings.keep_marks,
        "tiles": settings.tiles,
        "views": settings.views,
        "weights_sha256": settings.weights_sha256,
        "labelme_sha256": labelme,
        "images": [
            {
                "name": image.name,
                "source": str(image.source),
                "source_sha256": image.source_sha256,
                "width": image.width,
                "height": image.height,
                "magnification": image.magnification,
                "instances": [
                    {
                        "label": each.label,
                        "score": each.score,
                        **({"on_mark": True} if each.on_mark else {}),
                        "counts": to_rle(each, image.height, image.width).counts.decode("ascii"),
                    }
                    for each in image.instances
                ],
            }
            for image in images
        ],
    }


def read_folder(folder: Path | str) -> Contents:
    """Read what ``predict`` left in a folder.

    Raises:
        UsageError: It holds no predictions that this version can read.
    """
    require_path(folder, "folder")
    path = Path(folder) / FILE
    try:
        document = read_json(path)
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']!r}, expected {FORMAT!r}")
        document = unsealed(document)
        settings = Settings(
            document["model"],
            document["confidence"],
            tuple(document["classes"]),
            document["keep_marks"],
            document["weights_sha256"],
            document["tiles"],
            document["views"],
        )
        images = tuple(_read_image(entry) for entry in document["images"])
        regions = [each.region for image in images for each in image.instances if isinstance(each.region, Rle)]
        if len(find_wrong_runs(regions)):
            raise ValueError("a mask does not add up to its image")
        return Contents(settings, images, document["labelme_sha256"])
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"{folder}: holds no predictions (no {FILE}); give the folder that `predict` wrote") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{path}: cannot be read ({error}); choose another folder, or have it written anew by `nanoseg-bench "
            "predict --overwrite always`"
        ) from error


def _read_image(entry: Mapping[str, Any]) -> PredictedImage:
    height, width = int(entry["height"]), int(entry["width"])
    instances = tuple(
        Instance(
            each["label"],
            Rle(height, width, each["counts"].encode("ascii")),
            each["score"],
            on_mark=each.get("on_mark", False),
        )
        for each in entry["instances"]
    )
    return PredictedImage(
        name=entry["name"],
        source=Path(entry["source"]),
        source_sha256=entry["source_sha256"],
        width=width,
        height=height,
        instances=instances,
        magnification=float(entry["magnification"]),
    )
