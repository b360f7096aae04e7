"""LabelMe files as predictions: those of a second annotator, or of a tool that writes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.annotations.labelme.format import Labelme
from nanoseg_bench.annotations.labelme.reading import read_labelme_regions
from nanoseg_bench.annotations.predictions import PredictionOptions, PredictionReader, Regions, name_below


@dataclass(frozen=True, slots=True)
class LabelmeRegions:
    """One JSON, which need not lie beside its image.

    Attributes:
        names: Of the image: the file's own.
        path: The JSON.
    """

    names: tuple[str, ...]
    path: Path

    @property
    def where(self) -> str:
        """The file."""
        return str(self.path)

    def read(self, size: tuple[int, int]) -> Regions:
        """Read the shapes, with scores; a file that states another size is refused by LabelMe's own check."""
        return Regions(read_labelme_regions(self.path, *size))


class LabelmePredictions(PredictionReader):
    """A JSON for each image."""

    words = "LabelMe files (.json)"
    no_particle = "An image without particles has a JSON without shapes"
    plural = "LabelMe files"

    def rank_json(self, document: object) -> int | None:
        """0 for a LabelMe file."""
        return 0 if Labelme().is_json(document) else None

    def open(self, files: Sequence[Path], root: Path, options: PredictionOptions) -> Sequence[LabelmeRegions]:
        """One image for each file."""
        return [LabelmeRegions((name_below(path, root),), path) for path in files]
