import pytest

from nanoseg_bench.errors import ScaleError
from nanoseg_bench.measure.scale import parse_length, parse_line, parse_scale


@pytest.mark.parametrize(
    ("text", "nm"),
    [
        ("0.42nm", 0.42),
        ("0.42", 0.42),
        ("0.42 nm/px", 0.42),
        ("1.2 µm", 1200),
        ("1.2um per pixel", 1200),
        ("420pm", 0.42),
        ("0,42nm", 0.42),
        ("1,47 nm/px", 1.47),
    ],
)
def test_scales(text, nm):
    assert parse_scale(text) == pytest.approx(nm)


@pytest.mark.parametrize("text", ["", "nm", "0", "-1nm", "nan", "2 inch", "1 1/nm", "1e9", "1e-9 nm", "0.4nm0.5"])
def test_what_is_no_scale_is_refused_with_an_example(text):
    with pytest.raises(ScaleError, match="nm"):
        parse_scale(text)


def test_a_comma_that_may_be_two_things_is_refused():
    with pytest.raises(ScaleError, match=r"'1,234nm' is not a scale: may be 1\.234 or 1234; write 1\.234 or 1234"):
        parse_scale("1,234nm")
    with pytest.raises(ScaleError, match="without separators"):
        parse_length("1.000,5 nm")


def test_lengths_need_their_unit():
    assert parse_length("200nm") == 200
    assert parse_length("0.5 µm") == 500
    assert parse_length("10Å") == pytest.approx(1)
    with pytest.raises(ScaleError, match="without a unit"):
        parse_length("200")
    with pytest.raises(ScaleError, match="diffraction"):
        parse_length("5 1/nm")
    with pytest.raises(ScaleError, match="what a pixel spans, and no length"):
        parse_length("0.42 nm/px")


def test_lines():
    assert parse_line("12,480.5,112,480.5") == (12, 480.5, 112, 480.5)
    for text in ("12,480", "a,b,c,d", "12;480;112;480"):
        with pytest.raises(ScaleError, match="x0,y0,x1,y1"):
            parse_line(text)
    with pytest.raises(ScaleError, match="whole bar"):
        parse_line("12,480,12,480")
