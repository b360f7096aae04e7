"""One micrograph of a specimen: places particles, renders them, and says exactly what is visible.

Truth. In transmission (TEM, STEM) an image is a projection: overlapping particles are both visible, and each
instance is its full outline. In SEM particles are opaque: the upper one hides the lower, and an instance is what is
visible of it. Outlines are cut at the border of the field. The info bar is one ``ignore`` region.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.clipping import clip_outline
from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Polygon
from nanoseg_bench.annotations.raster import mask_to_rle, polygons_to_rle, rle_to_mask
from nanoseg_bench.synthesis.imaging import Body, Optics, render, window_margin
from nanoseg_bench.synthesis.layout import Placed, Template, place
from nanoseg_bench.synthesis.scalebar import (
    Box,
    Overlay,
    ScaleBar,
    choose_bar,
    draw_bar,
    draw_panel_letter,
    info_bar,
)
from nanoseg_bench.synthesis.shapes import Points
from nanoseg_bench.synthesis.specimen import (
    Specimen,
    draw_contrast,
    draw_lattice,
    draw_pattern,
    draw_template,
    magnified,
)

_LEAST_VISIBLE = 0.15
_LEAST_PIXELS = 20
_MOST_PARTICLES = 150
_LEAST_DIAMETER_PX = 12.0
_LARGEST_DIAMETER_PX = 250.0
_LARGEST_SHARE = 0.35
_LONGEST_SHARE = 0.45
_ATTEMPTS = 20


@dataclass(frozen=True, eq=False, slots=True)
class RenderedMicrograph:
    """Pixels and truth.

    Attributes:
        pixels: (H, W) uint8, field and info bar.
        instances: Particles and, with an info bar, one ignore region.
        nm_per_px: Scale.
        bar: Where the scale bar lies in ``pixels``.
        hidden: Particles left out because too little of them would be visible.
    """

    pixels: NDArray[np.uint8]
    instances: tuple[Instance, ...]
    nm_per_px: float
    bar: Box
    hidden: int


def render_micrograph(specimen: Specimen, labels: Sequence[str], rng: np.random.Generator) -> RenderedMicrograph:
    """Take a micrograph of ``specimen`` at a magnification and place of its own.

    Args:
        specimen: What lies under the beam.
        labels: Classes that are visible in this micrograph: each at least once, no other.
        rng: Source of chance.

    Raises:
        KeyError: The specimen has no habit for one of ``labels``.
        ValueError: No arrangement was found that shows all of ``labels``; the specimen's parameters contradict them.
    """
    width, height = specimen.canvas
    for _ in range(_ATTEMPTS):
        diameter = _draw_diameter(specimen, rng)
        nm_per_px = specimen.mean_nm / diameter
        bar = choose_bar(nm_per_px, width, float(rng.uniform(0.1, 0.28)))
        overlay_seed = int(rng.integers(2**32))
        blank = np.zeros((height, width), dtype=np.uint8)
        opaque = _burn_in(blank, specimen, bar, overlay_seed)[1].opaque
        templates = _draw_templates(specimen, labels, diameter, rng)
        placed = place(templates, specimen.layout, (height, width), opaque, rng)
        # Which particle lies on which has nothing to do with the order of placement.
        stack = [placed[i] for i in rng.permutation(len(placed))]
        seen = _look(stack, opaque, specimen)
        if {particle.placed.template.label for particle in seen} != set(labels):
            continue
        optics = replace(_focus(magnified(specimen.optics, diameter), rng), nm_per_px=nm_per_px)
        bodies = [_body(particle.placed, specimen, optics, rng) for particle in seen]
        field = render(bodies, (height, width), optics, rng)
        pixels, overlay = _burn_in(field, specimen, bar, overlay_seed)
        instances = tuple(_instance(particle, pixels.shape[0], width) for particle in seen)
        ignored = _ignore_below(height, pixels.shape[0], width)
        hidden = len(placed) - len(seen)
        return RenderedMicrograph(pixels, instances + ignored, nm_per_px, overlay.bar, hidden)
    raise ValueError(f"{specimen.identifier}: no arrangement shows all of {', '.join(labels)}")


@dataclass(frozen=True, eq=False, slots=True)
class _Seen:
    """A particle with its outline inside the field, and the pixels of it that nothing hides (None: all of them)."""

    placed: Placed
    outline: Points
    visible: tuple[int, int, NDArray[np.bool_]] | None


def _draw_diameter(specimen: Specimen, rng: np.random.Generator) -> float:
    magnification = float(np.exp(rng.uniform(*np.log([0.85, 1.15] if specimen.easy else [0.65, 1.5]))))
    longest = max(habit.scale * (np.sqrt(habit.aspect) if habit.label == "nanorod" else 1) for habit in specimen.habits)
    largest = min(_LARGEST_DIAMETER_PX / 1.25, _LONGEST_SHARE * min(specimen.canvas) / longest)
    return float(np.clip(specimen.diameter_px * magnification, _LEAST_DIAMETER_PX, largest))


def _draw_templates(
    specimen: Specimen, labels: Sequence[str], diameter: float, rng: np.random.Generator
) -> list[Template]:
    """Enough particles for the specimen's coverage; one of each class comes first."""
    width, height = specimen.canvas
    wanted = specimen.coverage * width * height / (np.pi / 4 * diameter**2) * float(np.exp(rng.normal(0, 0.15)))
    fewest, most = (4, 14) if specimen.easy else (1, _MOST_PARTICLES)
    number = max(int(np.clip(round(wanted), fewest, most)), len(labels))
    habits = {habit.label: habit for habit in specimen.habits}
    minor_share = float(rng.uniform(0.12, 0.45)) if len(labels) > 1 else 0.0
    weights = [1 - minor_share, *[minor_share / max(len(labels) - 1, 1)] * (len(labels) - 1)]
    chosen = [*labels, *rng.choice(list(labels), number - len(labels), p=weights).tolist()]
    templates = []
    for label in chosen:
        size = diameter * habits[label].scale * float(np.exp(rng.normal(0, specimen.dispersion)))
        largest = min(_LARGEST_DIAMETER_PX, _LARGEST_SHARE * min(width, height))
        size = float(np.clip(size, 0.8 * _LEAST_DIAMETER_PX, largest))
        templates.append(draw_template(habits[label], size, rng))
    return templates


