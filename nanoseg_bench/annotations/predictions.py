"""Particles of images that need not be at hand: how predictions of other tools are read, in the formats of annotations.

What reads a shape, a line or a mask is what reads annotations; only the image's size comes from whoever asks.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.masks.options import MaskOptions


@dataclass(frozen=True, slots=True)
class PredictionOptions:
    """How predictions are to be read.

    Attributes:
        classes: Class names by index, where the user gives them.
        masks: How masks are read.
        format_is_given: The user named the format, and so has looked at the files.
    """

    classes: Sequence[str] | None = None
    masks: MaskOptions = field(default_factory=lambda: MaskOptions(label=None))
    format_is_given: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Regions:
    """What a file says of one image.

    Attributes:
        instances: Particles and ignore regions, with scores where the file has some.
        size: (width, height) of the image that they were found on; None where the file does not say. Where it is not
            the size that was asked for, ``instances`` may be empty.
        pieces: ``Micrograph.pieces``.
    """

    instances: Sequence[Instance]
    size: tuple[int, int] | None = None
    pieces: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, slots=True)
class RegionsRef:
    """Where the particles of one image stand, not read yet.

    Attributes:
        names: What the image may be called, the likeliest first.
        path: The file.
        read: Reads the particles, by the (width, height) of the image in pixels. Raises AnnotationError or ImageError
            where the file is malformed.
        image: The image, for messages; empty where the file is for one image only.
    """

    names: tuple[str, ...]
    path: Path
    read: Callable[[tuple[int, int]], Regions]
    image: str = ""

    @property
    def where(self) -> str:
        """File and image, for messages."""
        return f"{self.path}: image {self.image!r}" if self.image else str(self.path)


class PredictionReader(ABC):
    """Reads predictions in one format.

    Attributes:
        words: What files it reads, for messages.
        no_particle: How an image without particles is handed in, for messages.
        plural: What a progress bar calls the files.
        one_file: One file holds the predictions of all images.
    """

    words: ClassVar[str]
    no_particle: ClassVar[str]
    plural: ClassVar[str] = "files"
    one_file: ClassVar[bool] = False

    def rank_json(self, document: object) -> int | None:
        """Whether a JSON value holds such predictions: None where not.

        Of the files in a folder, those of the lowest rank are the predictions; others explain them.
        """
        return None

    def is_file(self, path: Path) -> bool:
        """Whether a file that is no JSON is one of predictions, by its name."""
        return False

    def select(self, folder: Path, files: Sequence[Path]) -> list[Path]:
        """The files of predictions in a folder, besides JSON files; by default, all that ``is_file`` says.

        Args:
            folder: What was handed in.
            files: All visible files below it.
        """
        return [path for path in files if self.is_file(path)]

    def root(self, path: Path) -> Path:
        """The folder that the names of the images start below.

        Args:
            path: The folder that was handed in.
        """
        return path

    @abstractmethod
    def open(self, files: Sequence[Path], root: Path, options: PredictionOptions) -> Sequence[RegionsRef]:
        """Where the particles of each image stand.

        Args:
            files: As ``select`` or ``rank_json`` found them.
            root: As ``root`` gives it.
            options: The user's.

        Raises:
            AnnotationError: A file is malformed.
        """

    def check(self, read: Mapping[str, tuple[Path, Regions]], options: PredictionOptions) -> tuple[str, ...]:
        """What was left out or seems wrong in all images together, one sentence each.

        Args:
            read: The file of each image, and what it says, by the name of the image.
            options: The user's.

        Raises:
            PredictionsError: The files are not what they were taken for.
        """
        return ()


def name_below(path: Path, root: Path) -> str:
    """The name of the image that a file is for: its path below a folder, without suffix."""
    return path.relative_to(root).with_suffix("").as_posix()
