"""Figures: how a benchmark hands them to ``bench.py``, the file that keeps them, and the documents that show them."""

import argparse
import json
import math
import re
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from nanoseg_bench.files import read_json, write_json, write_text
from nanoseg_bench.seals import sealed, unsealed

ROOT = Path(__file__).resolve().parents[2]
FIGURES = Path(__file__).with_name("figures.json")

MARKED = re.compile(r"<!--([a-z0-9.-]+)-->(.*?)<!--/-->")
_NUMBER = re.compile(r"([\d,]+(?:\.(\d+))?)(?: \[([\d.,]+), ([\d.,]+)\])?")
_UNIT = re.compile(r"(?:\s(%|s|minutes|times)(?!\w))?")
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def add_json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too, for bench.py")


def figure(
    name: str,
    value: float,
    low: float | None = None,
    high: float | None = None,
    *,
    unit: str = "",
    digits: int = 3,
    n: int | None = None,
) -> dict:
    """One figure.

    Args:
        name: Small letters, digits and hyphens.
        value: In ``unit``.
        low: Lower end of its interval of 95 %.
        high: Upper end.
        unit: Empty for ratios and counts.
        digits: Behind the point, where it is shown.
        n: Of how many rounds, images or particles.
    """
    return {"name": name, "value": value, "low": low, "high": high, "unit": unit, "digits": digits, "n": n}


def share_of(hits: float, trials: int) -> tuple[float, float, float]:
    """A share, and its interval of 95 % by Wilson's score, as if the trials were independent."""
    z, share = 1.959964, hits / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return share, centre - half, centre + half


def hand_over(path: Path | None, figures: Sequence[dict]) -> None:
    """Write figures where ``--json`` asks for it."""
    if path is not None:
        path.write_text(json.dumps(list(figures)), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that somebody may claim.

    Attributes:
        value: In ``unit``.
        low: Lower end of its interval of 95 %, where it has one.
        high: Upper end.
        unit: Empty for ratios, scores and counts.
        digits: Behind the point, where it is shown.
        n: Of how many rounds, images or particles.
        spelled: It is shown as a word.
        command: What prints it.
        origin: "measured", the published table that it is from, or "document, DATE".
        date: When it was measured, or the row that it is from was finished.
        processor: Where; None where nobody noted it.
        quiet: Whether others left the machine alone; None where that makes no difference or nobody noted it.
    """

    value: float
    low: float | None
    high: float | None
    unit: str
    digits: int
    n: int | None
    command: str
    origin: str
    date: str
    processor: str | None = None
    quiet: bool | None = None
    spelled: bool = False

    def __str__(self) -> str:
        if self.spelled:
            return _WORDS[round(self.value)]
        shown = [f"{each:,.{self.digits}f}" for each in (self.value, self.low, self.high) if each is not None]
        return shown[0] if self.low is None else "{} [{}, {}]".format(*shown)


def read_figures(path: Path) -> dict[str, Figure]:
    """By name; empty where there is no file."""
    if not path.exists():
        return {}
    return {name: Figure(**each) for name, each in unsealed(read_json(path))["figures"].items()}


def write_figures(path: Path, figures: dict[str, Figure]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, sealed({"figures": {name: asdict(figures[name]) for name in sorted(figures)}}))


def documents(root: Path = ROOT) -> list[Path]:
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def adopt(figures: dict[str, Figure], paths: list[Path], parts: Sequence[str]) -> dict[str, Figure]:
    """Figures of marked numbers that have none: as they stand, with the date of the document's last commit.

    Args:
        figures: Those that there are.
        paths: Of the documents.
        parts: What measures figures; names begin with one of them.

    Raises:
        SystemExit: What is marked is no number, or nothing measures it.
    """
    found = {}
    for path in paths:
        text = path.read_text(encoding="utf-8")
        for marked in MARKED.finditer(text):
            name, shown = marked.groups()
            if name in figures:
                continue
            number, part = _NUMBER.fullmatch(shown), name.split(".")[0]
            if number is None or part not in parts:
                raise SystemExit(f"{path}: {marked[0]}: no number, or of none of the parts {', '.join(parts)}")
            values = [None if each is None else float(each.replace(",", "")) for each in number.group(1, 3, 4)]
            git = ["git", "log", "-1", "--format=%as", "--", path.name]
            date = subprocess.run(git, cwd=path.parent, capture_output=True, text=True, check=True).stdout.strip()
            unit, digits = _UNIT.match(text, marked.end())[1] or "", len(number[2] or "")
            more = (f"make bench PARTS={part}", f"document, {date}", date)
            found[name] = Figure(*values, unit, digits, None, *more)
    return found


def written(text: str, figures: dict[str, Figure]) -> str:
    """A document with its marked numbers as the figures have them; KeyError where one is of no figure."""
    return MARKED.sub(lambda marked: f"<!--{marked[1]}-->{figures[marked[1]]}<!--/-->", text)


def write_documents(figures: dict[str, Figure], paths: list[Path]) -> None:
    for path in paths:
        text = path.read_text(encoding="utf-8")
        if written(text, figures) != text:
            write_text(path, written(text, figures))
            print(f"{path}: written anew")
