"""The preview's charts: splits side by side, each as a share of its own total, so that unlike sizes compare.

Their texts are in English only: matplotlib has no glyphs for the class names of the world, which the page itself draws.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from nanoseg_bench.drawing.charts import blank_chart, log_axis
from nanoseg_bench.wording import thousands_apart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Told apart with any colour vision (Okabe and Ito), and by the dashes.
SPLIT_COLOURS = {"train": "#0072b2", "val": "#d55e00", "test": "#00795a", "ood": "#8e3b7d", "hrtem": "#6b5b00"}
_DASHES: dict[str, Any] = {
    "train": "-",
    "val": (0, (6, 2)),
    "test": (0, (2, 1.4)),
    "ood": (0, (6, 2, 1.5, 2)),
    "hrtem": (0, (6, 2, 1.5, 2, 1.5, 2)),
}

_WIDTH = 5.0  # inches; the page scales the chart to its column
_SIZE_BINS = 28
_MAX_SINGLE_COUNTS = 10


def size_chart(samples: Sequence[tuple[str, NDArray[np.float64]]], unit: str) -> Figure:
    """Steps: distribution of the equivalent diameter in each split, on a logarithmic axis."""
    samples = [(split, values) for split, values in samples if len(values)]
    figure, axes = blank_chart(_WIDTH, 3.0)
    if samples:
        edges = _size_edges(
            float(min(values.min() for _, values in samples)), float(max(values.max() for _, values in samples))
        )
        for split, values in samples:
            counts, _ = np.histogram(values, edges)
            label = f"{split} ({thousands_apart(len(values))})"
            axes.stairs(
                _percent(counts),
                edges,
                color=SPLIT_COLOURS[split],
                linestyle=_DASHES[split],
                linewidth=1.6,
                label=label,
                fill=False,
            )
        log_axis(axes, float(edges[0]), float(edges[-1]))
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"equivalent diameter, {unit}")
    axes.set_ylabel("% of the split's particles")
    axes.grid(visible=True)
    _legend(figure, axes)
    return figure


def count_chart(samples: Sequence[tuple[str, NDArray[np.int64]]], xlabel: str, ylabel: str) -> Figure:
    """Bars: how often small and large counts occur in each split; see ``_count_edges``."""
    highest = max((int(values.max()) for _, values in samples if len(values)), default=0)
    lowest = min((int(values.min()) for _, values in samples if len(values)), default=0)
    edges = _count_edges(lowest, highest)
    labels = [_range(low, high - 1) for low, high in pairwise(edges)]
    figure, axes = blank_chart(_WIDTH, 3.0)
    thickness = 0.84 / max(len(samples), 1)
    for number, (split, values) in enumerate(samples):
        counts, _ = np.histogram(values, edges)
        places = np.arange(len(labels)) + (number - (len(samples) - 1) / 2) * thickness
        label = f"{split} ({thousands_apart(len(values))})"
        axes.bar(places, _percent(counts), thickness * 0.9, color=SPLIT_COLOURS[split], label=label)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.grid(axis="y")
    _legend(figure, axes)
    return figure


def _legend(figure: Figure, axes: "Axes") -> None:
    handles, labels = axes.get_legend_handles_labels()
    # Outside, above the axes: nowhere in the way of the data.
    figure.legend(
        handles, labels, loc="outside upper left", ncols=max(len(labels), 1), handlelength=1.8, columnspacing=1.4,
        borderpad=0.1,
    )  # fmt: skip


def _size_edges(lowest: float, highest: float) -> NDArray[np.float64]:
    """Logarithmic, with an empty bin at either end, so that every distribution comes down to zero inside the frame."""
    lowest, highest = lowest * 0.999, max(highest, lowest * 1.5) * 1.001
    step = (highest / lowest) ** (1 / _SIZE_BINS)
    return np.asarray(lowest * step ** np.arange(-1.0, _SIZE_BINS + 2), dtype=np.float64)


def _count_edges(lowest: int, highest: int) -> list[int]:
    """One class per count where there are few of them, else classes that double in width; 0 stands alone."""
    if highest - lowest < _MAX_SINGLE_COUNTS:
        return list(range(lowest, highest + 2))
    edges = [1]
    while edges[-1] <= highest:
        edges.append(edges[-1] * 2)
    if lowest == 0:
        edges.insert(0, 0)
    while len(edges) > 2 and edges[1] <= lowest:
        edges.pop(0)
    return edges


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}–{high}"


def _percent(counts: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(100.0 * counts / max(counts.sum(), 1), dtype=np.float64)
