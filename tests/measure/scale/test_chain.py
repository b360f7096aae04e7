"""The chain by files and pictures that the tests write; text is really read, where RapidOCR is installed."""

import re

import numpy as np
import pytest
import tifffile
from PIL import Image

from nanoseg_bench.errors import ImageError, ScaleError
from nanoseg_bench.images import ImageNotes
from nanoseg_bench.measure.scale import INFO_BAR, LINE, METADATA, NONE, SCALE_BAR, TYPED, find_scale

BAR_PX, BAR_NM = 120, 200.0


@pytest.fixture
def micrograph(field, write, draw_bar):
    """A field with a labelled bar near its lower right corner."""

    def make(text="200 nm", grey=255, length=BAR_PX, size=30, **options):
        image = field(**options)
        height, width = image.shape
        draw_bar(image, width - 40.0 - length, width - 40.0, height - 34.0, height - 26.0, grey)
        if text:
            write(image, text, (width - 36 - length, height - 76), grey, size)
        return image

    return make


@pytest.fixture(scope="module")
def reading():
    pytest.importorskip("rapidocr", reason="text of bars is read with RapidOCR, extra 'app'")


@pytest.mark.usefixtures("reading")
class TestRead:
    @pytest.mark.parametrize("grey", [0, 255])
    @pytest.mark.parametrize(("text", "nm"), [("200 nm", 200), ("0.5 um", 500), ("1 um", 1000)])
    def test_a_labelled_bar(self, micrograph, grey, text, nm):
        found = find_scale(micrograph(text, grey))
        assert found.source == SCALE_BAR and found.is_sure
        assert found.value_nm == nm
        assert found.nm_per_px == pytest.approx(nm / BAR_PX, rel=0.004)
        assert found.bar[1] == found.bar[3] == pytest.approx(450, abs=0.5)
        assert 0 < found.relative_uncertainty < 0.01
        assert not found.warnings

    def test_a_bar_on_a_white_box_in_colour(self, field, write, draw_bar):
        image = field()
        image[400:470, 440:620] = 255
        write(image, "50 nm", (490, 404), 0, 28)
        draw_bar(image, 470.0, 590.0, 444.0, 450.0, 0)
        found = find_scale(np.repeat(image[..., None], 3, axis=2))
        assert found.is_sure and found.nm_per_px == pytest.approx(50 / 120, rel=0.004)

    def test_a_bar_in_the_upper_part(self, micrograph):
        image = np.roll(micrograph(), -330, axis=0)
        assert find_scale(image).nm_per_px == pytest.approx(BAR_NM / BAR_PX, rel=0.004)

    def test_two_bars_that_differ_are_a_question(self, micrograph, write, draw_bar):
        image = micrograph()
        draw_bar(image, 40.0, 140.0, 446.0, 454.0, 255)
        write(image, "20 nm", (44, 404), 255, 30)
        found = find_scale(image)
        assert found.nm_per_px is not None and not found.is_sure
        assert [len(found.warnings), len(found.others)] == [1, 1]
        assert "200 nm" in found.warnings[0] and "20 nm" in found.warnings[0]

    def test_a_diffraction_pattern_is_refused(self, micrograph):
        found = find_scale(micrograph("5 1/nm"))
        assert found.nm_per_px is None and not found.is_sure
        assert "diffraction" in found.warnings[0]

    def test_words_of_an_information_bar(self, field, write):
        image = field()
        image[440:] = 0
        write(image, "HV 5.00 kV    HFW: 2.56 um    WD 4.1 mm    det TLD", (10, 446), 255, 20)
        found = find_scale(image)
        assert found.source == INFO_BAR and found.is_sure
        assert found.nm_per_px == pytest.approx(2560 / 640)

    def test_metadata_that_agree_and_that_differ(self, micrograph):
        image = micrograph()
        agree = find_scale(image, notes=ImageNotes(nm_per_px=1.68, scale_from="zeiss"))
        assert agree.source == METADATA and agree.nm_per_px == 1.68 and agree.is_sure and not agree.warnings
        differ = find_scale(image, notes=ImageNotes(nm_per_px=1.76, scale_from="zeiss"))
        assert differ.nm_per_px == 1.76 and not differ.is_sure
        assert "1.76" in differ.warnings[0] and "(200 nm) 1.66" in differ.warnings[0]

    def test_the_length_that_the_user_gives_counts(self, micrograph):
        found = find_scale(micrograph(), bar_nm=100.0)
        assert found.source == LINE and found.nm_per_px == pytest.approx(100 / BAR_PX, rel=0.004)
        assert "labelled 200 nm" in found.warnings[0] and found.text == "100 nm"

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"nm_per_px": 0.42}, "the scale given (0.42 nm/px) says 0.42 nm/px"),
            ({"line": (10.0, 20.0, 110.0, 20.0), "bar_nm": 500.0}, "the line (500 nm) says 5 nm/px"),
        ],
    )
    def test_what_is_given_is_used_and_compared_with_a_legible_bar(self, micrograph, given, says):
        image = micrograph()
        found = find_scale(image, **given)
        assert found.is_sure and found.source in (TYPED, LINE)
        (sentence,) = found.warnings
        assert sentence.startswith(f"{says}, the scale bar (200 nm) 1.66"), sentence
        assert sentence.endswith("is used, look whether it is right")
        assert not find_scale(image, **given, read_text=False).warnings, "nobody looked"
        assert not find_scale(micrograph(""), **given).warnings, "a bar without a length says nothing"

    def test_what_is_given_and_agrees_is_no_word(self, micrograph):
        assert not find_scale(micrograph(), nm_per_px=1.69).warnings
        assert not find_scale(micrograph(), line=(1.0, 1.0, 121.0, 1.0), bar_nm=200.0).warnings

    def test_what_is_given_is_compared_with_words_of_an_information_bar(self, field, write):
        image = field()
        image[440:] = 0
        write(image, "HV 5.00 kV    HFW: 2.56 um    WD 4.1 mm    det TLD", (10, 446), 255, 20)
        (sentence,) = find_scale(image, nm_per_px=0.4).warnings
        assert "the information bar" in sentence and sentence.endswith("look whether it is right")

    def test_nothing_is_fetched(self, micrograph, monkeypatch):
        import socket

        from nanoseg_bench.measure.scale.reader import Reader

        def refuse(*_arguments, **_options):
            raise AssertionError("the network was asked")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        assert any("200" in line.text for line in Reader().read(micrograph()[300:], 960))


