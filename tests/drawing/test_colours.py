import tracemalloc

import numpy as np

from nanoseg_bench.annotations.raster import window_to_rle
from nanoseg_bench.drawing.colours import PALETTE, class_colours, css, neighbour_colours


def test_every_class_has_its_own_colour():
    colours = class_colours([str(number) for number in range(30)])
    assert len(set(colours.values())) == 30


def test_touching_particles_look_different():
    def block(x, y):
        return window_to_rle(np.ones((10, 10), bool), x, y, 80, 120)

    grid = [block(10 * column, 10 * row) for row in range(4) for column in range(5)]
    colours = neighbour_colours(grid)
    assert set(colours) <= set(PALETTE)
    for one in range(20):
        for other in range(one):
            rows, columns = abs(one // 5 - other // 5), abs(one % 5 - other % 5)
            if max(rows, columns) == 1:
                assert colours[one] != colours[other]


def test_css():
    assert css((0, 229, 255)) == "#00e5ff"


def test_memory_does_not_grow_with_the_pairs_of_particles():
    masks = [window_to_rle(np.ones((1, 1), bool), number % 60, number // 60, 50, 60) for number in range(3000)]
    tracemalloc.start()
    neighbour_colours(masks)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 3000**2
