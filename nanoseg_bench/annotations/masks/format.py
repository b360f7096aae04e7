"""Mask images as one of the formats."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.annotations.format import Format, ReadOptions
from nanoseg_bench.errors import AnnotationError

if TYPE_CHECKING:
    from nanoseg_bench.annotations.predictions import PredictionReader
    from nanoseg_bench.annotations.source import Source
    from nanoseg_bench.annotations.writer import Writer


class Masks(Format):
    """An image for each image, whose values say which particle a pixel belongs to."""

    name = "masks"
    title = "masks"
    options = frozenset({"image_folder", "masks"})
    made_of_images = True
    writes = True
    reads_predictions = True

    def find_evidence(self, folder: Path, files: Sequence[Path]) -> str:
        """A folder of masks beside one of images, or a file called ``NAME_mask``."""
        from nanoseg_bench.annotations.masks.pairs import find_mask_folders, is_mask_name

        try:
            images, masks = find_mask_folders(folder)
        except AnnotationError:
            return "several folders of masks"
        if masks is not None:
            return f"{masks.name}/ beside {images.name}/"
        return next((path.relative_to(folder).as_posix() for path in files if is_mask_name(path)), "")

    def open(self, path: Path, options: ReadOptions) -> "Source":
        """Pair images with masks; see ``open_masks``. Where an image folder is given, ``path`` is that of the masks."""
        from nanoseg_bench.annotations.masks.reading import open_masks

        if options.image_folder is None:
            return open_masks(path, None, options.masks)
        return open_masks(options.image_folder, path, options.masks)

    def writer(self) -> "Writer":
        """What writes ``masks`` beside ``images``, and ``instances.csv``."""
        from nanoseg_bench.annotations.masks.writing import MaskWriter

        return MaskWriter()

    def predictions(self) -> "PredictionReader":
        """What reads a mask for each image."""
        from nanoseg_bench.annotations.masks.predictions import MaskPredictions

        return MaskPredictions()
