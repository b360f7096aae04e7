import numpy as np

from nanoseg_bench.annotations.instance import Instance, Polygon
from nanoseg_bench.annotations.raster import mask_to_rle
from nanoseg_bench.preparation.hashing import content_hash, pixels_sha256, truth_sha256

TRIANGLE = np.array([(0.0, 0.0), (9.0, 0.0), (0.0, 9.0)])


def test_pixels_hash_sees_values_and_shape():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert pixels_sha256(pixels) == pixels_sha256(np.asfortranarray(pixels))
    assert len({pixels_sha256(each) for each in (pixels, pixels.reshape(4, 3), pixels + 1, pixels[..., None])}) == 4


def test_truth_hash_sees_labels_regions_and_crowds():
    base = Instance("a", (Polygon(TRIANGLE),))
    others = [
        Instance("b", (Polygon(TRIANGLE),)),
        Instance("a", (Polygon(TRIANGLE + 0.01),)),
        Instance("a", (Polygon(TRIANGLE, (TRIANGLE / 3 + 1,)),)),
        Instance("a", (Polygon(TRIANGLE), Polygon(TRIANGLE + 20))),
        Instance("a", (Polygon(TRIANGLE),), crowd=True),
        Instance("a", mask_to_rle(np.eye(9))),
    ]
    hashes = {truth_sha256([each]) for each in (base, *others)}
    assert len(hashes) == 7
    assert truth_sha256([base]) == truth_sha256([Instance("a", (Polygon(TRIANGLE.copy()),))])


def test_content_hash_is_of_the_content_alone():
    one = {"name": "a", "split": "train", "pixels": "1"}
    two = {"name": "b", "split": "test", "pixels": "2"}
    first = content_hash([one, two], {"canvas": 64})
    assert first == content_hash([dict(reversed(two.items())), one], {"canvas": 64})
    assert first != content_hash([one, {**two, "split": "val"}], {"canvas": 64})
    assert first != content_hash([one, {**two, "pixels": "3"}], {"canvas": 64})
    assert first != content_hash([one, two], {"canvas": 65})


def test_content_hash_of_a_set_stays_what_it_was():
    """Published records name it; it moves with PREPARATION_VERSION only."""
    one = {"name": "b", "split": "train", "pixels": "1"}
    aside = {"name": "a", "split": "ood", "pixels": "2"}
    assert content_hash([aside, one], {"canvas": 64}) == (
        "b11e98e541046e5556b957199aacdb6843f757dd403baec3fbb5a004e6f4f0c8"
    )
