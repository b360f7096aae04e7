"""What people drop on a program: each gives a result or a refusal in plain words, and nothing half-written."""

import struct
import zlib

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile
from finished_runs import write_otsu_run
from PIL import Image, ImageDraw, ImageFont

from nanoseg_bench.cli import main

HEIGHT, WIDTH = 300, 400
DISCS = [(70, 70, 25), (200, 90, 32), (320, 210, 28), (110, 220, 22)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of Otsu, which needs no training."""
    return write_otsu_run(tmp_path_factory.mktemp("runs"))


def field(discs=DISCS, height=HEIGHT, width=WIDTH):
    """Bright discs on a dark, even ground."""
    noise = cv2.GaussianBlur(np.random.default_rng(0).normal(size=(height, width)), (0, 0), 2)
    image = np.clip(85 + noise / noise.std() * 6, 65, 110).astype(np.uint8)
    for x, y, radius in discs:
        cv2.circle(image, (x, y), radius, 200, -1)
    return image


@pytest.fixture
def analysed(run, tmp_path, capsys):
    """analysed(path): exit code, the row of ``images.csv``, and all that was said."""

    def analyse(path, *more, ocr=False):
        out = tmp_path / "out"
        arguments = ["analyze", str(path), "--model", str(run), "--out", str(out), *more]
        code = main(arguments if ocr else [*arguments, "--no-ocr"])
        said = capsys.readouterr()
        spoken = " ".join((said.out + said.err).split())
        assert "Traceback" not in spoken and "Error:" not in spoken
        left = [path for path in out.rglob("*") if path.suffix in (".tmp", ".part") or path.name.startswith(".")]
        assert not left, "nothing half-written"
        (row,) = pd.read_csv(out / "images.csv").to_dict("records")
        documents = sorted(path.suffix for path in (out / "reports").glob("*"))
        assert documents == ([".docx", ".xlsx"] if row["status"] == "ok" else [])
        assert (code, row["status"]) in ((0, "ok"), (1, "failed"))
        return row, spoken

    return analyse


def test_a_png_of_900_million_pixels_is_refused_by_its_header(analysed, tmp_path):
    side = 30_000

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes((side + 7) // 8 + 1) * side, 1)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(bomb)
    row, said = analysed(tmp_path / "bomb.png")
    assert row["status"] == "failed" and "bomb.png" in row["reason"] and "more pixels than are read" in row["reason"]
    assert "not analysed:" in said and "cut the image into tiles" in said


def test_a_thousand_particles(analysed, tmp_path):
    discs = [(20 + 24 * column, 20 + 24 * row, 7) for row in range(25) for column in range(40)]
    Image.fromarray(field(discs, 620, 1000)).save(tmp_path / "many.png")
    row, _ = analysed(tmp_path / "many.png", "--scale", "0.5nm", "--tiles", "2")
    assert row["particles"] == 1000
    # cv2 fills 149 px of a disc of radius 7.
    assert row["d50"] == pytest.approx(0.5 * np.sqrt(4 * 149 / np.pi), abs=0.5)


def test_a_diffraction_pattern_has_no_lengths(analysed, tmp_path):
    pytest.importorskip("rapidocr")
    y, x = np.mgrid[:512, :512] - 256.0
    radius = np.hypot(x, y)
    rings = sum(np.exp(-(((radius - r) / 3) ** 2)) for r in (60, 98, 115, 150))
    image = Image.fromarray(np.clip(30 + 120 * rings + 220 * np.exp(-((radius / 12) ** 2)), 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.rectangle((30, 470, 150, 476), fill=255)
    draw.text((60, 435), "5 1/nm", fill=255, font=ImageFont.load_default(28))
    image.save(tmp_path / "saed.png")
    row, said = analysed(tmp_path / "saed.png", ocr=True)
    assert row["status"] == "ok" and row["unit"] == "px", "no sizes in nm of a picture in 1/nm"
    assert "diffraction pattern has no lengths in nm" in said


def test_a_photograph_in_colour(analysed, tmp_path):
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    rng = np.random.default_rng(1)
    waves = [128 + 90 * np.sin(x / (20 + 9 * channel) + y / 31 + channel) for channel in range(3)]
    photo = np.clip(np.stack(waves, axis=-1) + rng.normal(0, 10, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(photo).save(tmp_path / "cat.jpg")
    row, _ = analysed(tmp_path / "cat.jpg")
    assert (row["status"], row["width"], row["height"], row["unit"]) == ("ok", WIDTH, HEIGHT, "px")


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 600), (3, 2), (9, 2000)])
def test_images_of_hardly_any_pixels(analysed, tmp_path, height, width):
    pixels = np.random.default_rng(2).integers(0, 255, (height, width), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "tiny.png")
    row, _ = analysed(tmp_path / "tiny.png", ocr=True)
    assert (row["status"], row["width"], row["height"]) == ("ok", width, height)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.emd", "a.dm3"])
@pytest.mark.parametrize("data", [b"", b"just a text", b"II*\0\x08\0\0\0", b"\x89PNG\r\n\x1a\n"])
def test_files_that_are_no_images(analysed, tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    row, said = analysed(tmp_path / name)
    assert row["status"] == "failed" and name in row["reason"] and "not analysed:" in said


def as_float(pixels):
    values = pixels.astype(np.float32) / 7 - 3
    values[40:44, 300:310], values[0, :9], values[9, 9] = np.nan, np.inf, -np.inf
    return values


@pytest.mark.parametrize(
    "write",
    [
        lambda path, pixels: tifffile.imwrite(path, as_float(pixels)),
        lambda path, pixels: tifffile.imwrite(
            path, np.stack([pixels, pixels[::-1], 255 - pixels]), photometric="minisblack"
        ),
        lambda path, pixels: tifffile.imwrite(path, pixels.astype(np.uint16) * 200),
        lambda path, pixels: Image.fromarray(np.dstack([pixels] * 3 + [np.full_like(pixels, 255)])).save(path, "PNG"),
        lambda path, pixels: Image.fromarray(pixels).save(path, "WEBP", lossless=True),
        lambda path, pixels: Image.fromarray(pixels).save(
            path, "GIF", save_all=True, append_images=[Image.fromarray(pixels[::-1])] * 3
        ),
    ],
    ids=["float with NaN", "stack", "16 bit", "RGBA", "WebP", "animated GIF"],
)
def test_the_discs_are_found_in_whatever_they_are_stored_as(analysed, tmp_path, write):
    """Told apart by their content, whatever the file is called."""
    write(tmp_path / "field.tif", field())
    row, _ = analysed(tmp_path / "field.tif")
    assert (row["status"], row["particles"]) == ("ok", len(DISCS))
    assert row["d50"] == pytest.approx(52, abs=4)


def test_values_that_are_no_numbers(analysed, tmp_path):
    tifffile.imwrite(tmp_path / "nan.tif", np.full((60, 80), np.nan, np.float32))
    row, _ = analysed(tmp_path / "nan.tif")
    assert (row["status"], row["particles"]) == ("ok", 0)


def test_two_scale_bars_that_differ_are_a_question(analysed, tmp_path):
    pytest.importorskip("rapidocr")
    image = Image.fromarray(field())
    draw = ImageDraw.Draw(image)
    for left, length, text in ((20, 100, "100 nm"), (250, 100, "500 nm")):
        draw.rectangle((left, 285, left + length - 1, 290), fill=255)
        draw.text((left + 15, 258), text, fill=255, font=ImageFont.load_default(22))
    image.save(tmp_path / "two.png")
    row, said = analysed(tmp_path / "two.png", ocr=True)
    assert row["status"] == "ok" and row["unit"] == "px", "neither bar is taken unasked"
    assert "100 nm" in said and "500 nm" in said