def _look(stack: Sequence[Placed], opaque: Sequence[Box], specimen: Specimen) -> list[_Seen]:
    """What is visible of a stack (lowest first), without the particles of which too little is."""
    width, height = specimen.canvas
    outlines = [clip_to_field(placed.outline(), width, height) for placed in stack]
    kept = [i for i, outline in enumerate(outlines) if len(outline) >= 3]
    masks = {i: _window_mask(outlines[i]) for i in kept}
    while True:
        visible = {i: masks[i][2] for i in kept}
        uppermost = _uppermost(kept, masks, opaque, (height, width))
        for i in kept:
            row, column, mask = masks[i]
            window = uppermost[row : row + mask.shape[0], column : column + mask.shape[1]]
            hiding = window == -1 if specimen.transmission else window != i
            visible[i] = mask & ~hiding
        enough = [i for i in kept if _visible_enough(visible[i], stack[i])]
        if len(enough) == len(kept):
            break
        # Taking a particle out may bring others to light: look again.
        kept = enough
    seen = []
    for i in kept:
        row, column, mask = masks[i]
        whole = bool((visible[i] == mask).all())
        seen.append(_Seen(stack[i], outlines[i], None if whole else (row, column, visible[i])))
    return seen


def _uppermost(
    kept: Sequence[int],
    masks: dict[int, tuple[int, int, NDArray[np.bool_]]],
    opaque: Sequence[Box],
    shape: tuple[int, int],
) -> NDArray[np.int32]:
    """Index of the uppermost particle at each pixel; -1 under an opaque box, -2 on the bare support."""
    owner = np.full(shape, -2, dtype=np.int32)
    for i in kept:
        row, column, mask = masks[i]
        owner[row : row + mask.shape[0], column : column + mask.shape[1]][mask] = i
    for x0, y0, x1, y1 in opaque:
        owner[y0:y1, x0:x1] = -1
    return owner


def _visible_enough(visible: NDArray[np.bool_], placed: Placed) -> bool:
    pixels = int(np.count_nonzero(visible))
    return pixels >= max(_LEAST_PIXELS, _LEAST_VISIBLE * polygon_area(placed.solid.outline()))


def _window_mask(outline: Points) -> tuple[int, int, NDArray[np.bool_]]:
    """Row and column of the outline's window, and its pixels there, by the one rasteriser."""
    column, row = (int(edge) for edge in np.floor(outline.min(axis=0)))
    right, lower = (int(edge) for edge in np.ceil(outline.max(axis=0)))
    shifted = Polygon(outline - [column, row])
    return row, column, rle_to_mask(polygons_to_rle((shifted,), max(lower - row, 1), max(right - column, 1)))


