"""Where particles lie: dispersed, in clusters, in chains, jammed, or packed in ordered domains."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.synthesis.scalebar import Box
from nanoseg_bench.synthesis.shapes import Points, Solid

ARRANGEMENTS = ("dispersed", "clusters", "chains", "jammed", "packed")
_CELLS_PER_DIAMETER = 28
_TRIES = 60
_SLIDE_STEPS = 40


@dataclass(frozen=True, slots=True)
class Template:
    """A particle before it has a place.

    Attributes:
        label: Its class.
        length_px: Extent along its axis.
        width_px: Extent across.
        folds: Rotations by 1 / folds of a turn leave the outline as it is (0 for a sphere).
        build: Makes the solid for an angle in the image plane, radians.
    """

    label: str
    length_px: float
    width_px: float
    folds: int
    build: Callable[[float], Solid]


@dataclass(frozen=True, eq=False, slots=True)
class Placed:
    """A particle in the field.

    Attributes:
        template: What it is.
        solid: Its shape at its angle.
        angle: In the image plane, radians.
        x: Column of its centre, px.
        y: Row of its centre, px.
    """

    template: Template
    solid: Solid
    angle: float
    x: float
    y: float

    def outline(self) -> Points:
        """Exterior of the particle's projection in the field, (N, 2)."""
        return np.asarray(self.solid.outline() + np.array([self.x, self.y]))


@dataclass(frozen=True, slots=True)
class Layout:
    """How the particles of a specimen lie.

    Attributes:
        arrangement: One of ``ARRANGEMENTS``.
        gap: Least distance between particles over their size.
        overlap_share: Share of the particles that may lie on others.
        alignment: Probability that a particle takes its neighbour's direction.
        group_size: Particles per cluster or chain.
    """

    arrangement: str
    gap: float
    overlap_share: float
    alignment: float
    group_size: int


def place(
    templates: Sequence[Template],
    layout: Layout,
    shape: tuple[int, int],
    blocked: Sequence[Box],
    rng: np.random.Generator,
) -> list[Placed]:
    """Find places for as many templates as fit, in the order given.

    Args:
        templates: What to place; those that find no place are left out.
        layout: How.
        shape: Rows and columns of the field. Centres may lie on its border, so that it cuts particles.
        blocked: Boxes to keep free.
        rng: Source of chance.
    """
    floor = _Floor(templates, layout, shape, blocked)
    if layout.arrangement == "packed":
        return _pack(templates, layout, floor, rng)
    placed: list[Placed] = []
    left_in_group = 0
    for template in templates:
        grouped = layout.arrangement in {"clusters", "chains"} and left_in_group > 0
        found = _attach(template, placed, layout, floor, rng, left_in_group) if grouped else None
        if found is None:
            found = _scatter(template, layout, floor, rng)
            # Groups vary in size; single particles and pairs occur too.
            left_in_group = int(rng.geometric(1 / layout.group_size))
        if found is not None:
            placed.append(found)
            left_in_group -= 1
    return placed


