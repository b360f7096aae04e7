"""The panels of an explanation: each draws into its axes, in original pixels, and its key into the strip below them."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from nanoseg_bench.drawing.axes import draw_outlines, show_micrograph
from nanoseg_bench.drawing.charts import INK
from nanoseg_bench.drawing.colours import class_colours, css
from nanoseg_bench.drawing.fonts import families_for
from nanoseg_bench.drawing.outlines import class_outlines
from nanoseg_bench.explanation.explanation import Explanation, Map, Point, RoutingLayer, SnakeLayer
from nanoseg_bench.preparation.letterbox import PADDING_GREY
from nanoseg_bench.wording import without_middle

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

TEXT_SIZE = 8.0  # points
_BLUE, _ORANGE = "#19d3ff", "#ffb000"  # told apart with any colour vision, and seen on grey
_DASHES = (0, (3, 2))
_OPACITY = 0.75  # of a map on the micrograph
_MAX_DIGITS = 5  # of a tick's label, after the point; five such labels fit below a panel
_ROUNDING = 0.05  # of a tick's label: the share of a step that it may be off
_MAX_LABELS = 4  # in two rows
_MAX_LETTERS = 14  # of a class name


def draw_particles(axes: "Axes", strip: "Axes", explanation: Explanation) -> None:
    """The micrograph with the outlines of its particles, in a colour per class."""
    _show_micrograph(axes, explanation)
    colours = class_colours(explanation.classes)
    height, width = explanation.pixels.shape[:2]
    draw_outlines(axes, class_outlines(explanation.instances, (width, height), colours))
    handles: list[Artist] = []
    for name, count in Counter(str(each.label) for each in explanation.instances).most_common():
        # A dollar sign would begin mathematics.
        label = f"{without_middle(name, _MAX_LETTERS)} ({count})".replace("$", r"\$")
        handles.append(Line2D([], [], color=css(colours[name]), linewidth=3, solid_capstyle="butt", label=label))
    if len(handles) > _MAX_LABELS:
        rest = len(handles) - _MAX_LABELS + 1
        handles[-rest:] = [Line2D([], [], linestyle="none", label=f"{rest} other classes")]
    _draw_key(strip, handles, columns=2)


def draw_map(axes: "Axes", strip: "Axes", explanation: Explanation, values: Map, norm: Normalize, colours: str) -> None:
    """A map over the micrograph, with its colour bar."""
    _show_micrograph(axes, explanation)
    axes.imshow(values, cmap=colours, norm=norm, extent=_extent(values), alpha=_OPACITY, interpolation="bilinear")
    bar_axes = strip.inset_axes((0.0, 0.62, 1.0, 0.2))
    # The bar shows the colours as they look on the micrograph: over its mean grey.
    bar_axes.set_facecolor(str(float(explanation.pixels.mean()) / 255))
    bar = strip.figure.colorbar(ScalarMappable(norm, colours), cax=bar_axes, orientation="horizontal", alpha=_OPACITY)
    ticks, labels = bar_ticks(float(norm.vmin or 0.0), float(norm.vmax if norm.vmax is not None else 1.0))
    bar.set_ticks(ticks, labels=labels)
    bar.ax.tick_params(labelsize=TEXT_SIZE, colors=INK, length=2, pad=1.5)
    bar.outline.set_visible(False)
    if len(ticks) > 1:
        # The outermost labels stay within the panel.
        first, *_, last = bar.ax.get_xticklabels()
        first.set_horizontalalignment("left")
        last.set_horizontalalignment("right")


def bar_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Ticks of a colour bar with as many digits as tell them apart; one where all values are the same.

    Args:
        low: Value at the left end.
        high: Value at the right end.

    Returns:
        Places and labels.
    """
    for count in (5, 3, 2):
        ticks = [float(tick) for tick in np.linspace(low, high, count)]
        step = (high - low) / (count - 1)
        for digits in range(2, _MAX_DIGITS + 1):
            labels = [f"{tick:.{digits}f}" for tick in ticks]
            # A label that is rounded stands where its number is, as far as the eye can tell.
            rounding = max(abs(float(label) - tick) for label, tick in zip(labels, ticks, strict=True))
            if len(set(labels)) == count and rounding <= _ROUNDING * step:
                return ticks, labels
    return [(low + high) / 2], [f"{(low + high) / 2:.2f}, everywhere alike"]


