"""An explanation as one figure: the micrograph with its particles, the network's maps, snakes and routes beside it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from nanoseg_bench.drawing.charts import INK, SOFT
from nanoseg_bench.explanation.explanation import Explanation, Map, Point
from nanoseg_bench.explanation.panels import (
    TEXT_SIZE,
    draw_enlarged_snake,
    draw_map,
    draw_particles,
    draw_routes,
    draw_snakes,
)
from nanoseg_bench.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches.
_PANEL = 3.4
_MARGIN, _GAP = 0.2, 0.24
_HEADER, _TITLE, _STRIP, _NOTE = 0.42, 0.44, 0.46, 0.2
_ASPECTS = (0.5, 1.5)  # of a panel, height to width; a micrograph beyond them is framed

_UNIT = Normalize(0.0, 1.0)
_WARM, _COOL = "inferno", "viridis"  # perceptually uniform


@dataclass(frozen=True, slots=True)
class _Panel:
    """What a panel shows, and how it is drawn into its axes and into the strip below them."""

    title: str
    about: str
    draw: Callable[["Axes", "Axes"], None]


def draw_explanation(explanation: Explanation, points: Sequence[Point]) -> Figure:
    """Draw everything that the network has, in two rows of equal panels.

    Any network has particles, confidence, mask probability and instance boundaries; those with snakes have the boundary
    attention of the last such layer, its snakes, and one of them enlarged; those with routing attention have the
    regions of its last layer. What is missing is said below.

    Args:
        explanation: What to draw.
        points: Where snakes are drawn, in original pixels. The first one's is enlarged, and its region is the one whose
            routes are shown; without any point it is the region in the middle.

    Raises:
        UsageError: A point lies outside the micrograph.
    """
    panels = _panels(explanation, points)
    notes = explanation.missing()
    columns = math.ceil(len(panels) / 2)
    height, width = explanation.pixels.shape[:2]
    panel_height = _PANEL * min(max(height / width, _ASPECTS[0]), _ASPECTS[1])
    row_height = _TITLE + panel_height + _STRIP
    figure_width = 2 * _MARGIN + columns * _PANEL + (columns - 1) * _GAP
    figure_height = _HEADER + 2 * row_height + _NOTE * len(notes)
    figure = Figure(figsize=(figure_width, figure_height), facecolor="white")

    def place(left: float, top: float, width: float, height: float) -> "Axes":
        """Axes by inches from the figure's upper left corner."""
        bottom = figure_height - top - height
        return figure.add_axes(
            (left / figure_width, bottom / figure_height, width / figure_width, height / figure_height)
        )

    def write(left: float, top: float, text: str, size: float, colour: str, weight: str = "normal") -> None:
        figure.text(
            left / figure_width, 1 - top / figure_height, text, va="top", fontsize=size, color=colour, fontweight=weight
        )

    write(_MARGIN, 0.14, _heading(explanation), 10.5, INK, "bold")
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        left = _MARGIN + column * (_PANEL + _GAP)
        top = _HEADER + row * row_height
        write(left, top + 0.03, f"({chr(ord('a') + number)}) {panel.title}", 9.5, INK)
        write(left, top + 0.22, panel.about, TEXT_SIZE, SOFT)
        strip = place(left, top + _TITLE + panel_height, _PANEL, _STRIP)
        strip.set_axis_off()
        panel.draw(place(left, top + _TITLE, _PANEL, panel_height), strip)
    for number, note in enumerate(notes):
        write(_MARGIN, _HEADER + 2 * row_height + _NOTE * number, note, TEXT_SIZE, SOFT)
    return figure


def _heading(explanation: Explanation) -> str:
    height, width = explanation.pixels.shape[:2]
    input_width, input_height = explanation.letterbox.canvas_size
    return f"{explanation.model}: micrograph of {width} × {height} px, seen at {input_width} × {input_height} px"


def _panels(explanation: Explanation, points: Sequence[Point]) -> list[_Panel]:
    def map_panel(title: str, about: str, values: Map, norm: Normalize, colours: str) -> _Panel:
        draw = partial(draw_map, explanation=explanation, values=values, norm=norm, colours=colours)
        return _Panel(title, about, draw)

    found = f"{counted(len(explanation.instances), 'particle')} at confidence ≥ {explanation.min_score:.3g}"
    panels = [
        _Panel("Detected particles", found, partial(draw_particles, explanation=explanation)),
        map_panel("Confidence", "highest class score of the three strides", explanation.confidence, _UNIT, _WARM),
        map_panel("Mask probability p", "highest over the particles", explanation.mask_probability, _UNIT, _WARM),
        map_panel(
            "Instance boundaries", "4 p (1 − p): 1 on an outline, p = 0.5", explanation.instance_boundary, _UNIT, _WARM
        ),
    ]
    if explanation.snakes:
        snakes = explanation.snakes[-1]
        cells = f"{snakes.layer}, cells of {snakes.cell} px of the network's input"
        if snakes.attention is not None:
            norm = Normalize(float(snakes.attention.min()), float(snakes.attention.max()))
            panels.append(map_panel("Boundary attention $A_b$", cells, snakes.attention, norm, _COOL))
        about = f"{snakes.along_x.shape[2]} points along x and along y, at {counted(len(points), 'place')}"
        panels.append(
            _Panel("Snakes", about, partial(draw_snakes, explanation=explanation, snakes=snakes, points=points))
        )
        if points:
            draw = partial(draw_enlarged_snake, explanation=explanation, snakes=snakes, point=points[0])
            panels.append(_Panel("Snake 1 enlarged", cells, draw))
    if explanation.routings:
        routing = explanation.routings[-1]
        height, width = explanation.pixels.shape[:2]
        query = explanation.region_at(points[0] if points else (width / 2, height / 2), routing)
        about = f"{routing.layer}, best {routing.routes.shape[1]} of {len(routing.regions)} regions"
        draw = partial(draw_routes, explanation=explanation, routing=routing, query=query)
        panels.append(_Panel("Routed regions", about, draw))
    return panels
