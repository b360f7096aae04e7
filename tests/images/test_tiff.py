import logging
import struct

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from nanoseg_bench.errors import ImageError
from nanoseg_bench.images import image_size, read_image, read_with_notes

RNG = np.random.default_rng(3)
LAYOUTS = ({}, {"tile": (16, 16)}, {"compression": "zlib"}, {"bigtiff": True})


def mapped(values, low_high=None):
    """The literal formula: percentiles of the finite values, clip, stretch, round half up."""
    values = np.asarray(values, dtype=np.float64)
    low, high = low_high or np.percentile(values[np.isfinite(values)], (0.1, 99.9))
    inside = np.clip(np.nan_to_num(values, nan=low), low, high)
    return np.floor((inside - low) / max(high - low, 1e-300) * 255 + 0.5).astype(np.uint8)


def samples(dtype, shape=(40, 50)):
    if np.dtype(dtype).kind == "f":
        return (RNG.standard_normal(shape) * 1000).astype(dtype)
    info = np.iinfo(dtype)
    return RNG.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "dtype", ["uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64"]
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_deep_sample_type(tmp_path, dtype, order, layout):
    values, path = samples(dtype), tmp_path / "a.tif"
    tifffile.imwrite(path, values, byteorder=order, photometric="minisblack", **layout)
    pixels, notes = read_with_notes(path)
    assert np.abs(pixels.astype(int) - mapped(values)).max() <= (1 if dtype == "float16" else 0)
    assert notes.bits == np.dtype(dtype).itemsize * 8
    low, high = np.percentile(values.astype(float), (0.1, 99.9))
    assert notes.low == pytest.approx(low, rel=1e-3) and notes.high == pytest.approx(high, rel=1e-3)
    assert image_size(path) == (50, 40)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "layout",
    [{}, {"tile": (16, 16)}, {"compression": "zlib"}, {"bigtiff": True}, {"compression": "zlib", "predictor": 2}],
)
@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 3)])
def test_eight_bits_stay(tmp_path, order, layout, shape):
    values, path = samples("uint8", shape), tmp_path / "a.tif"
    tifffile.imwrite(path, values, byteorder=order, photometric="rgb" if len(shape) == 3 else "minisblack", **layout)
    pixels, notes = read_with_notes(path)
    assert (pixels == values).all() and notes.as_json() == {}


def test_signed_bytes_are_shifted(tmp_path):
    values = samples("int8")
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    assert (read_image(tmp_path / "a.tif").astype(int) == values.astype(int) + 128).all()


@pytest.mark.parametrize("layout", [{}, {"planarconfig": "separate"}, {"tile": (16, 16)}, {"bigtiff": True}])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_deep_colour_is_mapped_as_one(tmp_path, layout, dtype):
    values, path = samples(dtype, (40, 50, 3)), tmp_path / "a.tif"
    stored = np.moveaxis(values, -1, 0) if "planarconfig" in layout else values
    tifffile.imwrite(path, stored, photometric="rgb", **layout)
    assert (read_image(path) == mapped(values)).all()


def test_deep_grey_in_three_channels_is_grey(tmp_path):
    values = samples("uint16")
    tifffile.imwrite(tmp_path / "a.tif", np.stack([values] * 3, axis=-1), photometric="rgb")
    assert (read_image(tmp_path / "a.tif") == mapped(values)).all()


@pytest.mark.parametrize("dtype", ["uint16", "float32", "int32", "uint32"])
def test_lzw_grey_is_read_by_libtiff(tmp_path, dtype):
    values, path = np.abs(samples(dtype)), tmp_path / "a.tif"
    stored = values.view(np.int32) if dtype == "uint32" else values
    Image.fromarray(stored).save(path, compression="tiff_lzw")
    if dtype == "uint32":  # Pillow writes it as signed: say otherwise, at its SampleFormat tag
        data = bytearray(path.read_bytes())
        at = data.index(struct.pack("<HHI", 339, 3, 1))
        data[at + 8 : at + 10] = struct.pack("<H", 1)
        path.write_bytes(data)
    pixels, notes = read_with_notes(path)
    assert (pixels == mapped(values)).all() and notes.bits == values.itemsize * 8


