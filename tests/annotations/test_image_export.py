import os
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from nanoseg_bench.annotations.image_export import export_image, is_plain
from nanoseg_bench.errors import ImageError
from nanoseg_bench.images import read_image

GREY = np.arange(600, dtype=np.uint16).reshape(20, 30)
EIGHT = (GREY % 256).astype(np.uint8)


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def text_rotation(path):
    info = PngImagePlugin.PngInfo()
    content = exif(6).tobytes()
    info.add_text("Raw profile type exif", f"\nexif\n{len(content):8}\n{content.hex()}")
    Image.fromarray(EIGHT).save(path, pnginfo=info)


def bmp_of_16_bits(path):
    """5 bits of each colour, which Pillow reads and cannot write."""
    pixels = (GREY % 32 * 33).astype("<u2").tobytes()
    header = b"BM" + struct.pack("<IHHI", 54 + len(pixels), 0, 0, 54)
    path.write_bytes(header + struct.pack("<IiiHHIIiiII", 40, 30, 20, 1, 16, 0, len(pixels), 0, 0, 0, 0) + pixels)


PLAIN = {
    "grey.png": lambda path: Image.fromarray(EIGHT).save(path, dpi=(96, 96)),
    "rgb.PNG": lambda path: Image.fromarray(EIGHT).convert("RGB").save(path),
    "grey.jpg": lambda path: Image.fromarray(EIGHT).save(path),
    "upright.jpg": lambda path: Image.fromarray(EIGHT).save(path, exif=exif(1)),
    "grey.bmp": lambda path: Image.fromarray(EIGHT).save(path),
    "grey.tif": lambda path: Image.fromarray(EIGHT).save(path),
}
DISPUTED = {
    "deep.png": lambda path: Image.fromarray(GREY).save(path),
    "deep.tif": lambda path: Image.fromarray(GREY).save(path),
    "deep-rgb.tif": lambda path: tifffile.imwrite(path, np.stack([GREY * 90, GREY * 50, GREY * 9], -1)),
    "deep-packed-rgb.tif": lambda path: tifffile.imwrite(
        path, np.stack([GREY * 90, GREY * 50, GREY * 9], -1), compression="zlib"
    ),
    "signed.tif": lambda path: tifffile.imwrite(path, EIGHT.view(np.int8)),
    "rgb16.bmp": bmp_of_16_bits,
    "float.tif": lambda path: Image.fromarray(GREY.astype(np.float32)).save(path),
    "pages.tif": lambda path: Image.fromarray(EIGHT).save(path, save_all=True, append_images=[Image.new("L", (9, 9))]),
    "alpha.png": lambda path: Image.fromarray(EIGHT).convert("RGBA").save(path),
    "palette.png": lambda path: Image.fromarray(EIGHT).convert("P").save(path),
    "one-bit.png": lambda path: Image.fromarray(EIGHT).convert("1").save(path),
    "transparent.png": lambda path: Image.fromarray(EIGHT).save(path, transparency=3),
    "turned.png": lambda path: Image.fromarray(EIGHT).save(path, exif=exif(6)),
    "turned.jpg": lambda path: Image.fromarray(EIGHT).save(path, exif=exif(8)),
    "turned.tif": lambda path: Image.fromarray(EIGHT).save(path, tiffinfo={274: 3}),
    "text.png": text_rotation,
    "cmyk.jpg": lambda path: Image.fromarray(EIGHT).convert("CMYK").save(path),
}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("link", [True, False])
def test_plain_images_keep_their_bytes(tmp_path, name, link):
    source = tmp_path / name
    PLAIN[name](source)
    (tmp_path / "out").mkdir()
    exported = export_image(source, tmp_path / "out", "new", link=link)
    assert (exported.file, exported.rewritten) == ("new" + source.suffix.lower(), False)
    target = tmp_path / "out" / exported.file
    assert target.read_bytes() == source.read_bytes()
    assert os.path.samefile(source, target) == link


@pytest.mark.parametrize("name", DISPUTED)
def test_disputed_images_become_what_this_package_sees(tmp_path, name):
    source = tmp_path / name
    DISPUTED[name](source)
    assert not is_plain(source)
    (tmp_path / "out").mkdir()
    exported = export_image(source, tmp_path / "out", "new")
    assert (exported.file, exported.rewritten) == ("new.png", True)
    target = tmp_path / "out" / "new.png"
    assert is_plain(target)
    assert (np.asarray(Image.open(target)) == read_image(source)).all()


def test_a_broken_image_is_told(tmp_path):
    for content in (b"", b"no image", b"\x89PNG\r\n\x1a\n", b"II*\0\xff\xff\xff\xff"):
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(ImageError, match=r"a\.png"):
            export_image(tmp_path / "a.png", tmp_path, "new")
    assert not (tmp_path / "new.png").exists()
