"""What of a table of particles is shown, in which unit and groups: the same in all charts, tables and pictures."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nanoseg_bench.measure.columns import column_of
from nanoseg_bench.measure.sample import Unit
from nanoseg_bench.measure.shape_names.namer import shipped_namer

UNNAMED = "particle"
"""Group of what has neither class nor shape."""


def grouping_column(particles: pd.DataFrame) -> Literal["class", "shape"]:
    """What tells particles apart: the class where there are several, else the shape of the outline where named."""
    several_classes = particles["class"].nunique() > 1
    return "shape" if not several_classes and particles["shape"].notna().any() else "class"


def group_of(particles: pd.DataFrame, column: Literal["class", "shape"]) -> pd.Series:
    """The group of each row."""
    return particles[column].where(particles[column].notna(), UNNAMED).astype(str)


def groups_in_order(particles: pd.DataFrame, classes: Sequence[str] = ()) -> list[str]:
    """The groups in the order of their colours, which are the same in each micrograph and sample of a model.

    Those that may be there, found or not: the classes of the model, or all shapes that outlines are named by. Then
    those of the table that are none of them, by their number of particles.

    Args:
        particles: All, so that a group has its colour even where none of it counts.
        classes: In the order of the model.
    """
    column = grouping_column(particles)
    known = list(shipped_namer().names if column == "shape" else classes)
    found = group_of(particles, column).value_counts()
    others = (name for name in found.index if name not in known)
    return known + sorted(others, key=lambda name: (-found[name], name))


def values_by_group(
    particles: pd.DataFrame, group: pd.Series, quantity: str, unit: Unit, groups: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """The measured values of a quantity by group; each group is there, also an empty one.

    Args:
        particles: What is shown.
        group: Of each of their rows.
        quantity: Of ``measure.columns``.
        unit: Of lengths.
        groups: In their order.
    """
    values = particles[column_of(quantity, unit).name]
    return {name: values[(group == name) & values.notna()].to_numpy(dtype=np.float64) for name in groups}


def points_by_group(
    particles: pd.DataFrame, group: pd.Series, quantities: tuple[str, str], unit: Unit, groups: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """(n, 2) values of two quantities by group, where both were measured; arguments as for ``values_by_group``."""
    names = [column_of(quantity, unit).name for quantity in quantities]
    measured = particles[names].notna().all(axis=1)
    return {name: particles.loc[(group == name) & measured, names].to_numpy(dtype=np.float64) for name in groups}


def has_values(values: Mapping[str, NDArray[np.float64]]) -> bool:
    """Whether any group has one."""
    return any(len(each) for each in values.values())
