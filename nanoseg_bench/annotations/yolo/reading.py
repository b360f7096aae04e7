"""YOLO-seg text: what Ultralytics trains on. A lossy export, and the loss is counted.

One line is one particle: the class index, then x and y of its outline, divided by the image's width and height. There
are no holes, no particles of several parts and no ignore regions. An image without a label file shows no particle.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.errors import MissingImageError, NotAnAnnotationError
from nanoseg_bench.annotations.faults import refuse_faults, refuse_shapes
from nanoseg_bench.annotations.instance import Instance, Micrograph, Polygon
from nanoseg_bench.annotations.labels import classes_among, own_label, without_background
from nanoseg_bench.annotations.source import Source
from nanoseg_bench.annotations.tally import Tally
from nanoseg_bench.annotations.yolo.layout import find_layout
from nanoseg_bench.errors import AnnotationError
from nanoseg_bench.images import image_size
from nanoseg_bench.wording import counted

# A share of the width or height that lies farther out of [0, 1] was meant as pixels.
_FARTHEST_SHARE = 2.0


@dataclass(frozen=True, slots=True)
class YoloRef:
    """One image of a YOLO data set.

    Attributes:
        name: Its path below the folder without suffix and without ``images``.
        path: The label; the image where there is none.
        image: The image.
        label: The label; None where there is none: the image shows no particle.
        classes: Class names by index.
        problem: Why it cannot be used; empty when all is well.
    """

    name: str
    path: Path
    image: Path | None
    label: Path | None
    classes: tuple[str, ...]
    problem: str = ""

    def read(self) -> Micrograph:
        """Read the label and the image's size. Coordinates outside [0, 1] stay: the outline leaves the image.

        Raises:
            NotAnAnnotationError: The label is another text, and has no image.
            FaultyShapesError: Names every line that is malformed, a box, or of a class that has no name, and holds what
                remains without them.
            AnnotationError: The image is missing.
            ImageError: The image cannot be read.
        """
        if self.image is None and self.label is not None and self.label.is_file() and not _looks_like_label(self.label):
            raise NotAnAnnotationError(f"{self.label}: a text, but no label")
        if self.problem or self.image is None:
            raise MissingImageError(self.problem)
        width, height = image_size(self.image)
        if self.label is None:
            notes = ("has no label file and is taken as background",)
            return Micrograph(self.name, self.image, width, height, notes=notes)
        found, faults = _read_lines(self.label, tuple(map(own_label, self.classes)), height, width, scored=False)
        instances, background = without_background(found)
        micrograph = Micrograph(self.name, self.image, width, height, instances, tally=Tally(background=background))
        refuse_shapes(self.label, faults, micrograph)
        return micrograph


def open_yolo(folder: Path, classes: Sequence[str] | None = None, data_yaml: Path | None = None) -> Source:
    """List the images of a YOLO data set: the layouts that Ultralytics reads, or images with labels beside them.

    Args:
        folder: With ``data.yaml``, or ``images/`` and ``labels/``, or both kinds of files in one folder.
        classes: Class names by index; None takes those of ``data.yaml`` or ``classes.txt``.
        data_yaml: The ``data.yaml``, whatever its name; None looks for it in the folder.

    Raises:
        AnnotationError: No images, no labels or no class names, or ``data.yaml`` is malformed.
    """
    layout = find_layout(folder, classes, data_yaml)
    entries = []
    for each in layout.images:
        path = each.label or each.image
        if path is not None:
            entries.append(YoloRef(each.name, path, each.image, each.label, layout.classes, each.problem))
    return Source("yolo", tuple(entries), classes=classes_among(layout.classes), split=layout.split)


def read_yolo(
    path: Path, classes: Sequence[str] | None, height: int, width: int, *, scored: bool = False
) -> list[Instance]:
    """Read one label file. Coordinates outside [0, 1] stay: the outline leaves the image.

    Args:
        path: The ``.txt`` file.
        classes: Class names by index; None where nobody knows what the indices mean: there are no labels then.
        height: Rows of the image.
        width: Columns.
        scored: Whether a number behind the outline is its confidence, as programs write it that predict.

    Raises:
        AnnotationError: Names every line that is malformed, a box, or of a class that has no name.
    """
    instances, faults = _read_lines(path, classes, height, width, scored=scored)
    refuse_faults(path, faults)
    return instances


def _read_lines(
    path: Path, classes: Sequence[str] | None, height: int, width: int, *, scored: bool
) -> tuple[list[Instance], list[str]]:
    """The instances of a label file, and what is wrong with each line that is none."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{path}: not a text file; a label holds numbers only") from error
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror or error}); check its rights") from error
    instances: list[Instance] = []
    faults: list[str] = []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        where = f"line {number}"
        try:
            # x and y come in pairs: with the class, a line without confidence has an odd number of words.
            score = _score(words.pop(), where) if scored and len(words) % 2 == 0 else None
            label = _class_name(words[0], classes, where)
            outline = _outline(words[1:], where) * (width, height)
        except AnnotationError as error:
            faults.append(str(error))
        else:
            instances.append(Instance(label, (Polygon(outline),), score))
    return instances, faults


def _looks_like_label(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            start = stream.read(200).split()
    except OSError:
        return True  # nobody knows, and its image is missing all the same
    return not start or start[0].replace(b".", b"").isdigit()


def _score(word: str, where: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise AnnotationError(f"{where}: ends with {word!r}; behind an outline stands its confidence") from error


def _class_name(word: str, classes: Sequence[str] | None, where: str) -> str | None:
    try:
        index = float(word)
    except ValueError:
        index = math.nan
    if not index.is_integer():
        raise AnnotationError(f"{where}: begins with {word!r}; a line begins with the index of its class")
    if classes is None:
        return None
    if not 0 <= index < len(classes):
        raise AnnotationError(
            f"{where}: class {int(index)}, but there are {len(classes)} ({', '.join(classes)}), numbered from 0; "
            "add the missing names"
        )
    return classes[int(index)]


def _outline(words: Sequence[str], where: str) -> NDArray[np.float64]:
    if len(words) == 4:
        raise AnnotationError(
            f"{where}: five numbers are a box, and a box is no outline; give the segmentation labels of this data set"
        )
    if len(words) < 6 or len(words) % 2:
        last = "; a last number that is a confidence makes it a prediction, which is no truth" if len(words) > 6 else ""
        raise AnnotationError(
            f"{where}: {counted(len(words), 'coordinate')}; an outline has x and y of three points or more, so an even "
            f"number{last}"
        )
    try:
        shares = np.array([float(word) for word in words]).reshape(-1, 2)
    except ValueError as error:
        raise AnnotationError(f"{where}: {error}; after the class, a line holds numbers only") from error
    wrong = ~(np.abs(shares - 0.5) <= _FARTHEST_SHARE + 0.5)
    if wrong.any():
        raise AnnotationError(
            f"{where}: a coordinate is {shares[wrong][0]:g}, which is not between 0 and 1; divide x by the image's "
            "width and y by its height"
        )
    return shares
