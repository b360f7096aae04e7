"""Particles on a micrograph, drawn in original pixels: filled, outlined, each told apart from those beside it."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Rle
from nanoseg_bench.annotations.raster import bounding_box
from nanoseg_bench.annotations.tracing import trace
from nanoseg_bench.html.charts import SOFT
from nanoseg_bench.leaderboard.figures.style import SMALL_SIZE
from nanoseg_bench.preparation.overlays import class_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Colour = tuple[float, float, float]

UNMATCHED: Colour = (1.0, 1.0, 1.0)
IGNORED: Colour = (0.78, 0.78, 0.78)

PARTICLE_COLOURS: tuple[Colour, ...] = tuple(
    (red / 255, green / 255, blue / 255) for red, green, blue in class_colours([str(n) for n in range(8)]).values()
)
"""Light and saturated, so that they are seen on grey micrographs."""

_OPACITY = 0.32
_LINE, _RIM = 0.9, 1.9  # points
_HATCH = "//////"
_TOUCHING = 3.0  # px between bounding boxes below which two particles must not look alike


def show_micrograph(axes: "Axes", pixels: NDArray[np.uint8], size: tuple[int, int]) -> None:
    """Draw a micrograph in coordinates of its original pixels, (0, 0) being the outer corner of the first one.

    Args:
        axes: Their frame stays, ticks go.
        pixels: (h, w[, 3]) uint8, at any resolution.
        size: (width, height) of the original.
    """
    width, height = size
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, extent=(0.0, width, height, 0.0), aspect="auto")
    axes.set_autoscale_on(False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color=SOFT, linewidth=0.5)


def draw_particles(axes: "Axes", masks: Sequence[Rle], colours: Sequence[Colour], *, hatched: bool = False) -> None:
    """Draw masks: translucent, or hatched, with an outline along the edges of their pixels over a dark rim."""
    outlines = [_path(mask) for mask in masks]
    drawn = [(path, colour) for path, colour in zip(outlines, colours, strict=True) if path is not None]
    if not drawn:
        return
    paths, lines = [path for path, _ in drawn], [colour for _, colour in drawn]
    if hatched:
        fill = PathCollection(paths, facecolors="none", edgecolors=[(*c, 0.6) for c in lines], linewidths=0)
        fill.set_hatch(_HATCH)
    else:
        fill = PathCollection(paths, facecolors=[(*colour, _OPACITY) for colour in lines], linewidths=0)
    rim = PathCollection(paths, facecolors="none", edgecolors=(0, 0, 0, 0.6), linewidths=_RIM)
    line = PathCollection(paths, facecolors="none", edgecolors=lines, linewidths=_LINE)
    for layer in (fill, rim, line):
        axes.add_collection(layer, autolim=False)


def choose_colours(masks: Sequence[Rle]) -> list[Colour]:
    """A colour for each mask, so that masks whose bounding boxes touch differ wherever the palette allows it."""
    boxes = np.array([bounding_box(mask) for mask in masks], dtype=np.float64).reshape(-1, 4)
    first, last = boxes[:, :2] - _TOUCHING, boxes[:, :2] + boxes[:, 2:] + _TOUCHING
    touching = np.all((first[:, None] < last[None]) & (first[None] < last[:, None]), axis=2)
    chosen = np.empty(len(masks), dtype=np.intp)
    for number in range(len(masks)):
        taken = np.bincount(chosen[:number][touching[number, :number]], minlength=len(PARTICLE_COLOURS))
        # Round the palette, so that all of it is used; of equally free colours, the next one.
        order = (np.arange(len(PARTICLE_COLOURS)) + number) % len(PARTICLE_COLOURS)
        chosen[number] = order[taken[order].argmin()]
    return [PARTICLE_COLOURS[number] for number in chosen]


def draw_scale_bar(axes: "Axes", size: tuple[int, int], nm_per_px: float, ignored: Sequence[Rle] = ()) -> None:
    """A bar of a round length, at most a third of the micrograph, in its lower left corner.

    Args:
        axes: Of ``show_micrograph``.
        size: (width, height) of the original, px.
        nm_per_px: Its scale.
        ignored: Ignore regions; the bar stands above those at the foot, such as the instrument's info bar.
    """
    width, height = size
    longest = width * nm_per_px / 3
    decade = 10.0 ** math.floor(math.log10(longest))
    length = max(step * decade for step in (1, 2, 5) if step * decade <= longest)
    left, foot = width * 0.05, height * 0.94
    for x, y, _, box_height in map(bounding_box, ignored):
        if x < width / 2 and y > height / 2 and y + box_height > height * 0.85:
            foot = min(foot, y - height * 0.04)
    right = left + length / nm_per_px
    axes.plot(
        (left, right), (foot, foot), color="white", linewidth=2.2, solid_capstyle="butt",
        path_effects=[withStroke(linewidth=3.4, foreground="black", alpha=0.7)],
    )  # fmt: skip
    text = f"{length:g} nm" if length < 1000 else f"{length / 1000:g} µm"
    axes.annotate(
        text, ((left + right) / 2, foot), (0, 3), textcoords="offset points", ha="center", va="bottom",
        color="white", fontsize=SMALL_SIZE, path_effects=[withStroke(linewidth=1.8, foreground="black", alpha=0.8)],
    )  # fmt: skip


def _path(mask: Rle) -> Path | None:
    """One compound path; None for an empty mask."""
    rings = []
    for part in trace(mask):
        rings.append(_turned(part.exterior, clockwise=True))
        # Whatever lies left of an odd number of outlines more than right is filled: holes run the other way round.
        rings += [_turned(hole, clockwise=False) for hole in part.holes]
    if not rings:
        return None
    codes = [np.array([Path.MOVETO, *[Path.LINETO] * (len(ring) - 1), Path.CLOSEPOLY], np.uint8) for ring in rings]
    points = [np.concatenate((ring, ring[:1])) for ring in rings]
    return Path(np.concatenate(points), np.concatenate(codes))


def _turned(ring: NDArray[np.float64], *, clockwise: bool) -> NDArray[np.float64]:
    x, y = ring.T
    area = float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
    return ring if (area > 0) == clockwise else ring[::-1]