def test_an_image_without_a_scale_is_an_answer(field):
    found = find_scale(field())
    assert (found.nm_per_px, found.source, found.is_sure, found.bar) == (None, NONE, False, None)
    (sentence,) = found.warnings
    assert sentence == "no scale was found, so lengths are in pixels"


@pytest.mark.parametrize(("length", "is_bar"), [(16, False), (60, True)])
def test_a_strip_without_a_text_is_a_bar_from_a_length_on(field, length, is_bar):
    image = field()
    image[430:436, 40 : 40 + length] = 255
    found = find_scale(image, bar_nm=200.0, read_text=False)
    assert found.nm_per_px == (pytest.approx(200 / length, rel=0.02) if is_bar else None)
    assert is_bar or found.warnings == ("no scale bar of 200 nm was found, so lengths are in pixels",)


def test_both_ends_and_a_length_are_a_scale(field):
    image = field()
    found = find_scale(image, line=(12, 30, 42, 70), bar_nm=100.0)
    assert (found.nm_per_px, found.source, found.is_sure) == (2.0, LINE, True), "a line of 50 px"
    height, width = image.shape
    for line in ((12, 30, width + 1, 30), (12, 30, 42, height + 1), (-1, 30, 42, 70)):
        with pytest.raises(ScaleError, match=f"ends outside of the image of {width} × {height} px"):
            find_scale(image, line=line, bar_nm=100.0)


def test_without_reading_a_bar_is_found_and_asks_for_its_length(micrograph):
    image = micrograph("")
    found = find_scale(image, read_text=False)
    assert found.nm_per_px is None and found.value_nm is None
    assert found.bar[2] - found.bar[0] == pytest.approx(BAR_PX, abs=0.4)
    assert re.match(r"a strip of 1(19|20)(\.\d)? px may be the scale bar, but no length was read", found.warnings[0])
    assert "may be the scale bar, but no length was read" in found.warnings[0]
    given = find_scale(image, read_text=False, bar_nm=BAR_NM)
    assert given.source == LINE and given.is_sure
    assert given.nm_per_px == pytest.approx(BAR_NM / BAR_PX, rel=0.004)


def test_a_length_without_a_bar_is_told(field):
    found = find_scale(np.full((300, 400), 120, np.uint8), read_text=False, bar_nm=100.0)
    assert found.nm_per_px is None
    assert "no scale bar of 100 nm" in found.warnings[0]


def test_a_scale_that_is_typed_counts_before_all_others(tmp_path, field):
    path = tmp_path / "a.tif"
    # ImageJ: 0.5 px per nm is 2 nm per px.
    tifffile.imwrite(path, field(), imagej=True, resolution=(0.5, 0.5), metadata={"unit": "nm"})
    assert find_scale(path, read_text=False).source == METADATA
    assert find_scale(path, read_text=False).nm_per_px == pytest.approx(2)
    found = find_scale(path, read_text=False, nm_per_px=0.42)
    assert (found.nm_per_px, found.source, found.is_sure) == (0.42, TYPED, True)
    assert "the file (imagej) 2" in found.warnings[0]
    assert not find_scale(path, read_text=False, nm_per_px=2.03).warnings


def test_a_line_in_any_direction(field):
    found = find_scale(field(), line=(10.0, 10.0, 40.0, 50.0), bar_nm=100.0)
    assert (found.nm_per_px, found.source) == (2.0, LINE)
    with pytest.raises(ScaleError, match="how long"):
        find_scale(field(), line=(10.0, 10.0, 40.0, 50.0))
    with pytest.raises(ScaleError, match="whole bar"):
        find_scale(field(), line=(10.0, 10.0, 10.0, 10.0), bar_nm=100.0)


def test_reciprocal_and_unknown_units_of_the_file_are_told(field):
    refused = find_scale(field(), notes=ImageNotes(unknown_unit="1/nm"), read_text=False)
    assert refused.nm_per_px is None and "diffraction" in refused.warnings[0]
    unknown = find_scale(field(), notes=ImageNotes(unknown_unit="furlong"), read_text=False)
    assert unknown.nm_per_px is None and "a unit that is not understood, 'furlong'" in unknown.warnings[0]
    uneven = find_scale(field(), notes=ImageNotes(uneven_nm=(0.5, 1.0)), read_text=False)
    assert uneven.nm_per_px is None and uneven.warnings[0].startswith(
        "its file has pixels that are not square, 0.5 × 1 nm"
    )


def test_a_file_that_is_no_image_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("no picture")
    with pytest.raises(ImageError, match=r"notes\.png"):
        find_scale(path)


def test_any_picture_gives_an_answer(tmp_path):
    rng = np.random.default_rng(3)
    for number, shape in enumerate([(1, 1), (5, 5), (3, 900), (64, 64, 3)]):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)
        assert not find_scale(path, read_text=False).is_sure
