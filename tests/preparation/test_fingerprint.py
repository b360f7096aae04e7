import dataclasses

import numpy as np
import pytest

from nanoseg_bench.errors import PreparationError
from nanoseg_bench.preparation.fingerprint import fingerprint, read_fingerprint, write_fingerprint


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (90, 120, 3)).astype(np.uint8)


def test_what_is_written_is_read_and_the_same_image_gives_the_same_bytes(image, tmp_path):
    taken = fingerprint(image)
    write_fingerprint(tmp_path / "a.npz", taken)
    write_fingerprint(tmp_path / "b.npz", fingerprint(image.copy()))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    read = read_fingerprint(tmp_path / "a.npz")
    assert (read.hashes == taken.hashes).all()
    assert len(taken.features.sizes) > 0
    for field in dataclasses.fields(taken.features):
        before, after = getattr(taken.features, field.name), getattr(read.features, field.name)
        assert np.array_equal(before, after), field.name
        assert getattr(before, "dtype", None) == getattr(after, "dtype", None)


def test_grey_and_rgb_of_equal_channels_are_one(image, tmp_path):
    grey = image[:, :, 0].copy()
    for name, pixels in (("grey", grey), ("rgb", np.repeat(grey[:, :, None], 3, axis=2))):
        write_fingerprint(tmp_path / f"{name}.npz", fingerprint(pixels))
    assert (tmp_path / "grey.npz").read_bytes() == (tmp_path / "rgb.npz").read_bytes()


def test_an_empty_image_has_a_fingerprint(tmp_path):
    write_fingerprint(tmp_path / "a.npz", fingerprint(np.zeros((50, 60), dtype=np.uint8)))
    assert len(read_fingerprint(tmp_path / "a.npz").features.sizes) == 0


@pytest.mark.parametrize("content", [None, b"", b"no zip at all", b"PK\x03\x04 broken"])
def test_other_files_are_refused_by_name(content, tmp_path):
    path = tmp_path / "a.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PreparationError, match=r"a\.npz: not a fingerprint"):
        read_fingerprint(path)


def test_a_cut_off_file_is_refused(image, tmp_path):
    path = tmp_path / "a.npz"
    write_fingerprint(path, fingerprint(image))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(PreparationError, match="take it again"):
        read_fingerprint(path)