def test_lzw_deep_colour_is_read_by_libtiff(tmp_path):
    values = samples("uint16", (40, 50, 3))
    assert cv2.imwrite(str(tmp_path / "a.tif"), values[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.pages[0].compression == 5
    assert (read_image(tmp_path / "a.tif") == mapped(values)).all()


def test_zero_is_white(tmp_path):
    deep, shallow = samples("uint16"), samples("uint8")
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="miniswhite")
    pixels, notes = read_with_notes(tmp_path / "a.tif")
    assert (pixels == 255 - mapped(deep)).all() and notes.low > notes.high
    tifffile.imwrite(tmp_path / "b.tif", shallow, photometric="miniswhite")
    assert (read_image(tmp_path / "b.tif") == 255 - shallow).all()


def test_deep_alpha_is_laid_on_white(tmp_path):
    values, alpha = samples("uint16", (40, 50, 3)), np.zeros((40, 50, 1), np.uint16)
    alpha[:, :25] = 65535
    for name, colours, photometric in (("a", values, "rgb"), ("b", values[..., :1], "minisblack")):
        path = tmp_path / f"{name}.tif"
        stored = np.concatenate((colours, alpha), axis=2)
        tifffile.imwrite(path, stored, photometric=photometric, extrasamples=["unassalpha"], planarconfig="contig")
        pixels = read_image(path)
        expected = mapped(colours) if colours.shape[2] == 3 else mapped(colours[..., 0])
        assert (pixels[:, :25] == expected[:, :25]).all() and (pixels[:, 25:] == 255).all()


def test_premultiplied_alpha_is_laid_on_white_once(tmp_path):
    values, path = samples("uint16", (40, 50, 1)), tmp_path / "a.tif"
    alpha = np.full((40, 50, 1), 65535, np.uint16)
    alpha[:, 25:] = 32768
    stored = np.concatenate((values.astype(float) * alpha / 65535, alpha), axis=2).astype(np.uint16)
    tifffile.imwrite(path, stored, photometric="minisblack", extrasamples=["assocalpha"], planarconfig="contig")
    expected = mapped(values[..., 0]).astype(float)
    expected[:, 25:] = (expected[:, 25:] + 255) / 2
    assert np.abs(read_image(path) - expected).max() <= 1.5


def test_complex_samples_are_no_image(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((4, 5), np.complex64), photometric="minisblack")
    with pytest.raises(ImageError, match="complex64"):
        read_image(tmp_path / "a.tif")


def test_strips_without_byte_counts(tmp_path):
    values, path = samples("uint16"), tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="minisblack")
    data = path.read_bytes()
    at = data.index(struct.pack("<HH", 279, 4))
    path.write_bytes(data[:at] + struct.pack("<H", 65000) + data[at + 2 :])
    assert (read_image(path) == mapped(values)).all()


def test_further_channels_of_no_meaning_are_left(tmp_path):
    values = samples("uint16", (40, 50, 2))
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", planarconfig="contig", extrasamples=[0])
    assert (read_image(tmp_path / "a.tif") == mapped(values[..., 0])).all()


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "packbits", "tiff_adobe_deflate", "group4"])
def test_compressions_of_libtiff(tmp_path, compression):
    smooth = np.add.outer(np.arange(64), np.arange(80)).astype(np.uint8)
    image = Image.fromarray(smooth > 70) if compression == "group4" else Image.fromarray(smooth)
    image.save(tmp_path / "a.tif", compression=compression)
    expected = np.asarray(image.convert("L")).astype(int)
    assert np.abs(read_image(tmp_path / "a.tif") - expected).max() <= (3 if compression == "jpeg" else 0)


