"""Particles as solids: exact projected outline, and the surfaces above and below the image plane.

Lengths are pixels; x to the right, y down, z towards the viewer; the origin is the particle's centre. All solids but
the near-sphere are convex, so each line of sight meets a solid in one interval: from ``bottom`` to ``top``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import scipy  # its parts are loaded where they are used: most of a program need not render
from numpy.typing import NDArray

_SAGITTA_PX = 0.02
_VERTICAL = 1e-6
_GRAZING = 1e-3
_ANY_AXIS = np.array([1.0, 0.0, 0.0])

Floats = NDArray[np.float32]
Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Relief:
    """A solid seen along z, sampled on a grid; all float32 of shape (H, W), pixels.

    Attributes:
        distance: Signed distance to the projected outline, negative inside (first-order accurate for curved outlines).
        top: Height of the surface that faces the viewer; 0 outside.
        bottom: Height of the surface that faces away; 0 outside.
    """

    distance: Floats
    top: Floats
    bottom: Floats

    @property
    def thickness(self) -> Floats:
        """Length of the line of sight inside the solid."""
        return self.top - self.bottom

    @property
    def coverage(self) -> Floats:
        """Share of each pixel that the solid covers, from 0 to 1."""
        return np.asarray(np.clip(0.5 - self.distance, 0, 1), dtype=np.float32)


class Solid(Protocol):
    """What the renderer needs to know of a particle."""

    def outline(self) -> Points:
        """Exterior of the projection, (N, 2) x, y, not closed."""
        ...

    def relief(self, x: Floats, y: Floats) -> Relief:
        """Sample the solid on a grid: ``x`` is (1, W) and ``y`` is (H, 1), both increasing."""
        ...


@dataclass(frozen=True, eq=False)
class RoundedPolyhedron:
    """A convex polyhedron dilated by a ball: flat faces, cylindrical edges, spherical corners.

    Its projection is the convex hull of the projected core vertices dilated by a disc, exactly.

    Attributes:
        vertices: (V, 3) corners of the core polyhedron.
        faces: Corner indices of each face, in order around it.
        rounding: Radius of the ball, > 0.
    """

    vertices: Points
    faces: tuple[tuple[int, ...], ...]
    rounding: float

    def outline(self) -> Points:
        """Exterior of the projection, (N, 2)."""
        hull = self._hull
        edges = np.roll(hull, -1, axis=0) - hull
        normals = np.arctan2(-edges[:, 0], edges[:, 1])
        points = []
        for corner, before, after in zip(hull, np.roll(normals, 1), normals, strict=True):
            turn = (after - before) % (2 * np.pi)
            steps = _arc_steps(self.rounding, turn)
            angles = before + turn * np.arange(steps + 1) / steps
            points.append(corner + self.rounding * np.column_stack([np.cos(angles), np.sin(angles)]))
        return np.concatenate(points)

    def relief(self, x: Floats, y: Floats) -> Relief:
        """Sample the solid at ``x`` and ``y``."""
        distance = _convex_distance(self._hull, x, y) - np.float32(self.rounding)
        mirrored = self.vertices * [1, 1, -1]
        top, bottom = self._height(self.vertices, x, y), -self._height(mirrored, x, y)
        inside = np.isfinite(top) & np.isfinite(bottom)
        return Relief(distance, np.where(inside, top, np.float32(0)), np.where(inside, bottom, np.float32(0)))

    @cached_property
    def _hull(self) -> Points:
        flat = self.vertices[:, :2]
        # Qhull returns 2-D hulls counter-clockwise in (x, y): outward normals are (dy, -dx).
        hull: Points = flat[scipy.spatial.ConvexHull(flat).vertices]
        return hull

    def _height(self, vertices: Points, x: Floats, y: Floats) -> Floats:
        """Upper surface: the highest of shifted faces, edge cylinders and corner balls; -inf where none is."""
        height = np.full((len(y), x.shape[1]), -np.inf, dtype=np.float32)
        edges, corners = set(), set()
        for face in self.faces:
            polygon = vertices[list(face)]
            normal = _outward_normal(polygon, vertices.mean(axis=0))
            # A point of the upper surface on an edge or a corner has a normal between those of the adjacent faces.
            if normal[2] > 0:
                _raise_to_face(height, polygon, normal, self.rounding, x, y)
                edges |= {(min(pair), max(pair)) for pair in zip(face, (*face[1:], face[0]), strict=True)}
                corners |= set(face)
        for start, end in sorted(edges):
            _raise_to_cylinder(height, vertices[start], vertices[end], self.rounding, x, y)
        for corner in sorted(corners):
            _raise_to_spheroid(height, vertices[corner], _ANY_AXIS, self.rounding, 1.0, x, y)
        return height


@dataclass(frozen=True, eq=False, slots=True)
class CappedRod:
    """A cylinder with half-spheroids on its ends, tilted out of the image plane.

    Attributes:
        length: From tip to tip along the axis.
        width: Diameter.
        cap: Height of a cap over the radius: 1 is a hemisphere, near 0 a flat end.
        tilt: Angle of the axis to the image plane, radians.
        angle: Direction of the axis in the image plane, radians.
    """

    length: float
    width: float
    cap: float
    tilt: float
    angle: float

    def outline(self) -> Points:
        """Exterior of the projection: two half-ellipses joined by straight sides, (N, 2)."""
        along, tip = self._projected()
        steps = _arc_steps(max(tip, self.width / 2), np.pi)
        half_turn = np.pi * (np.arange(steps + 1) / steps - 0.5)
        cap = np.column_stack([along + tip * np.cos(half_turn), self.width / 2 * np.sin(half_turn)])
        return np.asarray(np.concatenate([cap, -cap]) @ _rotation_2d(self.angle).T, dtype=np.float64)

    def relief(self, x: Floats, y: Floats) -> Relief:
        """Sample the solid at ``x`` and ``y``."""
        axis = np.array(
            [np.cos(self.tilt) * np.cos(self.angle), np.cos(self.tilt) * np.sin(self.angle), np.sin(self.tilt)]
        )
        top, bottom = self._height(axis, x, y), -self._height(axis * [1, 1, -1], x, y)
        inside = np.isfinite(top) & np.isfinite(bottom)
        return Relief(
            self._distance(x, y), np.where(inside, top, np.float32(0)), np.where(inside, bottom, np.float32(0))
        )

    def _half_cylinder(self) -> float:
        return self.length / 2 - self.cap * self.width / 2

    def _projected(self) -> tuple[float, float]:
        """Half the projected cylinder, and the projected semi-axis of a cap along it."""
        radius = self.width / 2
        tip = np.hypot(self.cap * radius * np.cos(self.tilt), radius * np.sin(self.tilt))
        return self._half_cylinder() * float(np.cos(self.tilt)), float(tip)

    def _height(self, axis: Points, x: Floats, y: Floats) -> Floats:
        height = np.full((len(y), x.shape[1]), -np.inf, dtype=np.float32)
        end = axis * self._half_cylinder()
        _raise_to_cylinder(height, -end, end, self.width / 2, x, y)
        for centre in (-end, end):
            _raise_to_spheroid(height, centre, axis, self.width / 2, self.cap, x, y)
        return height

    def _distance(self, x: Floats, y: Floats) -> Floats:
        along, tip = self._projected()
        cosine, sine = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        beyond = np.maximum(np.abs(x * cosine + y * sine) - np.float32(along), 0)
        across = y * cosine - x * sine
        radius = self.width / 2
        level = np.hypot(beyond / np.float32(tip), across / np.float32(radius))
        gradient = np.hypot(beyond / np.float32(tip**2), across / np.float32(radius**2))
        centre = gradient < 1e-9
        distance = level * (level - 1) / np.where(centre, np.float32(1), gradient)
        return np.where(centre, np.float32(-radius), distance)


@dataclass(frozen=True, eq=False, slots=True)
class NearSphere:
    """A sphere whose outline is r(φ) = radius · (1 + Σ a·cos(kφ + ψ)); every ray from the centre is a half-ellipse.

    Attributes:
        radius: Mean radius.
        harmonics: (k, a, ψ) of each term; k >= 2, so that the centre stays the centre.
    """

    radius: float
    harmonics: tuple[tuple[int, float, float], ...] = ()

    def outline(self) -> Points:
        """Exterior of the projection, (N, 2)."""
        steps = _arc_steps(self.radius, 2 * np.pi)
        angles = 2 * np.pi * np.arange(steps) / steps
        return np.asarray(self._edge(angles)[:, None] * np.column_stack([np.cos(angles), np.sin(angles)]))

    def relief(self, x: Floats, y: Floats) -> Relief:
        """Sample the solid at ``x`` and ``y``."""
        from_centre = np.hypot(x, y)
        edge = self._edge(np.arctan2(y, x)).astype(np.float32)
        top = np.float32(self.radius) * np.sqrt(np.maximum(1 - (from_centre / edge) ** 2, 0))
        return Relief(from_centre - edge, top, -top)

    def _edge(self, angles: NDArray[np.floating]) -> NDArray[np.floating]:
        waves = sum(amplitude * np.cos(order * angles + phase) for order, amplitude, phase in self.harmonics)
        return np.asarray(self.radius * (1 + waves) + 0 * angles)


def nanocube(side: float, rounding: float, tilt: tuple[float, float] = (0.0, 0.0), angle: float = 0.0) -> Solid:
    """A cube with rounded edges, lying on a face unless tilted.

    Args:
        side: Edge length.
        rounding: Radius of the edges, from 0 to side / 2, exclusive.
        tilt: Rotations about x and y, radians, before the turn in the plane.
        angle: Turn in the image plane, radians.
    """
    return _prism(4, side / np.sqrt(2), side, rounding, _rotation(tilt, angle + np.pi / 4))


def nanosphere(diameter: float, harmonics: Sequence[tuple[int, float, float]] = ()) -> Solid:
    """A sphere, slightly out of round by ``harmonics`` (see ``NearSphere``)."""
    return NearSphere(diameter / 2, tuple(harmonics))


def nanorod(length: float, width: float, cap: float = 1.0, tilt: float = 0.0, angle: float = 0.0) -> Solid:
    """A cylinder with rounded ends (see ``CappedRod``)."""
    return CappedRod(length, width, cap, tilt, angle)


def faceted_rod(
    length: float, width: float, sides: int, rounding: float, tilt: float = 0.0, angle: float = 0.0
) -> Solid:
    """A rod with ``sides`` long facets and flat ends; one facet faces the viewer.

    Args:
        length: From end to end.
        width: Distance between opposite facets (4 or 6 sides).
        sides: Number of long facets.
        rounding: Radius of the edges.
        tilt: Angle of the axis to the image plane, radians.
        angle: Direction of the axis in the plane, radians.
    """
    # The prism's axis is z: lay it down along x, with a facet (not an edge) towards the viewer.
    facet_up = _about_z(np.pi / sides)
    lying = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    rotation = _about_z(angle) @ _about_y(-tilt) @ lying @ facet_up
    return _prism(sides, width / 2 / np.cos(np.pi / sides), length, rounding, rotation)


def triangular_prism(
    side: float, thickness: float, rounding: float, tilt: tuple[float, float] = (0.0, 0.0), angle: float = 0.0
) -> Solid:
    """A flat triangular plate with rounded edges (arguments as in ``nanocube``)."""
    return _prism(3, side / np.sqrt(3), thickness, rounding, _rotation(tilt, angle))


def pentagonal_plate(
    diameter: float, thickness: float, rounding: float, tilt: tuple[float, float] = (0.0, 0.0), angle: float = 0.0
) -> Solid:
    """A flat pentagonal plate; ``diameter`` is that of the circle through its corners."""
    return _prism(5, diameter / 2, thickness, rounding, _rotation(tilt, angle))


def pentagonal_bipyramid(
    diameter: float, height: float, rounding: float, tilt: tuple[float, float] = (0.0, 0.0), angle: float = 0.0
) -> Solid:
    """A decahedron: two five-sided pyramids on one base; ``diameter`` is that of the base's circumcircle."""
    radius, apex = diameter / 2, height / 2
    middle = radius * np.cos(np.pi / 5)
    inradius = middle * apex / np.hypot(middle, apex)
    ring = _ring(5, radius)
    corners = np.vstack([np.column_stack([ring, np.zeros(5)]), [[0.0, 0.0, apex], [0.0, 0.0, -apex]]])
    faces = tuple((i, (i + 1) % 5, tip) for tip in (5, 6) for i in range(5))
    core = corners * (1 - rounding / inradius)
    return RoundedPolyhedron(core @ _rotation(tilt, angle).T, faces, rounding)


