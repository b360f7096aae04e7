"""Which micrographs are pooled."""

from pathlib import Path

import pytest

from nanoseg_bench.errors import PreparationError, UsageError
from nanoseg_bench.report.analysis.samples import Member, group_samples, members_of


def members(*paths):
    return [Member(f"{number}-{Path(path).stem}", Path(path)) for number, path in enumerate(paths)]


FILES = ("/lab/gold/a_01.tif", "/lab/gold/a_02.tif", "/lab/silver/b_01.tif", "/old/gold/c_01.tif")


def test_folders_are_told_apart():
    found = group_samples(members(*FILES))
    assert list(found.values()) == ["lab/gold", "lab/gold", "silver", "old/gold"]
    assert members_of(found) == {"lab/gold": ["0-a_01", "1-a_02"], "silver": ["2-b_01"], "old/gold": ["3-c_01"]}


def test_one_micrograph_is_called_as_its_file():
    assert group_samples(members("/home/me/Downloads/gold 7.tif")) == {"0-gold 7": "gold 7"}


def test_a_pattern():
    assert list(group_samples(members(*FILES), "regex:(.+)_[0-9]+").values()) == ["a", "a", "b", "c"]
    assert list(group_samples(members(*FILES), "regex:^[a-z]").values()) == ["a", "a", "b", "c"]
    with pytest.raises(UsageError, match=r"finds no sample in .c_01\.tif"):
        group_samples(members(*FILES), "regex:([ab])_")
    with pytest.raises(UsageError, match="no regular expression"):
        group_samples(members(*FILES), "regex:(")


def test_a_table(tmp_path):
    table = tmp_path / "samples.csv"
    table.write_text("name,sample\na_01.tif,=batch 1\na_02.tif,=batch 1\nb_01.tif,2\nc_01.tif,2\n")
    assert list(group_samples(members(*FILES), f"csv:{table}").values()) == ["=batch 1", "=batch 1", "2", "2"]
    table.write_text("name,sample\na_01.tif,1\n")
    with pytest.raises(UsageError, match="has no row for '1-a_02' and 2 more"):
        group_samples(members(*FILES), f"csv:{table}")
    with pytest.raises(PreparationError):
        group_samples(members(*FILES), f"csv:{tmp_path / 'nowhere.csv'}")


@pytest.mark.parametrize("by", ["", "file", "folder:x", "regex", "regex:", "csv:"])
def test_what_is_none_of_these(by):
    with pytest.raises(UsageError, match="give folder, regex:PATTERN"):
        group_samples(members(*FILES), by)
