"""SET on the command line: a prepared set, by its name or by the path of its folder."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from nanoseg_bench.cli.nearest import nearest_path
from nanoseg_bench.errors import UsageError
from nanoseg_bench.preparation.set_names import DATA, MARKER, is_set, set_folder
from nanoseg_bench.storage import is_url
from nanoseg_bench.terminal import command_line
from nanoseg_bench.wording import did_you_mean

DEFAULT = "nanosynth"


def add_set(parser: argparse.ArgumentParser, default: str = "") -> None:
    """Add the argument SET as ``arguments.set``.

    Args:
        parser: Of the verb.
        default: What stands for it where it is left out; empty where it must be given.
    """
    told = f" (default: {default})" if default else ""
    parser.add_argument(
        "set",
        metavar="SET",
        nargs="?" if default else None,  # type: ignore[arg-type]
        help=f"a prepared set: its name, or the path of its folder{told}",
    )


def find_set(given: str | Path | None, *others: str | Path | None) -> Path:
    """The folder of the prepared set that is meant.

    Args:
        given: Name or path; None for the first of ``others`` that is given, else the set that ``prepare`` makes when
            nothing is asked of it.
        others: The same by other arguments.

    Raises:
        UsageError: There is none, or two different ones are named.
    """
    named = [each for each in (given, *others) if each is not None]
    folders = [_folder(str(each)) for each in named or [DATA / DEFAULT]]
    if len({folder.resolve() for folder in folders}) > 1:
        raise UsageError(f"{' and '.join(map(str, named))}: name one set")
    return folders[0]


def find_name(given: str, known: Sequence[str], what: str) -> str:
    """The name of the set that is meant, for what is kept by name.

    Args:
        given: Name, or path of the set's folder.
        known: Names that there are.
        what: Kept of them, for the message: ``records``.

    Raises:
        UsageError: There is none of that name.
    """
    if given in known:
        return given
    name = Path(given).name
    if is_set(Path(given)):
        from nanoseg_bench.preparation.prepared_set import PreparedSet

        name = PreparedSet(Path(given)).name
    if name in known:  # also of a folder that has gone, or never was on this machine
        return name
    hint = did_you_mean(name, known).rstrip() or f"there are {', '.join(known)}"
    raise UsageError(f"{given}: no {what} of that name; {hint}")


def sets_with_records(leaderboards: Path) -> list[str]:
    """Names of the sets that have records, sorted; to be looked up by ``find_name``.

    Raises:
        UsageError: There is none.
    """
    records = leaderboards / "records"
    known = sorted(folder.name for folder in records.iterdir() if folder.is_dir()) if records.is_dir() else []
    if not known:
        raise UsageError(f"{records}: no records; run `nanoseg-bench run` first, or give --leaderboards DIR")
    return known


def short_name(folder: Path) -> str:
    """The shortest that ``find_set`` takes for the folder of a set: its name where it lies among the others."""
    return folder.name if folder.resolve() == (DATA / folder.name).resolve() else str(folder)


def _folder(given: str) -> Path:
    if is_url(given):
        raise UsageError(f"{given}: prepare, run and leaderboard take URLs; give a folder of this machine here")
    if (folder := set_folder(given)) is not None:
        return folder
    path = Path(given)
    known = sorted(folder.name for folder in DATA.iterdir() if is_set(folder)) if DATA.is_dir() else []
    near = nearest_path(path)
    if path.is_dir():
        hint = f"make one of it: nanoseg-bench prepare {command_line([given])}"
    elif near is not None and is_set(near):
        hint = f"did you mean {str(near)!r}?"
    elif not known:
        hint = "`nanoseg-bench prepare` makes one"
    else:
        hint = did_you_mean(path.name, known).rstrip() or f"there are {', '.join(known)} in {DATA}/"
    raise UsageError(f"{given}: not a prepared set (no {MARKER}); {hint}")
