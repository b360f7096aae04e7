"""Tables in README.md are what the records give."""

from pathlib import Path

import pytest

from nanoseg_bench.errors import RecordError
from nanoseg_bench.leaderboard.document_section import BEGIN, END, results_section, write_section
from nanoseg_bench.runs.campaign import read_campaign

ROOT = Path(__file__).parents[2]


def section_of(path):
    """What stands between the comments; None without them."""
    _, begin, rest = path.read_text("utf-8").partition(f"{BEGIN}\n")
    return rest.partition(END)[0] if begin else None


def test_the_tables_of_readme_are_what_the_published_records_give():
    section = section_of(ROOT / "README.md")
    if section is None:
        pytest.skip(f"README.md has no lines {BEGIN} and {END}")
    campaign = read_campaign(ROOT / "leaderboards" / "campaign.yaml")
    assert section == results_section(ROOT / "leaderboards", list(campaign.sets), campaign.preset)


def test_only_what_stands_between_the_comments_changes(tmp_path):
    path = tmp_path / "README.md"
    path.write_bytes(f"# Ä\n\n{BEGIN}\nold\n{END}\n\nend".encode())
    assert section_of(path) == "old\n"
    assert write_section(path, "new\nlines\n")
    assert path.read_bytes() == f"# Ä\n\n{BEGIN}\nnew\nlines\n{END}\n\nend".encode()
    before = path.stat().st_mtime_ns
    assert write_section(path, "new\nlines\n") and path.stat().st_mtime_ns == before
    assert write_section(path, "") and section_of(path) == ""


def test_a_document_without_the_comments_stays(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("nothing here\n")
    assert section_of(path) is None and not write_section(path, "new\n")
    assert path.read_text() == "nothing here\n"


@pytest.mark.parametrize("text", [f"{BEGIN}\n", f"{END}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{END}\n{BEGIN}\n{END}\n"])
def test_half_a_pair_of_comments_is_refused(tmp_path, text):
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(RecordError, match=r"README.md: give it one line"):
        write_section(path, "new\n")
    assert path.read_text() == text


def test_rows_of_the_preset_and_those_from_outside_are_shown(tmp_path, make_record, keep_records):
    keep_records(
        tmp_path,
        make_record("yolo11n", 0.5, preset="cpu"),
        make_record("unet", 0.4),
        make_record("cellpose", 0.6, external=True, preset="external", seed=None),
    )
    section = results_section(tmp_path, ["toy", "missing"], "cpu")
    assert section.startswith("**toy**, 3 test images\n\n| rank | model |")
    assert "YOLO11N" in section and "CELLPOSE" in section and "UNET" not in section
    assert results_section(tmp_path, ["missing"], "cpu") == ""
