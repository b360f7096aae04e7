"""The tables of some sets between two comments of a document, such as README.md; what stands around them stays."""

from collections.abc import Sequence
from pathlib import Path

from nanoseg_bench.errors import RecordError
from nanoseg_bench.files import write_text
from nanoseg_bench.leaderboard.build import build_tables
from nanoseg_bench.leaderboard.comparability import comparable_records
from nanoseg_bench.leaderboard.markdown import markdown_table
from nanoseg_bench.runs.record import find_records
from nanoseg_bench.wording import counted

BEGIN = "<!-- results:begin -->"
END = "<!-- results:end -->"


def results_section(leaderboards: Path, set_names: Sequence[str], preset: str) -> str:
    """The tables of the test sets in Markdown, each below a line that names the set; same records, same text.

    Args:
        leaderboards: Folder of the records.
        set_names: In the order of their tables; those without records are passed over.
        preset: Of the rows that are shown; predictions from outside stand among them.

    Raises:
        RecordError: As ``comparable_records``.
    """
    parts = []
    for name in set_names:
        if not find_records(leaderboards, name):
            continue
        records = [each for each in comparable_records(leaderboards, name) if each.external or each.preset == preset]
        if not records:
            continue
        images = next((record.images for record in records if record.eval_set == "test"), 0)
        table = markdown_table(records, build_tables(records)["test"])
        parts.append(f"**{name}**, {counted(images, 'test image')}\n\n{table}")
    return "\n".join(parts)


def write_section(path: Path, section: str) -> bool:
    """Put a text between the two comments of a document.

    Returns:
        Whether it has them.

    Raises:
        RecordError: Only one of them is there, or one is there twice.
    """
    found = _split(path)
    if found is None:
        return False
    if found[1] != section:
        write_text(path, f"{found[0]}{BEGIN}\n{section}{END}{found[2]}")
    return True


def _split(path: Path) -> tuple[str, str, str] | None:
    """(what comes before, between and after); the line end after the first comment belongs to it."""
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text and END not in text:
        return None
    before, _, rest = text.partition(f"{BEGIN}\n")
    section, _, after = rest.partition(END)
    if (text.count(f"{BEGIN}\n"), text.count(END), f"{before}{BEGIN}\n{section}{END}{after}") != (1, 1, text):
        raise RecordError(f"{path}: give it one line {BEGIN} and, below, one line {END}")
    return before, section, after
