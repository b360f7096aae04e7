"""What is uploaded is looked at before anything is decoded, and is never called as a user says."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from nanoseg_bench.webapp.admission import copy_limited, display_name, require_readable, suffix_of, without_path
from nanoseg_bench.webapp.errors import RequestError
from nanoseg_bench.webapp.settings import Limits


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a.png", "a.png"),
        ("batch 1/Größe µ.tif", "batch 1/Größe µ.tif"),
        ("../../etc/passwd.png", "etc/passwd.png"),
        ("C:\\Users\\me\\a.tif", "Users/me/a.tif"),
        ("/etc/a.png", "etc/a.png"),
        ("a\r\nSet-Cookie: x.png", "a Set-Cookie: x.png"),
        ("a\x00b\x1b[31m.png", "a�b�[31m.png"),
        ("\u202egnp.exe", "gnp.exe"),
        ("", "micrograph"),
        (None, "micrograph"),
        ("..", "micrograph"),
        ("文件.png", "文件.png"),
    ],
)
def test_names_are_safe_to_show(given, shown):
    assert display_name(given) == shown


def test_long_names_keep_their_end():
    shown = display_name("x" * 5000 + ".tif")
    assert len(shown) == 200 and shown.endswith("x.tif")


@pytest.mark.parametrize("name", ["a.gif", "a.svg", "a.exe", "a", "a.png.zip", ".png.html"])
def test_other_endings_are_refused(name):
    with pytest.raises(RequestError) as told:
        suffix_of(name)
    assert told.value.status == 415 and "PNG" in str(told.value)


@pytest.mark.parametrize(("name", "way_out"), [("a.ZIP", "unpack"), ("a.txt", "add both"), ("a-tif.HDR", "add both")])
def test_what_leads_to_a_micrograph_is_refused_with_the_way_to_it(name, way_out):
    with pytest.raises(RequestError, match=way_out):
        suffix_of(name)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def claiming_png(width, height):
    """A PNG that claims a size, with next to no data."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


def tiff_chain(pages):
    """A TIFF of so many pages, each 12 bytes: the smallest that a chain can be made of."""
    data = bytearray(b"II*\0" + struct.pack("<I", 8))
    for number in range(pages):
        here = len(data)
        tag = struct.pack("<HHHI", 1, 256, 3, 1) + struct.pack("<HH", 1, 0)
        after = here + len(tag) + 4 if number < pages - 1 else 0
        data += tag + struct.pack("<I", after)
    return bytes(data)


def claiming_tiff(width, height):
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((4, 4), np.uint8))
    data = file.getvalue()
    for tag, value in ((256, width), (257, height)):
        old = struct.pack("<HHI", tag, 3, 1) + struct.pack("<HH", 4, 0)
        new = struct.pack("<HHI", tag, 4, 1) + struct.pack("<I", value)
        assert old in data or struct.pack("<HHI", tag, 4, 1) in data
        at = data.find(struct.pack("<H", tag), 8)
        data = data[:at] + new + data[at + 12 :]
    return data


REFUSED = {
    "text.png": (b"no image at all", 422),
    "page.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422),
    "script.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n(a) run\n", 422),
    "bomb.png": (claiming_png(60_000, 60_000), 422),
    "large.png": (claiming_png(9000, 9000), 413),
    "bomb.tif": (claiming_tiff(500_000, 500_000), 422),
    "large.tif": (claiming_tiff(9000, 9000), 413),
    "stack.tif": (tiff_chain(5000), 413),
    "cut.tif": (b"II*\0\x08\0\0\0", 422),
    "empty.bmp": (b"BM", 422),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_micrograph_is_refused_by_its_head(name, tmp_path):
    data, status = REFUSED[name]
    path = tmp_path / f"original{name[-4:]}"
    path.write_bytes(data)
    with pytest.raises(RequestError) as told:
        require_readable(path, name, Limits())
    assert told.value.status == status
    assert str(tmp_path) not in str(told.value) and "original" not in str(told.value)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tif"])
def test_micrographs_are_taken(suffix, tmp_path):
    path = tmp_path / f"original{suffix}"
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(path)
    require_readable(path, "a", Limits())


def test_a_stack_of_some_pages_is_taken(tmp_path):
    path = tmp_path / "original.tif"
    tifffile.imwrite(path, np.zeros((20, 30, 40), np.uint8), photometric="minisblack")
    require_readable(path, "a", Limits())


def test_too_much_is_not_even_written(tmp_path):
    with pytest.raises(RequestError) as told:
        copy_limited(io.BytesIO(b"x" * 5_000_000), tmp_path / "a", 2**20)
    assert told.value.status == 413
    assert (tmp_path / "a").stat().st_size <= 2**20
    with pytest.raises(RequestError, match="empty"):
        copy_limited(io.BytesIO(), tmp_path / "b", 10)


@pytest.mark.parametrize("content", [b"II*", b"MM", b"II*\0\x08\0\0\0"])
def test_what_tifffile_stumbles_over_is_refused_in_words(tmp_path, content):
    (tmp_path / "original.tif").write_bytes(content)
    with pytest.raises(RequestError):
        require_readable(tmp_path / "original.tif", "a.tif", Limits())


@pytest.mark.parametrize("name", ["a.tif", "my original.tif", "original.tif", "original.tif.tif"])
def test_a_refusal_names_the_file_as_the_user_knows_it(tmp_path, name):
    path = tmp_path / "original.tif"
    assert without_path(f"{path}: is cut off", path, name) == "is cut off"
    assert without_path(f"of {path.parent}, original.tif is cut off", path, name) == f"of , {name} is cut off"
