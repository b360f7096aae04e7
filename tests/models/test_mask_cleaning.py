import numpy as np
import pytest
from scipy import ndimage

from nanoseg_bench.annotations.instance import Instance, Polygon
from nanoseg_bench.annotations.raster import mask_to_rle, rle_to_mask, to_mask
from nanoseg_bench.models.base import CanvasImage, Model
from nanoseg_bench.models.mask_cleaning import clean_masks, count_altered, fill_holes, largest_part
from nanoseg_bench.models.recipe import Recipe
from nanoseg_bench.preparation.letterbox import Letterbox

TOUCHING = np.ones((3, 3))
HEIGHT, WIDTH = 40, 56


def random_masks(number=200):
    """From speckles to smooth blobs with holes and crumbs."""
    rng = np.random.default_rng(3)
    for _ in range(number):
        noise = rng.normal(size=(HEIGHT, WIDTH))
        mask = ndimage.gaussian_filter(noise, rng.uniform(0, 3)) > rng.uniform(-0.1, 0.1)
        if mask.any():
            yield mask


def filled(mask):
    return ndimage.binary_fill_holes(mask)


def check_largest(part, mask):
    """``part`` is one of the largest parts by SciPy."""
    labels, number = ndimage.label(mask, TOUCHING)
    sizes = np.bincount(labels.ravel(), minlength=number + 1)[1:]
    assert part.sum() == sizes.max()
    (label,) = np.unique(labels[part])
    assert label > 0 and np.array_equal(part, labels == label)


def test_parts_and_holes_are_those_of_scipy():
    seen = {"parts": 0, "holes": 0}
    for mask in random_masks():
        part = largest_part(mask)
        check_largest(part, mask)
        assert np.array_equal(fill_holes(mask), filled(mask))
        seen["parts"] += part is not mask
        seen["holes"] += fill_holes(mask) is not mask
    assert min(seen.values()) > 50


def test_of_equal_parts_the_upper_and_then_the_left_one_stays():
    mask = np.zeros((9, 9), dtype=bool)
    mask[5:7, 0:2] = mask[1:3, 6:8] = mask[1:3, 2:4] = True
    assert np.argwhere(largest_part(mask)).tolist() == [[1, 2], [1, 3], [2, 2], [2, 3]]


def test_what_touches_at_a_corner_is_one_part_and_encloses():
    ring = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], dtype=bool)
    assert largest_part(ring) is ring
    assert fill_holes(ring)[1, 1]
    open_to_the_edge = np.array([[1, 1, 1], [1, 0, 0], [1, 1, 1]], dtype=bool)
    assert fill_holes(open_to_the_edge) is open_to_the_edge


@pytest.mark.parametrize("cleaning", ["largest", "largest-filled"])
def test_particles_on_an_image(cleaning):
    for mask in random_masks(40):
        (found,) = clean_masks([Instance("rod", mask_to_rle(mask), 0.25)], cleaning, HEIGHT, WIDTH)
        result = rle_to_mask(found.region)
        assert (found.label, found.score, result.shape) == ("rod", 0.25, (HEIGHT, WIDTH))
        part = largest_part(mask)
        assert np.array_equal(result, part if cleaning == "largest" else filled(part))


def test_what_is_clean_comes_back_as_it_is():
    block = np.zeros((HEIGHT, WIDTH), dtype=bool)
    block[3:20, 4:9] = True
    found = [Instance(None, mask_to_rle(block), 0.5), Instance(None, mask_to_rle(block & False), 0.4)]
    assert clean_masks(found, "largest-filled", HEIGHT, WIDTH) == found
    crumbs = [Instance(None, mask_to_rle(mask), 0.5) for mask in random_masks(5)]
    assert clean_masks(crumbs, "none", HEIGHT, WIDTH) == crumbs


def test_outlines_are_cleaned_too():
    outline = np.array([(5, 5), (25, 5), (25, 25), (5, 25)], dtype=float)
    speck = np.array([(30, 30), (33, 30), (33, 33), (30, 33)], dtype=float)
    hole = np.array([(10, 10), (15, 10), (15, 15), (10, 15)], dtype=float)
    particle = Instance("ring", (Polygon(outline, (hole,)), Polygon(speck)), 0.5)
    (found,) = clean_masks([particle], "largest-filled", HEIGHT, WIDTH)
    expected = to_mask(Instance("ring", (Polygon(outline),)), HEIGHT, WIDTH)
    assert np.array_equal(rle_to_mask(found.region), expected)


class Speckled(Model):
    """Finds the same ragged masks in every image."""

    def fit(self, prepared, context):
        raise NotImplementedError

    def load(self, checkpoint, device):
        raise NotImplementedError

    def complexity(self):
        return None

    def predict(self, images):
        return [[Instance("a", mask_to_rle(mask), 0.5) for mask in random_masks(6)] for _ in images]


def test_any_model_cleans_as_its_recipe_says():
    image = CanvasImage("a", np.zeros((64, 64, 3), dtype=np.uint8), Letterbox(WIDTH, HEIGHT, 64))

    def found(**changes):
        recipe = Recipe(model="speckled", title="S", preset="p", canvas=64, images_seen=0, **changes)
        return Speckled(recipe, ("a",), 9).find_particles([image, image])

    raw = [each.region for each in Speckled.predict(None, [image])[0]]
    assert [[each.region for each in one] for one in found()] == [raw, raw]
    for one in found(mask_cleaning="largest-filled"):
        for each, before in zip(one, raw, strict=True):
            assert np.array_equal(rle_to_mask(each.region), filled(largest_part(rle_to_mask(before))))


def test_counting_what_would_be_altered():
    ring, pair, both, plain = (np.zeros((12, 12), dtype=bool) for _ in range(4))
    ring[1:8, 1:8] = True
    ring[3:5, 3:5] = False
    pair[0, 0] = pair[5:9, 5:9] = True
    both |= ring
    both[11, 11] = True
    plain[2:5, 2:5] = True
    masks = [ring, pair, both, plain]
    told = count_altered(masks, "largest-filled")
    assert (told.particles, told.altered, told.in_parts, told.with_holes) == (4, 3, 2, 2)
    told = count_altered(masks, "largest")
    assert (told.particles, told.altered, told.in_parts, told.with_holes) == (4, 2, 2, 0)
    assert count_altered(masks, "none").altered == 0
