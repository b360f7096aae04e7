"""What a person did to the outlines of a model, as tables of particles tell it."""

from dataclasses import dataclass

import pandas as pd

from nanoseg_bench.annotations.instance import BY_HAND
from nanoseg_bench.measure.particles import REMOVED, reasons_of
from nanoseg_bench.wording import counted, shortened

_MOST_NUMBERS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class HandWork:
    """Numbers of outlines.

    Attributes:
        removed: Of the model, taken out.
        changed: Of the model, with another outline or class, or counted against a rule.
        drawn: Added. What was drawn and deleted again is none.
    """

    removed: int = 0
    changed: int = 0
    drawn: int = 0

    @property
    def total(self) -> int:
        """All that are not as the model left them."""
        return self.removed + self.changed + self.drawn

    @property
    def sentence(self) -> str:
        """``removed 2 outlines, changed 1 outline and drew 3 outlines``; empty where nothing was done."""
        did = (("removed", self.removed), ("changed", self.changed), ("drew", self.drawn))
        done = [f"{verb} {counted(number, 'outline')}" for verb, number in did if number]
        return " and ".join(filter(None, [", ".join(done[:-1]), done[-1]])) if done else ""


def hand_work(particles: pd.DataFrame) -> HandWork:
    """What a person did to the particles of a table."""
    removed = is_removed(particles)
    changed, drawn = (particles["origin"].eq(origin).fillna(False).astype(bool) for origin in BY_HAND)
    return HandWork(
        removed=int((removed & ~drawn).sum()),
        changed=int((changed & ~removed).sum()),
        drawn=int((drawn & ~removed).sum()),
    )


def is_removed(particles: pd.DataFrame) -> pd.Series:
    """Which rows a person took out."""
    removed = [REMOVED in reasons_of(cell) for cell in particles["exclusion"]]
    return pd.Series(removed, index=particles.index, dtype=bool)


def removed_numbers(particles: pd.DataFrame) -> str:
    """The particles that a person took out, by micrograph where there are several: ``a.tif: 3, 7; b.tif: 1``."""
    removed = particles[is_removed(particles) & ~particles["origin"].eq("drawn").fillna(False).astype(bool)]
    several = particles["image"].nunique() > 1
    found = []
    for image, rows in removed.groupby("image", sort=False):
        numbers = shortened([str(number) for number in rows["particle"]], _MOST_NUMBERS)
        found.append(f"{image}: {numbers}" if several else numbers)
    return "; ".join(found)
