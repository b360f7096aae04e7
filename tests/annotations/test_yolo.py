import numpy as np
import pytest
from scipy import ndimage

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Polygon
from nanoseg_bench.annotations.raster import mask_to_rle, polygons_to_rle, rle_to_mask, to_mask
from nanoseg_bench.annotations.yolo import YoloLoss, to_outlines, write_yolo
from nanoseg_bench.errors import AnnotationError

CLASSES = ("cube", "rod")


def shoelace(outline):
    x, y = outline.T
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def read_lines(path, height, width):
    lines = [line.split() for line in path.read_text().splitlines()]
    return [(int(line[0]), np.array(line[1:], dtype=float).reshape(-1, 2) * (width, height)) for line in lines]


def test_traced_disc_of_8_px_keeps_its_area(disc):
    traced = []
    for dx in np.arange(0, 1, 0.125):
        for dy in np.arange(0, 1, 0.125):
            mask = polygons_to_rle([disc(20 + dx, 20 + dy, 4)], 40, 40)
            (outline,) = to_outlines(Instance("a", mask), 40, 40)
            traced.append(shoelace(outline.exterior))
            assert traced[-1] == pytest.approx(rle_to_mask(mask).sum(), rel=0.0125)
            middle = (outline.exterior.min(axis=0) + outline.exterior.max(axis=0)) / 2
            assert middle == pytest.approx([20 + dx, 20 + dy], abs=0.5)
    assert np.mean(traced) == pytest.approx(np.pi * 16, rel=0.03)


def test_traced_mask_rasterises_to_itself_but_for_corners():
    rng = np.random.default_rng(0)
    mask = ndimage.gaussian_filter(rng.random((60, 80)), 3) > 0.5
    outlines = to_outlines(Instance("a", mask_to_rle(mask)), 60, 80)
    _, parts = ndimage.label(mask, structure=np.ones((3, 3)))
    assert len(outlines) == parts > 1
    back = to_mask(Instance("a", tuple(outlines)), 60, 80)
    assert (back & mask).sum() / (back | mask).sum() > 0.98
    exact = sum(shoelace(part.exterior) - sum(map(shoelace, part.holes)) for part in outlines)
    assert exact == pytest.approx(mask.sum(), rel=0.01)


def test_mask_at_the_edge_is_traced_along_the_edge():
    mask = np.ones((10, 12), dtype=bool)
    (outline,) = to_outlines(Instance("a", mask_to_rle(mask)), 10, 12)
    assert outline.exterior.min(axis=0).tolist() == [0, 0]
    assert outline.exterior.max(axis=0).tolist() == [12, 10]
    assert shoelace(outline.exterior) == pytest.approx(119.5)


def test_every_3x3_mask_is_one_outline_per_part():
    for number in range(1, 512):
        mask = np.zeros((5, 5), dtype=bool)
        mask[1:4, 1:4] = np.array([number >> bit & 1 for bit in range(9)], dtype=bool).reshape(3, 3)
        outlines = to_outlines(Instance("a", mask_to_rle(mask)), 5, 5)
        _, parts = ndimage.label(mask, structure=np.ones((3, 3)))
        holes = ndimage.binary_fill_holes(mask).sum() - mask.sum()
        assert len(outlines) == parts, number
        assert sum(len(part.holes) for part in outlines) == holes, number
        exact = sum(shoelace(part.exterior) - sum(map(shoelace, part.holes)) for part in outlines)
        assert exact == pytest.approx(mask.sum() - 0.5 * parts + 0.5 * holes), number


def test_polygons_inside_stay_as_they_are(disc):
    part = disc(20, 20, 6)
    (outline,) = to_outlines(Instance("a", (part,)), 40, 40)
    assert outline is part


