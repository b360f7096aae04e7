import numpy as np
import pytest
from scipy import ndimage

from nanoseg_bench.annotations.instance import Instance, Polygon
from nanoseg_bench.annotations.loss import ImageLoss
from nanoseg_bench.annotations.masks.writing import draw_instance_map
from nanoseg_bench.annotations.raster import mask_to_rle
from nanoseg_bench.annotations.yolo.label import yolo_label

HEIGHT, WIDTH = 60, 80


def measure(tmp_path, *instances):
    return yolo_label(tmp_path / "a.txt", instances, ("cube",), HEIGHT, WIDTH).loss()


def test_outlines_inside_are_not_even_drawn(tmp_path, disc):
    loss = measure(tmp_path, Instance("cube", (disc(20, 20, 8),)), Instance("cube", (disc(60, 20, 0.3),)))
    assert loss == ImageLoss(instances=2)
    assert loss.as_json() == {"instances": 2}


def test_a_hole_costs_its_share(tmp_path, square):
    ring = Polygon(square(10, 10, 30, 30), (square(15, 15, 25, 25),))
    loss = measure(tmp_path, Instance("cube", (ring,)), Instance("cube", (Polygon(square(40, 10, 50, 20)),)))
    assert loss == ImageLoss(
        instances=2, holes_lost=1, compared=1, worst_iou=pytest.approx(300 / 400), mean_iou=pytest.approx(0.875)
    )


def test_a_hole_of_a_mask_costs_its_share(tmp_path):
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[10:30, 10:30] = True
    mask[15:25, 15:25] = False
    loss = measure(tmp_path, Instance("cube", mask_to_rle(mask)))
    assert (loss.holes_lost, loss.worst_iou) == (1, pytest.approx(300 / 400))


def test_masks_without_holes_lose_nothing(tmp_path):
    rng = np.random.default_rng(0)
    masks = [ndimage.gaussian_filter(rng.random((HEIGHT, WIDTH)), 4) > 0.51 for _ in range(5)]
    masks = [ndimage.binary_fill_holes(mask) for mask in masks]
    loss = measure(tmp_path, *(Instance("cube", mask_to_rle(mask)) for mask in masks))
    assert (loss.instances, loss.compared, loss.holes_lost) == (5, 5, 0)
    assert loss.worst_iou > 0.98  # the bridges between the parts may touch a pixel
    assert loss.parts_joined > 0


def test_clipped_points_cost_nothing_when_the_image_cuts_there(tmp_path, square):
    loss = measure(tmp_path, Instance("cube", (Polygon(square(-10, -10, 20, 20)),)))
    assert loss == ImageLoss(instances=1, points_clipped=3, compared=1)


def test_parts_are_joined(tmp_path, square):
    loss = measure(tmp_path, Instance("cube", (Polygon(square(5, 5, 15, 15)), Polygon(square(30, 5, 40, 15)))))
    assert (loss.instances, loss.parts_joined, loss.compared) == (1, 1, 1)
    assert loss.worst_iou > 0.99


def test_vanished_and_outside_are_told_apart(tmp_path, square):
    # Pixels that hold a particle, all of whose points fall on two when cut to the image's last millionth.
    outside = Instance("cube", (Polygon(square(-20, -20, -5, -5)),))
    empty = Instance("cube", mask_to_rle(np.zeros((HEIGHT, WIDTH))))
    seen = Instance("cube", (Polygon(square(5, 5, 15, 15)),))
    loss = measure(tmp_path, outside, empty, seen)
    assert loss == ImageLoss(instances=1, outside=2, points_clipped=4)


def test_ignore_regions_are_counted(tmp_path, disc):
    regions = (Instance("ignore", (disc(9, 9, 3),)), Instance("cube", (disc(9, 9, 3),), crowd=True))
    assert measure(tmp_path, *regions) == ImageLoss(instances=0, ignored_lost=2)


def test_instance_map_loses_overlaps(square):
    instances = [
        Instance("cube", (Polygon(square(10, 10, 30, 30)),)),
        Instance("cube", (Polygon(square(20, 10, 40, 30)),)),
        Instance("cube", (Polygon(square(50, 50, 52, 52)),)),
        Instance("cube", (Polygon(square(48, 48, 58, 58)),)),
        Instance("cube", (Polygon(square(90, 90, 95, 95)),)),
        Instance("ignore", (Polygon(square(0, 0, 5, 5)),)),
    ]
    loss = draw_instance_map(instances, HEIGHT, WIDTH).loss()
    assert loss == ImageLoss(
        instances=3,
        outside=1,
        vanished=1,
        ignored_lost=1,
        points_clipped=4,
        overlapped_pixels=200 + 4,
        compared=4,
        worst_iou=0.0,
        mean_iou=pytest.approx((0.5 + 1 + 0 + 1) / 4),
    )


def test_instance_map_without_overlaps_loses_nothing(square):
    instances = [Instance("cube", (Polygon(square(x, 10, x + 10, 30)),)) for x in (10, 20, 40)]
    assert draw_instance_map(instances, HEIGHT, WIDTH).loss() == ImageLoss(instances=3)
