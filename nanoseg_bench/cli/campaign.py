"""``nanoseg-bench campaign``: the runs behind a set of tables, in the order of their value."""

import argparse
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.cli.executor_options import open_cluster
from nanoseg_bench.cli.places import require_there
from nanoseg_bench.cli.training_options import add_training_options, devices_of, executor_of, read_time_limit
from nanoseg_bench.errors import NanosegError, UsageError
from nanoseg_bench.preparation.set_names import DATA, is_set

if TYPE_CHECKING:
    from nanoseg_bench.models.base import Deadline
    from nanoseg_bench.preparation.prepared_set import PreparedSet
    from nanoseg_bench.runs.campaign import Campaign, Step
    from nanoseg_bench.runs.plan import RunSpec
    from nanoseg_bench.runs.side_by_side import Executor

_LOG = logging.getLogger(__name__)

_LEADERBOARDS = Path("leaderboards")
_FILE = _LEADERBOARDS / "campaign.yaml"
_NANOSYNTH = "nanosynth"
_UNFINISHED = ("timeout", "skipped")

_EPILOG = """\
examples:
  nanoseg-bench campaign --source emps=DIR --dry-run       what is done, what is to do, how long it will take
  nanoseg-bench campaign --source emps=DIR --jobs 2        goes on for days on a CPU; stop and repeat as you like
  nanoseg-bench campaign --source emps=DIR --device cuda --time-limit 12m --jobs 2
  nanoseg-bench campaign --preset smoke --runs rehearsal/runs --leaderboards rehearsal/boards
                                                           every step in minutes, apart from the real tables

Runs that are done are skipped, so the same command goes on. A step whose data set or initial weights are not there is
skipped with a sentence. At the end of each call the tables, the page and the predictions of every row are written
(as `leaderboard SET --html` and `--publish` do); a run that is under way has no row.
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "campaign",
        help="the runs of a file, in order: prepare, train, score, tables, page, published predictions; resumable",
        usage="%(prog)s [FILE] [--source DATASET=DIR ...] [options]",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        default=_FILE,
        metavar="FILE",
        help="sets and steps, in YAML (default: %(default)s)",
    )
    parser.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="DATASET=DIR",
        help="where a data set lies, for the sets that are not prepared yet; can be repeated",
    )
    parser.add_argument("--preset", help="in place of the file's, for a rehearsal")
    add_training_options(parser)
    parser.add_argument(
        "--data", type=Path, default=DATA, metavar="DIR", help="folder of the prepared sets (default: %(default)s)"
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="folder of all runs (default: %(default)s)"
    )
    parser.add_argument(
        "--leaderboards", type=Path, default=_LEADERBOARDS, help="records, CSVs, pages (default: %(default)s)"
    )
    parser.add_argument(
        "--readme",
        type=Path,
        metavar="FILE",
        help="a document whose lines between <!-- results:begin --> and <!-- results:end --> become the tables",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prepare sets, train and score as the plan says; 1 when anything is left to be done, or did not end well."""
    deadline_at, limit = read_time_limit(arguments)
    require_there({"": arguments.file, "--readme": arguments.readme})
    sources = _sources(arguments.source)
    from nanoseg_bench.environment import isolate_libraries

    isolate_libraries()
    from nanoseg_bench.models.base import Deadline
    from nanoseg_bench.runs.campaign import read_campaign

    campaign = read_campaign(arguments.file)
    _require_apart(arguments, campaign)
    _require_known(sources, campaign)
    deadline = Deadline(deadline_at, limit)
    if arguments.dry_run:
        devices = devices_of(arguments, None)
        return _Call(arguments, campaign, sources, deadline, devices).show()
    with open_cluster(arguments) as cluster:
        devices = devices_of(arguments, cluster)
        return _Call(arguments, campaign, sources, deadline, devices, executor_of(arguments, cluster)).carry_out()


def _sources(given: list[str]) -> dict[str, Path]:
    found = {}
    for word in given:
        name, equals, folder = word.partition("=")
        if not name or not equals or not folder:
            raise UsageError(f"--source {word}: write DATASET=DIR, such as emps=downloads/emps")
        found[name] = Path(folder)
    require_there({f"--source {name}={folder}:": folder for name, folder in found.items()})
    return found


