"""The card of a data set: what it is, where it comes from, what it must hold. One file, ``datasets/<name>/card.yaml``.

A published card is not edited when its data turn out wrong: a new one joins it, and ``superseded_by`` points there.
"""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from nanoseg_bench.annotations.registry import READ
from nanoseg_bench.errors import DatasetError
from nanoseg_bench.files import read_yaml

OWN_FORMATS = ("emps", "nanosynth")
"""What only data sets with a card come in.

``emps``: images, instance maps and a CSV, as in the EMPS repository.
``nanosynth``: rendered by this package, as LabelMe JSON and PNG.
"""


def _known_format(name: str) -> str:
    known = (*READ, *OWN_FORMATS)
    if name not in known:
        expected = f"{', '.join(map(repr, known[:-1]))} or {known[-1]!r}"
        raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
    return name


DataFormat = Annotated[str, AfterValidator(_known_format)]
"""How the data lie on disk: a format of annotations, or one of ``OWN_FORMATS``."""


def _different(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise PydanticCustomError("names_twice", "{name} stands there twice", {"name": repr(twice)})
    return names


ClassNames = Annotated[tuple[str, ...], AfterValidator(_different)]
"""Class names in the order of their indices."""


class Checks(BaseModel):
    """What the data must hold when they are complete; a number that is left out is not checked.

    Attributes:
        images: Number of micrographs.
        instances: Number of particles.
        images_with: Micrographs that show a class, by class name; one may show several.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int | None = None
    instances: int | None = None
    images_with: dict[str, int] = Field(default_factory=dict)


class Card(BaseModel):
    """One data set.

    Attributes:
        name: Kebab-case id, the same as the folder's name.
        title: One line.
        description: What is shown, how it was taken and annotated, and what to know before trusting it.
        format: How it lies on disk.
        classes: Class names in the order of their indices.
        ood_classes: Classes that occur in the out-of-distribution part only; no model is trained on them.
        source: Where to get it.
        revision: Which state of the source is meant.
        licence: SPDX identifier.
        citation: What to cite.
        references: What else it rests on.
        pixel_values: What the values of images and instance maps mean.
        source_group: What keeps images together in a split.
        splits: CSV files of fixed splits (``name,split``), relative to the card, by name.
        splits_note: How the fixed splits were made.
        default_split: The fixed split that is taken unless asked otherwise; None makes one from the source groups.
        checks: What the data must hold.
        superseded_by: Name of the card that replaces this one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    title: str
    description: str
    format: DataFormat
    classes: ClassNames = Field(min_length=1)
    ood_classes: ClassNames = ()
    source: str
    revision: str
    licence: str
    citation: str
    references: tuple[str, ...] = ()
    pixel_values: str
    source_group: str
    splits: dict[str, Path] = Field(default_factory=dict)
    splits_note: str = ""
    default_split: str | None = None
    checks: Checks = Checks()
    superseded_by: str | None = None


def read_card(path: Path) -> Card:
    """Read a ``card.yaml``; the paths of its splits become absolute.

    Raises:
        DatasetError: The file is missing or does not describe a data set; the message names the field.
    """
    try:
        card = Card.model_validate(read_yaml(path))
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such card") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'card'}: {fault['msg']}" for fault in error.errors())
        raise DatasetError(f"{path}: {faults}") from error
    except ValueError as error:
        raise DatasetError(f"{path}: not YAML in UTF-8 ({error})") from error
    if card.default_split is not None and card.default_split not in card.splits:
        raise DatasetError(f"{path}: default_split {card.default_split!r} is not one of {', '.join(card.splits)}")
    return card.model_copy(update={"splits": {name: path.parent / file for name, file in card.splits.items()}})
