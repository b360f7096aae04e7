"""LabelMe files as predictions: those of a second annotator, or of a tool that writes them."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from nanoseg_bench.annotations.labelme.format import Labelme
from nanoseg_bench.annotations.labelme.reading import read_labelme_regions
from nanoseg_bench.annotations.predictions import PredictionOptions, PredictionReader, Regions, RegionsRef, name_below


class LabelmePredictions(PredictionReader):
    """A JSON for each image."""

    words = "LabelMe files (.json)"
    no_particle = "An image without particles has a JSON without shapes"
    plural = "LabelMe files"

    def rank_json(self, document: object) -> int | None:
        """0 for a LabelMe file."""
        return 0 if Labelme().is_json(document) else None

    def open(self, files: Sequence[Path], root: Path, options: PredictionOptions) -> list[RegionsRef]:
        """One image for each file, which need not lie beside it; one that states another size is refused."""
        return [RegionsRef((name_below(path, root),), path, partial(_read, path)) for path in files]


def _read(path: Path, size: tuple[int, int]) -> Regions:
    return Regions(read_labelme_regions(path, *size))
