"""Models on a prepared set, and the tables of what they reach: what ``run`` and ``leaderboard`` do, for Python too."""

import io
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import pandas as pd

from nanoseg_bench.argument_names import as_arguments, errors_name_arguments
from nanoseg_bench.environment import isolate_libraries
from nanoseg_bench.errors import RecordError, UsageError
from nanoseg_bench.leaderboard.build import TABLES, build_tables, table_paths, write_leaderboards
from nanoseg_bench.leaderboard.cells import csv_text
from nanoseg_bench.leaderboard.comparability import comparable_records
from nanoseg_bench.models.base import Deadline
from nanoseg_bench.models.device import resolve_devices
from nanoseg_bench.models.overrides import Overrides
from nanoseg_bench.models.registry import resolve
from nanoseg_bench.models.starting_weights import starting_weights
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.preparation.set_names import set_folder
from nanoseg_bench.preparation.shortcomings import shortcoming_lines, split_shortcomings
from nanoseg_bench.runs.cleaned_truth import cleaned_truth_lines
from nanoseg_bench.runs.executors import OnThisMachine
from nanoseg_bench.runs.failure import Outcome
from nanoseg_bench.runs.plan import RunSpec, from_scratch_lines, plan_runs, require_seeds
from nanoseg_bench.runs.record import find_records
from nanoseg_bench.runs.runner import BenchmarkFolders, run_plan
from nanoseg_bench.runs.side_by_side import Executor
from nanoseg_bench.runs.stored import Shared
from nanoseg_bench.storage import require_folder
from nanoseg_bench.weights.known_warnings import warn_of_known_images

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Models that were run on a prepared set.

    Attributes:
        prepared: The set.
        outcomes: How each run ended, by the name of its folder: ``status`` is ``ok``, ``failed``, ``timeout``, ``oom``
            or ``skipped``, and ``reason`` says why.
        runs: Folder of the runs. ``open_predictor(benchmark.runs / name)`` opens one.
        leaderboards: Folder of the records and the CSV files.
    """

    prepared: PreparedSet
    outcomes: Mapping[str, Outcome]
    runs: Path
    leaderboards: Path

    def table(self, name: str = "test") -> pd.DataFrame:
        """A table of the set, also with the rows of earlier runs; see ``read_leaderboard``."""
        return read_leaderboard(self.prepared.name, self.leaderboards, table=name)


@errors_name_arguments
def run_models(
    prepared: PreparedSet | Path | str,
    models: Sequence[str] | str = "all",
    *,
    preset: str = "quick",
    recipe: Overrides | None = None,
    seeds: Sequence[int] | int = (0,),
    weights: Path | str | None = None,
    device: str | int = "auto",
    final: bool = False,
    robust_images: int = 0,
    runs: Path | str | None = None,
    leaderboards: Path | str = "leaderboards",
    overwrite: str = "missing",
    jobs: int = 1,
) -> Benchmark:
    """Train, predict and score models on a prepared set, and write records and CSV files.

    What ``nanoseg-bench run`` does, with its options by the same names, but for ``robust_images`` (``--robustness``).
    Each run is a process of its own. A step whose output is there, and whose inputs have not changed, is skipped, so
    the same call goes on after an interruption.

    Args:
        prepared: The set, its folder, or its name where it lies in ``data``.
        models: Their ids, or ``all``; ``nanoseg-bench list`` has them.
        preset: ``smoke``, ``quick``, ``cpu``, ``fine``, ``paper`` or ``best``.
        recipe: Values of the recipe other than the preset's: ``{"epochs": 50, "options.neck": 0.8}``.
        seeds: One run of each model for each.
        weights: Initial weights: a ``.safetensors`` file; the name of weights that ship with the package; ``shipped``,
            each model from its own; None trains from scratch.
        device: Of PyTorch, or the number of a GPU; ``auto`` takes a GPU where there is one, and ``0,1`` trains each
            model on both.
        final: Of a set with folds that are run: train on everything, for use.
        robust_images: Test images on which each model is judged under every corruption too.
        runs: Folder of the runs; by default ``runs/<name of the set>``.
        leaderboards: Folder of the records and the CSV files.
        overwrite: ``never`` keeps every record; ``missing`` does what is not done; ``always`` starts anew.
        jobs: Runs at a time, which share the cores.

    Returns:
        How each run ended. One that failed is a row with its reason, and no error.

    Raises:
        AuditError: The parts of the set share a source, or nobody has looked.
        UsageError: A model, a preset or a value of the recipe is not known, there are no such weights, or an argument
            is none that it can be.
        NanosegError: Nothing can be run on this set, or nothing written.
    """
    require_folder(leaderboards, "leaderboards")
    if runs is not None:
        require_folder(runs, "runs")
    if overwrite not in ("never", "missing", "always"):
        raise UsageError(f"overwrite {overwrite!r}: is one of never, missing, always")
    if recipe is not None and not (isinstance(recipe, Mapping) and all(isinstance(name, str) for name in recipe)):
        raise UsageError(f"recipe {recipe!r}: give a dictionary, such as {{'epochs': 50, 'options.neck': 0.8}}")
    models = _as_list(models, str, "models")
    seeds = _as_list(seeds, Integral, "seeds")
    require_seeds(seeds, "seeds")
    if not models or not seeds:
        raise UsageError("models, seeds: give at least one of each")
    for option, number, least in (("jobs", jobs, 1), ("robust_images", robust_images, 0)):
        if not isinstance(number, Integral):
            raise UsageError(f"{option} {number!r}: give a whole number")
        if number < least:
            raise UsageError(f"{option} {number}: give at least {least}")
    isolate_libraries()
    opened = prepared if isinstance(prepared, PreparedSet) else _open_set(prepared)
    if final and not opened.folds:
        raise UsageError(f"final: goes with a set with folds, and {opened.root} has none; its models are ready to use")
    if robust_images and opened.folds:
        raise UsageError(f"robust_images: is of one network, and {opened.root} has {len(opened.folds)} folds")
    names = resolve(models)
    start = {} if weights is None else starting_weights(weights, names, "weights")
    specs = plan_runs(opened, names, preset, [int(seed) for seed in seeds], start, recipe, final=final)
    for line in [*shortcoming_lines(split_shortcomings(opened)), *_warnings(opened, specs, start)]:
        _LOG.warning("%s", as_arguments(line, ("weights",)))
    places = BenchmarkFolders(
        opened.root, Path("runs") / opened.name if runs is None else Path(runs), Path(leaderboards)
    )
    first, *beside = resolve_devices(device)
    outcomes = carry_out(
        specs,
        places,
        opened.name,
        first,
        beside=beside,
        overwrite=overwrite,
        robust_images=robust_images,
        executor=OnThisMachine(jobs) if jobs > 1 else None,
    )
    return Benchmark(opened, outcomes, places.runs, places.leaderboards)


def carry_out(
    specs: Sequence[RunSpec],
    places: BenchmarkFolders,
    set_name: str,
    device: str,
    deadline: Deadline | None = None,
    *,
    overwrite: str = "missing",
    robust_images: int = 0,
    executor: Executor | None = None,
    beside: Sequence[str] = (),
    shared: Shared | None = None,
) -> dict[str, Outcome]:
    """Run a plan, and write the CSV files of the set after each run, so that they show what is done.

    Args:
        specs: The plan.
        places: Where to read and write.
        set_name: Of the prepared set.
        device: torch device name.
        deadline: None for no limit; else as of ``run_plan``, as are the others and what is raised.
        overwrite: What is done of what is there.
        robust_images: Test images for corruptions.
        executor: Where several runs are carried out at a time, if they are.
        beside: Further devices that train each model.
        shared: The storage that ``places`` stand for, if they do; it is open.

    Returns:
        The outcome of each run by its id.

    Raises:
        RecordError, OSError: The CSV files could not be written after the last run; all runs were carried out.
    """
    unwritten: Exception | None = None

    def after_each() -> None:
        nonlocal unwritten
        if shared is not None:
            shared.publish()
        try:
            if shared is None or find_records(places.leaderboards, set_name):
                write_leaderboards(places.leaderboards, set_name)
            if shared is not None:
                shared.share_tables(table_paths(places.leaderboards, set_name))
            unwritten = None
        except (OSError, RecordError) as error:  # a program that shows a table may lock it
            unwritten = error
            _LOG.error(
                "%s; the tables are not up to date, the records are kept, and `nanoseg-bench leaderboard` makes them",
                error,
            )

    outcomes = run_plan(
        specs,
        places,
        device,
        deadline or Deadline(),
        overwrite,
        after_each=after_each,
        robust_images=robust_images,
        executor=executor,
        beside=beside,
        sharing=shared,
    )
    if unwritten is not None:
        raise unwritten
    return outcomes


@errors_name_arguments
def read_leaderboard(
    set_name: str, leaderboards: Path | str = "leaderboards", *, table: str = "test", reference: str | None = None
) -> pd.DataFrame:
    """A table of a prepared set, made of its records: what the CSV file holds. Empty cells, NaN, were not measured.

    Args:
        set_name: Name of the prepared set.
        leaderboards: Folder of the records.
        table: ``test``, ``ablation``, ``ood``, ``robustness``, ``classes``, ``modality``, ``seeds`` or
            ``differences``; ``leaderboards/README.md`` says what their columns mean.
        reference: Model that differences are taken to; by default ``yolo11n``, where it has a row.

    Raises:
        RecordError: There are no records, or they do not belong in one table.
        UsageError: There is no such table, or no ranked row is of the reference.
    """
    if not isinstance(set_name, str):
        raise UsageError(f"set_name {set_name!r}: give the name of a prepared set, such as prepared.name")
    require_folder(leaderboards, "leaderboards")
    if table not in TABLES:
        raise UsageError(f"table {table!r}: is one of {', '.join(TABLES)}")
    tables = build_tables(comparable_records(Path(leaderboards), set_name), reference)
    if table not in tables:
        raise UsageError(f"table {table!r}: the records of {set_name} give {', '.join(tables)}")
    # Through the text of the CSV file: cells as that file gives them, numbers as numbers.
    return pd.read_csv(io.StringIO(csv_text(tables[table])))


def _as_list(given: object, one: type, option: str) -> list[Any]:
    if isinstance(given, one):
        return [given]
    if not isinstance(given, Iterable):
        raise UsageError(f"{option} {given!r}: give one, or a list of them")
    return [*given]


def _open_set(given: Path | str) -> PreparedSet:
    require_folder(given, "prepared")
    return PreparedSet(set_folder(given) or given)


def _warnings(prepared: PreparedSet, specs: Sequence[RunSpec], weights: Mapping[str, Path]) -> list[str]:
    return [
        *from_scratch_lines(specs),
        *cleaned_truth_lines([spec.recipe for spec in specs], prepared),
        *warn_of_known_images(prepared, list(weights.values())),
    ]