def draw_snakes(
    axes: "Axes", strip: "Axes", explanation: Explanation, snakes: SnakeLayer, points: Sequence[Point]
) -> None:
    """The snakes of the cells that hold ``points``, numbered, on the micrograph."""
    _show_micrograph(axes, explanation)
    for number, point in enumerate(points, start=1):
        row, column = explanation.cell_at(point, snakes)
        _draw_snake(axes, snakes, row, column, size=1.0)
        middle = snakes.along_x[row, column, snakes.along_x.shape[2] // 2]
        label = axes.annotate(
            str(number), middle, (5, 5), textcoords="offset points", color="white", fontsize=TEXT_SIZE, weight="bold"
        )
        label.set_path_effects([withStroke(linewidth=2.0, foreground="black")])
    _draw_key(strip, _snake_key())


def draw_enlarged_snake(
    axes: "Axes", strip: "Axes", explanation: Explanation, snakes: SnakeLayer, point: Point
) -> None:
    """One snake on the layer's cells, beside the points that a rigid kernel would read."""
    _show_micrograph(axes, explanation, padding=True)
    row, column = explanation.cell_at(point, snakes)
    scale_x, scale_y = explanation.letterbox.scale
    cell = np.array((snakes.cell / scale_x, snakes.cell / scale_y))
    arms = np.concatenate((snakes.along_x[row, column], snakes.along_y[row, column]))
    middle = snakes.along_x[row, column, snakes.along_x.shape[2] // 2]
    # A window of the panel's shape that holds both snakes and a cell around them, on the network's input.
    reach = np.abs(arms - middle).max(axis=0) + cell
    box = axes.get_window_extent()
    half_width = max(reach[0], reach[1] * box.width / box.height)
    half = np.array((half_width, half_width * box.height / box.width))
    first, last = _input_corners(explanation)
    x, y = np.clip(middle, np.minimum(first + half, (first + last) / 2), np.maximum(last - half, (first + last) / 2))
    axes.set_xlim(x - half[0], x + half[0])
    axes.set_ylim(y + half[1], y - half[1])
    _draw_cells(axes, explanation, cell)
    steps = (np.arange(snakes.along_x.shape[2]) - snakes.along_x.shape[2] // 2)[:, None]
    rigid = np.concatenate((middle + steps * cell * (1, 0), middle + steps * cell * (0, 1)))
    axes.plot(*rigid.T, linestyle="none", marker="+", color="white", markersize=6, markeredgewidth=1.0)
    _draw_snake(axes, snakes, row, column, size=2.0)
    rigid_key = Line2D([], [], linestyle="none", marker="+", color=INK, markersize=6, label="rigid kernel")
    _draw_key(strip, [*_snake_key(), rigid_key])


def draw_routes(axes: "Axes", strip: "Axes", explanation: Explanation, routing: RoutingLayer, query: int) -> None:
    """The regions that one region attends to, numbered from the best, on all of the network's input."""
    _show_micrograph(axes, explanation, padding=True)
    (x0, y0), (x1, y1) = _input_corners(explanation)
    axes.set_xlim(x0, x1)
    axes.set_ylim(y1, y0)
    for region in routing.regions:
        axes.add_patch(_rectangle(region, edgecolor="white", linewidth=0.5, alpha=0.5, fill=False))
    routed = [int(number) for number in routing.routes[query] if _has_area(routing.regions[number])]
    for number in routed:
        axes.add_patch(_rectangle(routing.regions[number], facecolor=_ORANGE, alpha=0.25))
        axes.add_patch(_rectangle(routing.regions[number], edgecolor=_ORANGE, linewidth=1.8, fill=False))
    axes.add_patch(_rectangle(routing.regions[query], edgecolor=_BLUE, linewidth=1.8, fill=False, linestyle=_DASHES))
    start = _centre(routing.regions[query])
    for rank, number in enumerate(routed, start=1):
        end = _centre(routing.regions[number])
        if number != query:
            axes.add_patch(
                FancyArrowPatch(
                    start, end, arrowstyle="-|>", mutation_scale=9, shrinkA=3, shrinkB=8, color="white", linewidth=1.2,
                    connectionstyle="arc3,rad=0.18",  # so that links in one line stay apart
                    path_effects=[withStroke(linewidth=2.6, foreground="black", alpha=0.7)],
                )
            )  # fmt: skip
        axes.text(
            *end, str(rank), ha="center", va="center", fontsize=TEXT_SIZE, color="black", weight="bold",
            bbox={"boxstyle": "circle,pad=0.22", "facecolor": _ORANGE, "edgecolor": "none"},
        )  # fmt: skip
    _draw_key(
        strip,
        [
            Line2D([], [], color=_BLUE, linewidth=1.8, linestyle=_DASHES, label="query region"),
            Line2D([], [], color=_ORANGE, linewidth=1.8, label="routed regions, best first"),
        ],
    )


def _show_micrograph(axes: "Axes", explanation: Explanation, padding: bool = False) -> None:
    """Draw the micrograph, and on demand the letterbox's grey padding around it."""
    if padding:
        padded = _rectangle(_input_corners(explanation).reshape(4), facecolor=str(PADDING_GREY / 255), zorder=-1)
        axes.add_patch(padded).set_clip_on(True)
    height, width = explanation.pixels.shape[:2]
    show_micrograph(axes, explanation.pixels, (width, height), "equal")


def _extent(values: NDArray[np.generic]) -> tuple[float, float, float, float]:
    """So that (0, 0) is the outer corner of the first pixel."""
    return 0.0, float(values.shape[1]), float(values.shape[0]), 0.0


def _draw_snake(axes: "Axes", snakes: SnakeLayer, row: int, column: int, size: float) -> None:
    for positions, colour, marker in ((snakes.along_x, _BLUE, "o"), (snakes.along_y, _ORANGE, "s")):
        axes.plot(
            *positions[row, column].T, color=colour, marker=marker, markersize=2.6 * size, linewidth=1.1 * size,
            markeredgecolor="black", markeredgewidth=0.4 * size,
            path_effects=[withStroke(linewidth=1.1 * size + 1.2, foreground="black", alpha=0.6)],
        )  # fmt: skip


def _snake_key() -> list["Artist"]:
    return [
        Line2D([], [], color=_BLUE, marker="o", markersize=4, markeredgecolor="black", label="along x"),
        Line2D([], [], color=_ORANGE, marker="s", markersize=4, markeredgecolor="black", label="along y"),
    ]


def _draw_cells(axes: "Axes", explanation: Explanation, cell: NDArray[np.float64]) -> None:
    """Thin lines between the cells of a layer's map."""
    first, last = _input_corners(explanation)
    style: dict[str, Any] = {"color": "white", "linewidth": 0.5, "alpha": 0.45}
    for x in np.arange(first[0], last[0] + cell[0] / 2, cell[0]):
        axes.plot((x, x), (first[1], last[1]), **style)
    for y in np.arange(first[1], last[1] + cell[1] / 2, cell[1]):
        axes.plot((first[0], last[0]), (y, y), **style)


def _input_corners(explanation: Explanation) -> NDArray[np.float64]:
    """First and last corner of the network's input, in original pixels."""
    return explanation.letterbox.to_original(np.array([(0.0, 0.0), explanation.letterbox.canvas_size]))


def _rectangle(region: NDArray[np.float64], **style: Any) -> Rectangle:
    x0, y0, x1, y1 = region
    # Not clipped: of a line along the axes' edge, half would be lost.
    return Rectangle((x0, y0), x1 - x0, y1 - y0, clip_on=False, **style)


def _has_area(region: NDArray[np.float64]) -> bool:
    return bool(region[2] > region[0] and region[3] > region[1])


def _centre(region: NDArray[np.float64]) -> Point:
    return (region[0] + region[2]) / 2, (region[1] + region[3]) / 2


def _draw_key(strip: "Axes", handles: Sequence["Artist"], columns: int = 3) -> None:
    families = families_for("".join(str(handle.get_label()) for handle in handles))
    strip.legend(
        handles=list(handles),
        loc="upper left",
        bbox_to_anchor=(0.0, 0.88),
        ncols=columns,
        frameon=False,
        prop={"family": families, "size": TEXT_SIZE},
        labelcolor=INK,
        handlelength=1.6,
        columnspacing=1.2,
        borderpad=0.0,
        borderaxespad=0.0,
    )
