from pathlib import Path

import pytest

from nanoseg_bench.errors import NanosegError, PreparationError, UsageError
from nanoseg_bench.measure.sampling_by import assign_samples

ROOT = Path("/data/batch 7")
NAMES = ("Au-A_01.tif", "Au-A_02.tif", "Au-B_01.tif", "old/Au-C_01.tif", "old/2019/Au-C_02.png")
IMAGES = [ROOT / name for name in NAMES]


def samples(by):
    found = assign_samples(IMAGES, ROOT, by, "batch 7")
    assert list(found) == IMAGES
    return list(found.values())


def test_one_sample_by_default():
    assert samples(None) == ["batch 7"] * 5


def test_by_folder():
    assert samples("folder") == ["batch 7"] * 3 + ["old", "old/2019"]


def test_by_pattern():
    assert samples(r"regex:([^/]+)_\d+$") == ["Au-A", "Au-A", "Au-B", "Au-C", "Au-C"]


def write(tmp_path, text):
    path = tmp_path / "samples.csv"
    path.write_bytes(text.encode("utf-8-sig"))
    return f"csv:{path}:specimen"


def test_by_table(tmp_path):
    """By path or name, with or without suffix, as a German spreadsheet writes it."""
    rows = [
        "kV;name;specimen",
        "5;Au-A_01.tif;A",
        "5;Au-A_02;A",
        "5;Au-B_01; B ",
        "5;old\\Au-C_01;C",
        "5;Au-C_02.png;C",
    ]
    assert samples(write(tmp_path, "\r\n".join(rows))) == ["A", "A", "B", "C", "C"]


@pytest.mark.parametrize(
    ("by", "error", "message"),
    [
        (
            r"regex:^(Au-\w)_",
            PreparationError,
            r"--sample-by .*: gives no sample for 2 of 5 images: 'old/2019/Au-C_02'",
        ),
        ("regex:Au", UsageError, "--sample-by 'regex:Au': has no capture group"),
        ("regex:(", UsageError, r"--sample-by 'regex:\(': not a regular expression"),
        ("date", UsageError, "--sample-by 'date': unknown rule"),
        ("csv:samples.csv", UsageError, "--sample-by 'csv:samples.csv': write csv:FILE:COLUMN"),
        ("csv:/nowhere/samples.csv:specimen", PreparationError, "cannot be read"),
    ],
)
def test_a_rule_that_says_no_sample_is_refused(by, error, message):
    with pytest.raises(error, match=message):
        samples(by)


def test_a_table_that_lacks_an_image_is_refused(tmp_path):
    with pytest.raises(NanosegError, match="gives no sample for 4 of 5 images"):
        samples(write(tmp_path, "name,specimen\nAu-A_01,A\n"))
