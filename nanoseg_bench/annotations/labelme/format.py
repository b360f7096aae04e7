"""LabelMe as one of the formats."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.annotations.format import JSON, Format, ReadOptions

if TYPE_CHECKING:
    from nanoseg_bench.annotations.predictions import PredictionReader
    from nanoseg_bench.annotations.source import Source
    from nanoseg_bench.annotations.writer import Writer


class Labelme(Format):
    """A JSON beside each image."""

    name = "labelme"
    title = "LabelMe"
    single_file = JSON
    json_start = re.compile(rb'"(shapes|imageData)"\s*:')
    writes = True
    reads_predictions = True

    def is_json(self, document: object) -> bool:
        """Whether there is a list of shapes."""
        return isinstance(document, dict) and isinstance(document.get("shapes"), list)

    def open(self, path: Path, options: ReadOptions) -> "Source":
        """List the LabelMe files of a folder; see ``open_labelme``."""
        from nanoseg_bench.annotations.labelme.reading import LabelmeRef, open_labelme
        from nanoseg_bench.annotations.source import Source

        if path.is_file():
            return Source("labelme", (LabelmeRef(path.stem, path, options.extract_to),))
        return open_labelme(path, options.extract_to)

    def writer(self) -> "Writer":
        """What writes a JSON beside each image."""
        from nanoseg_bench.annotations.labelme.writing import LabelmeWriter

        return LabelmeWriter()

    def predictions(self) -> "PredictionReader":
        """What reads a JSON for each image, such as those of a second annotator."""
        from nanoseg_bench.annotations.labelme.predictions import LabelmePredictions

        return LabelmePredictions()
