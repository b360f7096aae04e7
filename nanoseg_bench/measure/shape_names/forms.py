"""Forms of particles, from nanosynth's solids, with the names that they should get.

Particles lie as in nanosynth's specimens: flat, or tilted by up to 0.6 rad. Real ones vary more than rendered ones, so
spheres are stretched a little, cubes are hollow-sided or bulge, rods are bent, tapered or spindles. A rod is 1.5 times
as long as wide or more. ``other`` is what has none of the names: particles that were joined, covered by others or cut
off, blobs, stars, crescents, hexagons, and what lies between sphere or cube and rod.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nanoseg_bench.measure.shape_names.namer import OTHER
from nanoseg_bench.measure.shape_names.outlines import area, dilate, resample, turn
from nanoseg_bench.synthesis import shapes
from nanoseg_bench.synthesis.shapes import Points

SPHERE, ROD, CUBE, TRIANGLE, PENTAGON = "sphere", "rod", "cube", "triangle", "pentagon"
NAMES = (SPHERE, ROD, CUBE, TRIANGLE, PENTAGON, OTHER)


_ROD_ASPECTS = (1.5, 25.0)
_BETWEEN_ASPECTS = (1.25, 1.45)
"""Of ellipsoids and bricks that are too long for a sphere or a cube and too short for a rod."""


@dataclass(frozen=True, slots=True)
class Form:
    """A particle before it has a size and a direction; any unit of length.

    Attributes:
        outline: Of the particle.
        joined: Of particles that were outlined together with it.
        covering: Of what hides a part of it.
    """

    outline: Points
    joined: tuple[Points, ...] = ()
    covering: tuple[Points, ...] = ()

    @property
    def parts(self) -> tuple[Points, ...]:
        """All outlines, in this order."""
        return (self.outline, *self.joined, *self.covering)


def draw_form(name: str, rng: np.random.Generator) -> Form:
    """A particle that should get this name, one of ``NAMES``."""
    return _FORMS[name](rng)


def _sphere(rng: np.random.Generator) -> Form:
    irregularity = float(rng.choice([0.006, 0.015, 0.03, 0.05]))
    stretch = np.array([1.0, 1 / rng.uniform(1.0, 1.2)])
    return Form(shapes.nanosphere(100, _waves(irregularity, rng)).outline() * stretch)


def _cube(rng: np.random.Generator) -> Form:
    tilt = _tilt(rng, flat=0.75)
    outline = shapes.nanocube(100, 100 * rng.uniform(0.03, 0.28), tilt).outline()
    return Form(_hollowed(outline * [1.0, 1 / rng.uniform(1.0, 1.2)], rng) @ _slight_shear(rng))


def _rod(rng: np.random.Generator) -> Form:
    # Half of them below 3: that is where real rods crowd, and where they are hardest to tell from what is shorter.
    shortest, longest = _ROD_ASPECTS
    aspect = shortest * (longest / shortest) ** (rng.random() ** 2)
    lift = float(np.clip(rng.normal(0, 0.15), -0.45, 0.45))
    kind = rng.random()
    if kind < 0.15:
        outline = shapes.nanosphere(100).outline() * [aspect, 1.0]
    elif kind < 0.6:
        outline = shapes.nanorod(100 * aspect, 100, rng.uniform(0.1, 1.0), lift).outline()
    else:
        rounding = 100 * rng.uniform(0.05, 0.3)
        outline = shapes.faceted_rod(100 * aspect, 100, int(rng.choice([4, 6])), rounding, lift).outline()
    along, across = resample(outline).T / (100 * aspect)
    # Each end has a slant of its own: rods break, and lie under others.
    left, right, taper, bend = rng.normal(0, [0.25, 0.25, 0.1, 0.07])
    slanted = along + across * (left * (0.5 - along) + right * (0.5 + along))
    return Form(np.column_stack([slanted, across * (1 + taper * along) + bend * along**2]))


def _triangle(rng: np.random.Generator) -> Form:
    thickness = 100 * rng.uniform(0.1, 0.3)
    rounding = min(100 * rng.uniform(0.02, 0.14), 0.45 * thickness)
    outline = shapes.triangular_prism(100, thickness, rounding, _tilt(rng)).outline()
    # Plates grow at their corners too: snipped tips are rounded ones at this size.
    return Form(_hollowed(dilate(outline, rng.choice([0.0, rng.uniform(0, 12)])), rng) @ _slight_shear(rng))


def _pentagon(rng: np.random.Generator) -> Form:
    build = shapes.pentagonal_plate if rng.random() < 0.5 else shapes.pentagonal_bipyramid
    outline = build(100, 100 * rng.uniform(0.3, 0.7), 100 * rng.uniform(0.03, 0.08), _tilt(rng)).outline()
    return Form(dilate(outline, rng.choice([0.0, rng.uniform(0, 6)])) @ _slight_shear(rng))


def _other(rng: np.random.Generator) -> Form:
    return _OTHERS[int(rng.integers(len(_OTHERS)))](rng)


def _joined(rng: np.random.Generator) -> Form:
    """Two or three particles of one kind that were outlined as one."""
    draw = (_sphere, _cube, _rod, _triangle, _pentagon)[int(rng.integers(5))]
    first = draw(rng).outline
    others = []
    for _ in range(int(rng.integers(1, 3))):
        other = turn(draw(rng).outline, rng.uniform(0, 2 * math.pi))
        other *= rng.uniform(0.7, 1.2) * math.sqrt(area(first) / area(other))
        others.append(_beside(first, other, rng.uniform(0.6, 0.95), rng))
    return Form(first, joined=tuple(others))


def _covered(rng: np.random.Generator) -> Form:
    """A particle that another one hides a part of."""
    draw = (_sphere, _cube, _triangle, _pentagon)[int(rng.integers(4))]
    first = draw(rng).outline
    other = turn(draw(rng).outline, rng.uniform(0, 2 * math.pi))
    other *= rng.uniform(0.7, 1.5) * math.sqrt(area(first) / area(other))
    return Form(first, covering=(_beside(first, other, rng.uniform(0.3, 0.7), rng),))


def _cut(rng: np.random.Generator) -> Form:
    """A particle that ends at a straight edge: of an information bar, of a box around lettering.

    Cubes and rods are not cut here: what is left of them is often a cube or a rod.
    """
    draw = (_sphere, _triangle, _pentagon)[int(rng.integers(3))]
    first = turn(draw(rng).outline, rng.uniform(0, 2 * math.pi))
    left, right = first[:, 0].min(), first[:, 0].max()
    edge, far = left + rng.uniform(0.2, 0.8) * (right - left), 2 * np.abs(first).max()
    return Form(first, covering=(np.array([[edge, -far], [far, -far], [far, far], [edge, far]]),))


def _star(rng: np.random.Generator) -> Form:
    """A polygon with hollow sides, as what is left between spheres."""
    angles = 2 * math.pi * np.arange(corners := int(rng.integers(3, 8))) / corners
    dense = resample(np.column_stack([np.cos(angles), np.sin(angles)]))
    depth = rng.uniform(0.5, 2.0)
    return Form(dense * np.hypot(*dense.T)[:, None] ** (depth * corners / 4) @ (3 * _slight_shear(rng)))


def _crescent(rng: np.random.Generator) -> Form:
    """A strip that is bent too much for a rod."""
    dense = resample(shapes.nanorod(100, 100 / rng.uniform(3, 8), rng.uniform(0.3, 1.0)).outline()) / 100
    dense[:, 1] += rng.uniform(0.6, 1.5) * dense[:, 0] ** 2
    return Form(dense)


def _blob(rng: np.random.Generator) -> Form:
    stretch = np.array([1.0, 1 / rng.uniform(1.0, 1.5)])
    return Form(shapes.nanosphere(100, _waves(rng.uniform(0.12, 0.35), rng)).outline() * stretch)


def _ellipsoid(rng: np.random.Generator) -> Form:
    stretch = np.array([1.0, 1 / rng.uniform(*_BETWEEN_ASPECTS)])
    return Form(shapes.nanosphere(100, _waves(0.015, rng)).outline() * stretch)


def _brick(rng: np.random.Generator) -> Form:
    stretch = np.array([1.0, 1 / rng.uniform(*_BETWEEN_ASPECTS)])
    return Form(shapes.nanocube(100, 100 * rng.uniform(0.03, 0.25), _tilt(rng)).outline() * stretch)


def _hexagon(rng: np.random.Generator) -> Form:
    """A hexagonal plate: a rod of six facets that stands on its end."""
    outline = shapes.faceted_rod(50, 100, 6, 100 * rng.uniform(0.03, 0.1), math.pi / 2 + rng.normal(0, 0.1)).outline()
    return Form(outline @ _slight_shear(rng))


_FORMS: dict[str, Callable[[np.random.Generator], Form]] = {
    SPHERE: _sphere,
    ROD: _rod,
    CUBE: _cube,
    TRIANGLE: _triangle,
    PENTAGON: _pentagon,
    OTHER: _other,
}
_OTHERS = (_joined, _covered, _cut, _star, _crescent, _blob, _ellipsoid, _brick, _hexagon)


def _tilt(rng: np.random.Generator, flat: float = 0.9) -> tuple[float, float]:
    lying = rng.random() < flat
    x, y = (rng.normal(0, 0.05, 2) if lying else rng.uniform(-0.6, 0.6, 2)).tolist()
    return x, y


def _waves(amplitude: float, rng: np.random.Generator) -> list[tuple[int, float, float]]:
    """(order, amplitude, phase) of the waves that make an outline not quite round, drawn as nanosynth draws them."""
    orders = rng.choice([2, 3, 4, 5, 6, 7], 3, replace=False).tolist()
    amplitudes = (amplitude * rng.uniform(0.2, 1.0, 3) / [1, 1.5, 2]).tolist()
    return list(zip(orders, amplitudes, rng.uniform(0, 2 * math.pi, 3).tolist(), strict=True))


def _hollowed(outline: Points, rng: np.random.Generator) -> Points:
    """With sides that are hollow or bulge, as often as not."""
    dense = resample(outline)
    strength = rng.uniform(-0.06, 0.12) if rng.random() < 0.5 else 0.0
    squared = (dense**2).sum(axis=1, keepdims=True)
    hollowed: Points = dense * (1 + strength * squared / squared.mean())
    return hollowed


def _slight_shear(rng: np.random.Generator) -> Points:
    return np.eye(2) + rng.normal(0, 0.035, (2, 2))


def _beside(first: Points, other: Points, share: float, rng: np.random.Generator) -> Points:
    """The other outline, moved away by this share of the distance at which the two would touch as discs."""
    reach = math.sqrt(area(first) / math.pi) + math.sqrt(area(other) / math.pi)
    direction = rng.uniform(0, 2 * math.pi)
    return other + share * reach * np.array([math.cos(direction), math.sin(direction)])
