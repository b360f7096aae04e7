"""Texts that microscopes put beside their images."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from nanoseg_bench.images import Acquisition, read_scale, read_with_notes
from nanoseg_bench.images.sidecars import ending_beside, read_sidecar

HEIGHT, WIDTH = 96, 128
PIXELS = np.tile(np.arange(WIDTH, dtype=np.uint8), (HEIGHT, 1))

JEOL = (
    "$CM_FORMAT JEOL/SEM\r\n$CM_VERSION 1.0\r\n$CM_DATE 2019/03/12\r\n$CM_TIME 10:21:55\r\n$CM_OPERATOR B\xfcrger\r\n"
    "$CM_INSTRUMENT JSM-7800F\r\n$CM_ACCEL_VOLT 15.00\r\n$CM_FULL_SIZE {width} {height}\r\n"
    "$$SM_MICRON_BAR 160\r\n$$SM_MICRON_MARKER {marker}\r\n"
)
HITACHI = (
    "[SemImageFile]\r\nInstructName=SU8220\r\nDate=2021/11/02\r\nTime=09:15:00\r\nDataSize={width}x{height}\r\n"
    "PixelSize=4.96094\r\nAcceleratingVoltage=5000 Volt\r\nMagnification=20000\r\n"
)
TESCAN = (
    "[MAIN]\r\nDate=2022-05-04\r\nDevice=MIRA3 LMH\r\nMagnification=50000.0\r\nPixelSizeX=2.5e-009\r\n"
    "PixelSizeY={y}\r\nTime=14:24:36\r\n[SEM]\r\nHV=10000.0\r\nWD=5.1e-3\r\n"
)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "Probe 1.tif"
    Image.fromarray(PIXELS).save(path)
    return path


def put(image, text, suffix=".txt", encoding="latin-1"):
    image.with_name(f"{image.stem}{suffix}").write_bytes(text.encode(encoding))


def stated(image):
    """nm per pixel, by both ways that it is asked for."""
    scale, notes = read_scale(image), read_with_notes(image)[1]
    assert (scale and scale.nm_per_px, scale and scale.uneven_nm) == (notes.nm_per_px, notes.uneven_nm)
    return notes.nm_per_px


@pytest.mark.parametrize(
    ("marker", "nm_per_px"), [("100nm", 0.625), ("1um", 6.25), ("10 um", 62.5), ("0.5um", 3.125), ("1xy", None)]
)
@pytest.mark.parametrize("suffix", [".txt", ".TXT", ".Txt"])
def test_jeol(image, marker, nm_per_px, suffix):
    put(image, JEOL.format(width=WIDTH, height=HEIGHT, marker=marker), suffix)
    assert stated(image) == (None if nm_per_px is None else pytest.approx(nm_per_px))
    found = read_with_notes(image)[1].acquisition
    assert (found.instrument, found.voltage_kv, found.taken) == ("JSM-7800F", 15.0, "2019/03/12 10:21:55")
    assert set(found.sources.values()) == {"the text file beside it (jeol)"}


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_hitachi(image, encoding):
    put(image, HITACHI.format(width=WIDTH, height=HEIGHT), encoding=encoding)
    assert stated(image) == pytest.approx(4.96094)
    assert read_scale(image).source == "hitachi, in the text beside it"
    found = read_with_notes(image)[1].acquisition
    assert (found.instrument, found.voltage_kv, found.taken) == ("SU8220", 5.0, "2021/11/02 09:15:00")


@pytest.mark.parametrize("suffix", [".hdr", "-tif.hdr", "-tif.HDR"])
def test_tescan(image, suffix):
    put(image, TESCAN.format(y="2.5e-009"), suffix)
    assert stated(image) == pytest.approx(2.5)
    found = read_with_notes(image)[1].acquisition
    assert (found.instrument, found.voltage_kv, found.taken) == ("MIRA3 LMH", 10.0, "2022-05-04 14:24:36")


def test_pixels_that_are_not_square_have_no_single_scale(image):
    put(image, TESCAN.format(y="5e-009"), ".hdr")
    assert stated(image) is None
    assert read_scale(image).uneven_nm == pytest.approx((2.5, 5.0))


@pytest.mark.parametrize("text", [JEOL, HITACHI])
def test_an_image_that_was_resized_has_another_scale(image, text):
    put(image, text.format(width=2 * WIDTH, height=2 * HEIGHT, marker="1um"))
    assert stated(image) is None
    assert read_with_notes(image)[1].acquisition.instrument


def test_what_the_file_says_goes_first(image):
    tifffile.imwrite(image, PIXELS, imagej=True, resolution=(4.0, 4.0), metadata={"unit": "nm"})
    put(image, HITACHI.format(width=WIDTH, height=HEIGHT))
    assert stated(image) == pytest.approx(0.25)
    assert read_with_notes(image)[1].acquisition.instrument == "SU8220"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "my notes on sample $5\n$CM is a word\n",
        "$SM_WD 8\n",
        "0 0.1 0.1 0.2 0.1 0.2 0.2\n",
        "[MAIN]\nlanguage=de\n",
        "PixelSize=3\n",
    ],
)
def test_other_texts_say_nothing(image, text):
    for suffix in (".txt", ".hdr"):
        put(image, text, suffix)
    assert read_sidecar(image) is None
    assert stated(image) is None
    assert read_with_notes(image)[1].acquisition == Acquisition()


@pytest.mark.parametrize("size", ["4,96094", "1,234.5", "1,96094E1"])
def test_a_number_with_a_comma_is_no_scale_rather_than_a_wrong_one(image, size):
    put(image, HITACHI.format(width=WIDTH, height=HEIGHT).replace("4.96094", size))
    assert stated(image) is None
    assert read_with_notes(image)[1].acquisition.voltage_kv == 5.0


@pytest.mark.parametrize("wrong", ["$$SM_MICRON_BAR 0\n", "$$SM_MICRON_BAR 1..2\n", "$$SM_MICRON_BAR -3\n", ""])
def test_numbers_that_are_none_are_no_scale(image, wrong):
    put(image, f"$CM_FORMAT JEOL/SEM\n$$SM_MICRON_MARKER 1um\n{wrong}")
    assert stated(image) is None


def test_a_folder_or_a_huge_file_of_that_name_is_no_text(image):
    image.with_suffix(".txt").mkdir()
    image.with_suffix(".hdr").write_bytes(b"[MAIN]\nPixelSizeX=1e-9\n" + b" " * 2**21)
    assert read_sidecar(image) is None


@pytest.mark.parametrize(
    "line",
    [
        f"$$SM_TITLE a{' ' * 10**6}b\n",
        f"$$SM_MICRON_MARKER 1{'.' * 10**6}0\n",
        f"[SemImageFile]\nSampleName=a{' ' * 10**6}b\n",
    ],
    ids=["spaces", "dots", "spaces of an INI file"],
)
def test_a_long_line_takes_no_longer_than_its_length(image, line):
    """A pattern that tries each sign again for each sign took hours for a megabyte."""
    put(image, f"$CM_FORMAT JEOL/SEM\n$CM_INSTRUMENT JSM-7800F \t\n{line}")
    assert read_sidecar(image).acquisition.instrument in ("JSM-7800F", "")
    assert stated(image) is None


def test_a_width_beyond_all_numbers_is_none(image):
    put(image, JEOL.replace("{width}", "1e999").format(height=HEIGHT, marker="1um"))
    assert read_sidecar(image).width is None
    assert stated(image) == pytest.approx(6.25)


@pytest.mark.parametrize(
    ("text", "name", "ending"),
    [
        ("a.txt", "a.tif", ".txt"),
        ("A.TXT", "a.tif", ".txt"),
        ("a-TIF.hdr", "a.TIF", "-tif.hdr"),
        ("a.b.hdr", "a.b.png", ".hdr"),
        ("x/a.txt", "x/a.tif", ".txt"),
        ("y/a.txt", "x/a.tif", None),
        ("a-png.hdr", "a.tif", None),
        ("a1.txt", "a10.tif", None),
        (".txt", "a.tif", None),
        ("a.tif", "a.tif", None),
    ],
)
def test_which_text_is_of_which_image(tmp_path, text, name, ending):
    """By name alone, and as ``read_sidecar`` finds it."""
    assert ending_beside(text, name) == ending
    if ending is not None:
        (tmp_path / f"original{ending}").write_text("[SemImageFile]\nPixelSize=2\n")
        assert read_sidecar(tmp_path / f"original{name[-4:].lower()}").scale.nm_per_px == 2
