"""What writes a format: the annotation of one image, what it loses, and the files that are for all images."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from nanoseg_bench.annotations.instance import Instance, Micrograph
from nanoseg_bench.annotations.loss import ImageLoss
from nanoseg_bench.annotations.raster import area, to_rle

IMAGES = "images"
"""The folder of the images, in formats that lay annotations elsewhere."""


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What all images have in common.

    Attributes:
        classes: Class names by index; empty where the format numbers no classes.
        max_loss: Largest 1 - IoU of a particle; None allows any.
        exact: Masks stay masks, pixel by pixel, where the format has polygons too.
    """

    classes: tuple[str, ...] = ()
    max_loss: float | None = None
    exact: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Encoded:
    """The annotation of one micrograph, not written yet.

    Attributes:
        loss: What a reader of it sees against the truth.
        file: The image's own file of annotations, relative to the folder; empty where the format has one for all.
        content: What stands in it, by the name of the image as it was written.
        shared: What the file for all images says of this one; picklable.
    """

    loss: ImageLoss
    file: str = ""
    content: Callable[[str], bytes] | None = None
    shared: Any = None


Share = Callable[[str, tuple[int, int], Any], None]
"""Adds an image to the file for all of them: its file name, (width, height) and ``Encoded.shared``."""


class Writer(ABC):
    """Writes one format.

    Attributes:
        folders: Of images and annotations, made before anything is written.
        image_folder: Where the images go: one of ``folders``, or empty.
        numbers_classes: Classes are written as numbers, so that all of them must be known before.
        holds_extras: It has a place for scales, source groups, attributes and the model that drew the first outlines.
        holds_scores: It has a place for the score of a particle.
        simplifies: Masks become polygons unless they are to stay ``exact``, within ``max_loss``.
    """

    folders: ClassVar[tuple[str, ...]] = ()
    image_folder: ClassVar[str] = ""
    numbers_classes: ClassVar[bool] = False
    holds_extras: ClassVar[bool] = False
    holds_scores: ClassVar[bool] = False
    simplifies: ClassVar[bool] = False

    @abstractmethod
    def encode(self, micrograph: Micrograph, stem: str, source: Path, options: WriteOptions) -> Encoded:
        """The annotation of one micrograph.

        Args:
            micrograph: What is to be written.
            stem: Of its files.
            source: The file that it comes from, for messages.
            options: Of all images.

        Raises:
            AnnotationError: Something of it cannot be written.
        """

    def shared_file(self, root: Path, options: WriteOptions) -> AbstractContextManager[Share]:
        """The file for all images, complete when the block ends; by default there is none.

        Args:
            root: The folder that is written.
            options: Of all images.
        """
        return nullcontext(lambda image, size, shared: None)

    def finish(self, root: Path, classes: Sequence[str]) -> None:  # noqa: B027, most formats need nothing
        """Write what must know all classes; by default nothing.

        Args:
            root: The folder that is written.
            classes: Names by index.
        """


def count_pixels(instance: Instance, micrograph: Micrograph) -> int:
    """Pixels that an instance covers of its image."""
    return area(to_rle(instance, micrograph.height, micrograph.width))


def particles_of(instances: Sequence[Instance]) -> list[Instance]:
    """The instances that are no ignore regions."""
    return [each for each in instances if not each.ignored]