def test_one_bit_cmyk_and_palette(tmp_path):
    grey = samples("uint8")
    Image.fromarray(grey > 127).save(tmp_path / "a.tif")
    pixels, notes = read_with_notes(tmp_path / "a.tif")
    assert (pixels == np.where(grey > 127, 255, 0)).all() and notes.bits == 1
    cmyk = Image.fromarray(samples("uint8", (40, 50, 3))).convert("CMYK")
    cmyk.save(tmp_path / "b.tif")
    assert (read_image(tmp_path / "b.tif") == np.asarray(cmyk.convert("RGB"))).all()
    palette = Image.fromarray(grey // 128)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.save(tmp_path / "c.tif")
    assert (read_image(tmp_path / "c.tif")[..., 2] == np.where(grey < 128, 0, 255)).all()


# Pages


def write_pages(path, *pages):
    """Each page: pixels, and what else tifffile is to write of it."""
    with tifffile.TiffWriter(path) as writer:
        for pixels, options in pages:
            photometric = "rgb" if pixels.ndim == 3 else "minisblack"
            writer.write(pixels, photometric=photometric, contiguous=False, metadata=None, **options)


@pytest.mark.parametrize(
    ("pages", "chosen"),
    [
        ([((20, 30), {}), ((40, 50), {}), ((30, 30), {})], 1),  # the largest
        ([((40, 50), {}), ((40, 50), {}), ((50, 40), {})], 0),  # the first of equals
        ([((40, 50, 3), {}), ((30, 40), {}), ((40, 50, 3), {})], 1),  # grey before colour
        ([((10, 12), {}), ((40, 50, 3), {})], 1),  # a thumbnail loses, even to colour
        ([((40, 50), {"subfiletype": 1}), ((20, 30), {})], 1),  # flagged as a reduced copy
        ([((20, 30), {"subfiletype": 1}), ((40, 50), {"subfiletype": 1})], 1),  # nothing else there
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_page_that_is_read(tmp_path, caplog, pages, chosen, dtype):
    caplog.set_level(logging.INFO)
    path = tmp_path / "a.tif"
    contents = [(samples(dtype, shape), options) for shape, options in pages]
    write_pages(path, *contents)
    pixels, notes = read_with_notes(path)
    values = contents[chosen][0]
    assert (pixels == (values if dtype == "uint8" else mapped(values))).all()
    assert (notes.page, notes.pages) == (chosen, len(pages))
    assert image_size(path) == (pixels.shape[1], pixels.shape[0])
    assert [record.getMessage() for record in caplog.records if "page" in record.getMessage()] == [
        f"{path}: page {chosen + 1} of {len(pages)} is read ({pixels.shape[1]} × {pixels.shape[0]}, "
        f"{'grey' if pixels.ndim == 2 else 'colour'}), the largest grey one if there is any"
    ]


@pytest.mark.parametrize(
    ("pages", "alike"),
    [
        ([((40, 50), {})] * 3, 2),  # a stack
        ([((40, 50, 3), {}), ((40, 50), {})], 1),  # in colour, and as it was taken
        ([((40, 50), {}), ((20, 25), {}), ((50, 40), {})], 0),  # smaller, or of another form
        ([((40, 50), {}), ((40, 50), {"subfiletype": 1})], 0),  # flagged as a reduced copy
    ],
)
def test_further_images_of_the_same_size_are_counted(tmp_path, pages, alike):
    write_pages(tmp_path / "a.tif", *((samples("uint8", shape), options) for shape, options in pages))
    notes = read_with_notes(tmp_path / "a.tif")[1]
    assert notes.alike == alike and "alike" not in notes.as_json()


def test_a_page_flagged_as_a_mask_loses(tmp_path):
    values = samples("uint8", (20, 30, 3))
    write_pages(tmp_path / "a.tif", (np.ones((40, 50), bool), {"subfiletype": 4}), (values, {}))
    assert (read_image(tmp_path / "a.tif") == values).all()


def test_a_grey_palette_is_grey(tmp_path):
    grey = samples("uint8")
    ramp = np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1))
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(samples("uint8", (40, 50, 3)), photometric="rgb", metadata=None)
        writer.write(grey, photometric="palette", colormap=ramp, metadata=None)
    pixels, notes = read_with_notes(tmp_path / "a.tif")
    assert (pixels == grey).all() and notes.page == 1


def test_a_page_that_pillow_does_not_know_hides_no_other(tmp_path):
    path = tmp_path / "a.tif"
    grey = samples("uint8")
    write_pages(path, (samples("float64", (30, 40)), {}), (grey, {}))
    assert (read_image(path) == grey).all()


def upright(stored, orientation):
    """What numpy makes of an EXIF orientation."""
    return {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: np.swapaxes(a, 0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
        8: np.rot90,
    }[orientation](stored)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("dtype", "shape"), [("uint8", (16, 24)), ("uint16", (16, 24)), ("uint16", (16, 24, 3))])
@pytest.mark.parametrize("page", [0, 1])
def test_orientation_of_every_page(tmp_path, orientation, dtype, shape, page):
    stored = np.zeros(shape, dtype=dtype)
    stored[:8, :8] = np.iinfo(dtype).max  # bright at the upper left of what is stored
    stored[:8, 20:] = np.iinfo(dtype).max // 2
    path = tmp_path / "a.tif"
    tags = {"extratags": [(274, 3, 1, orientation, True)]}
    write_pages(path, *[(samples(dtype, (4, 4)), {})] * page, (stored, tags))
    shown = upright(stored, orientation)
    pixels, notes = read_with_notes(path)
    expected = shown if dtype == "uint8" else mapped(shown)
    assert (pixels == (expected[..., 0] if expected.ndim == 3 else expected)).all()
    assert notes.orientation == orientation and notes.page == page
    assert image_size(path) == (pixels.shape[1], pixels.shape[0])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_lzw_grey(tmp_path, orientation):
    values, path = samples("uint16", (16, 24)), tmp_path / "a.tif"
    Image.fromarray(values).save(path, compression="tiff_lzw", tiffinfo={274: orientation})
    assert (read_image(path) == mapped(upright(values, orientation))).all()
    assert image_size(path) == read_image(path).shape[::-1]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_lzw_deep_colour(tmp_path, orientation):
    values, path = samples("uint16", (40, 50, 3)), tmp_path / "a.tif"
    assert cv2.imwrite(str(path), values[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    # OpenCV writes no orientation: put one where it says that the samples are not planar, which is the default.
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack("<HHI", 284, 3, 1))
    data[at : at + 10] = struct.pack("<HHIH", 274, 3, 1, orientation)
    path.write_bytes(data)
    assert (read_image(path) == mapped(upright(values, orientation))).all()
    assert image_size(path) == read_image(path).shape[1::-1]


def test_orientation_of_xmp(tmp_path):
    stored = samples("uint8", (16, 24))
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6"/></x:xmpmeta>'
    for dtype in ("uint8", "uint16"):
        path = tmp_path / f"{dtype}.tif"
        tifffile.imwrite(
            path, stored.astype(dtype), photometric="minisblack", extratags=[(700, 1, len(xmp), xmp, True)]
        )
        assert image_size(path) == (16, 24) == read_image(path).shape[::-1]


# Damage


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float64"])
@pytest.mark.parametrize("layout", [{}, {"tile": (16, 16)}, {"compression": "zlib"}])
def test_missing_pixels_are_never_filled_in(tmp_path, dtype, layout):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, samples(dtype, (64, 64)), photometric="minisblack", **layout)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ImageError, match=r"a\.tif"):
        read_image(path)