def test_lines_are_normalised_clipped_and_deterministic(tmp_path, disc, square):
    instances = [
        Instance("rod", (disc(20, 10, 5),)),
        Instance("cube", (Polygon(square(-10, -10, 6, 4)),)),
        Instance("cube", (Polygon(square(30, 15, 40.0000001, 20.0000001)),)),
        Instance(IGNORE_LABEL, (disc(5, 5, 2),)),
        Instance("rod", (disc(5, 5, 2),), crowd=True),
    ]
    loss = write_yolo(tmp_path / "a.txt", instances, CLASSES, 20, 40)
    assert loss == YoloLoss(instances=3, parts_joined=0, holes_lost=0, vanished=0)
    (first, rod), (second, corner), (third, end) = read_lines(tmp_path / "a.txt", 20, 40)
    assert (first, second, third) == (1, 0, 0)
    assert rod == pytest.approx(instances[0].region[0].exterior, abs=1e-4)
    assert shoelace(corner) == pytest.approx(24, abs=1e-3)
    values = [float(v) for line in (tmp_path / "a.txt").read_text().splitlines() for v in line.split()[1:]]
    assert min(values) >= 0 and max(values) <= 1
    assert all(len(v.split(".")[1]) == 6 for v in (tmp_path / "a.txt").read_text().split() if "." in v)
    assert shoelace(end) == pytest.approx(50, abs=1e-3)
    write_yolo(tmp_path / "b.txt", instances, CLASSES, 20, 40)
    assert (tmp_path / "a.txt").read_bytes() == (tmp_path / "b.txt").read_bytes()


def test_parts_are_joined_and_holes_counted(tmp_path, disc, square):
    parts = (disc(10, 10, 5), disc(30, 10, 5), Polygon(square(8, 22, 30, 38), (square(12, 26, 16, 30),)))
    loss = write_yolo(tmp_path / "a.txt", [Instance("cube", parts)], CLASSES, 40, 40)
    assert loss == YoloLoss(instances=1, parts_joined=2, holes_lost=1, vanished=0)
    ((_, joined),) = read_lines(tmp_path / "a.txt", 40, 40)
    # The bridges have no width: the area is the sum of the parts', the hole filled.
    assert shoelace(joined) == pytest.approx(2 * shoelace(parts[0].exterior) + 22 * 16, rel=1e-4)
    wanted = to_mask(Instance("cube", tuple(Polygon(part.exterior) for part in parts)), 40, 40)
    assert (rle_to_mask(polygons_to_rle([Polygon(joined)], 40, 40)) ^ wanted).sum() <= 2


def test_what_vanishes_is_counted_not_written(tmp_path, square):
    instances = [
        Instance("cube", (Polygon(square(-20, -20, -5, -5)),)),
        Instance("cube", (Polygon(np.array([(3, 3), (3.000001, 3), (3, 3.000001)])),)),
        Instance("cube", mask_to_rle(np.zeros((40, 40)))),
        Instance("cube", ()),
    ]
    loss = write_yolo(tmp_path / "a.txt", instances, CLASSES, 40, 40)
    assert loss == YoloLoss(instances=0, parts_joined=0, holes_lost=0, vanished=4)
    assert (tmp_path / "a.txt").read_bytes() == b""


def test_one_pixel_survives(tmp_path):
    mask = np.zeros((640, 640))
    mask[7, 9] = 1
    assert write_yolo(tmp_path / "a.txt", [Instance("rod", mask_to_rle(mask))], CLASSES, 640, 640).instances == 1
    ((_, outline),) = read_lines(tmp_path / "a.txt", 640, 640)
    assert outline.mean(axis=0) == pytest.approx([9.5, 7.5], abs=1e-3)


def test_unknown_label_is_refused(tmp_path, disc):
    for label in ("sphere", None):
        with pytest.raises(AnnotationError, match=f"{label!r} is not one of the classes: cube, rod"):
            write_yolo(tmp_path / "a.txt", [Instance(label, (disc(9, 9, 3),))], CLASSES, 40, 40)
    assert list(tmp_path.iterdir()) == []
