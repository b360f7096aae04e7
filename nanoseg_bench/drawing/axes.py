"""Micrographs, outlines and scale bars in axes of matplotlib, in coordinates of the micrograph's pixels."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from nanoseg_bench.drawing.charts import SOFT
from nanoseg_bench.drawing.colours import css
from nanoseg_bench.drawing.outlines import DASHES, TINT, Outline, Size
from nanoseg_bench.drawing.scale_bar import ScaleBar

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINE = 0.9  # points; the dark rim adds half a point on either side
_HATCH, _HATCH_OPACITY = "//////", 0.6


def show_micrograph(
    axes: "Axes", pixels: NDArray[np.uint8], size: Size, aspect: Literal["auto", "equal"] = "auto"
) -> None:
    """Draw a micrograph in coordinates of its original pixels, (0, 0) being the outer corner of the first one.

    Args:
        axes: Their frame stays, ticks go.
        pixels: (h, w[, 3]) uint8, at any resolution.
        size: (width, height) of the original.
        aspect: ``auto`` fills the axes, ``equal`` keeps pixels square.
    """
    width, height = size
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, extent=(0.0, width, height, 0.0), aspect=aspect)
    axes.set_autoscale_on(False)
    frame_only(axes)


def frame_only(axes: "Axes") -> None:
    """Take ticks away and leave a thin frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color=SOFT, linewidth=0.5)


def draw_outlines(axes: "Axes", outlines: Sequence[Outline]) -> None:
    """Draw outlines; lines lie over all rims, so that none is covered by a neighbour's.

    Args:
        axes: Of ``show_micrograph``.
        outlines: In pixels of the micrograph; empty masks leave nothing.
    """
    drawn = [(Path.make_compound_path(*map(_closed, rings)), each) for each in outlines if (rings := each.rings)]
    if not drawn:
        return
    paths, colours = [path for path, _ in drawn], [css(each.colour) for _, each in drawn]
    widths = [_LINE / 2 if each.thin else _LINE for _, each in drawn]
    styles = [(0.0, DASHES) if each.dashed else "solid" for _, each in drawn]
    tints = [to_rgba(css(each.colour), TINT if each.fill == "tint" else 0.0) for _, each in drawn]
    hatched = [(path, to_rgba(css(each.colour), _HATCH_OPACITY)) for path, each in drawn if each.fill == "hatch"]
    stripes = PathCollection(
        [path for path, _ in hatched], facecolors="none", edgecolors=[colour for _, colour in hatched], linewidths=0
    )
    stripes.set_hatch(_HATCH)
    for layer in (
        PathCollection(paths, facecolors=tints, linewidths=0),
        stripes,
        PathCollection(
            paths, facecolors="none", edgecolors=(0, 0, 0, 0.6), linewidths=[width + 1.0 for width in widths]
        ),
        PathCollection(paths, facecolors="none", edgecolors=colours, linewidths=widths, linestyles=styles),
    ):
        axes.add_collection(layer, autolim=False)


def draw_scale_bar(axes: "Axes", bar: ScaleBar, text_size: float) -> None:
    """Draw a white bar with a dark rim and its length above it.

    Args:
        axes: Of ``show_micrograph``.
        bar: In pixels of the micrograph.
        text_size: Points.
    """
    axes.plot(
        (bar.left, bar.right), (bar.y, bar.y), color="white", linewidth=2.2, solid_capstyle="butt",
        path_effects=[withStroke(linewidth=3.4, foreground="black", alpha=0.7)],
    )  # fmt: skip
    axes.annotate(
        bar.text, ((bar.left + bar.right) / 2, bar.y), (0, 3), textcoords="offset points", ha="center", va="bottom",
        color="white", fontsize=text_size, path_effects=[withStroke(linewidth=1.8, foreground="black", alpha=0.8)],
    )  # fmt: skip


def _closed(ring: NDArray[np.float64]) -> Path:
    return Path(np.concatenate((ring, ring[:1])), closed=True)