@pytest.mark.parametrize(("width", "height"), [(2**31, 2**31), (100_000, 100_000), (60_000, 2000), (0, 40)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_header_that_claims_too_much(tmp_path, width, height, dtype):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, samples(dtype), photometric="minisblack")
    with tifffile.TiffFile(path, mode="r+") as tiff:
        places = {code: tiff.pages[0].tags[code].valueoffset for code in (256, 257)}
        kinds = {code: tiff.pages[0].tags[code].dtype for code in (256, 257)}
    data = bytearray(path.read_bytes())
    for code, value in ((256, width), (257, height)):
        assert kinds[code] == 4
        data[places[code] : places[code] + 4] = struct.pack("<I", value)
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.tif"):
        read_image(path)


def test_inflation_beyond_the_header(tmp_path):
    import zlib

    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((64, 64), np.uint16), photometric="minisblack", compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as tiff:
        bomb = zlib.compress(bytes(50_000_000))
        page = tiff.pages[0]
        page.tags[279].overwrite(len(bomb))
        page.tags[273].overwrite(path.stat().st_size + 1000)
    with path.open("r+b") as stream:
        stream.seek(0, 2)
        stream.write(bytes(path.stat().st_size + 5000 - stream.tell()))
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[0].dataoffsets[0]
    data = path.read_bytes()
    path.write_bytes(data[:offset] + bomb)
    with pytest.raises(ImageError, match="more than its header says"):
        read_image(path)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("colours", [1, 3])
def test_an_image_that_is_smaller_than_its_tile(tmp_path, compression, dtype, colours):
    values = np.random.default_rng(0).integers(0, 200, (70, 90, colours)[: 2 + (colours > 1)]).astype(dtype)
    photometric = "rgb" if colours > 1 else "minisblack"
    tifffile.imwrite(tmp_path / "tiles.tif", values, tile=(256, 256), compression=compression, photometric=photometric)
    tifffile.imwrite(tmp_path / "strips.tif", values, photometric=photometric)
    assert (read_image(tmp_path / "tiles.tif") == read_image(tmp_path / "strips.tif")).all()


def test_a_tile_of_a_thousand_million_pixels_is_refused(tmp_path):
    """Libtiff unpacks a tile as a whole: 32768 x 32768 zeros are 1 MB of the file of an image of 64 x 64."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((64, 64), np.uint8), tile=(64, 64), compression="zlib", photometric="minisblack")
    data = bytearray(path.read_bytes())
    for code in (322, 323):
        tag = struct.pack("<HHI", code, 4, 1)
        place = data.index(tag) + len(tag)
        data[place : place + 4] = struct.pack("<I", 32768)
    path.write_bytes(data)
    for read in (read_image, image_size):
        with pytest.raises(ImageError, match=r"a\.tif: its header claims more pixels than are read \(32768 × 32768"):
            read(path)


def test_a_stack_of_more_pages_than_fit_into_memory(tmp_path):
    """A page takes 114 bytes of the file, and 4000 of memory."""
    tags = ((256, 8), (257, 8), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 8), (279, 64))
    page = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in tags)
    ends = [72 + (len(page) + 4) * number for number in range(1, 60_000)]
    data = b"II*\0" + struct.pack("<I", 72) + bytes(64) + b"".join(page + struct.pack("<I", end) for end in (*ends, 0))
    path = tmp_path / "a.tif"
    path.write_bytes(data)
    for read in (read_image, image_size):
        with pytest.raises(ImageError, match=r"a\.tif: a stack of more than 50000 pages; save the image itself"):
            read(path)


def test_a_tiff_without_pages(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0\0\0\0\0")
    for read in (read_image, image_size):
        with pytest.raises(ImageError, match=r"a\.tif"):
            read(tmp_path / "a.tif")


def test_a_tiff_by_any_name_is_a_tiff(tmp_path):
    values = samples("uint16")
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    (tmp_path / "a.tif").rename(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == mapped(values)).all()
