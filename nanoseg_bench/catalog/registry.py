"""The data sets that have a card: finding them, reading them, and their fixed splits.

Cards lie in ``datasets/<name>/card.yaml``: those of this package, and those of the user in the folder ``datasets`` of
the working directory, where ``data``, ``runs`` and ``leaderboards`` lie, too. A name means one data set, so a card of
the user that has a name of ours is refused.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from nanoseg_bench.annotations.readers import open_source
from nanoseg_bench.annotations.source import Source
from nanoseg_bench.catalog.card import Card, read_card
from nanoseg_bench.catalog.emps import open_emps
from nanoseg_bench.errors import DatasetError, UsageError
from nanoseg_bench.resources import resource_dir
from nanoseg_bench.wording import did_you_mean

CARD_FILE = "card.yaml"
OWN_CARDS = Path("datasets")
"""The user's cards, below the working directory."""


def cards() -> list[Card]:
    """Every card, sorted by name: ours and the user's.

    Raises:
        DatasetError: A card is malformed, has another name than its folder, or a name of ours.
    """
    return [_read(name, path) for name, path in sorted(_card_paths().items())]


def load_card(name: str) -> Card:
    """The card of one data set.

    Raises:
        UsageError: There is none of this name.
        DatasetError: It is malformed, has another name than its folder, or a name of ours.
    """
    paths = _card_paths()
    if name not in paths:
        hint = did_you_mean(name, paths)
        raise UsageError(
            f"no data set {name!r}; {hint}there are: {', '.join(sorted(paths))}; one of your own has its card in "
            f"{OWN_CARDS / name / CARD_FILE}"
        )
    return _read(name, paths[name])


def _card_paths() -> dict[str, Path]:
    ours = {path.parent.name: path for path in resource_dir("datasets").glob(f"*/{CARD_FILE}")}
    own = {path.parent.name: path for path in OWN_CARDS.glob(f"*/{CARD_FILE}")}
    for name in ours.keys() & own.keys():
        if not own[name].samefile(ours[name]):  # it is where this package's repository is the working directory
            raise DatasetError(
                f"{own[name]}: {name!r} is a data set of nanoseg-bench; give your card and its folder another name"
            )
    return own | ours


def _read(name: str, path: Path) -> Card:
    card = read_card(path)
    if card.name != name:
        raise DatasetError(f"{path}: its name is {card.name!r}, and its folder's {name!r}; make them the same")
    return card


def open_dataset(card: Card, source: Path) -> Source:
    """Find the micrographs of a data set that lies on disk.

    Args:
        card: Its card.
        source: The folder that holds it.

    Raises:
        UsageError: There is no such folder.
        DatasetError: Files of it are missing.
        AnnotationError: The folder holds no annotations.
    """
    if not source.is_dir():
        raise UsageError(f"{source}: no such folder; get {card.name} from {card.source} and give its folder")
    if card.format == "emps":
        return open_emps(source, card.classes[0])
    annotation_format = "labelme" if card.format == "nanosynth" else card.format
    return open_source(source, annotation_format, classes=card.classes)


def split_path(card: Card, split_name: str) -> Path:
    """The file of a fixed split, which ``preparation.split.read_split_file`` reads.

    Raises:
        UsageError: The card has no split of this name.
        DatasetError: The file is missing.
    """
    if split_name not in card.splits:
        there_are = ", ".join(card.splits) or "none"
        raise UsageError(f"data set {card.name!r} has no split {split_name!r}; there are: {there_are}")
    path = card.splits[split_name]
    if not path.is_file():
        raise DatasetError(
            f"{path}: the split file of {card.name!r} is missing; mend its card, or reinstall nanoseg-bench"
        )
    return path


def verify_dataset(card: Card, source: Path, shown: Sequence[Mapping[str, int]]) -> None:
    """Check a data set that was read against the numbers on its card.

    The numbers of a rendered data set are not checked, since any number of images can be rendered.

    Args:
        card: Its card.
        source: The folder that holds it, for the message.
        shown: Per micrograph, the number of particles by class name.

    Raises:
        DatasetError: The numbers differ from the card's.
    """
    if card.format == "nanosynth":
        return
    checks: list[tuple[str, int | None, int]] = [
        ("images", card.checks.images, len(shown)),
        ("instances", card.checks.instances, sum(sum(labels.values()) for labels in shown)),
    ]
    checks += [
        (f"images with {name}", expected, sum(name in labels for labels in shown))
        for name, expected in card.checks.images_with.items()
    ]
    faults = [f"{found} {what}, expected {number}" for what, number, found in checks if number not in (None, found)]
    if faults:
        raise DatasetError(
            f"{source}: not the complete {card.name}: {'; '.join(faults)}; get it again from {card.source} "
            f"(revision {card.revision}), or read your own folder with --labelme"
        )