def _prism(sides: int, circumradius: float, height: float, rounding: float, rotation: Points) -> RoundedPolyhedron:
    """A regular prism whose faces, after rounding, lie where those of the sharp prism would."""
    ring = _ring(sides, circumradius - rounding / np.cos(np.pi / sides))
    half = height / 2 - rounding
    corners = np.vstack([np.column_stack([ring, np.full(sides, z)]) for z in (half, -half)])
    sideways = tuple((i, (i + 1) % sides, sides + (i + 1) % sides, sides + i) for i in range(sides))
    faces = (tuple(range(sides)), tuple(range(sides, 2 * sides)), *sideways)
    return RoundedPolyhedron(corners @ rotation.T, faces, rounding)


def _ring(count: int, radius: float) -> Points:
    angles = 2 * np.pi * np.arange(count) / count
    return radius * np.column_stack([np.cos(angles), np.sin(angles)])


def _rotation(tilt: tuple[float, float], angle: float) -> Points:
    return _about_x(tilt[0]) @ _about_y(tilt[1]) @ _about_z(angle)


def _about_x(angle: float) -> Points:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _about_y(angle: float) -> Points:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _about_z(angle: float) -> Points:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _rotation_2d(angle: float) -> Points:
    return _about_z(angle)[:2, :2]