def _instance(seen: _Seen, height: int, width: int) -> Instance:
    label = seen.placed.template.label
    if seen.visible is None:
        return Instance(label, (Polygon(seen.outline),))
    row, column, visible = seen.visible
    mask = np.zeros((height, width), dtype=bool)
    mask[row : row + visible.shape[0], column : column + visible.shape[1]] = visible
    return Instance(label, mask_to_rle(mask))


def _ignore_below(field_height: int, height: int, width: int) -> tuple[Instance, ...]:
    if height == field_height:
        return ()
    corners = [[0, field_height], [width, field_height], [width, height], [0, height]]
    return (Instance(IGNORE_LABEL, (Polygon(np.array(corners, dtype=np.float64)),)),)


def _focus(optics: Optics, rng: np.random.Generator) -> Optics:
    """Small differences between micrographs of one session: brightness, focus, illumination."""
    amplitude, angle = optics.gradient
    return replace(
        optics,
        background=float(np.clip(optics.background * rng.uniform(0.93, 1.07), 0, 0.95)),
        gradient=(amplitude, angle + float(rng.normal(0, 0.3))),
        blur_px=optics.blur_px * float(rng.uniform(0.85, 1.2)),
        fringe=optics.fringe * float(rng.uniform(0.6, 1.3)),
        dose=optics.dose * float(rng.uniform(0.8, 1.25)),
    )


def _body(placed: Placed, specimen: Specimen, optics: Optics, rng: np.random.Generator) -> Body:
    width, height = specimen.canvas
    margin = window_margin(optics)
    outline = placed.outline()
    left, upper = (int(edge) - margin for edge in np.floor(outline.min(axis=0)))
    right, lower = (int(edge) + margin for edge in np.ceil(outline.max(axis=0)))
    rows = slice(max(upper, 0), min(lower, height))
    columns = slice(max(left, 0), min(right, width))
    x = (np.arange(columns.start, columns.stop) + (0.5 - placed.x)).astype(np.float32)[None, :]
    y = (np.arange(rows.start, rows.stop) + (0.5 - placed.y)).astype(np.float32)[:, None]
    habit = next(habit for habit in specimen.habits if habit.label == placed.template.label)
    return Body(
        rows=rows,
        columns=columns,
        x=x,
        y=y,
        relief=placed.solid.relief(x, y),
        contrast=draw_contrast(specimen, rng),
        core=habit.core,
        core_contrast=habit.core_contrast,
        pattern=draw_pattern(specimen, placed.template.width_px, rng),
        lattice=draw_lattice(specimen, optics.nm_per_px, rng),
    )


def _burn_in(
    field: NDArray[np.uint8], specimen: Specimen, bar: ScaleBar, seed: int
) -> tuple[NDArray[np.uint8], Overlay]:
    """Scale bar and panel letter; where they go depends on ``seed`` alone: it is known before particles are placed."""
    rng = np.random.default_rng(seed)
    pixels = field
    opaque: tuple[Box, ...] = ()
    if specimen.panel_letter:
        pixels, opaque = draw_panel_letter(pixels, rng)
    if specimen.bar_style is not None:
        pixels, overlay = draw_bar(pixels, bar, specimen.bar_style, rng)
        return pixels, replace(overlay, opaque=overlay.opaque + opaque)
    detector = "SE" if specimen.optics.modality == "SE-SEM" else "BSE"
    strip, (x0, y0, x1, y1) = info_bar(field.shape[1], bar, str(specimen.info_style), detector, rng)
    below = field.shape[0]
    return np.vstack([pixels, strip]), Overlay((x0, y0 + below, x1, y1 + below), opaque)


def polygon_area(outline: Points) -> float:
    """Area by the shoelace formula, px²."""
    x, y = outline[:, 0], outline[:, 1]
    return abs(float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))) / 2


def clip_to_field(outline: Points, width: int, height: int) -> Points:
    """The part of an outline inside a field, rounded to 0.01 px; (0, 2) if there is none."""
    rounded = np.round(clip_outline(outline, 0, 0, width, height), 2)
    distinct = np.any(rounded != np.roll(rounded, 1, axis=0), axis=1)
    return np.asarray(rounded[distinct], dtype=np.float64).reshape(-1, 2)
