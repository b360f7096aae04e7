"""What a format of annotations is: how its files are recognised, read and written.

A format is a package here with one subclass of ``Format``, and one line in ``registry``. All verbs take it
up from there. The subclasses are imported for ``--help``, so they import what reads and writes inside their methods.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from nanoseg_bench.errors import UsageError

if TYPE_CHECKING:
    from nanoseg_bench.annotations.masks.options import MaskOptions
    from nanoseg_bench.annotations.predictions import PredictionReader
    from nanoseg_bench.annotations.source import Source
    from nanoseg_bench.annotations.writer import Writer

JSON = "JSON"
"""The ``single_file`` of formats whose annotations are a JSON value."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How a user wants annotations to be read; each format takes what it has a use for.

    Attributes:
        image_folder: Where the images are.
        extract_to: LabelMe: where to write images that are only stored inside their JSON.
        classes: YOLO: class names in the order of their numbers.
        label_attribute: VIA: the region attribute that holds the class.
        masks: How masks are read.
        iscrowd: COCO: what regions with ``iscrowd`` 1 are.
    """

    image_folder: Path | None = None
    extract_to: Path | None = None
    classes: Sequence[str] | None = None
    label_attribute: str | None = None
    masks: "MaskOptions | None" = None
    iscrowd: str | None = None

    def require_used_by(self, format: "Format") -> None:
        """Refuse an option that a format has no use for.

        Raises:
            UsageError: Names the option and the format.
        """
        these = f"and these are {format.name} annotations: leave it out"
        if self.image_folder is not None and "image_folder" not in format.options:
            raise UsageError(f"{format.name} annotations say where their images are: leave the image folder out")
        if self.iscrowd is not None and "iscrowd" not in format.options:
            raise UsageError(f"iscrowd is COCO's, {these}")
        if self.label_attribute is not None and "label_attribute" not in format.options:
            raise UsageError(f"a label attribute is VIA's, {these}")
        if self.masks is not None and "masks" not in format.options and (given := self.masks.given):
            raise UsageError(f"{', '.join(given)}: for masks, {these}")


class Format(ABC):
    """One format of annotations.

    Attributes:
        name: What ``--from`` and ``--to`` call it.
        title: What messages call it.
        single_file: What one file that holds annotations of the format is, for messages: ``JSON``, ``data.yaml``;
            empty where only folders do.
        json_start: What the first megabyte of such a JSON holds where it is too large to be parsed only for a look.
        options: The names of those ``ReadOptions`` that it has a use for, besides ``extract_to`` and ``classes``, which
            say nothing where they do not apply.
        made_of_images: Its annotations are images themselves, so that a folder of nothing but images may hold some.
        writes: It has a ``writer``.
        reads_predictions: It has a reader of ``predictions``.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    single_file: ClassVar[str] = ""
    json_start: ClassVar["re.Pattern[bytes] | None"] = None
    options: ClassVar[frozenset[str]] = frozenset()
    made_of_images: ClassVar[bool] = False
    writes: ClassVar[bool] = False
    reads_predictions: ClassVar[bool] = False

    def is_json(self, document: object) -> bool:
        """Whether a JSON value holds annotations of this format."""
        return False

    def is_file(self, path: Path) -> bool:
        """Whether a file that is no JSON holds annotations of this format, by its name."""
        return False

    def find_evidence(self, folder: Path, files: Sequence[Path]) -> str:
        """What speaks for this format in a folder besides JSON files, for messages; empty where nothing does.

        Args:
            folder: Of the annotations.
            files: Visible files in it, those at the top first; not all where there are very many.
        """
        return ""

    @abstractmethod
    def open(self, path: Path, options: ReadOptions) -> "Source":
        """List the annotated micrographs of a file or folder.

        Args:
            path: It exists.
            options: ``require_used_by`` has passed them.

        Raises:
            AnnotationError: There are none, or it is not clear which files they are.
        """

    def writer(self) -> "Writer":
        """What writes the format; only where ``writes`` says that it can be written."""
        raise NotImplementedError(f"{self.name} annotations are not written")

    def predictions(self) -> "PredictionReader":
        """What reads predictions; only where ``reads_predictions`` says that they come in this format."""
        raise NotImplementedError(f"predictions are not read from {self.name} files")
