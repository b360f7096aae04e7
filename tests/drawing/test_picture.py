import numpy as np
import pytest

from nanoseg_bench.annotations.instance import Instance, Polygon
from nanoseg_bench.annotations.raster import mask_to_rle
from nanoseg_bench.drawing.colours import class_colours
from nanoseg_bench.drawing.outlines import class_outlines, outline_of
from nanoseg_bench.drawing.picture import draw_numbers, draw_outlines, draw_scale_bar, resized
from nanoseg_bench.drawing.scale_bar import place_scale_bar

CANVAS = np.full((100, 100, 3), 128, np.uint8)


def square(x, y, side, label):
    corners = np.array([(x, y), (x + side, y), (x + side, y + side), (x, y + side)], dtype=float)
    return Instance(label, (Polygon(corners),))


def draw_instances(instances, colours, side):
    return draw_outlines(resized(CANVAS, (side, side)), class_outlines(instances, (100, 100), colours), (100, 100))


def test_outlines_lie_on_the_edge_in_the_colour_of_the_class():
    colours = class_colours(["a", "b"])
    rows, columns = np.mgrid[:300, :300] + 0.5
    distance = np.hypot(columns / 3 - 50, rows / 3 - 50)
    angles = np.arange(180) * np.pi / 90
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    disc = Instance("b", (Polygon(50 + 30 * ring, (50 + 10 * ring,)),))
    picture = draw_instances([disc], colours, 300)
    coloured = np.abs(picture.astype(int) - colours["b"]).sum(axis=2) < 60
    # Lines of 2 px in a picture of three times the canvas; the raster's own edge lies within a canvas pixel.
    near = np.minimum(np.abs(distance - 30), np.abs(distance - 10))
    assert near[coloured].max() < 1.5
    for radius in (10, 30):
        around = [(round(3 * (50 + radius * y)), round(3 * (50 + radius * x))) for x, y in ring]
        assert all(coloured[max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5].any() for y, x in around)
    assert (picture[near > 3] == 128).all()


def test_ignore_regions_are_hatched():
    picture = draw_instances([square(20, 20, 40, "ignore")], class_colours(["a"]), 200)
    inside = picture[50:110, 50:110]
    assert len(np.unique(inside.reshape(-1, 3), axis=0)) == 2
    assert (inside[..., 0] == inside[..., 2]).all()
    assert (picture[140:, 140:] == 128).all()


def test_tints_and_hatching_leave_holes_open_and_the_micrograph_as_it_was():
    grey = np.full((100, 100), 90, np.uint8)
    mask = np.zeros((100, 100), bool)
    mask[20:80, 20:80] = True
    mask[40:60, 40:60] = False
    for fill in ("tint", "hatch"):
        drawn = draw_outlines(grey, [outline_of(mask_to_rle(mask), (100, 100), (255, 0, 0), fill)])
        assert drawn.shape == (100, 100, 3)
        assert (drawn[45:55, 45:55] == 90).all() and (drawn[:15] == 90).all()
        assert (drawn[28:33, 28:33] != 90).any(axis=2).all()
    assert (grey == 90).all()


def test_a_picture_may_be_narrower_than_its_micrograph():
    """Letterboxed contents are rounded to whole pixels on each axis."""
    corners = np.array([(0, 0), (100, 0), (100, 100), (0, 100)], dtype=float)
    drawn = draw_outlines(CANVAS[:50, :25], [outline_of((Polygon(corners),), (200, 100), (255, 0, 0))], (200, 100))
    red = (drawn == (255, 0, 0)).all(axis=2)
    across, down = np.flatnonzero(red[25]), np.flatnonzero(red[:, 6])
    # An edge at 12.5 px of the picture is at 12 among the centres of its pixels.
    assert across[across > 6].mean() == 12 and across[0] == 0
    assert {0, 49} <= set(down.tolist()) and not set(range(5, 45)) & set(down.tolist())


@pytest.mark.parametrize("zoom", [1, 2])
def test_the_scale_bar_is_as_long_as_it_says(zoom):
    size, nm_per_px = (640, 480), 0.7
    picture = draw_scale_bar(np.full((480 * zoom, 640 * zoom), 90, np.uint8), place_scale_bar(size, nm_per_px), size)
    row = round(480 * 0.94) * zoom
    white = np.flatnonzero((picture[row] == 255).all(axis=1))
    assert len(white) / zoom * nm_per_px == pytest.approx(100, rel=0.01)
    assert (np.diff(white) == 1).all()
    assert (picture[row, white[0] - 1] == 0).all() and (picture[row, white[-1] + 1] == 0).all()
    # Letters stand above the bar, and nowhere else.
    written = np.argwhere((picture != 90).any(axis=2))
    assert written[:, 0].min() > 380 * zoom and written[:, 1].max() < 260 * zoom


def test_what_does_not_count_has_a_thin_line():
    region = square(20, 20, 60, "a").region
    wide, thin = (
        (draw_outlines(CANVAS, [outline_of(region, (100, 100), (255, 0, 0), thin=thin)], line=4) != 128)
        .any(axis=2)
        .sum()
        for thin in (False, True)
    )
    assert wide > 1.4 * thin


def test_numbers_stand_in_particles_that_have_room():
    outlines = [
        outline_of(square(x, 10, side, "a").region, (100, 100), (255, 0, 0), number=number)
        for number, (x, side) in enumerate([(5, 50), (70, 12)], start=1)
    ]
    written = np.argwhere((draw_numbers(CANVAS, outlines) != 128).any(axis=2))
    assert np.abs((written.min(axis=0) + written.max(axis=0)) / 2 - (35, 30)).max() <= 1.5
    without = [outline_of(square(5, 10, 50, "a").region, (100, 100), (255, 0, 0))]
    assert (draw_numbers(CANVAS, without) == 128).all()


def test_a_dashed_line_has_gaps_along_all_of_it():
    colour = (255, 170, 0)
    region = square(20, 20, 60, "a").region
    shares = []
    for dashed in (False, True):
        picture = draw_outlines(CANVAS, [outline_of(region, (100, 100), colour, dashed=dashed)])
        line = np.abs(picture.astype(int) - colour).sum(axis=2) < 120
        sides = [line[17:23, 25:75].any(axis=0), line[77:83, 25:75].any(axis=0), line[25:75, 17:23].any(axis=1)]
        shares.append([float(side.mean()) for side in sides])
        assert (picture[18:22, 25:75].min(axis=(0, 2)) < 80).all()  # the dark rim is whole
    assert shares[0] == [1, 1, 1]
    assert all(0.4 < share < 0.85 for share in shares[1])
