"""The options that say how a folder of annotations is to be read, shared by the verbs that read one."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.cli.mask_flags import add_mask_flags, mask_options_of
from nanoseg_bench.errors import UsageError

if TYPE_CHECKING:
    from nanoseg_bench.annotations.source import Source

# The words are repeated here, so that --help needs none of the modules that read files.
FORMATS = ("labelme", "via", "coco", "yolo", "masks")


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Add the groups ``reading annotations`` and ``reading masks``."""
    reading = parser.add_argument_group("reading annotations")
    reading.add_argument(
        "--from",
        dest="source_format",
        choices=("auto", *FORMATS),
        default="auto",
        help="format of the annotations (default: %(default)s)",
    )
    reading.add_argument(
        "--image-folder", type=Path, metavar="DIR", help="via, coco, masks: where the images are, if not beside"
    )
    reading.add_argument("--label-attribute", metavar="NAME", help="via: the region attribute that names the class")
    add_mask_flags(parser)


def open_from(
    arguments: argparse.Namespace, path: Path, classes: tuple[str, ...] | None, extract_to: Path | None = None
) -> "Source":
    """Open ``path`` as the options say.

    Args:
        arguments: Of a parser with ``add_source_options``.
        path: Folder or file.
        classes: The class list, where the user gives one.
        extract_to: Where images go that exist only inside their JSON.
    """
    from nanoseg_bench.annotations.doors import open_source

    return open_source(
        path,
        arguments.source_format,
        image_folder=arguments.image_folder,
        extract_to=extract_to,
        classes=classes,
        label_attribute=arguments.label_attribute,
        masks=mask_options_of(arguments, classes),
    )


def parse_classes(text: str | None) -> tuple[str, ...] | None:
    """``a, b`` to ("a", "b"); None stays None.

    Raises:
        UsageError: There is no name, or one stands there twice.
    """
    if text is None:
        return None
    classes = tuple(part.strip() for part in text.split(",") if part.strip())
    if not classes or len(set(classes)) < len(classes):
        raise UsageError(f"--classes {text!r}: give different names with commas between them, e.g. --classes cube,rod")
    return classes
