import numpy as np
import pytest

from nanoseg_bench.synthesis import shapes
from nanoseg_bench.synthesis.scene import polygon_area

TILTED = [
    shapes.nanocube(60, 8, (0.4, -0.5), 0.3),
    shapes.nanosphere(70, [(2, 0.03, 0.4), (5, 0.02, 1.0)]),
    shapes.nanorod(90, 26, 0.5, 0.3, 1.1),
    shapes.faceted_rod(90, 26, 6, 3, 0.3, 0.7),
    shapes.triangular_prism(80, 24, 3, (0.2, 0.1), 0.5),
    shapes.pentagonal_plate(80, 24, 3, (0.2, 0.1), 0.5),
    shapes.pentagonal_bipyramid(80, 50, 3, (0.2, 0.1), 0.5),
]
SPACING = 0.5


def sample(solid):
    axis = np.arange(-65, 65, SPACING, dtype=np.float32) + SPACING / 2
    return solid.relief(axis[None, :], axis[:, None])


def volume(solid):
    return float(sample(solid).thickness.sum()) * SPACING**2


def rounded_cube_volume(side, radius):
    """Steiner's formula: a cube of side - 2r, dilated by a ball of radius r."""
    core = side - 2 * radius
    return core**3 + 6 * core**2 * radius + 3 * np.pi * core * radius**2 + 4 / 3 * np.pi * radius**3


def test_face_on_cube_has_the_area_of_a_rounded_square():
    area = polygon_area(shapes.nanocube(60, 8).outline())
    assert area == pytest.approx(60**2 - (4 - np.pi) * 8**2, rel=2e-3)


def test_sphere_has_the_area_of_a_disc():
    assert polygon_area(shapes.nanosphere(70).outline()) == pytest.approx(np.pi * 35**2, rel=2e-3)


@pytest.mark.parametrize("cap", [1.0, 0.4])
def test_lying_rod_is_a_rectangle_with_half_ellipses(cap):
    straight = 90 - cap * 26
    expected = straight * 26 + np.pi * 13 * cap * 13
    assert polygon_area(shapes.nanorod(90, 26, cap, angle=0.8).outline()) == pytest.approx(expected, rel=2e-3)


def test_standing_rod_shows_its_circular_section():
    assert polygon_area(shapes.nanorod(90, 26, 1.0, np.pi / 2).outline()) == pytest.approx(np.pi * 13**2, rel=3e-3)


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (0.4, -0.5)])
def test_cube_keeps_its_volume_in_any_direction(tilt):
    assert volume(shapes.nanocube(60, 8, tilt, 0.3)) == pytest.approx(rounded_cube_volume(60, 8), rel=2e-3)


def test_sphere_volume():
    assert volume(shapes.nanosphere(70)) == pytest.approx(np.pi / 6 * 70**3, rel=2e-3)


@pytest.mark.parametrize("tilt", [0.0, 0.6])
def test_rod_volume(tilt):
    expected = np.pi * 13**2 * (90 - 13) + 4 / 3 * np.pi * 13**2 * 6.5
    assert volume(shapes.nanorod(90, 26, 0.5, tilt, 0.4)) == pytest.approx(expected, rel=3e-3)


def test_triangle_and_pentagon_lie_on_their_faces():
    triangle = polygon_area(shapes.triangular_prism(80, 24, 1e-3).outline())
    pentagon = polygon_area(shapes.pentagonal_plate(80, 24, 1e-3).outline())
    assert triangle == pytest.approx(np.sqrt(3) / 4 * 80**2, rel=1e-3)
    assert pentagon == pytest.approx(2.5 * 40**2 * np.sin(2 * np.pi / 5), rel=1e-3)


@pytest.mark.parametrize("solid", TILTED, ids=lambda solid: type(solid).__name__)
def test_outline_and_coverage_agree(solid):
    covered = float((sample(solid).distance < 0).sum()) * SPACING**2
    assert covered == pytest.approx(polygon_area(solid.outline()), rel=4e-3)


@pytest.mark.parametrize("solid", TILTED, ids=lambda solid: type(solid).__name__)
def test_solid_has_thickness_exactly_inside_its_outline(solid):
    relief = sample(solid)
    assert (relief.thickness[relief.distance < -1] > 0).all()
    assert (relief.thickness[relief.distance > 0.1] <= 1e-3).all()
    assert (relief.thickness >= 0).all()


def test_distance_is_euclidean_outside_a_cube():
    relief = shapes.nanocube(60, 8).relief(np.array([[40, 35]], np.float32), np.array([[0], [35]], np.float32))
    corner = np.hypot(35 - 22, 35 - 22) - 8
    assert relief.distance == pytest.approx(np.array([[10, 5], [np.hypot(18, 13) - 8, corner]]), abs=1e-3)


def test_outline_is_convex_and_counts_no_point_twice():
    for solid in TILTED:
        outline = solid.outline()
        edges = np.roll(outline, -1, axis=0) - outline
        assert (np.hypot(*edges.T) > 1e-9).all()
        if isinstance(solid, shapes.RoundedPolyhedron):
            following = np.roll(edges, -1, axis=0)
            assert (edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0] > -1e-9).all()