class _Floor:
    """What is taken, on a grid coarser than the pixels, with a border all around."""

    def __init__(
        self, templates: Sequence[Template], layout: Layout, shape: tuple[int, int], blocked: Sequence[Box]
    ) -> None:
        sizes = [max(template.length_px, template.width_px) for template in templates]
        self.shape = shape
        self.step = max(float(np.median(sizes)) / _CELLS_PER_DIAMETER, 1.0)
        self.border = max(sizes)
        self.gap = layout.gap
        cells = [int(np.ceil((side + 2 * self.border) / self.step)) + 2 for side in shape]
        self.taken: NDArray[np.uint8] = np.zeros(cells, dtype=np.uint8)
        for x0, y0, x1, y1 in blocked:
            self.taken[self._cell(y0) : self._cell(y1), self._cell(x0) : self._cell(x1)] = 1

    def footprint(self, outline: Points, size: float) -> "_Footprint":
        """The outline's cells, widened by the gap."""
        reach = int(np.ceil(np.abs(outline).max() / self.step + self.gap * size / self.step)) + 1
        mask = np.zeros((2 * reach + 1, 2 * reach + 1), dtype=np.uint8)
        cv2.fillPoly(mask, [np.round(outline / self.step + reach).astype(np.int32)], 1)
        widen = round(self.gap * size / self.step)
        wide = cv2.dilate(mask, np.ones((2 * widen + 1, 2 * widen + 1), np.uint8)) if widen > 0 else mask
        return _Footprint(mask, wide, reach, int(wide.sum()))

    def overlap(self, footprint: "_Footprint", x: float, y: float) -> float:
        """Share of the widened footprint that is taken; 1 where the centre is outside of the field's reach."""
        window = self._window(footprint, x, y)
        if window is None:
            return 1.0
        return int(np.count_nonzero(window & footprint.wide)) / footprint.cells

    def take(self, footprint: "_Footprint", x: float, y: float) -> None:
        """Mark the footprint as taken."""
        window = self._window(footprint, x, y)
        if window is not None:
            window |= footprint.mask

    def _window(self, footprint: "_Footprint", x: float, y: float) -> NDArray[np.uint8] | None:
        row, column = self._cell(y) - footprint.reach, self._cell(x) - footprint.reach
        side = 2 * footprint.reach + 1
        if row < 0 or column < 0 or row + side > self.taken.shape[0] or column + side > self.taken.shape[1]:
            return None
        return self.taken[row : row + side, column : column + side]

    def _cell(self, position: float) -> int:
        return round((position + self.border) / self.step)


@dataclass(frozen=True, eq=False, slots=True)
class _Footprint:
    mask: NDArray[np.uint8]
    wide: NDArray[np.uint8]
    reach: int
    cells: int


def _scatter(template: Template, layout: Layout, floor: _Floor, rng: np.random.Generator) -> Placed | None:
    allowed = _allowed_overlap(layout, rng)
    angle = float(rng.uniform(0, 2 * np.pi))
    solid = template.build(angle)
    footprint = floor.footprint(solid.outline(), template.width_px)
    inset = -0.3 * template.width_px
    for _ in range(_TRIES):
        x = float(rng.uniform(inset, floor.shape[1] - inset))
        y = float(rng.uniform(inset, floor.shape[0] - inset))
        if floor.overlap(footprint, x, y) <= allowed:
            floor.take(footprint, x, y)
            return Placed(template, solid, angle, x, y)
    return None


def _attach(
    template: Template,
    placed: Sequence[Placed],
    layout: Layout,
    floor: _Floor,
    rng: np.random.Generator,
    left_in_group: int,
) -> Placed | None:
    """Slide the particle away from one of the group's until it no longer overlaps."""
    group = placed[-max(layout.group_size * 3, 1) :]
    allowed = _allowed_overlap(layout, rng)
    for _ in range(_TRIES // 6):
        # A chain grows at its end, a cluster around any of its latest members.
        member = group[-1] if layout.arrangement == "chains" else group[-1 - int(rng.integers(0, min(len(group), 6)))]
        angle, direction = _next_to(template, member, layout, rng)
        solid = template.build(angle)
        footprint = floor.footprint(solid.outline(), template.width_px)
        reach = (template.length_px + member.template.length_px) / 2
        for distance in np.linspace(0.2 * reach, 1.5 * reach, _SLIDE_STEPS).tolist():
            x, y = member.x + distance * np.cos(direction), member.y + distance * np.sin(direction)
            if floor.overlap(footprint, x, y) <= allowed:
                if 0 <= x <= floor.shape[1] and 0 <= y <= floor.shape[0]:
                    floor.take(footprint, x, y)
                    return Placed(template, solid, angle, float(x), float(y))
                break
    return None


def _next_to(template: Template, member: Placed, layout: Layout, rng: np.random.Generator) -> tuple[float, float]:
    """Angle of a particle beside ``member``, and the direction from one to the other."""
    aligned = template.folds == member.template.folds and template.folds > 0 and rng.random() < layout.alignment
    if not aligned:
        return float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0, 2 * np.pi))
    angle = member.angle + float(rng.normal(0, 0.06))
    side = int(rng.integers(0, template.folds))
    # Rods (2 folds) lie side by side; polygons touch with their faces.
    across = np.pi / 2 if template.folds == 2 else 0.0
    return angle, member.angle + across + 2 * np.pi * side / template.folds + float(rng.normal(0, 0.1))


