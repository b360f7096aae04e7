"""What a metric is to everything that shows it: its column, its names, its unit, its meaning, its place."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from nanoseg_bench.metrics.matching import ImageOverlap

Group = Literal[
    "precision", "over_folds", "operating_point", "detection", "marks", "counts", "sizes", "particles", "protocol",
    "literature", "ood", "robustness", "timing", "cost", "difference",
]  # fmt: skip
"""Metrics that are made, and stand in a table, together."""

Better = Literal["higher", "lower", "zero", ""]
"""Which values are good; empty where none is better than another."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """Place in the table of a terminal.

    Attributes:
        place: Columns stand in this order.
        turn: Columns join in this order while they fit; those of turn 0 are always there.
        heading: Where the one of ``Metric.in_line`` is too long.
    """

    place: int
    turn: int
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """Where a metric stands besides the CSV files; numbers are places, in any steps, None leaves it out.

    Average precisions have no place of their own: classes and folds of the set decide which of them lead.

    Attributes:
        page: Among the columns of the page's first table.
        bar: Whether its interval is drawn there.
        terminal: In a terminal.
        markdown: In a README's table.
        figure: Among the panels of bars.
        card: Among the scores of a model card.
    """

    page: int | None = None
    bar: bool = False
    terminal: Terminal | None = None
    markdown: int | None = None
    figure: int | None = None
    card: int | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A column of the leaderboards that is a number, and all that is said of it anywhere.

    Attributes:
        name: In records and CSV files, ``<metric>[_<qualifier>][_<unit>]``.
        group: With which others it is made.
        meaning: As ``leaderboards/README.md`` explains it, in Markdown; empty where ``explained_with`` does.
        explained_with: The metric whose line there explains this one too.
        hint: Shorter, where the pointer rests on the page's heading; by default the meaning.
        heading: Of a column, its unit in a line below.
        short: Heading and unit in one line; by default just these.
        title: In words, for figures and model cards; by default the heading.
        unit: That is shown.
        digits: After the decimal point.
        factor: From the CSV's unit to the one that is shown.
        signed: Whether a plus sign is shown.
        better: Which values are good.
        interval: Whether ``<name>_lo`` and ``<name>_hi`` follow it.
        whole: Whether it is a whole number.
        text: Whether it is a word, no number.
        needs_recall: Whether it is empty where a model finds so few particles that it would say nothing of all.
        of_the_device: Whether it says as much of the device as of the model: compared only among rows of one device.
        also: Further tables that have it: ``ood``, ``classes``, ``modality``.
        shown: Where else it stands.
        of_detections: The metric as a function of the images with their detections at the operating point; None for
            one that needs more than these, and is made in ``evaluation/``. Its group is ``detection``, ``counts`` or
            ``literature``.
    """

    name: str
    group: Group
    meaning: str = ""
    explained_with: str = ""
    hint: str = ""
    heading: str = ""
    short: str = ""
    title: str = ""
    unit: str = ""
    digits: int = 3
    factor: float = 1.0
    signed: bool = False
    better: Better = ""
    interval: bool = False
    whole: bool = False
    text: bool = False
    needs_recall: bool = False
    of_the_device: bool = False
    also: tuple[str, ...] = ()
    shown: Shown = Shown()
    of_detections: Callable[[Sequence[ImageOverlap]], float | None] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The metric's columns: its own, and where it has an interval those of both ends."""
        return (self.name, f"{self.name}_lo", f"{self.name}_hi") if self.interval else (self.name,)

    @property
    def about(self) -> str:
        """What it means, without Markdown; empty where nothing but ``explained_with`` says it."""
        return self.hint or self.meaning.replace("`", "").replace("**", "")

    @property
    def in_line(self) -> str:
        """Heading with its unit, in one line."""
        return self.short or f"{self.heading or self.name} {self.unit}".rstrip()

    @property
    def in_words(self) -> str:
        """What a sentence calls the metric, without its unit."""
        return self.title or self.heading or self.name

    @property
    def digits_unscaled(self) -> int:
        """Digits of the CSV's unit that are as exact as those that are shown."""
        return max(self.digits + round(math.log10(self.factor)), 0)