def _arc_steps(radius: float, turn: float) -> int:
    """Chords of an arc such that none is further than the sagitta from it."""
    chord_angle = 2 * np.arccos(max(1 - _SAGITTA_PX / max(radius, _SAGITTA_PX), 0.0))
    return max(int(np.ceil(turn / chord_angle)), 1)


def _convex_distance(polygon: Points, x: Floats, y: Floats) -> Floats:
    """Signed distance to a convex counter-clockwise polygon."""
    shape = (len(y), x.shape[1])
    squared = np.full(shape, np.inf, dtype=np.float32)
    outside = np.full(shape, -np.inf, dtype=np.float32)
    for start, end in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        edge = (end - start).astype(np.float32)
        length = np.float32(np.hypot(*edge))
        from_x, from_y = x - np.float32(start[0]), y - np.float32(start[1])
        share = np.clip((from_x * edge[0] + from_y * edge[1]) / length**2, 0, 1)
        np.minimum(squared, (from_x - share * edge[0]) ** 2 + (from_y - share * edge[1]) ** 2, out=squared)
        np.maximum(outside, (from_x * edge[1] - from_y * edge[0]) / length, out=outside)
    return np.where(outside > 0, np.sqrt(squared), outside)


def _outward_normal(corners: Points, inside: Points) -> Points:
    normal: Points = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    normal = normal / np.linalg.norm(normal)
    return normal if normal @ (corners[0] - inside) > 0 else -normal