def _allowed_overlap(layout: Layout, rng: np.random.Generator) -> float:
    draw, amount = rng.random(), rng.uniform(0.05, 0.35)
    return float(amount) if draw < layout.overlap_share else 0.0


def _pack(templates: Sequence[Template], layout: Layout, floor: _Floor, rng: np.random.Generator) -> list[Placed]:
    """Fill lattice sites, nearest to a centre first: an island, or the whole field if there are enough particles."""
    sites = _lattice_sites(templates, layout, floor.shape, rng)
    centre = rng.uniform(0.2, 0.8, 2) * [floor.shape[1], floor.shape[0]]
    ragged = rng.normal(0, 0.08 * min(floor.shape), len(sites))
    order = np.argsort(np.hypot(*(sites[:, :2] - centre).T) + ragged)
    placed: list[Placed] = []
    waiting = list(templates)
    for x, y, direction in sites[order].tolist():
        if not waiting:
            break
        template = waiting[0]
        angle = direction + float(rng.normal(0, 0.04))
        if rng.random() < 0.03:
            continue
        solid = template.build(angle)
        footprint = floor.footprint(solid.outline(), template.width_px)
        if floor.overlap(footprint, x, y) <= 0.04:
            floor.take(footprint, x, y)
            placed.append(Placed(template, solid, angle, x, y))
            waiting.pop(0)
    return placed


def _lattice_sites(
    templates: Sequence[Template], layout: Layout, shape: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float64]:
    """(N, 3) x, y and direction: domains with a lattice each, hexagonal for spheres, rectangular for the others."""
    first = templates[0]
    spread = 1 + 2 * layout.gap
    typical = [template for template in templates if template.folds == first.folds]
    along = float(np.median([template.length_px for template in typical])) * (spread + 0.04)
    across = float(np.median([template.width_px for template in typical])) * (spread + 0.05)
    height, width = shape
    domains = int(rng.integers(1, 5))
    seeds = rng.uniform(0, 1, (domains, 2)) * [width, height]
    reach = np.hypot(height, width)
    sites = []
    for domain, seed in enumerate(seeds):
        direction = float(rng.uniform(0, np.pi))
        rows = np.arange(-np.ceil(reach / across), np.ceil(reach / across) + 1)
        columns = np.arange(-np.ceil(reach / along), np.ceil(reach / along) + 1)
        column, row = (grid.ravel() for grid in np.meshgrid(columns, rows))
        hexagonal = first.folds == 0
        shift = (
            0.5 * (row % 2)
            if hexagonal
            else rng.normal(0, 0.12 if first.folds == 2 else 0.03, len(rows))[(row - rows[0]).astype(int)]
        )
        local_x = (column + shift) * along
        local_y = row * across * (np.sqrt(3) / 2 if hexagonal else 1)
        x = seed[0] + local_x * np.cos(direction) - local_y * np.sin(direction)
        y = seed[1] + local_x * np.sin(direction) + local_y * np.cos(direction)
        jitter = rng.normal(0, 0.02 * across, (2, len(x)))
        x, y = x + jitter[0], y + jitter[1]
        nearest = np.argmin(np.hypot(x[:, None] - seeds[:, 0], y[:, None] - seeds[:, 1]), axis=1)
        margin = 0.3 * across
        kept = (nearest == domain) & (x > -margin) & (x < width + margin) & (y > -margin) & (y < height + margin)
        sites.append(np.column_stack([x, y, np.full(len(x), direction)])[kept])
    return np.concatenate(sites)
