"""Micrographs that weights have seen are recognised by what travels with the weights; others are not."""

import contextlib
import io
from functools import cache

import cv2
import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.cli import main
from nanoseg_bench.errors import ModelError
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.synthesis.scene import render_micrograph
from nanoseg_bench.synthesis.specimen import CLASSES, draw_specimen
from nanoseg_bench.weights.known_images import find_known_images, read_known_images, write_known_images

COUNT = 9


@cache
def micrograph(seed):
    label = (CLASSES[seed % len(CLASSES)],)
    specimen = draw_specimen(f"specimen-{seed}", label, np.random.default_rng(seed))
    return render_micrograph(specimen, label, np.random.default_rng(1000 + seed)).pixels


def prepare(folder, images, splits, copies=0):
    """A set of these images with one particle each, split as told."""
    for name, pixels in images.items():
        mask = np.zeros(pixels.shape[:2], np.uint8)
        mask[20:40, 30:60] = 1
        for kind, values in (("images", pixels), ("masks", mask)):
            (folder / "source" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(folder / "source" / kind / f"{name}.png")
    (folder / "split.csv").write_text("name,split\n" + "".join(f"{name},{part}\n" for name, part in splits.items()))
    arguments = ["prepare", str(folder / "source"), "--split-file", str(folder / "split.csv"), "--out"]
    arguments += [str(folder / "set"), "--size", "640", "--augment-copies", str(copies), "--workers", "1"]
    assert main(arguments) == 0
    return PreparedSet(folder / "set")


def parts(names):
    return {name: ("train", "val", "test")[min(number // 4, 2)] for number, name in enumerate(names)}


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """(prepared set that weights were trained on, its fingerprints)."""
    root = tmp_path_factory.mktemp("seen")
    images = {f"seen{number}": micrograph(number) for number in range(COUNT)}
    prepared = prepare(root, images, parts(images), copies=1)
    path = root / "seen.known-images.npz"
    assert write_known_images(path, prepared, 1) == 8, "four of train, four of val, no copies, none of test"
    return prepared, path


def test_a_file_holds_what_it_needs_and_is_small(seen, tmp_path):
    prepared, path = seen
    found, trained = read_known_images(path)
    assert (len(found), trained) == (8, 4)
    assert path.stat().st_size < 8 * 14_000
    for each in found:
        features = each.features
        assert max(features.width, features.height) == 640
        assert max(features.view.shape) == 128 and features.view.shape == features.covered.shape
        assert 6 < len(features.positions) == len(features.descriptors) <= 150
        assert (features.positions >= 0).all() and (features.positions <= 640.5).all()
    write_known_images(tmp_path / "again.npz", prepared, 1)
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


def test_copies_crops_and_turned_ones_are_found_and_others_are_not(seen, tmp_path):
    _, path = seen
    height, width = micrograph(1).shape
    part = micrograph(1)[height // 8 : height * 7 // 8, width // 6 : width * 5 // 6]
    enlarged = cv2.resize(part, None, fx=1.3, fy=1.3)
    images = {
        "own0": micrograph(100),
        "own1": micrograph(101),
        "trained0": micrograph(0),  # what the user trains on flatters nothing
        "own2": micrograph(102),
        "val-of-val": micrograph(4),  # chose a confidence, as it does here
        "val-of-train": np.ascontiguousarray(np.rot90(micrograph(2))),
        "own3": micrograph(103),
        "own4": micrograph(104),
        "crop": enlarged,
        "brighter": np.clip(micrograph(3) * 1.15 + 8, 0, 255).astype(np.uint8),
        "test-of-val": micrograph(5),
        "own5": micrograph(105),
        "test-of-test": micrograph(8),
    }
    found = find_known_images(prepare(tmp_path, images, parts(images)), path, 1)
    assert found.names["val"] == ["val-of-train"]
    assert sorted(found.names["test"]) == ["brighter", "crop", "test-of-val"]
    assert found.words == "1 of 4 val images, 3 of 5 test images"
    assert found


def test_a_damaged_file_names_the_way_out(seen, tmp_path):
    _, path = seen
    broken = tmp_path / "broken.npz"
    for data in (path.read_bytes()[:-900], b"", b"not this"):
        broken.write_bytes(data)
        with pytest.raises(ModelError, match=r"broken\.npz: not readable as fingerprints .* copy it again"):
            read_known_images(broken)
    whole = path.read_bytes()
    for place in range(60, len(whole), len(whole) // 40):  # zlib's errors are no ValueErrors
        broken.write_bytes(whole[:place] + bytes(range(64)) + whole[place + 64 :])
        with contextlib.suppress(ModelError):
            read_known_images(broken)
    with pytest.raises(ModelError, match=r"gone\.npz"):
        read_known_images(tmp_path / "gone.npz")


def test_a_file_that_unpacks_to_far_more_than_fingerprints_is_refused(tmp_path):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, format="nanoseg-known-images/1", train=1, hashes=np.zeros(120_000_000, np.uint8))
    with pytest.raises(ModelError, match=r"bomb\.npz: not readable .*it unpacks to more than \d{8} bytes"):
        read_known_images(path)


def with_views(path, out, view):
    """The same file, each of its views exchanged."""
    with np.load(path) as stored:
        kept = {name: stored[name] for name in stored.files}
    kept["views"] = np.frombuffer(view * len(kept["view_bytes"]), np.uint8)
    kept["view_bytes"] = np.full_like(kept["view_bytes"], len(view), dtype=np.int64)
    np.savez_compressed(out, **kept)
    return out


def test_views_are_jpegs_of_their_size_and_nothing_else(seen, tmp_path):
    """An EPS would be run by Ghostscript, and an image of a few kilobytes may have 100 million pixels."""
    _, path = seen
    eps, large = io.BytesIO(), io.BytesIO()
    Image.new("L", (9, 9)).save(eps, "EPS")
    Image.new("L", (4000, 3000)).save(large, "JPEG")
    for name, view, told in (
        ("eps", eps, "(cannot identify|not an) image"),
        ("large", large, "a view of 4000 × 3000 pixels"),
    ):
        with pytest.raises(ModelError, match=rf"{name}\.npz: not readable .*{told}"):
            read_known_images(with_views(path, tmp_path / f"{name}.npz", view.getvalue()))


def test_a_file_that_was_exchanged_is_read_anew(seen, tmp_path):
    prepared, path = seen
    other = tmp_path / "other.npz"
    other.write_bytes(path.read_bytes())
    assert not find_known_images(prepared, other, 1), "what chose their confidence chooses one again"
    other.write_bytes(b"not this")
    with pytest.raises(ModelError, match=r"other\.npz: not readable"):
        find_known_images(prepared, other, 1)
