import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from nanoseg_bench.errors import ImageError
from nanoseg_bench.images import Scale, read_scale, read_with_notes, warn_of_uneven_pixels
from nanoseg_bench.images.scale import nm_per_unit, unknown_unit

PIXELS = np.arange(2000, dtype=np.uint8).reshape(40, 50)
DEEP = PIXELS.astype(np.uint16) * 100


def ascii_tag(code, text):
    data = text.encode("latin-1") + b"\0"
    return (code, 2, len(data), data, True)


@pytest.fixture
def scale_of(tmp_path):
    """scale_of(**what tifffile writes): read_scale, after checking that reading notes the same."""

    def read(pixels=PIXELS, **options):
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, pixels, **{"photometric": "minisblack", **options})
        found = read_scale(path)
        notes = read_with_notes(path)[1]
        stated = found or Scale(None, "")
        source = stated.source if stated.nm_per_px else None
        assert (notes.nm_per_px, notes.scale_from, notes.uneven_nm) == (stated.nm_per_px, source, stated.uneven_nm)
        return found

    return read


@pytest.mark.parametrize(
    ("unit", "nm"),
    [("nm", 1), ("um", 1e3), ("\\u00B5m", 1e3), ("micron", 1e3), ("mm", 1e6), ("pm", 1e-3), ("A", 0.1)],
)
def test_imagej(scale_of, unit, nm):
    found = scale_of(DEEP, imagej=True, resolution=(4.0, 4.0), metadata={"unit": unit})
    assert found == Scale(pytest.approx(nm / 4), "imagej")


@pytest.mark.parametrize("unit", ["inch", "inches", "cm", "pixel", ""])
def test_imagej_without_a_unit_of_length(scale_of, unit):
    assert scale_of(DEEP, imagej=True, resolution=(300.0, 300.0), metadata={"unit": unit}) is None


@pytest.mark.parametrize("unit", ["furlong", "1/nm", "\\u03BCs"])
def test_a_unit_that_is_not_understood_is_told(scale_of, unit):
    shown = unit.replace("\\u03BC", "μ")
    options = {"imagej": True, "resolution": (300.0, 300.0), "metadata": {"unit": unit}}
    assert scale_of(DEEP, **options) == Scale(None, "imagej", unknown_unit=shown)


@pytest.mark.parametrize(
    ("written", "nm"),
    [
        ("\\u00C5", 0.5),  # Å
        ("\\u00c5", 0.5),
        ("\\u212B", 0.5),  # the ångström sign
        ("\\u00B5m", 5000),  # the micro sign
        ("\\u03BCm", 5000),  # the Greek letter
        ("\\xB5m", 5000),
        ("\\u006e\\u006D", 5),
        ("Angstroms", 0.5),
        ("&#197;", 0.5),
    ],
)
def test_escapes_of_imagej(scale_of, written, nm):
    """5 units per pixel, as ImageJ writes them: pixels per unit, and what is not ASCII as Java writes it."""
    found = scale_of(DEEP, imagej=True, resolution=(0.2, 0.2), metadata={"unit": written})
    assert found == Scale(pytest.approx(nm), "imagej")


@pytest.mark.parametrize("unit", ["INCH", "CENTIMETER"])
def test_dots_per_inch_are_no_scale(scale_of, tmp_path, unit):
    assert scale_of(resolution=(300.0, 300.0), resolutionunit=unit) is None
    for suffix in (".png", ".jpg", ".bmp", ".tif"):
        path = tmp_path / f"b{suffix}"
        Image.fromarray(PIXELS).save(path, dpi=(300, 300))
        assert read_scale(path) is None


def fei(width, height):
    return f"[User]\r\nDate=1/1/2026\r\n[Scan]\r\nPixelWidth={width}\r\nPixelHeight={height}\r\nDwelltime=1e-6\r\n"


@pytest.mark.parametrize("code", [34680, 34682])
def test_fei(scale_of, code):
    assert scale_of(extratags=[ascii_tag(code, fei(2.5e-9, 2.5e-9))]) == Scale(pytest.approx(2.5), "fei")


