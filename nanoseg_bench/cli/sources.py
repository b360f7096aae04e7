"""The options that say how a folder of annotations is to be read, shared by the verbs that read one."""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.annotations.coco.format import CROWDS
from nanoseg_bench.annotations.registry import READ, taking
from nanoseg_bench.cli.mask_flags import add_mask_flags, mask_options_of
from nanoseg_bench.errors import UsageError

if TYPE_CHECKING:
    from nanoseg_bench.annotations.source import Source

CLASS_WITH_COMMA = """'"core, shell",rod' for a name with a comma"""
"""How ``--classes`` takes such a name, for its help."""


def add_source_format(options: argparse._ActionsContainer, where: str = "") -> None:
    """Add ``--from``.

    Args:
        options: A parser, or a group of one.
        where: What it takes besides, for the help.
    """
    options.add_argument(
        "--from",
        dest="source_format",
        choices=("auto", *READ),
        default="auto",
        help=f"format of the annotations{where} (default: %(default)s)",
    )


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Add the groups ``reading annotations`` and ``reading masks``."""
    reading = parser.add_argument_group("reading annotations")
    add_source_format(reading)
    reading.add_argument(
        "--image-folder",
        type=Path,
        metavar="DIR",
        help=f"{taking('image_folder')}: where the images are, if not beside",
    )
    reading.add_argument("--label-attribute", metavar="NAME", help="via: the region attribute that names the class")
    reading.add_argument(
        "--iscrowd",
        choices=CROWDS,
        help="coco: what regions with iscrowd 1 are: ignore regions (default), or particles, as in CVAT's exports of "
        "masks",
    )
    reading.add_argument(
        "--drop-duplicates",
        action="store_true",
        help="of two outlines of one particle with one label, keep the first; both count otherwise",
    )
    add_mask_flags(parser)


def open_from(
    arguments: argparse.Namespace, path: Path, classes: tuple[str, ...] | None, extract_to: Path | None = None
) -> "Source":
    """Open ``path`` as the options say.

    Args:
        arguments: Of a parser with ``add_source_options`` and ``--on-error``.
        path: Folder or file.
        classes: The class list, where the user gives one.
        extract_to: Where images go that exist only inside their JSON.
    """
    from nanoseg_bench.annotations.readers import open_source

    return open_source(
        path,
        arguments.source_format,
        image_folder=arguments.image_folder,
        extract_to=extract_to,
        classes=classes,
        label_attribute=arguments.label_attribute,
        masks=mask_options_of(arguments, classes),
        iscrowd=arguments.iscrowd,
        skip_faulty=arguments.on_error == "skip",
        drop_duplicates=arguments.drop_duplicates,
    )


def parse_classes(words: Sequence[str] | None) -> tuple[str, ...] | None:
    """``a, b`` or ``a`` ``b`` to ("a", "b"), and ``"a, b",c`` to ("a, b", "c"), as in a CSV file; None stays None.

    Raises:
        UsageError: There is no name, or one stands there twice, or a quotation mark is not closed.
    """
    if words is None:
        return None
    text = " ".join(words)
    try:
        parts = [part for row in csv.reader(words, skipinitialspace=True, strict=True) for part in row]
    except csv.Error as error:
        raise UsageError(f"--classes {text!r}: {error}; write {CLASS_WITH_COMMA}") from error
    classes = tuple(part.strip() for part in parts if part.strip())
    if not classes or len(set(classes)) < len(classes):
        raise UsageError(f"--classes {text!r}: give different names, e.g. --classes cube,rod; {CLASS_WITH_COMMA}")
    return classes
