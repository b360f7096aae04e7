import math

import pytest

from nanoseg_bench.report.numbers import length_text, ratio_text, statistic_text, uncertainty_text

VALUES = [0.005835, 0.41, 0.5620, 5.393, 10.94, 99.4, 127.43, 1234.5]


@pytest.mark.parametrize("value", VALUES)
def test_lengths_have_four_significant_digits_and_uncertainties_two(value):
    for text, digits in ((length_text(value), 4), (uncertainty_text(value), 2)):
        assert "e" not in text
        # Before the point nothing is rounded away.
        assert float(text) == (float(f"{value:.{digits - 1}e}") if value < 10**digits else round(value))


@pytest.mark.parametrize(
    ("value", "length", "uncertainty"),
    [(9.9996, "10.00", "10"), (99.997, "100.0", "100"), (0.996, "0.9960", "1.0"), (0.0999961, "0.1000", "0.10")],
)
def test_what_is_rounded_to_a_power_of_ten_gets_no_further_digit(value, length, uncertainty):
    assert (length_text(value), uncertainty_text(value)) == (length, uncertainty)


def test_what_is_not_known_is_a_dash_and_nothing_is_nothing():
    assert {length_text(math.nan), uncertainty_text(math.nan), ratio_text(math.nan)} == {"–"}
    assert length_text(0.0) == uncertainty_text(0.0) == "0"


def test_a_statistic_is_a_length_or_a_ratio():
    assert statistic_text(1.23456, True) == "1.235" and statistic_text(1.23456, False) == "1.235"
    assert statistic_text(123.456, True) == "123.5" and statistic_text(123.456, False) == "123.456"
