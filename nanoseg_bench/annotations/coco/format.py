"""COCO as one of the formats."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.annotations.format import JSON, Format, ReadOptions

if TYPE_CHECKING:
    from nanoseg_bench.annotations.predictions import PredictionReader
    from nanoseg_bench.annotations.source import Source
    from nanoseg_bench.annotations.writer import Writer

CROWDS = ("ignore", "particle")
"""What regions with ``iscrowd`` 1 can be."""


class Coco(Format):
    """One JSON for all images, or one for each part of a split."""

    name = "coco"
    title = "COCO"
    single_file = JSON
    json_start = re.compile(rb'"(annotations|categories|images)"\s*:\s*\[')
    options = frozenset({"image_folder", "iscrowd"})
    writes = True
    reads_predictions = True

    def is_json(self, document: object) -> bool:
        """Whether it is an instance file."""
        from nanoseg_bench.annotations.coco.document import is_coco

        return is_coco(document)

    def open(self, path: Path, options: ReadOptions) -> "Source":
        """List the images of a COCO file, or of several that are parts of one data set; see ``open_coco``."""
        from nanoseg_bench.annotations.coco.reading import open_coco

        return open_coco(path, options.image_folder, options.iscrowd)

    def writer(self) -> "Writer":
        """What writes ``annotations.json`` beside ``images``."""
        from nanoseg_bench.annotations.coco.writing import CocoFolderWriter

        return CocoFolderWriter()

    def predictions(self) -> "PredictionReader":
        """What reads an instance file, with or without scores; results have ids only an eval set can explain."""
        from nanoseg_bench.annotations.coco.predictions import CocoPredictions

        return CocoPredictions()
