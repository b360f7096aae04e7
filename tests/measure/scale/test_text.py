import pytest

from nanoseg_bench.measure.scale.text import is_unit, parse_number, read_lengths

SURE = 0.75
"""What is filled in unasked needs more trust than this."""


@pytest.mark.parametrize(
    ("line", "nm"),
    [
        ("200 nm", 200),
        ("200nm", 200),
        ("0.5 µm", 500),
        ("0.5 \N{GREEK SMALL LETTER MU}m", 500),
        (".2 um", 200),
        ("2.00um", 2000),
        ("20.0um", 20_000),
        ("0,5 µm", 500),
        ("0,500 µm", 500),
        ("1,000 nm", 1000),
        ("10 Å", 1),
        ("5㎚", 5),
        ("2 microns", 2000),
        ("— 200 nm —", 200),
        ("|-200nm-|", 200),
        ("(100 nm)*", 100),
        ("bar = 50 nm", 50),
        # Pieces of a bar beside its text, as readers that know Chinese read them.
        ("—1.00um一", 1000),
        ("丨200 nm丨", 200),
    ],
)
def test_lengths_as_they_are_written(line, nm):
    [length] = read_lengths(line)
    assert length.nm == pytest.approx(nm)
    assert length.trust > 0.9 and not length.reciprocal


@pytest.mark.parametrize(
    ("line", "nm"),
    [
        ("lum", 1000),
        ("Ium", 1000),
        ("l µm", 1000),
        ("lO nm", 10),
        ("2OO nm", 200),
        ("200 n m", 200),
        ("200 nrn", 200),
        ("50 nn", 50),
        ("20 urn", 20_000),
        ("1 pm", 1000),
        ("0.2 jum", 200),
        ("50 mm", 50),
        ("|200 nm|", 200),
    ],
)
def test_signs_that_look_alike_are_repaired(line, nm):
    assert read_lengths(line)[0].nm == pytest.approx(nm)


@pytest.mark.parametrize("number", ["0.5", "0,5", ".5", "O.5", "0. 5", "0 .5", "05", "0 5"])
def test_a_decimal_point_is_never_dropped(number):
    assert read_lengths(f"{number} µm")[0].nm == 500


@pytest.mark.parametrize("line", ["5 mm", "200 pm", "soo nm", "5 A", "WD 7.8mm", "100nm1"])
def test_what_has_two_readings_is_not_trusted(line):
    assert all(length.trust < 0.5 for length in read_lengths(line))


@pytest.mark.parametrize(
    ("line", "per_nm"), [("5 1/nm", 5), ("51/nm", 5), ("10 nm⁻¹", 10), ("2 nm-1", 2), ("2 nm^-1", 2), ("1 1/Å", 10)]
)
def test_reciprocal_lengths_are_known_as_such(line, per_nm):
    [length] = read_lengths(line)
    assert length.reciprocal and length.nm == pytest.approx(per_nm)


@pytest.mark.parametrize("line", ["", "nm", "µm", "SE(U)", "x30.0k", "15.0kV", "(a)", "WCu7", "0 nm", "9000 mm"])
def test_other_lines_name_no_length(line):
    assert not [length for length in read_lengths(line) if length.trust > 0.5]


def test_of_a_line_with_more_in_it_the_place_is_told():
    # The 7.8 mm are a working distance.
    [last] = read_lengths("S4800 15.0kV 7.8mm x30.0k SE(U) 1.00um")
    assert last.nm == 1000 and not last.alone and last.start > 0.8 and last.end == 1


def test_round_lengths_are_trusted_more():
    trusts = [read_lengths(f"{value} nm")[0].trust for value in (200, 300, 37)]
    assert trusts == sorted(trusts, reverse=True) and trusts[0] > SURE > trusts[2]


@pytest.mark.parametrize(
    ("line", "step"), [("4.10 µm", 10), ("4,10 µm", 10), ("4 µm", 1000), ("1,234 nm", 1), ("1,234.5 nm", 0.1)]
)
def test_the_last_digit_is_known(line, step):
    assert read_lengths(line)[0].step_nm == pytest.approx(step)


def test_a_unit_alone_is_known():
    assert is_unit("nm") and is_unit(" µm.") and not is_unit("1 nm") and not is_unit("nmp")


@pytest.mark.parametrize(
    ("text", "number"), [("1,234.5", 1234.5), ("50 000", 50_000), ("2.", 2), ("1.2.3", None), ("", None)]
)
def test_numbers(text, number):
    assert parse_number(text) == number
