"""YOLO-seg as one of the formats."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.annotations.format import Format, ReadOptions

if TYPE_CHECKING:
    from nanoseg_bench.annotations.predictions import PredictionReader
    from nanoseg_bench.annotations.source import Source
    from nanoseg_bench.annotations.writer import Writer

_TEXTS_LOOKED_AT = 1000
_START = 2**20
_LINE = 2**16
_LABEL_LINE = re.compile(r"\s*\d+(\s+[-+.\deE]+){6,}\s*$|\s*\d+(\s+[-+.\deE]+){4}\s*$")


class Yolo(Format):
    """A text for each image, and the names of the classes in ``data.yaml``."""

    name = "yolo"
    title = "YOLO"
    single_file = "data.yaml"
    writes = True
    reads_predictions = True

    def is_file(self, path: Path) -> bool:
        """Whether it is a ``data.yaml``, whatever its name."""
        return path.suffix.lower() in (".yaml", ".yml")

    def find_evidence(self, folder: Path, files: Sequence[Path]) -> str:
        """A YAML at the top that names classes, or a text whose first line is a particle's."""
        for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
            if re.search(r"^names\s*:", _start_of(path, _START), re.MULTILINE):
                return path.name
        texts = [path for path in files if path.suffix.lower() == ".txt"][:_TEXTS_LOOKED_AT]
        for path in texts:
            lines = _start_of(path, _LINE).splitlines()
            if lines and _LABEL_LINE.match(lines[0]):
                return path.relative_to(folder).as_posix()
        return ""

    def open(self, path: Path, options: ReadOptions) -> "Source":
        """List the images of a data set; see ``open_yolo``."""
        from nanoseg_bench.annotations.yolo.reading import open_yolo

        if path.is_dir():
            return open_yolo(path, options.classes)
        return open_yolo(path.parent, options.classes, path if self.is_file(path) else None)

    def writer(self) -> "Writer":
        """What writes ``labels`` beside ``images``, and ``data.yaml``."""
        from nanoseg_bench.annotations.yolo.writing import YoloWriter

        return YoloWriter()

    def predictions(self) -> "PredictionReader":
        """What reads a label for each image; a number behind an outline is its confidence."""
        from nanoseg_bench.annotations.yolo.predictions import YoloPredictions

        return YoloPredictions()


def _start_of(path: Path, length: int) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(length).decode("utf-8", errors="replace")
    except OSError:
        return ""
