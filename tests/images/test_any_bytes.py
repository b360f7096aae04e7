"""Whatever the bytes: an ImageError that names the file, or an image."""

import io
import logging
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from nanoseg_bench.errors import ImageError
from nanoseg_bench.images import IMAGE_SUFFIXES, image_size, read_scale, read_with_notes

SUFFIXES = [suffix for suffix in IMAGE_SUFFIXES if suffix not in (".jpeg", ".tiff")]


def by_pillow(kind, pixels, **options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format=kind, **options)
    return stream.getvalue()


def by_tifffile(pixels, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    """Suffix: bytes of valid files."""
    rng = np.random.default_rng(5)
    grey = rng.integers(0, 256, (12, 16), dtype=np.uint8)
    colour = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    deep = rng.integers(0, 65536, (12, 16), dtype=np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        ".png": [by_pillow("PNG", grey), by_pillow("PNG", colour, exif=exif), by_pillow("PNG", deep)],
        ".jpg": [by_pillow("JPEG", grey), by_pillow("JPEG", colour, exif=exif)],
        ".bmp": [by_pillow("BMP", grey), by_pillow("BMP", colour)],
        ".tif": [
            by_pillow("TIFF", grey, compression="tiff_lzw"),
            by_pillow("TIFF", deep, compression="tiff_lzw"),
            by_tifffile(deep, imagej=True, resolution=(2, 2), metadata={"unit": "nm"}),
            by_tifffile(np.stack([colour] * 2), photometric="rgb"),
            by_tifffile(deep.astype(np.float32), photometric="minisblack", compression="zlib", bigtiff=True),
        ],
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bytes")


@st.composite
def damage(draw):
    """How a file is damaged: bytes overwritten, mostly in its header; a part cut out; all of it random."""
    kind = draw(st.sampled_from(["bytes", "bytes", "bytes", "cut", "tail", "random"]))
    changes = st.tuples(st.one_of(st.integers(0, 200), st.integers(0, 5000)), st.integers(0, 255))
    return kind, draw(st.lists(changes, min_size=1, max_size=6)), draw(st.binary(max_size=60))


def damaged(data, how):
    kind, changes, noise = how
    if kind == "random":
        return data[: changes[0][0] % 12] + noise
    if kind == "cut":
        return data[: changes[0][0] % len(data)]
    if kind == "tail":
        at = changes[0][0] % len(data)
        return data[:at] + noise + data[at + len(noise) // 2 :]
    found = bytearray(data)
    for at, value in changes:
        found[at % len(found)] = value
    return bytes(found)


def check(path):
    """Read all that can be read; returns whether there was an image."""
    size, pixels = None, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for read in (image_size, read_scale, read_with_notes):
            try:
                found = read(path)
            except ImageError as error:
                assert path.name in str(error)
                continue
            size = found if read is image_size else size
            pixels = found[0] if read is read_with_notes else pixels
    if pixels is not None:
        assert pixels.dtype == np.uint8 and pixels.ndim in (2, 3) and pixels.size > 0
        assert size == (pixels.shape[1], pixels.shape[0])
    return pixels is not None


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
def test_damaged_images(seeds, folder, suffix, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)  # the limit itself has its own tests
    logging.disable(logging.WARNING)

    @settings(max_examples=250, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(seeds[suffix]), damage())
    def any_bytes(data, how):
        path = folder / f"a{suffix}"
        path.write_bytes(damaged(data, how))
        check(path)

    try:
        assert all(check_bytes(folder / f"b{suffix}", data) for data in seeds[suffix])
        any_bytes()
    finally:
        logging.disable(logging.NOTSET)


def check_bytes(path, data):
    path.write_bytes(data)
    return check(path)


@pytest.mark.parametrize("suffix", [".dm3", ".dm4", ".emd"])
def test_damaged_microscope_files(dm_file, emd_file, folder, suffix, monkeypatch):
    pytest.importorskip("rsciio", reason="the extra [em] is not installed")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)
    pixels = np.arange(192, dtype=np.uint16).reshape(12, 16)
    whole = emd_file([("a", pixels, 1.0)]) if suffix == ".emd" else dm_file([(pixels, 1.0, "nm")], int(suffix[-1]))
    data = whole.read_bytes()

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(damage())
    def any_bytes(how):
        path = folder / f"a{suffix}"
        path.write_bytes(damaged(data, how))
        check(path)

    assert check(whole)
    any_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_random_bytes(folder, suffix):
    rng = np.random.default_rng(6)
    for length in (0, 1, 2, 4, 8, 100, 5000):
        path = folder / f"r{suffix}"
        assert not check_bytes(path, rng.bytes(length))


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
def test_headers_of_gigabytes_need_no_gigabytes(tmp_path):
    """In a process that may not have them: widths and heights up to the limit of 32 bits, in front of few pixels."""
    paths, sizes = [], [(2**31 - 1, 2**31 - 1), (70_000, 70_000), (2**31 - 1, 1), (20_000, 8_000)]
    for index, (width, height) in enumerate(sizes):
        paths += [tmp_path / f"{index}{suffix}" for suffix in (".png", ".bmp", ".tif")]
        png = bytearray(by_pillow("PNG", np.zeros((4, 4), np.uint8)))
        png[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
        png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")
        bmp = bytearray(by_pillow("BMP", np.zeros((4, 4), np.uint8)))
        bmp[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
        tiff = bytearray(by_tifffile(np.zeros((4, 4), np.float64), photometric="minisblack"))
        for code, value in ((256, width), (257, height)):
            at = tiff.index(code.to_bytes(2, "little") + b"\4\0\1\0\0\0")
            tiff[at + 8 : at + 12] = value.to_bytes(4, "little")
        for path, data in zip(paths[-3:], (png, bmp, tiff), strict=True):
            path.write_bytes(data)
    code = (
        "import sys; from pathlib import Path; from nanoseg_bench.errors import ImageError\n"
        "from nanoseg_bench.images import read_image\n"
        "for name in sys.argv[1:]:\n"
        "    try: read_image(Path(name)); print('read', name)\n"
        "    except ImageError: pass\n"
        # Not getrusage: its peak counts the memory of the process that forked this one.
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 700_000_000