FEI_XML = """<?xml version="1.0" encoding="utf-8"?>
<Metadata xmlns:nil="http://schemas.fei.com/Metadata/v1/2013/07">
  <BinaryResult>
    <ImageSize><X>50</X><Y>40</Y></ImageSize>
    <PixelSize>
      <X unit="{unit}" unitPrefixPower="{power}">{x}</X>
      <Y unit="{unit}" unitPrefixPower="{power}">{y}</Y>
    </PixelSize>
    <AcquisitionArea><X>0</X><Y>0</Y></AcquisitionArea>
  </BinaryResult>
</Metadata>"""


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({}, Scale(pytest.approx(2.5), "fei")),
        ({"unit": "nm", "x": "2.5", "y": "2.5"}, Scale(pytest.approx(2.5), "fei")),
        ({"y": "3e-09"}, Scale(None, "fei", (pytest.approx(2.5), pytest.approx(3.0)))),
        ({"unit": "1/m"}, Scale(None, "fei", unknown_unit="1/m")),  # a diffraction pattern
        ({"power": "-9"}, None),  # not seen in any file: what it would mean is not known
        ({"x": "", "y": ""}, None),
    ],
)
def test_xml_of_newer_programs_of_thermo_fisher(scale_of, stated, expected):
    text = FEI_XML.format(**{"unit": "m", "power": "1", "x": "2.5E-09", "y": "2.5E-09", **stated})
    assert scale_of(extratags=[ascii_tag(34683, text)]) == expected


@pytest.mark.parametrize(
    "options",
    [
        {"extratags": [ascii_tag(34683, "<PixelSize>" * 10**5)]},
        {"extratags": [ascii_tag(34683, f"<PixelSize>{'<X ' * 3 * 10**5}</PixelSize>")]},
        {"extratags": [ascii_tag(50431, f"PixelSizeX=2{' ' * 10**6}x\n")]},
        {"description": f"<OME {'<Pixels ' * 10**5}", "metadata": None},
        {"description": f"<OME <Pixels {'a' * 10**6}>", "metadata": None},
        {"description": f"ImageJ=1\nunit={chr(92) * 10**6}\n", "metadata": None, "resolution": (2, 2)},
    ],
    ids=["pixel sizes", "extents", "spaces", "OME", "attributes", "escapes"],
)
def test_a_long_text_takes_no_longer_than_its_length(tmp_path, options):
    """A pattern that tries each sign again for each sign took hours for a megabyte."""
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="minisblack", **options)
    found = read_scale(tmp_path / "a.tif")
    assert found is None or found.nm_per_px is None or found.source == "tescan"


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        (("2.5e-9", "2.5e-9"), Scale(pytest.approx(2.5), "tescan")),
        (("2.5e-9", "3e-9"), Scale(None, "tescan", (pytest.approx(2.5), pytest.approx(3.0)))),
        (("0", "0"), None),
        (("", ""), None),
    ],
)
def test_tescan(scale_of, sizes, expected):
    """Lines in a tag of bytes, among others of a thumbnail and of numbers."""
    lines = "Description=\r\nMagnification=50000.0\r\nPixelSizeX={}\r\nPixelSizeY={}\r\nDevice=VEGA3\r\n".format(*sizes)
    data = b"\x01\x00\xff\xd8\x0a\x9c" + lines.encode("ascii") + b"\x00\x04\n\xfe"
    assert scale_of(extratags=[(50431, 1, len(data), data, True)]) == expected


def test_pixels_that_are_not_square_have_no_scale_but_say_so(scale_of, tmp_path, caplog):
    uneven = (pytest.approx(2.5), pytest.approx(3.0))
    assert scale_of(extratags=[ascii_tag(34682, fei(2.5e-9, 3e-9))]) == Scale(None, "fei", uneven)
    assert read_with_notes(tmp_path / "a.tif")[1].as_json() == {"uneven_nm": list(uneven)}
    # Whoever reads many images tells it, once.
    assert not caplog.records


def test_a_single_scale_of_another_program_is_taken_first(scale_of):
    options = {"imagej": True, "resolution": (4.0, 4.0), "metadata": {"unit": "nm"}}
    tags = [ascii_tag(34682, fei(2.5e-9, 3e-9))]
    assert scale_of(DEEP, extratags=tags, **options) == Scale(pytest.approx(0.25), "imagej")


def test_one_sentence_on_all_images_with_uneven_pixels():
    assert warn_of_uneven_pixels([]) == []
    (one,) = warn_of_uneven_pixels([("a/b", (2.5, 3.0))])
    assert one.startswith("pixels are not square in 1 image (the first is a/b, 2.5 × 3 nm)") and "--scale-csv" in one
    (two,) = warn_of_uneven_pixels([("a", (1.0, 2.0)), ("b", (1.0, 3.0))])
    assert two.startswith("pixels are not square in 2 images (the first is a, 1 × 2 nm)")


@pytest.mark.parametrize("size", ["0", "-1e-9", "nan", "inf", "some", ""])
def test_sizes_that_are_none(scale_of, size):
    assert scale_of(extratags=[ascii_tag(34682, fei(size, size))]) is None


@pytest.mark.parametrize(("text", "nm"), [("2.5 nm", 2.5), ("1.25 µm", 1250.0), ("800 pm", 0.8)])
def test_zeiss(scale_of, text, nm):
    values = f"0\r\n0\r\nAP_PIXEL_SIZE\r\nPixel Size = 99.0 nm\r\nAP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = {text}\r\n"
    found = scale_of(extratags=[ascii_tag(34118, values)])
    assert found == Scale(pytest.approx(nm), "zeiss")


