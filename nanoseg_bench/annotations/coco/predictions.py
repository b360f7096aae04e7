"""COCO instance files as predictions.

COCO results name neither images nor classes: what their ids mean only the one can say who knows the images, so they
are found here and read in ``evaluation.external``.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from nanoseg_bench.annotations.coco.document import is_coco
from nanoseg_bench.annotations.coco.reading import read_coco
from nanoseg_bench.annotations.coco.results import is_coco_results
from nanoseg_bench.annotations.predictions import PredictionOptions, PredictionReader, Regions, RegionsRef


class CocoPredictions(PredictionReader):
    """One JSON for all images."""

    words = "COCO results or COCO files (.json)"
    no_particle = "An image without particles stands in 'images' of the COCO file, or of the one beside COCO results"
    plural = "images"
    one_file = True

    def rank_json(self, document: object) -> int | None:
        """0 for results, and 1 for an instance file: beside results lies the one that their ids come from."""
        if is_coco_results(document):
            return 0
        return 1 if is_coco(document) else None

    def open(self, files: Sequence[Path], root: Path, options: PredictionOptions) -> list[RegionsRef]:
        """Every image of the one file; without annotations, it shows no particle."""
        (path,) = files
        file = read_coco(path)
        found = {name: Regions(file.instances[name], size) for name, size in file.images.items()}
        return [RegionsRef((name,), path, partial(_take, each), name) for name, each in found.items()]


def _take(found: Regions, size: tuple[int, int]) -> Regions:
    """What the file says, whatever the size: it states its own."""
    return found
