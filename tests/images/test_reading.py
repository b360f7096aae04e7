import io

import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.errors import ImageError
from nanoseg_bench.images import as_grey, as_rgb, image_size, read_image


@pytest.fixture
def grey():
    return np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)


@pytest.fixture
def colour():
    return np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_lossless_formats_come_back_as_they_are(tmp_path, grey, colour, suffix):
    path = tmp_path / f"a{suffix}"
    for pixels in (grey, colour):
        Image.fromarray(pixels).save(path)
        found = read_image(path)
        assert found.dtype == np.uint8 and (found == pixels).all()
        assert image_size(path) == (30, 20)


def test_equal_channels_become_grey(tmp_path, grey):
    Image.fromarray(as_rgb(grey)).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == grey).all()


@pytest.mark.parametrize(
    ("dtype", "suffix"), [("uint16", ".png"), ("uint16", ".tif"), ("int32", ".tif"), ("float32", ".tif")]
)
def test_more_than_8_bits_are_mapped_by_percentiles(tmp_path, dtype, suffix):
    values = np.linspace(1000, 21000, 10000).astype(dtype).reshape(100, 100)
    values[0, 0], values[-1, -1] = 0, 60000  # outliers must not flatten the rest
    Image.fromarray(values).save(tmp_path / f"a{suffix}")
    found = read_image(tmp_path / f"a{suffix}")
    assert found.dtype == np.uint8
    assert found.min() == 0 and found.max() == 255
    inner = values[10:90].astype(float)
    expected = (inner - 1000) / 20000 * 255
    assert np.abs(found[10:90] - expected).max() <= 1.5
    assert (np.diff(found.reshape(-1).astype(int)) >= 0).all()


def test_constant_and_broken_floats_are_read(tmp_path):
    values = np.full((5, 6), np.nan, dtype=np.float32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert (read_image(tmp_path / "a.tif") == 0).all()
    values[:] = 7
    values[0, 0] = np.inf
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif").shape == (5, 6)


def test_palette_one_bit_and_alpha(tmp_path, grey):
    path = tmp_path / "a.png"
    palette = Image.fromarray((grey // 128).astype(np.uint8))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.save(path)
    assert (read_image(path)[..., 0] == np.where(grey < 128, 255, 0)).all()
    Image.fromarray(grey > 127).save(path)
    assert (read_image(path) == np.where(grey > 127, 255, 0)).all()
    alpha = np.zeros_like(grey)
    alpha[:, :10] = 255
    Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)]).save(path)
    found = read_image(path)
    assert found.shape == (20, 30)
    assert (found[:, :10] == grey[:, :10]).all() and (found[:, 10:] == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_exif_rotation(tmp_path, orientation, suffix):
    stored = np.zeros((16, 32), dtype=np.uint8)
    stored[:8, :8] = 255  # bright at the upper left of what is stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    Image.fromarray(stored).save(path, exif=exif)
    found = read_image(path)
    shown = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.T,
        6: stored.T[:, ::-1],
        7: stored.T[::-1, ::-1],
        8: stored.T[::-1],
    }[orientation]
    assert found.shape == shown.shape
    assert np.abs(found.astype(int) - shown).max() < 20
    assert image_size(path) == (found.shape[1], found.shape[0])


def test_missing_and_other_files_are_named(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.png").write_bytes(b"")
    for read in (read_image, image_size):
        with pytest.raises(ImageError, match=r"none\.png: no such image"):
            read(tmp_path / "none.png")
        for name in ("text.png", "empty.png"):
            with pytest.raises(ImageError, match=f"{name}: not an image"):
                read(tmp_path / name)


def test_truncated_png_is_named(tmp_path, grey):
    path = tmp_path / "a.png"
    Image.fromarray(grey).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    for read in (read_image, image_size):
        with pytest.raises(ImageError, match=r"a\.png: .*truncated"):
            read(path)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow on corrupt EXIF
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
def test_broken_files_raise_nothing_but_image_errors(tmp_path, grey, suffix, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)  # a broken size must not fill the memory of the test
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, format={".png": "PNG", ".jpg": "JPEG", ".bmp": "BMP", ".tif": "TIFF"}[suffix])
    whole = stream.getvalue()
    rng = np.random.default_rng(2)
    broken = [whole[:size] for size in range(0, len(whole), 11)]
    for _ in range(150):
        changed = bytearray(whole)
        for position in rng.integers(0, min(len(whole), 200), 3):
            changed[position] = rng.integers(0, 256)
        broken.append(bytes(changed))
    path, refused = tmp_path / f"a{suffix}", 0
    for data in broken:
        path.write_bytes(data)
        for read in (read_image, image_size):
            try:
                read(path)
            except ImageError as error:
                assert path.name in str(error)
                refused += 1
    assert refused > 10


def test_grey_and_rgb(grey, colour):
    assert (as_grey(as_rgb(grey)) == grey).all()
    luma = colour @ np.array([0.299, 0.587, 0.114])
    assert np.abs(as_grey(colour) - luma).max() <= 1
    assert as_rgb(colour) is colour and as_grey(grey) is grey