def test_zeiss_without_a_size(scale_of):
    assert scale_of(extratags=[ascii_tag(34118, "0\r\nAP_MAG\r\nMag = 10.0 K X\r\n")]) is None


@pytest.mark.parametrize(("unit", "nm"), [(None, 2500.0), ("nm", 2.5), ("µm", 2500.0), ("Å", 0.25), ("pixel", None)])
def test_ome(scale_of, unit, nm):
    metadata = {"axes": "YX", "PhysicalSizeX": 2.5, "PhysicalSizeY": 2.5}
    metadata |= {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit} if unit else {}
    found = scale_of(ome=True, metadata=metadata)
    assert found == (None if nm is None else Scale(pytest.approx(nm), "ome"))


def test_ome_of_the_image_that_is_read(scale_of):
    def image(width, height, size):
        physical = f'PhysicalSizeX="{size}" PhysicalSizeXUnit="&#181;m"'
        return f'<Image><Pixels SizeX="{width}" SizeY="{height}" {physical}/></Image>'

    description = f"<?xml version='1.0'?><OME>{image(5, 4, 7)}{image(50, 40, 0.5)}</OME>"
    assert scale_of(description=description, metadata=None) == Scale(pytest.approx(500), "ome")


def test_olympus_sis(scale_of, tmp_path):
    tifffile.imwrite(tmp_path / "plain.tif", PIXELS, photometric="minisblack")
    general = struct.pack("<10xhdd8xd2x34s32s", -9, 1.5, 1.5, 1000.0, b"camera", b"")

    def structure(offset):
        start = struct.pack("<4s6xhhhhh6x32sH", b"SIS0", 0, 0, 1, 0, 126, b"field", 1)
        return start + struct.pack("<hhI", 1, 1, offset + 68) + general

    # The structure names a position in the file: write it once to learn where it comes to lie.
    path = tmp_path / "a.tif"
    for offset in (0, None):
        if offset is None:
            with tifffile.TiffFile(path) as tiff:
                offset = tiff.pages[0].tags[33560].valueoffset
        data = structure(offset)
        tifffile.imwrite(path, PIXELS, photometric="minisblack", extratags=[(33560, 1, len(data), data, True)])
    assert read_scale(path) == Scale(pytest.approx(1.5), "sis")


def test_tvips(scale_of):
    first = np.zeros((), np.dtype(tifffile.TIFF.TVIPS_HEADER_V1).newbyteorder("<"))
    second = np.zeros((), np.dtype(tifffile.TIFF.TVIPS_HEADER_V2).newbyteorder("<"))
    first["Version"], second["Magic"], second["PixelSizeX"], second["PixelSizeY"] = 2, 0xAAAAAAAA, 0.75, 0.75
    data = first.tobytes() + second.tobytes()
    assert scale_of(extratags=[(37706, 1, len(data), data, True)]) == Scale(pytest.approx(0.75), "tvips")


def test_the_scale_of_another_pages_size_is_not_taken(tmp_path):
    path = tmp_path / "a.tif"
    tags = {"extratags": [ascii_tag(34682, fei(2.5e-9, 2.5e-9))]}
    for shape, expected in (((40, 50), Scale(pytest.approx(2.5), "fei")), ((80, 100), None)):
        with tifffile.TiffWriter(path) as writer:
            writer.write(np.zeros((40, 50, 3), np.uint8), photometric="rgb", metadata=None, **tags)
            writer.write(np.zeros(shape, np.uint8), photometric="minisblack", metadata=None)
        assert read_scale(path) == expected


def test_what_is_no_image_has_no_scale(tmp_path):
    with pytest.raises(ImageError, match="no such image"):
        read_scale(tmp_path / "none.png")
    (tmp_path / "a.tif").write_text("text")
    with pytest.raises(ImageError, match="not an image"):
        read_scale(tmp_path / "a.tif")


def test_units():
    assert nm_per_unit("nanometers") == nm_per_unit(" nm\0") == 1
    assert nm_per_unit("μm") == nm_per_unit("µm") == 1000  # Greek letter and micro sign
    assert nm_per_unit("Å") == nm_per_unit("\u212b") == nm_per_unit("A\u030a") == 0.1
    for bytes_read_as in ("latin-1", "cp1252"):
        assert nm_per_unit("µm".encode().decode(bytes_read_as)) == 1000
    assert nm_per_unit("Å".encode().decode("cp1252")) == 0.1
    assert [unknown_unit(unit) for unit in ("nm", "Pixels", "<undefined>", "1/nm", "s")] == [
        None,
        None,
        None,
        "1/nm",
        "s",
    ]
    assert nm_per_unit("m") == 1e9 and nm_per_unit("s") is None and nm_per_unit("1/nm") is None