def _require_apart(arguments: argparse.Namespace, campaign: "Campaign") -> None:
    """Rows of a rehearsal do not get among those of the campaign by mistake."""
    if arguments.preset not in (None, campaign.preset) and arguments.leaderboards == _LEADERBOARDS:
        raise UsageError(
            f"--preset {arguments.preset}: the tables in {_LEADERBOARDS}/ are those of preset {campaign.preset}; give "
            "--leaderboards DIR"
        )


def _require_known(sources: Mapping[str, Path], campaign: "Campaign") -> None:
    known = dict.fromkeys(each.dataset for each in campaign.sets.values())
    for name in sources:
        if name not in known:
            raise UsageError(f"--source {name}: the campaign has no data set of that name; it has {', '.join(known)}")


class _Call:
    """One call of the verb.

    Args:
        arguments: Of the command line.
        campaign: What is to be done.
        sources: Folder of each data set that was given.
        deadline: Of the whole call.
        devices: torch device names; several train each model together.
        executor: Where several runs are carried out at a time, if they are.
    """

    def __init__(
        self,
        arguments: argparse.Namespace,
        campaign: "Campaign",
        sources: Mapping[str, Path],
        deadline: "Deadline",
        devices: tuple[str, ...],
        executor: "Executor | None" = None,
    ) -> None:
        self._arguments = arguments
        self._campaign = campaign
        self._sources = sources
        self._deadline = deadline
        self._device, *self._beside = devices
        self._executor = executor
        self._sets: dict[str, PreparedSet] = {}
        self._refused: dict[str, str] = {}

    def show(self) -> int:
        """Print every step with what is done, and how long the rest takes; nothing is written."""
        from nanoseg_bench.cli.forecast import print_runs, total_text
        from nanoseg_bench.runs.forecast import Forecaster, RunForecast
        from nanoseg_bench.runs.provenance import device_name

        name = device_name(self._device)
        forecasts: list[RunForecast] = []
        unplanned = 0
        for title, step in self._steps():
            print(title)
            prepared = self._open(step.set, write=False)
            if prepared is None:
                unplanned += len(step.models) * len(step.seeds)
                print(f"  {self._refused[step.set]}\n")
                continue
            specs, waiting = self._plan(step)
            places = self._arguments.runs / prepared.name, self._arguments.leaderboards
            forecaster = Forecaster(prepared, *places, name, "missing", step.robustness)
            found = forecaster.forecast(specs)
            if found:
                print_runs(found)
            for line in waiting:
                print(f"  {line}")
            unplanned += len(waiting)
            forecasts += found
        if unplanned:
            print(f"not in the estimate: {unplanned} runs that wait for a set or for weights")
        print(total_text(forecasts, self._arguments.jobs or 1))
        return 0

    def carry_out(self) -> int:
        """Do what is not done, then write tables, pages and predictions of all sets."""
        left = False
        for title, step in self._steps():
            print(title, flush=True)
            if self._deadline.passed:
                print(f"time limit {self._deadline.limit} reached; the same command goes on from here")
                left = True
                break
            try:
                left = not self._do(step) or left
            except NanosegError as error:
                _LOG.error("%s", error)
                left = True
        return 1 if not self._publish() or left else 0

    def _steps(self) -> "Iterator[tuple[str, Step]]":
        number = len(self._campaign.steps)
        for place, step in enumerate(self._campaign.steps, start=1):
            yield f"[{place}/{number}] {step.title()}", step

    def _do(self, step: "Step") -> bool:
        from nanoseg_bench.leaderboard.benchmark import carry_out
        from nanoseg_bench.runs.runner import BenchmarkFolders

        prepared = self._open(step.set, write=True)
        if prepared is None:
            print(f"  {self._refused[step.set]}")
            return False
        specs, waiting = self._plan(step)
        for line in waiting:
            print(f"  {line}")
        places = BenchmarkFolders(prepared.root, self._arguments.runs / prepared.name, self._arguments.leaderboards)
        outcomes = carry_out(
            specs,
            places,
            prepared.name,
            self._device,
            self._deadline,
            beside=self._beside,
            robust_images=step.robustness,
            executor=self._executor,
        )
        return not waiting and all(outcome.status == "ok" for outcome in outcomes.values())

    def _plan(self, step: "Step") -> tuple[list["RunSpec"], list[str]]:
        """(the runs of a step that can be run, why others cannot)."""
        from nanoseg_bench.runs.campaign import plan_step

        origin = self._campaign.origin(step)
        while origin is not None:
            self._open(origin.set, write=False)
            origin = self._campaign.origin(origin)
        # The weights of a rehearsal are its own, too.
        planned = list(plan_step(self._campaign, step, self._sets, self._arguments.runs, self._arguments.preset))
        specs = [each for each in planned if not isinstance(each, str)]
        return specs, [each for each in planned if isinstance(each, str)]

    def _open(self, key: str, *, write: bool) -> "PreparedSet | None":
        """A set of the campaign, prepared if it is not there and may be; None with the reason in ``_refused``."""
        from nanoseg_bench.preparation.prepared_set import PreparedSet

        folder, dataset = self._arguments.data / key, self._campaign.sets[key].dataset
        if key in self._sets:
            return self._sets[key]
        if not is_set(folder):
            source = self._sources.get(dataset)
            if source is None and dataset != _NANOSYNTH:
                self._refused[key] = (
                    f"skipped: {folder} is not prepared; say where the data lie: --source {dataset}=DIR"
                )
                return None
            if not write:
                self._refused[key] = f"{folder} will be prepared first"
                return None
            _prepare(dataset, key, folder, source)
        self._sets[key] = PreparedSet(folder)
        return self._sets[key]

    def _publish(self) -> bool:
        """Tables, page and predictions of every set that has records; whether all went well."""
        prepared = [found for key in self._campaign.sets if (found := self._open(key, write=False)) is not None]
        good = True
        for each in prepared:
            try:
                self._publish_set(each)
            except NanosegError as error:
                _LOG.error("%s", error)
                good = False
        if good and self._arguments.readme is not None:
            self._write_readme([each.name for each in prepared])
        return good

    def _write_readme(self, names: list[str]) -> None:
        from nanoseg_bench.leaderboard.document_section import BEGIN, END, results_section, write_section

        path, preset = self._arguments.readme, self._arguments.preset or self._campaign.preset
        if not write_section(path, results_section(self._arguments.leaderboards, names, preset)):
            print(f"{path}: has no lines {BEGIN} and {END}, so the tables are not written into it")

    def _publish_set(self, prepared: "PreparedSet") -> None:
        from nanoseg_bench.cli.leaderboard import print_tables
        from nanoseg_bench.leaderboard.build import build_tables, clear_leaderboards, write_leaderboards
        from nanoseg_bench.leaderboard.comparability import comparable_records
        from nanoseg_bench.leaderboard.dropping import drop_runs, failed_runs
        from nanoseg_bench.leaderboard.page import open_pictures, write_page
        from nanoseg_bench.runs.publishing import publish_runs
        from nanoseg_bench.runs.record import find_records

        boards, runs, name = self._arguments.leaderboards, self._arguments.runs / prepared.name, prepared.name
        if not find_records(boards, name):
            return
        under_way = [run_id for run_id, status in failed_runs(boards, name).items() if status in _UNFINISHED]
        drop_runs(boards, name, under_way)
        if not find_records(boards, name):
            clear_leaderboards(boards, name)
            return
        write_leaderboards(boards, name)
        records = comparable_records(boards, name)
        page = boards / f"{name}.html"
        pictures = open_pictures(prepared.root, runs, records) if runs.is_dir() else None
        write_page(page, records, build_tables(records), pictures)
        publish_runs(boards, name, runs)
        print_tables(boards, name)
        print(page)


def _prepare(dataset: str, name: str, folder: Path, source: Path | None) -> None:
    """What ``nanoseg-bench prepare`` does by itself.

    Raises:
        NanosegError: It did not end well.
        KeyboardInterrupt: It was ended by Ctrl-C, which is meant for all that is still to come.
    """
    from nanoseg_bench.cli import INTERRUPTED, main

    words = ["prepare", "--dataset", dataset, "--name", name, "--out", str(folder)]
    code = main([*words, *(["--source", str(source)] if source is not None else [])])
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        raise NanosegError(f"{folder}: could not be prepared, so its steps are skipped")
