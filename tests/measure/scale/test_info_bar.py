import pytest

from nanoseg_bench.measure.scale.info_bar import read_info
from nanoseg_bench.measure.scale.line import Line
from nanoseg_bench.measure.scale.result import GATE


def row(texts, top, left=10, step=120):
    return [
        Line(text, 0.99, left + step * index, top, left + step * index + 12 * len(text), top + 20)
        for index, text in enumerate(texts)
    ]


def test_fei_writes_names_over_values():
    names = row(["HV", "mag", "HFW", "WD", "det"], 0)
    values = row(["5.00 kV", "50 000 x", "2.98 µm", "4.1 mm", "TLD"], 24)
    info = read_info([*names, *values])
    assert info.field_nm == pytest.approx(2980)
    assert info.magnification == 50_000
    assert info.text == "HFW 2.98 µm" and info.score > 0.9
    assert info.relative_uncertainty == pytest.approx(10 / 12**0.5 / 2980)


@pytest.mark.parametrize(
    ("text", "nm"),
    [("HFW: 1.27 µm", 1270), ("View field: 5.53 um", 5530), ("FOV: 53.7 µm", 53_700), ("Width = 343.0 nm", 343)],
)
def test_a_width_beside_its_name(text, nm):
    info = read_info(row(["WD = 5.5 mm", text], 0))
    assert info.field_nm == pytest.approx(nm) and info.pixel_nm is None


def test_zeiss_states_the_pixel():
    info = read_info(row(["Mag = 50.00 K X", "Pixel Size = 2.233 nm", "WD = 5.1 mm"], 0, step=300))
    assert info.pixel_nm == pytest.approx(2.233)
    assert info.magnification == 50_000


def test_working_distances_and_bars_are_no_widths():
    info = read_info(row(["SU8020 15.0kV 8.2mm x100k SE(U)", "500nm", "WD 7.8mm", "HFW"], 0, step=400))
    assert info.field_nm is None and info.pixel_nm is None
    assert info.magnification == 100_000


@pytest.mark.parametrize("text", ["Pixel Size = 2,481 nm", "View field: 2,980 µm", "HFW: 2,500 µm"])
def test_a_comma_that_may_be_a_decimal_one_is_a_question(text):
    """Where numbers are written as in Germany, the other reading is a thousand times too large."""
    assert read_info(row([text], 0)).score < GATE
    assert read_info(row([text.replace(",", ".")], 0)).score > GATE
    assert read_info(row([text.replace(",", "")], 0)).score > GATE
