"""YOLO-seg labels as predictions: a number behind an outline is its confidence."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from nanoseg_bench.annotations.predictions import PredictionOptions, PredictionReader, Regions, RegionsRef, name_below
from nanoseg_bench.annotations.yolo.layout import find_class_names, is_label_file
from nanoseg_bench.annotations.yolo.reading import read_yolo


class YoloPredictions(PredictionReader):
    """A text for each image."""

    words = "YOLO-seg labels (.txt)"
    no_particle = "An image without particles has an empty .txt file; Ultralytics writes none, so make it"
    plural = "labels"

    def is_file(self, path: Path) -> bool:
        """Whether it is a text."""
        return path.suffix.lower() == ".txt"

    def select(self, folder: Path, files: Sequence[Path]) -> list[Path]:
        """The texts that may be labels."""
        below = self.root(folder)
        return [path for path in files if is_label_file(path) and path.is_relative_to(below)]

    def root(self, path: Path) -> Path:
        """The folder ``labels``, where there is one."""
        return path / "labels" if (path / "labels").is_dir() else path

    def open(self, files: Sequence[Path], root: Path, options: PredictionOptions) -> list[RegionsRef]:
        """One image for each label; without given classes, those of a ``data.yaml`` or ``classes.txt`` beside them."""
        classes = options.classes
        if classes is None:
            # data.yaml lies beside the folder of the labels.
            above = [root.parent] if root.name == "labels" else []
            named = (find_class_names(folder) for folder in (root, *above))
            classes = next((names for names in named if names is not None), None)
        return [RegionsRef((name_below(path, root),), path, partial(_read, path, classes)) for path in files]


def _read(path: Path, classes: Sequence[str] | None, size: tuple[int, int]) -> Regions:
    width, height = size
    return Regions(read_yolo(path, classes, height, width, scored=True))
