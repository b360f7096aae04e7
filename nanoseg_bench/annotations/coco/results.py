"""COCO results: the list of detections that COCO's evaluation takes, and that most tools write.

    [{"image_id": 7, "category_id": 1, "segmentation": {"size": [480, 640], "counts": "..."}, "score": 0.93}, ...]

It names neither images nor classes; the ids are those of the COCO file that the tool was given.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanoseg_bench.annotations.coco.document import as_id
from nanoseg_bench.annotations.coco.regions import read_region
from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.json_values import is_number
from nanoseg_bench.errors import AnnotationError
from nanoseg_bench.files import read_json


@dataclass(frozen=True, slots=True)
class CocoResult:
    """One detection.

    Attributes:
        number: Its place in the file, from 1.
        image_id: Of its image.
        entry: What stands there.
    """

    number: int
    image_id: int | str
    entry: Mapping[str, Any]

    def read(self, size: tuple[int, int], categories: Mapping[int | str, str] | None, where: str) -> Instance:
        """The detection as an instance.

        Args:
            size: (width, height) of its image in pixels.
            categories: Category name by id; None where nobody knows what the ids mean: there is no label then.
            where: The file, for messages.

        Raises:
            AnnotationError: Region, category or score is malformed, or the region is of another size.
        """
        where = f"{where}: result {self.number}"
        score = self.entry.get("score")
        if score is not None and not is_number(score):
            raise AnnotationError(f"{where}: 'score' is {score!r}; it must be a number")
        region = read_region(self.entry.get("segmentation"), size, where)
        label = None if categories is None else self._label(categories, where)
        return Instance(label, region, None if score is None else float(score))

    def _label(self, categories: Mapping[int | str, str], where: str) -> str:
        category = as_id(self.entry.get("category_id"))
        if category is None or category not in categories:
            known = ", ".join(f"{key} {name}" for key, name in categories.items())
            raise AnnotationError(
                f"{where}: 'category_id' is {self.entry.get('category_id')!r}, and the categories are {known}; use "
                "their ids"
            )
        return categories[category]


def is_coco_results(document: object) -> bool:
    """Whether a JSON value looks like COCO results; so does the empty list."""
    return isinstance(document, list) and all(isinstance(entry, dict) and "image_id" in entry for entry in document)


def read_coco_results(path: Path) -> list[CocoResult]:
    """Read a list of detections, in the order of the file.

    Raises:
        AnnotationError: The file is missing, no JSON, or something else than a list of detections.
    """
    try:
        document = read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise AnnotationError(f"{path}: cannot be read ({error}); write it again as COCO results") from error
    if not isinstance(document, list):
        raise AnnotationError(f"{path}: COCO results are a JSON list of detections, this is another value")
    results = []
    for number, entry in enumerate(document, start=1):
        image_id = as_id(entry.get("image_id")) if isinstance(entry, dict) else None
        if image_id is None:
            raise AnnotationError(f"{path}: result {number}: names no image; each needs an 'image_id'")
        results.append(CocoResult(number, image_id, entry))
    return results
