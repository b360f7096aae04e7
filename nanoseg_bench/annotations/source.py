"""Where annotated micrographs come from: found first, read one by one, so that a data set may be larger than memory.

``Format.open`` lists what is there and reads as little as it can; each ``MicrographRef`` travels to a worker process
and is read there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nanoseg_bench.annotations.instance import Micrograph

if TYPE_CHECKING:
    from nanoseg_bench.annotations.faults import Problem


class MicrographRef(Protocol):
    """One annotated micrograph that was found and is not read yet; small, and picklable."""

    @property
    def name(self) -> str:
        """The future ``Micrograph.name``."""

    @property
    def path(self) -> Path:
        """The file to name in messages: the annotation's, or the image's where one file annotates all."""

    def read(self) -> Micrograph:
        """Read annotation and image size; the pixels stay where they are.

        Raises:
            NotAnAnnotationError: The file is something else.
            AnnotationError: The annotation is malformed.
            ImageError: The image cannot be read.
        """


@dataclass(frozen=True, eq=False, slots=True)
class LoadedMicrograph:
    """A ``MicrographRef`` to what is in memory already."""

    micrograph: Micrograph

    @property
    def name(self) -> str:
        """``Micrograph.name``."""
        return self.micrograph.name

    @property
    def path(self) -> Path:
        """The image: there is no file of annotations."""
        return self.micrograph.image_path

    def read(self) -> Micrograph:
        """The micrograph that is held."""
        return self.micrograph


@dataclass(frozen=True, eq=False, slots=True)
class Source:
    """What ``Format.open`` found.

    Attributes:
        format: Its name.
        entries: Sorted by name.
        classes: The class list that the format itself holds, in its order (COCO's categories, ``data.yaml``); None
            where only the instances tell.
        unannotated: Images that no annotation names; they are no background and take no part.
        problems: What is wrong with a file that annotates many images, and belongs to none of the entries.
        split: ``train``, ``val`` or ``test`` by name of the micrograph, where the files themselves say so.
    """

    format: str
    entries: tuple[MicrographRef, ...]
    classes: tuple[str, ...] | None = None
    unannotated: tuple[Path, ...] = ()
    problems: "tuple[Problem, ...]" = ()
    split: Mapping[str, str] | None = None
