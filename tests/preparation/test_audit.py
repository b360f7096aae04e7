import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from nanoseg_bench.preparation.audit import NEAR_DUPLICATE_BITS, audit_split, perceptual_hashes


def texture(seed, height=120, width=160):
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=(height, width)), 12)
    return np.clip(128 + smooth / smooth.std() * 50, 0, 255).astype(np.uint8)


def row(name, split, group=None, pixels=None, parent=""):
    return {
        "name": name,
        "split": split,
        "parent": parent,
        "source_group": group or name,
        "pixels_sha256": pixels or name,
    }


def audit(rows, images=None):
    images = images or {}
    hashes = {
        each["name"]: perceptual_hashes(images.get(each["name"], texture(number)))
        for number, each in enumerate(rows)
        if not each["parent"]
    }
    return audit_split(rows, hashes, "hash")


def check(document, name):
    return next(each for each in document["checks"] if each["name"] == name)


def test_a_clean_split_passes_and_says_what_was_not_looked_for():
    document = audit([row("a", "train"), row("b", "val"), row("c", "test"), row("a-aug01", "train", "a", "a", "a")])
    assert document["passed"]
    assert document["content_hash"] == "hash"
    assert document["conclusion"].endswith("found no shared source")
    assert all(each["cannot_find"] and each["finds"] for each in document["checks"])
    assert "leak-free" not in str(document)


def test_a_group_in_two_splits_fails():
    document = audit([row("a", "train", "paper"), row("b", "test", "paper"), row("c", "val")])
    assert not document["passed"]
    assert "source-groups failed" in document["conclusion"]
    assert check(document, "source-groups")["details"] == [
        {"source_group": "paper", "images": {"test": ["b"], "train": ["a"]}}
    ]


def test_identical_pixels_in_two_splits_fail_ood_too():
    document = audit([row("a", "train", pixels="same"), row("b", "ood", pixels="same")])
    assert not check(document, "identical-pixels")["passed"]
    assert audit([row("a", "train", pixels="same"), row("b", "train", pixels="same")])["passed"]


@pytest.mark.parametrize(
    "stray",
    [
        row("x", "test", "c", "c", parent="c"),
        row("x", "train", "c", "c", parent="c"),
        row("x", "train", "a", "a", parent="nobody"),
        row("x", "val", "a", "a", parent="a"),
    ],
)
def test_copies_belong_to_train(stray):
    document = audit([row("a", "train"), row("c", "test"), stray])
    assert check(document, "augmented-copies")["details"][0]["copy"] == "x"
    assert not document["passed"]


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_hash_knows_an_image_in_all_orientations(turns, mirrored):
    image = texture(5, 128, 128)
    turned = np.rot90(image, turns)
    turned = turned[:, ::-1] if mirrored else turned
    distances = (perceptual_hashes(image)[0] != perceptual_hashes(np.ascontiguousarray(turned))).sum(axis=1)
    assert distances.min() == 0


def test_altered_copies_are_found_and_other_images_are_not():
    image = texture(1)
    darker = (image * 0.7 + 10).astype(np.uint8)
    smaller = np.ascontiguousarray(darker[::2, ::2][::-1].T)
    rows = [row("a", "train"), row("b", "test"), row("c", "val"), row("d", "test")]
    document = audit(rows, {"a": image, "b": smaller})
    near = check(document, "near-duplicates")
    assert [each["images"] for each in near["details"]] == [["a", "b"]]
    assert near["details"][0]["differing_bits"] <= NEAR_DUPLICATE_BITS
    assert document["passed"], "likeness is a warning"
    assert "near-duplicates has 1 findings" in document["conclusion"]


def test_unrelated_textures_differ_in_many_bits():
    first = perceptual_hashes(texture(1))[0]
    assert all(
        (first != perceptual_hashes(texture(seed))).sum(axis=1).min() > 2 * NEAR_DUPLICATE_BITS for seed in range(2, 30)
    )
