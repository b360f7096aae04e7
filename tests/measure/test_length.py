import pytest

from nanoseg_bench.errors import MeasurementError, UsageError
from nanoseg_bench.measure.length import Length, parse_min_diameter


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("5nm", 5, "nm"),
        ("12 px", 12, "px"),
        (" 0.2 µm ", 200, "nm"),
        ("500pm", 0.5, "nm"),
        (".5um", 500, "nm"),
        ("3PX", 3, "px"),
        ("1,5nm", 1.5, "nm"),
    ],
)
def test_lengths_with_a_unit(text, value, unit):
    found = parse_min_diameter(text)
    assert (found.value, found.unit) == (pytest.approx(value), unit)


@pytest.mark.parametrize("text", ["5", "nm", "-5nm", "5 inch", "1,2,3nm", "5 1/nm", "", "nan nm"])
def test_what_is_no_length_is_refused_with_the_way_out(text):
    with pytest.raises(UsageError, match="write it as 5nm or 12px"):
        parse_min_diameter(text)


def test_in_pixels():
    assert Length(5, "nm").in_px(0.5) == 10
    assert Length(5, "px").in_px(None) == 5
    with pytest.raises(MeasurementError, match="give the scale, or the length in px"):
        Length(5, "nm").in_px(None)
