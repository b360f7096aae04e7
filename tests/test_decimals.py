import pytest

from nanoseg_bench.decimals import read_decimal


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.42", 0.42),
        (" 0,42 ", 0.42),
        ("1,47", 1.47),
        ("0,420", 0.42),
        ("1.234", 1.234),
        ("1234,567", 1234.567),
        ("12,3456", 12.3456),
        ("2,5e1", 25.0),
        (",5", 0.5),
        ("-3", -3.0),
        ("1e3", 1000.0),
    ],
)
def test_points_and_commas(text, number):
    assert read_decimal(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["1,234", "12,345", "999,000"])
def test_what_may_be_two_numbers_is_refused_with_both(text):
    both = f"{text.replace(',', '.')} or {text.replace(',', '')}"
    with pytest.raises(ValueError, match=f"may be {both}; write {both}"):
        read_decimal(text)


@pytest.mark.parametrize("text", ["1,234,567", "1.234,5", "1,234.5", "0.4.2"])
def test_separators_of_thousands_are_refused(text):
    with pytest.raises(ValueError, match="without separators"):
        read_decimal(text)


@pytest.mark.parametrize("text", ["", "nm", "2 nm", ",", "1 000"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match="give a number"):
        read_decimal(text)