def _raise_to_face(height: Floats, corners: Points, normal: Points, rounding: float, x: Floats, y: Floats) -> None:
    if normal[2] < _GRAZING:
        return
    shifted = corners + rounding * normal
    first, second = shifted[1] - shifted[0], shifted[2] - shifted[0]
    turn = np.sign(first[0] * second[1] - first[1] * second[0])
    rows, columns = _bounds(shifted[:, :2], 1.0, x, y)
    height, x, y = height[rows, columns], x[:, columns], y[rows]
    within = np.ones(height.shape, dtype=bool)
    for start, end in zip(shifted, np.roll(shifted, -1, axis=0), strict=True):
        edge = turn * (end - start)
        within &= (y - np.float32(start[1])) * np.float32(edge[0]) >= (x - np.float32(start[0])) * np.float32(edge[1])
    offset, slope_x, slope_y = normal @ shifted[0] / normal[2], normal[0] / normal[2], normal[1] / normal[2]
    plane = np.float32(offset) - np.float32(slope_x) * x - np.float32(slope_y) * y
    np.maximum(height, plane, out=height, where=within)


def _raise_to_cylinder(height: Floats, start: Points, end: Points, radius: float, x: Floats, y: Floats) -> None:
    """Raise ``height`` to the upper side of a cylinder without ends: |p - (p·u)u| = radius solved for z."""
    length = float(np.linalg.norm(end - start))
    axis = (end - start) / max(length, _VERTICAL)
    steepness = 1 - axis[2] ** 2
    if length < _VERTICAL or steepness < _VERTICAL:
        return
    rows, columns = _bounds(np.stack([start[:2], end[:2]]), radius, x, y)
    height, x, y = height[rows, columns], x[:, columns], y[rows]
    from_x, from_y = x - np.float32(start[0]), y - np.float32(start[1])
    along = from_x * np.float32(axis[0]) + from_y * np.float32(axis[1])
    linear = along * np.float32(axis[2])
    constant = from_x**2 + from_y**2 - along**2 - np.float32(radius**2)
    root = linear**2 - np.float32(steepness) * constant
    rise = (linear + np.sqrt(np.maximum(root, 0))) / np.float32(steepness)
    position = along + rise * np.float32(axis[2])
    within = (root >= 0) & (position >= 0) & (position <= np.float32(length))
    np.maximum(height, rise + np.float32(start[2]), out=height, where=within)


