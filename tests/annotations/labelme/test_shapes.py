import base64
import io

import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.annotations.instance import Instance, Polygon
from nanoseg_bench.annotations.labelme.shapes import encode_mask, plain_polygons, shape_region
from nanoseg_bench.annotations.raster import rle_to_mask, to_mask
from nanoseg_bench.errors import AnnotationError

HEIGHT, WIDTH = 40, 60


def read(shape):
    return shape_region(shape, HEIGHT, WIDTH, "f.json: shape 1 ('a')")


def shoelace(outline):
    x, y = outline.T
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def png(values):
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, format="PNG")
    return base64.b64encode(stream.getvalue()).decode()


def test_polygon_with_and_without_type_and_closing_point():
    points = [[1, 2], [9.5, 2], [5, 8]]
    for shape in (
        {"points": points, "shape_type": "polygon"},
        {"points": points},
        {"points": points, "shape_type": None},
        {"points": [*points, points[0]]},
    ):
        region = read(shape)
        assert isinstance(region, Polygon)
        assert region.exterior.tolist() == points


def test_rectangle_with_any_corner_order():
    for first, second in (((3, 4), (10, 9)), ((10, 9), (3, 4)), ((3, 9), (10, 4)), ((10, 4), (3, 9))):
        mask = to_mask(Instance("a", (read({"points": [first, second], "shape_type": "rectangle"}),)), HEIGHT, WIDTH)
        expected = np.zeros((HEIGHT, WIDTH), dtype=bool)
        expected[4:9, 3:10] = True
        assert (mask == expected).all()


@pytest.mark.parametrize("kind", ["rectangle", "oriented_rectangle", "rotation"])
def test_four_corner_rectangles_keep_their_rotation(kind):
    corners = [[10, 5], [15, 10], [10, 15], [5, 10]]
    region = read({"points": corners, "shape_type": kind})
    assert region.exterior.tolist() == corners
    assert shoelace(region.exterior) == 50


@pytest.mark.parametrize("radius", [0.5, 4, 37, 1200, 20000])
def test_circle_deviates_less_than_a_hundredth_of_a_pixel(radius):
    region = read({"points": [[30, 20], [30 + radius * 0.6, 20 + radius * 0.8]], "shape_type": "circle"})
    middle = (region.exterior + np.roll(region.exterior, 1, axis=0)) / 2
    for points in (region.exterior, middle):
        distance = np.hypot(*(points - (30, 20)).T)
        assert np.abs(distance - radius).max() <= 0.01 + 1e-9


def test_circle_of_no_radius_is_no_error_and_no_pixel():
    region = read({"points": [[30, 20], [30, 20]], "shape_type": "circle"})
    assert not to_mask(Instance("a", (region,)), HEIGHT, WIDTH).any()


def test_mask_with_a_hole_round_trip():
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[5:20, 8:30] = True
    mask[9:12, 12:20] = False
    mask[35, 50] = True
    points, encoded = encode_mask(mask)
    assert points == [[8, 5], [50, 35]]
    region = read({"points": points, "shape_type": "mask", "mask": encoded})
    assert (rle_to_mask(region) == mask).all()
    assert encode_mask(mask) == (points, encoded)


@pytest.mark.parametrize(
    "values", [np.full((4, 6), 1, np.uint8), np.full((4, 6), 255, np.uint8), np.ones((4, 6), bool)]
)
def test_mask_values_of_different_writers(values):
    region = read({"points": [[2, 3], [7, 6]], "shape_type": "mask", "mask": png(values)})
    assert rle_to_mask(region).sum() == 24 and rle_to_mask(region)[3:7, 2:8].all()


