import numpy as np
import pytest

from nanoseg_bench.models.shared_pixels import MaskWindow, settle_shared_pixels


def disc(x, y, radius, score, box, reach=0.0):
    """A disc in a window (left, top, right, bottom); its mask takes in ``reach`` px beyond it."""
    left, top, right, bottom = box
    rows, columns = np.mgrid[top:bottom, left:right] + 0.5
    logits = (radius - np.hypot(columns - x, rows - y)).astype(np.float32)
    return MaskWindow(logits > -reach, logits, left, top, score)


def area(x, y, radius, box):
    return int(disc(x, y, radius, 1, box).mask.sum())


LEFT, RIGHT = (20, 20, 12), (42, 20, 12)
BOX_LEFT, BOX_RIGHT = (5, 5, 37, 35), (29, 5, 57, 35)


def test_what_runs_on_into_a_neighbour_is_the_neighbours():
    greedy, modest = disc(*LEFT, 0.9, BOX_LEFT, reach=6), disc(*RIGHT, 0.6, BOX_RIGHT)
    mask, other = (each.mask for each in settle_shared_pixels([greedy, modest]))
    common = np.zeros((60, 60), dtype=int)
    common[5:35, 5:37] += mask
    common[5:35, 29:57] += other
    assert common.max() == 1
    # A pixel is whose disc it lies deeper in, as the slow formula says.
    rows, columns = np.mgrid[:60, :60] + 0.5
    depth = [radius - np.hypot(columns - x, rows - y) for x, y, radius in (LEFT, RIGHT)]
    expected = (depth[0] >= depth[1]) | ~inside(modest)
    np.testing.assert_array_equal(mask, (inside(greedy) & expected)[5:35, 5:37])
    assert other.sum() == pytest.approx(area(*RIGHT, BOX_RIGHT), rel=0.02)  # the discs themselves overlap a little


def inside(window):
    whole = np.zeros((60, 60), dtype=bool)
    left, top, right, bottom = window.box
    whole[top:bottom, left:right] = window.mask
    return whole


def test_the_order_does_not_matter():
    found = [
        disc(*LEFT, 0.9, BOX_LEFT, reach=6),
        disc(*RIGHT, 0.6, BOX_RIGHT),
        disc(31, 38, 9, 0.5, (20, 25, 44, 50), 4),
    ]
    one_way = settle_shared_pixels(found)
    other_way = settle_shared_pixels(found[::-1])[::-1]
    for a, b in zip(one_way, other_way, strict=True):
        np.testing.assert_array_equal(a.mask, b.mask)


def test_what_is_hardly_believed_in_takes_nothing():
    sure, doubtful = disc(*LEFT, 0.9, BOX_LEFT, reach=6), disc(*RIGHT, 0.1, BOX_RIGHT)
    mask, other = (each.mask for each in settle_shared_pixels([sure, doubtful]))
    np.testing.assert_array_equal(mask, sure.mask)
    assert other.sum() < doubtful.mask.sum()
    masks = settle_shared_pixels([disc(*LEFT, 0.2, BOX_LEFT, reach=6), doubtful])
    np.testing.assert_array_equal(masks[1].mask, doubtful.mask)


def test_two_answers_to_one_particle_keep_their_pixels():
    found = [disc(20, 20, 12, 0.9, (5, 5, 36, 36)), disc(22, 20, 12, 0.8, (7, 5, 38, 36))]
    for before, after in zip(found, settle_shared_pixels(found), strict=True):
        np.testing.assert_array_equal(before.mask, after.mask)


@pytest.mark.parametrize("number", [0, 1])
def test_there_is_nothing_to_share(number):
    found = [disc(*LEFT, 0.9, BOX_LEFT)][:number]
    assert len(settle_shared_pixels(found)) == number
