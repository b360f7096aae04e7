"""The orientation of every kind of image against Pillow's own turning, and without a look at the pixels."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps, PngImagePlugin, TiffImagePlugin
from PIL.ImageFile import ImageFile

from nanoseg_bench.errors import ImageError
from nanoseg_bench.images import image_orientation, image_size, read_image

# Unlike in all eight positions, and in blocks that JPEG keeps.
STORED = np.kron(np.array([[0, 60, 120], [180, 240, 30]], dtype=np.uint8), np.ones((16, 16), dtype=np.uint8))


def exif(orientation):
    found = Image.Exif()
    found[0x0112] = orientation
    return found


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_with(path, new, behind=False):
    """A PNG with one more chunk, before or behind its pixels."""
    stream = io.BytesIO()
    Image.fromarray(STORED).save(stream, format="PNG")
    data = stream.getvalue()
    at = data.index(b"IEND" if behind else b"IDAT") - 4
    path.write_bytes(data[:at] + new + data[at:])


def write(path, kind, orientation):
    if kind == "jpeg":
        Image.fromarray(STORED).save(path, quality=95, exif=exif(orientation))
    elif kind == "tiff":
        Image.fromarray(STORED).save(path, format="TIFF", exif=exif(orientation))
    elif kind.startswith("eXIf"):
        png_with(path, chunk(b"eXIf", exif(orientation).tobytes()), behind=kind == "eXIf behind")
    elif kind == "raw profile":
        text = (b"Exif\0\0" + exif(orientation).tobytes()).hex().encode()
        content = b"Raw profile type exif\0" + b"\0" + zlib.compress(b"\nexif\n%8d\n" % (len(text) // 2) + text)
        png_with(path, chunk(b"zTXt", content), behind=True)
    else:
        xmp = f'<rdf:Description tiff:Orientation="{orientation}"/>'.encode()
        png_with(path, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))


KINDS = {"jpeg": ".jpg", "tiff": ".tif", "eXIf": ".png", "eXIf behind": ".png", "raw profile": ".png", "xmp": ".png"}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", KINDS)
def test_all_orientations_are_those_of_pillow(tmp_path, kind, orientation):
    path = tmp_path / f"a{KINDS[kind]}"
    write(path, kind, orientation)
    assert image_orientation(path) == orientation
    # From a stream: by its path, Pillow maps an uncompressed TIFF into memory and garbles one that is to be turned.
    with path.open("rb") as stream, Image.open(stream) as opened:
        opened.load()
        upright = np.asarray(ImageOps.exif_transpose(opened))
    assert image_size(path) == upright.shape[::-1]
    assert np.abs(read_image(path).astype(int) - upright).max() <= 1
    # Turned by what was found, the stored pixels are Pillow's upright ones.
    plain = Image.fromarray(STORED)
    plain.getexif()[0x0112] = image_orientation(path)
    assert np.abs(np.asarray(ImageOps.exif_transpose(plain)).astype(int) - upright).max() < 12


@pytest.mark.parametrize("kind", KINDS)
def test_no_pixel_is_decoded(tmp_path, kind, monkeypatch):
    path = tmp_path / f"a{KINDS[kind]}"
    write(path, kind, 6)

    def decoded(self, *arguments, **options):
        raise AssertionError("the pixels were decoded")

    # The TIFF's own method is called by its class; all the others inherit the first.
    for each in (ImageFile, PngImagePlugin.PngImageFile, TiffImagePlugin.TiffImageFile):
        monkeypatch.setattr(each, "load", decoded)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", decoded)
    assert image_orientation(path) == 6
    assert image_size(path) == (32, 48)


@pytest.mark.parametrize("kind", ["jpeg", "eXIf", "xmp"])
def test_a_truncated_body_still_answers(tmp_path, kind):
    path = tmp_path / f"a{KINDS[kind]}"
    write(path, kind, 8)
    data = path.read_bytes()
    start = data.index(b"IDAT") if kind != "jpeg" else data.index(b"\xff\xda")
    path.write_bytes(data[: start + 16])
    assert image_orientation(path) == 8
    with pytest.raises(ImageError, match="truncated"):
        read_image(path)


def test_a_truncated_tiff_still_answers(tmp_path):
    path = tmp_path / "a.tif"
    extra = [(274, "H", 1, 5, True)]
    tifffile.imwrite(path, STORED, photometric="minisblack", metadata=None, extratags=extra)
    path.write_bytes(path.read_bytes()[: -STORED.size // 2])
    assert image_orientation(path) == 5
    with pytest.raises(ImageError, match="truncated"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
def test_without_a_word_on_it_an_image_is_upright(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(STORED).save(path)
    assert image_orientation(path) == 1


@pytest.mark.parametrize("value", [0, 9, 700])
def test_values_that_mean_nothing(tmp_path, value):
    write(tmp_path / "a.png", "eXIf", value)
    assert image_orientation(tmp_path / "a.png") == 1


def test_what_is_no_image(tmp_path):
    (tmp_path / "a.png").write_bytes(b"text")
    with pytest.raises(ImageError, match=r"a\.png: not an image"):
        image_orientation(tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"none\.png: no such image"):
        image_orientation(tmp_path / "none.png")