def test_mask_box_one_past_the_last_pixel_and_mask_over_the_edge():
    region = read({"points": [[2, 3], [8, 7]], "shape_type": "mask", "mask": png(np.ones((4, 6), np.uint8))})
    assert rle_to_mask(region)[3:7, 2:8].sum() == rle_to_mask(region).sum() == 24
    region = read({"points": [[-2, 38], [3, 41]], "shape_type": "mask", "mask": png(np.ones((4, 6), np.uint8))})
    assert rle_to_mask(region)[38:, :4].sum() == rle_to_mask(region).sum() == 8
    region = read({"points": [[90, 90], [95, 93]], "shape_type": "mask", "mask": png(np.ones((4, 6), np.uint8))})
    assert rle_to_mask(region).sum() == 0


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"points": [[1, 1], [5, 5]]}, "at least 3 different points, this one has 2"),
        ({"points": [[1, 1], [5, 5], [5, 5], [1, 1]]}, "at least 3 different points, this one has 2"),
        ({"points": []}, "list of"),
        ({"points": None}, "list of"),
        ({"points": [[1, 1], [2]]}, "list of"),
        ({"points": [["a", 1], [2, 2], [3, 1]]}, "list of"),
        ({"points": [[1, float("inf")], [2, 2], [3, 1]]}, "list of"),
        ({"points": [[1, 1, 1], [2, 2, 2], [3, 1, 1]]}, "list of"),
        ({}, "list of"),
        ({"points": [[1, 1], [2, 2], [1e9, 1]]}, "lies 1e\\+09 px away"),
        ({"points": [[1, 1], [10**400, 2], [3, 1]]}, "list of"),
        ({"points": {"x": 1, "y": 2}}, "list of"),
        ({"points": [[1, 1]], "shape_type": ["polygon"]}, "is not known"),
        ({"points": [], "shape_type": "mask", "mask": png(np.ones((4, 6), np.uint8))}, "list of"),
        (
            {"points": [[0, 0], [999, 999]], "shape_type": "mask", "mask": png(np.ones((1000, 1000), np.uint8))},
            "'mask' is 1000x1000 px on an image of 60x40 px",
        ),
        ({"points": [[1, 1]], "shape_type": "circle"}, "a circle has 2 points, this one 1"),
        ({"points": [[1, 1], [2, 2], [3, 3]], "shape_type": "rectangle"}, "a rectangle has 2 points, this one 3"),
        ({"points": [[1, 1], [2, 2]], "shape_type": "oriented_rectangle"}, "4 points"),
        ({"points": [[1, 1], [2, 2], [3, 1]], "shape_type": "cuboid"}, "shape_type 'cuboid' is not known"),
        ({"points": [[1, 1], [2, 2]], "shape_type": "mask"}, "not a base64"),
        ({"points": [[1, 1], [2, 2]], "shape_type": "mask", "mask": "AAAA"}, "not a base64"),
        ({"points": [[1, 1], [2, 2]], "shape_type": "mask", "mask": "*"}, "not a base64"),
        (
            {"points": [[2, 3], [20, 30]], "shape_type": "mask", "mask": png(np.ones((4, 6), np.uint8))},
            "'mask' is 6x4 px, its points span 19x28 px",
        ),
    ],
)
def test_malformed_shape_is_named(shape, message):
    with pytest.raises(AnnotationError, match=message) as caught:
        read(shape)
    assert str(caught.value).startswith("f.json: shape 1 ('a'): ")


def test_many_polygons_at_once_are_what_they_are_one_by_one():
    rng = np.random.default_rng(0)
    shapes = [{"points": (rng.random((count, 2)) * 50).tolist()} for count in range(3, 40)]
    shapes[3]["points"].append(shapes[3]["points"][0])
    shapes.insert(5, {"points": [[1, 1], [2, 2]], "shape_type": "rectangle"})
    shapes.insert(7, {"points": [[1, 1], [2, 2], [1, 1], [2, 2]], "shape_type": "polygon"})
    shapes.insert(9, "no shape")
    shapes.append({"points": [[1, 1]] * 20 + [[2, 2], [3, 1]]})
    found = plain_polygons(shapes)
    assert [number for number, polygon in enumerate(found) if polygon is None] == [5, 7, 9]
    for shape, polygon in zip(shapes, found, strict=True):
        if polygon is not None:
            assert (polygon.exterior == read(shape).exterior).all()


@pytest.mark.parametrize(
    "points", [[[1, 1, 1], [2], [3, 1]], [[1, "a"], [2, 2], [3, 1]], [{"x": 1}, [2, 2], [3, 1]], ["12", "34", "56"], []]
)
def test_one_malformed_polygon_leaves_all_to_be_read_one_by_one(points):
    shapes = [{"points": [[1, 1], [9, 1], [5, 8]]}, {"points": points}]
    if points:
        assert plain_polygons(shapes) == [None, None]
    with pytest.raises(AnnotationError):
        read(shapes[1])


def test_mask_of_the_whole_image_needs_no_points():
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[3:9, 20:40] = 1
    for points in ({}, {"points": []}, {"points": None}):
        assert (rle_to_mask(read({"shape_type": "mask", "mask": png(mask), **points})) == mask.astype(bool)).all()


def supersampled(outline, times=16):
    """A literal reference: a pixel is inside when more than half of its sample points are, by the crossing rule."""
    ys, xs = (np.indices((HEIGHT * times, WIDTH * times)) + 0.5) / times
    inside = np.zeros(xs.shape, dtype=bool)
    for (x0, y0), (x1, y1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        if y0 != y1:
            inside ^= ((y0 > ys) != (y1 > ys)) & (xs < x0 + (ys - y0) * (x1 - x0) / (y1 - y0))
    return inside.reshape(HEIGHT, times, WIDTH, times).mean(axis=(1, 3)) > 0.5


@pytest.mark.parametrize(
    "shape",
    [
        {"points": [[20.3, 15.7], [24.3, 15.7]], "shape_type": "circle"},
        {"points": [[30.5, 20.25], [30.5, 32.25]], "shape_type": "circle"},
        {"points": [[10.2, 30.9], [22.7, 12.1]], "shape_type": "rectangle"},
        {"points": [[30, 5], [45, 12], [40, 22], [25, 15]], "shape_type": "oriented_rectangle"},
        {"points": [[5.5, 5.5], [50.25, 9], [33, 21], [41, 36.5], [8, 30]], "shape_type": "polygon"},
        {"points": [[-8, -4], [50.4, -10], [70, 30.3], [10.2, 60]], "shape_type": "polygon"},
    ],
    ids=lambda shape: shape["shape_type"],
)
def test_geometry_against_a_supersampled_reference(shape):
    region = read(shape)
    expected = supersampled(region.exterior)
    mask = to_mask(Instance("a", (region,)), HEIGHT, WIDTH)
    assert (mask & expected).sum() / (mask | expected).sum() > 0.95
    assert mask.sum() == pytest.approx(expected.sum(), rel=0.025)