def _raise_to_spheroid(
    height: Floats, centre: Points, axis: Points, radius: float, flattening: float, x: Floats, y: Floats
) -> None:
    """Raise ``height`` to the upper side of a spheroid: |p|² + (1/c² - 1)(p·u)² = radius² solved for z."""
    rows, columns = _bounds(centre[None, :2], radius, x, y)
    height, x, y = height[rows, columns], x[:, columns], y[rows]
    from_x, from_y = x - np.float32(centre[0]), y - np.float32(centre[1])
    along = from_x * np.float32(axis[0]) + from_y * np.float32(axis[1])
    stretch = 1 / flattening**2 - 1
    square = 1 + stretch * axis[2] ** 2
    linear = along * np.float32(stretch * axis[2])
    constant = from_x**2 + from_y**2 + np.float32(stretch) * along**2 - np.float32(radius**2)
    root = linear**2 - np.float32(square) * constant
    rise = (np.sqrt(np.maximum(root, 0)) - linear) / np.float32(square)
    np.maximum(height, rise + np.float32(centre[2]), out=height, where=root >= 0)


def _bounds(points: Points, margin: float, x: Floats, y: Floats) -> tuple[slice, slice]:
    """Rows and columns of the grid within ``margin`` of the points' bounding box: most elements are small."""
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    columns = slice(*np.searchsorted(x[0], [low[0], high[0]]).tolist())
    return slice(*np.searchsorted(y[:, 0], [low[1], high[1]]).tolist()), columns
