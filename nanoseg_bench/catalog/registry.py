"""The data sets that have a card: finding them, reading them, and their fixed splits."""

import csv
import difflib
from collections.abc import Sequence
from pathlib import Path

from nanoseg_bench.annotations.instance import Micrograph
from nanoseg_bench.annotations.labelme import read_labelme_folder
from nanoseg_bench.catalog.card import Card, read_card
from nanoseg_bench.catalog.emps import read_emps
from nanoseg_bench.errors import DatasetError, UsageError
from nanoseg_bench.resources import resource_dir

SPLIT_NAMES = ("train", "val", "test")


def cards() -> list[Card]:
    """Every card, sorted by name."""
    return [read_card(path) for path in sorted(resource_dir("datasets").glob("*/card.yaml"))]


def load_card(name: str) -> Card:
    """The card of one data set.

    Raises:
        UsageError: There is none of this name.
    """
    paths = {path.parent.name: path for path in resource_dir("datasets").glob("*/card.yaml")}
    if name not in paths:
        close = difflib.get_close_matches(name.lower(), paths, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"no data set {name!r}; {hint}there are: {', '.join(sorted(paths))}")
    return read_card(paths[name])


def read_dataset(card: Card, source: Path) -> list[Micrograph]:
    """Read a data set that lies on disk, and check it against its card.

    A rendered data set is read like any LabelMe folder, with its out-of-distribution classes; its numbers are not
    checked, since any number of images can be rendered.

    Args:
        card: Its card.
        source: The folder that holds it.

    Returns:
        Micrographs sorted by name.

    Raises:
        DatasetError: Files are missing, or the numbers differ from the card's.
        AnnotationError: An annotation is malformed.
        ImageError: An image cannot be read.
    """
    if not source.is_dir():
        raise DatasetError(f"{source}: no such folder; get {card.name} from {card.source} and give its folder")
    if card.format == "nanosynth":
        return read_labelme_folder(source, (*card.classes, *card.ood_classes))
    if card.format == "emps":
        micrographs = read_emps(source, card.classes[0])
    else:
        micrographs = read_labelme_folder(source, card.classes)
    _verify(card, source, micrographs)
    return micrographs


def read_split(card: Card, split_name: str) -> dict[str, str]:
    """A fixed split: ``train``, ``val`` or ``test`` by micrograph name.

    Raises:
        UsageError: The card has no split of this name.
        DatasetError: The file is missing or malformed.
    """
    if split_name not in card.splits:
        there_are = ", ".join(card.splits) or "none"
        raise UsageError(f"data set {card.name!r} has no split {split_name!r}; there are: {there_are}")
    path = card.splits[split_name]
    if not path.is_file():
        raise DatasetError(f"{path}: the split file of {card.name!r} is missing; reinstall nanoseg-bench")
    split: dict[str, str] = {}
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream)
        if rows.fieldnames != ["name", "split"]:
            raise DatasetError(f"{path}: columns {rows.fieldnames}, expected name,split")
        for line, row in enumerate(rows, start=2):
            if row["split"] not in SPLIT_NAMES or not row["name"]:
                expected = ", ".join(SPLIT_NAMES)
                raise DatasetError(f"{path}, line {line}: split {row['split']!r}, expected one of {expected}")
            if row["name"] in split:
                raise DatasetError(f"{path}, line {line}: {row['name']!r} stands there twice; keep one line")
            split[row["name"]] = row["split"]
    return split


def _verify(card: Card, source: Path, micrographs: Sequence[Micrograph]) -> None:
    labels = [{instance.label for instance in micrograph.instances} for micrograph in micrographs]
    checks: list[tuple[str, int | None, int]] = [
        ("images", card.checks.images, len(micrographs)),
        ("instances", card.checks.instances, sum(len(micrograph.instances) for micrograph in micrographs)),
    ]
    checks += [
        (f"images with {name}", expected, sum(name in shown for shown in labels))
        for name, expected in card.checks.images_with.items()
    ]
    faults = [f"{found} {what}, expected {number}" for what, number, found in checks if number not in (None, found)]
    if faults:
        raise DatasetError(
            f"{source}: not the complete {card.name}: {'; '.join(faults)}; get it again from {card.source} "
            f"(revision {card.revision}), or read your own folder with --labelme"
        )
