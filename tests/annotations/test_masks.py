import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.annotations.masks import read_instance_map
from nanoseg_bench.annotations.raster import rle_to_mask
from nanoseg_bench.errors import AnnotationError, ImageError


def check_against_full_scans(values, instances):
    found = {int(value) for value in np.unique(values) if value > 0}
    assert len(instances) == len(found)
    for value, instance in zip(sorted(found), instances, strict=True):
        assert instance.label == "particle"
        assert (rle_to_mask(instance.region) == (values == value)).all()


@pytest.mark.parametrize(
    ("dtype", "suffix"),
    [
        ("uint8", ".png"),
        ("uint16", ".png"),
        ("uint8", ".tif"),
        ("uint16", ".tif"),
        ("int32", ".tif"),
        ("float32", ".tif"),
    ],
)
def test_every_depth(tmp_path, dtype, suffix):
    values = np.zeros((40, 50), dtype=dtype)
    values[:7, :9] = 3
    values[30:, 45:] = 200  # reaches the last pixel
    values[20:25, 10:20] = 3  # second part
    values[0, 20] = 1
    if dtype in {"uint16", "int32"}:
        values[10:12, 30:33] = 65535
    Image.fromarray(values).save(tmp_path / f"m{suffix}")
    check_against_full_scans(values, read_instance_map(tmp_path / f"m{suffix}", "particle"))


def test_random_map_of_500_particles(tmp_path):
    rng = np.random.default_rng(0)
    values = np.zeros((200, 300), dtype=np.uint16)
    for number in range(1, 501):
        row, column = rng.integers(0, 195), rng.integers(0, 295)
        values[row : row + 5, column : column + 5] = number * 7
    Image.fromarray(values).save(tmp_path / "m.png")
    check_against_full_scans(values, read_instance_map(tmp_path / "m.png", "particle"))


def test_huge_numbers_and_no_background(tmp_path):
    values = np.full((6, 8), 2_000_000_000, dtype=np.int32)
    values[:3] = 70_000
    Image.fromarray(values).save(tmp_path / "m.tif")
    check_against_full_scans(values, read_instance_map(tmp_path / "m.tif", "particle"))


def test_one_bit_and_palette(tmp_path):
    mask = np.zeros((6, 8), dtype=bool)
    mask[2:4, 3:6] = True
    Image.fromarray(mask).save(tmp_path / "bit.png")
    check_against_full_scans(mask.astype(int), read_instance_map(tmp_path / "bit.png", "particle"))
    palette = Image.fromarray(mask.astype(np.uint8) * 2)
    palette.putpalette([0, 0, 0, 9, 9, 9, 250, 0, 0])
    assert palette.mode == "P"
    palette.save(tmp_path / "palette.png")
    check_against_full_scans(mask * 2, read_instance_map(tmp_path / "palette.png", "particle"))


def test_empty_map_has_no_instances(tmp_path):
    Image.fromarray(np.zeros((5, 5), dtype=np.uint16)).save(tmp_path / "m.png")
    assert read_instance_map(tmp_path / "m.png", "particle") == []


def test_unfit_images_are_refused(tmp_path):
    Image.new("RGB", (5, 5)).save(tmp_path / "colour.png")
    with pytest.raises(AnnotationError, match=r"colour\.png: a colour image"):
        read_instance_map(tmp_path / "colour.png", "particle")
    Image.fromarray(np.full((5, 5), -1, dtype=np.int32)).save(tmp_path / "minus.tif")
    with pytest.raises(AnnotationError, match="negative"):
        read_instance_map(tmp_path / "minus.tif", "particle")
    for broken in (0.5, np.nan, np.inf):
        Image.fromarray(np.full((5, 5), broken, dtype=np.float32)).save(tmp_path / "broken.tif")
        with pytest.raises(AnnotationError, match="broken"):
            read_instance_map(tmp_path / "broken.tif", "particle")
    with pytest.raises(ImageError, match="no such"):
        read_instance_map(tmp_path / "none.png", "particle")
    good = (tmp_path / "colour.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(good[: len(good) // 2])
    with pytest.raises(ImageError, match=r"cut\.png"):
        read_instance_map(tmp_path / "cut.png", "particle")
