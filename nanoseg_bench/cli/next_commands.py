"""What to do after ``run``: the commands that follow, with paths that a shell understands here."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.cli.sets import short_name
from nanoseg_bench.storage import is_url
from nanoseg_bench.terminal import command_line

if TYPE_CHECKING:
    from nanoseg_bench.runs.failure import Outcome
    from nanoseg_bench.runs.plan import RunSpec
    from nanoseg_bench.runs.runner import BenchmarkFolders

_LEADERBOARDS = Path("leaderboards")

_Command = tuple[list[str], str]
"""Its words, and what it is for."""


def print_next(
    arguments: argparse.Namespace,
    specs: Sequence["RunSpec"],
    places: "BenchmarkFolders",
    outcomes: Mapping[str, "Outcome"],
    name: str,
) -> None:
    """Print the commands that follow; none where no run ended well.

    Args:
        arguments: Of this call, whose ``run --final`` is a repetition.
        specs: What was asked for.
        places: Of the runs.
        outcomes: Of each run by its id.
        name: Of the set.
    """
    ended_well = [spec for spec in specs if outcomes[spec.run_id].status == "ok"]
    commands = [_page(arguments, places, name)] if ended_well else []
    best = _best(ended_well, places.leaderboards, name)
    if best is not None and best.fold is None:
        commands.append(_predict(places.runs / best.run_id))
    elif best is not None:
        commands.append(_final(arguments, best, places, name))
    for number, (words, what) in enumerate(commands):
        print(f"{'next: ' if number == 0 else ' ' * 6}{command_line(['nanoseg-bench', *words])}   # {what}")


def _page(arguments: argparse.Namespace, places: "BenchmarkFolders", name: str) -> _Command:
    if any(map(is_url, (_set(arguments, places), arguments.runs, arguments.leaderboards))):
        return ["leaderboard", name, "--html", *_leaderboards(arguments, places)], "the table as a page"
    words = ["leaderboard", short_name(places.data), "--html", str(places.leaderboards / f"{name}.html")]
    words += ["--runs", str(places.runs), *_leaderboards(arguments, places)]
    return words, "the table as a page, with images"


def _predict(model: Path) -> _Command:
    return ["predict", "MY_IMAGES", "--model", str(model)], "the particles of other images"


def _final(arguments: argparse.Namespace, best: "RunSpec", places: "BenchmarkFolders", name: str) -> _Command:
    """The same call for the best model alone, trained on everything: that of a fold lacks a part of the images.

    What trains nothing is then used at the operating point of all folds.
    """
    words = ["run", _set(arguments, places), "--models", best.recipe.model, "--preset", arguments.preset]
    words += ["--seeds", str(best.seed)]
    if arguments.recipe:
        words += ["--recipe", *arguments.recipe]
    if best.weights is not None:
        words += ["--weights", str(best.weights)]
    if arguments.device != "auto":
        words += ["--device", arguments.device]
    if is_url(arguments.runs) or places.runs != Path("runs") / name:
        words += ["--runs", str(arguments.runs if is_url(arguments.runs) else places.runs)]
    what = "train the best on everything" if best.recipe.trains else "the best at the operating point of all folds"
    return [*words, *_leaderboards(arguments, places), "--final"], f"{what}: the model for other images"


def _set(arguments: argparse.Namespace, places: "BenchmarkFolders") -> str:
    """The set as it is given: the URL, where its folder only stands for one."""
    return str(arguments.set) if is_url(arguments.set) else short_name(places.data)


def _leaderboards(arguments: argparse.Namespace, places: "BenchmarkFolders") -> list[str]:
    if is_url(arguments.leaderboards):
        return ["--leaderboards", arguments.leaderboards]
    return [] if places.leaderboards == _LEADERBOARDS else ["--leaderboards", str(places.leaderboards)]


def _best(specs: Sequence["RunSpec"], leaderboards: Path, name: str) -> "RunSpec | None":
    """Of the runs that have a row, the best by the AP that ranks; where none has that one, by AP of any class.

    Of a cross-validation, a fold stands for its row.
    """
    from nanoseg_bench.leaderboard.ranks import ranked_metric, unranked_metrics
    from nanoseg_bench.runs.record import read_record, record_path

    of_row = {spec.row_id: spec for spec in specs}
    paths = {row_id: record_path(leaderboards, name, row_id, "test") for row_id in of_row}
    records = {row_id: read_record(path) for row_id, path in paths.items() if path.is_file()}
    good = {row_id: record for row_id, record in records.items() if record.status == "ok"}
    ranking = ranked_metric(list(good.values()), "test")
    for metric in (ranking, *unranked_metrics(ranking)):
        values = {row_id: record.scores.get(metric) for row_id, record in good.items()}
        known = {row_id: value for row_id, value in values.items() if value is not None}
        if known:
            return of_row[max(known, key=lambda row_id: known[row_id])]
    return None
