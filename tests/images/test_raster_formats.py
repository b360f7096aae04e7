import struct
import sys
import time
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from nanoseg_bench.errors import ImageError
from nanoseg_bench.images import image_size, read_image, read_with_notes

RNG = np.random.default_rng(4)
GREY = RNG.integers(0, 256, (20, 30), dtype=np.uint8)


def chunks_of(data):
    """Name and bytes (length, name, content, check sum) of every chunk of a PNG."""
    found, at = [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        found.append((data[at + 4 : at + 8], data[at : at + 12 + length]))
        at += 12 + length
    return found


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def exif(orientation):
    found = Image.Exif()
    found[0x0112] = orientation
    return found.tobytes()


def with_chunk(data, new, before):
    return data[:8] + b"".join((new if name == before else b"") + whole for name, whole in chunks_of(data))


@pytest.fixture
def png(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(GREY).save(path)
    return path


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])
@pytest.mark.parametrize("kind", ["eXIf", "raw profile", "xmp", "none"])
def test_png_orientation_wherever_it_stands(png, orientation, before, kind):
    hexadecimal = (b"Exif\0\0" + exif(orientation)).hex().encode()
    content = {
        "eXIf": (b"eXIf", exif(orientation)),
        "raw profile": (b"tEXt", b"Raw profile type exif\0\nexif\n%8d\n" % (len(hexadecimal) // 2) + hexadecimal),
        "xmp": (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + f'<a tiff:Orientation="{orientation}"/>'.encode()),
        "none": (b"tEXt", b"Comment\0a text of its own"),
    }[kind]
    png.write_bytes(with_chunk(png.read_bytes(), chunk(*content), before))
    pixels = read_image(png)
    assert image_size(png) == (pixels.shape[1], pixels.shape[0])
    sideways = orientation in (5, 6, 7, 8) and kind != "none"
    assert image_size(png) == ((20, 30) if sideways else (30, 20))


def test_png_size_is_read_without_the_pixels(png):
    data = png.read_bytes()
    at = data.index(b"IDAT") + 10
    png.write_bytes(data[:at] + bytes(20) + data[at + 20 :])
    assert image_size(png) == (30, 20)
    with pytest.raises(ImageError, match=r"a\.png"):
        read_image(png)


def test_many_chunks_that_may_turn_it_take_no_time(png):
    png.write_bytes(with_chunk(png.read_bytes(), chunk(b"eXIf", exif(6)) * 200_000, b"IDAT"))
    start = time.process_time()
    assert image_size(png) == (20, 30)
    assert time.process_time() - start < 10


def test_png_that_claims_too_much(png):
    data = png.read_bytes()
    header = struct.pack(">II", 2**31 - 1, 2**31 - 1) + data[24:29]
    png.write_bytes(data[:8] + chunk(b"IHDR", header) + data[33:])
    for read in (image_size, read_image):
        with pytest.raises(ImageError, match="more pixels than are read"):
            read(png)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_png(tmp_path, channels):
    shape = (40, 50) if channels == 1 else (40, 50, channels)
    values = RNG.integers(100, 4000, shape, dtype=np.uint16)  # a 12-bit camera in 16 bits: nearly black as it is
    if channels == 4:
        values[..., 3] = 0
        values[:, :25, 3] = 65535
    path = tmp_path / "a.png"
    assert cv2.imwrite(str(path), values)
    pixels, notes = read_with_notes(path)
    colours = values[..., 2::-1] if channels > 1 else values
    low, high = np.percentile(colours, (0.1, 99.9))
    expected = np.floor((np.clip(colours, low, high) - low) / (high - low) * 255 + 0.5).astype(np.uint8)
    if channels == 4:
        expected[:, 25:] = 255
    assert (pixels == expected).all()
    assert notes.as_json() == {"bits": 16, "low": pytest.approx(low), "high": pytest.approx(high)}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_16_bit_colour_png_is_turned(tmp_path, orientation):
    values, path = RNG.integers(0, 65536, (20, 30, 3), dtype=np.uint16), tmp_path / "a.png"
    assert cv2.imwrite(str(path), values)
    upright = read_image(path)
    path.write_bytes(with_chunk(path.read_bytes(), chunk(b"eXIf", exif(orientation)), b"IEND"))
    pixels, notes = read_with_notes(path)
    eight = Image.fromarray(upright)
    eight.getexif()[0x0112] = orientation

    assert (pixels == np.asarray(ImageOps.exif_transpose(eight))).all()
    assert notes.orientation == orientation and image_size(path) == (pixels.shape[1], pixels.shape[0])


def test_16_bit_colour_png_that_is_damaged(tmp_path):
    path = tmp_path / "a.png"
    assert cv2.imwrite(str(path), RNG.integers(0, 65536, (20, 30, 3), dtype=np.uint16))
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(ImageError, match=r"a\.png.*truncated"):
        read_image(path)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_png_of_few_bits(tmp_path, bits):
    path = tmp_path / "a.png"
    palette = Image.fromarray(GREY % 2**bits)
    palette.putpalette(bytes(range(0, 3 * 2**bits * 5, 5)))
    palette.save(path, bits=bits)
    _, notes = read_with_notes(path)
    assert notes.as_json() == {"bits": bits}


def test_transparent_palette_and_cmyk_jpeg(tmp_path):
    palette = Image.fromarray(GREY // 128)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.save(tmp_path / "a.png", transparency=0)
    pixels = read_image(tmp_path / "a.png")
    assert (pixels[GREY < 128] == 255).all() and (pixels[GREY >= 128] == (0, 0, 255)).all()
    cmyk = Image.new("CMYK", (30, 20), (0, 255, 255, 0))
    cmyk.save(tmp_path / "a.jpg", quality=95)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - (255, 0, 0)).max() < 6


def test_jpeg_notes(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.jpg", exif=exif(6))
    pixels, notes = read_with_notes(tmp_path / "a.jpg")
    assert notes.as_json() == {"orientation": 6} and pixels.shape == (30, 20)


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_that_claims_more_pixels_than_it_can_hold(tmp_path, progressive):
    """libjpeg takes 10 bytes of memory for each pixel that the header claims, and returns them grey."""
    path = tmp_path / "a.jpg"
    Image.new("L", (4000, 4000), 128).save(path, quality=1, optimize=True, progressive=progressive)
    assert (read_image(path) == 128).all(), "the fewest bytes that an encoder makes of so many pixels are enough"
    data = bytearray(path.read_bytes())
    assert 600 * len(data) > 4000 * 4000
    frame = data.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 13_000, 13_000)
    path.write_bytes(data)
    with pytest.raises(
        ImageError, match=rf"a\.jpg: .*{len(data)} bytes cannot hold 13000 × 13000 pixels.*copy it again"
    ):
        read_image(path)


def test_a_folder_is_named_as_what_it_is(tmp_path):
    for read in (read_image, image_size):
        with pytest.raises(ImageError, match="cannot be opened"):
            read(tmp_path)


def test_postscript_is_not_run(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 30\n%%EndComments\nshowpage\n")
    with pytest.raises(ImageError, match="not an image"):
        read_image(path)


def test_unknown_formats_when_another_package_asks_for_its_plug_in(tmp_path, monkeypatch):
    def patched(*arguments, **options):
        raise ModuleNotFoundError("pi_heif")

    monkeypatch.setattr(Image, "open", patched)
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(ImageError, match="not an image"):
        read_image(tmp_path / "a.png")


def test_the_limit_is_pillows(png, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 299)
    for read in (read_image, image_size):
        with pytest.raises(ImageError, match="cut the image into tiles"):
            read(png)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)
    assert image_size(png) == read_image(png).shape[::-1]


def test_plain_images_need_no_further_library():
    import subprocess

    code = "import sys, nanoseg_bench.images; print(sorted({'cv2', 'tifffile', 'rsciio', 'h5py'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_large_image_is_read_without_a_warning_of_pillow(tmp_path):
    import subprocess

    Image.new("1", (9500, 9500)).save(tmp_path / "a.png")
    code = "import sys; from nanoseg_bench.images import read_image; print(read_image(sys.argv[1]).shape)"
    end = subprocess.run([sys.executable, "-c", code, tmp_path / "a.png"], capture_output=True, text=True, check=True)
    assert (end.stdout, end.stderr) == ("(9500, 9500)\n", "")
