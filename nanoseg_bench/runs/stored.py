"""Runs and records in a storage that several machines share, around a plan that is carried out on this one."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nanoseg_bench.errors import StorageError
from nanoseg_bench.runs.failure import Outcome
from nanoseg_bench.runs.plan import RunSpec
from nanoseg_bench.runs.stored_records import StoredRecords
from nanoseg_bench.runs.stored_runs import StoredRuns

_LOG = logging.getLogger(__name__)


class Shared:
    """The shared places of a benchmark, as ``runs.runner.Sharing`` says.

    Args:
        set_name: Of the prepared set.
        runs: URL of the runs; None where they are this machine's.
        leaderboards: URL of the records; None where they are this machine's.

    Attributes:
        problems: What could not be shared, in sentences.
    """

    def __init__(self, set_name: str, runs: str | None, leaderboards: str | None) -> None:
        self._runs = None if runs is None else StoredRuns(runs)
        self._records = None if leaderboards is None else StoredRecords(leaderboards, set_name)
        self.problems: list[str] = []
        self._row_of: dict[str, str] = {}
        self._taken_over: set[str] = set()

    @property
    def runs(self) -> Path | None:
        """The folder of this machine that stands for that of the runs."""
        return None if self._runs is None else self._runs.local

    @property
    def leaderboards(self) -> Path | None:
        """The same of the leaderboards."""
        return None if self._records is None else self._records.local

    @contextmanager
    def open(self, specs: Sequence[RunSpec], *, only_look: bool = False) -> Iterator[None]:
        """Fetch what is there; while the context lasts, carry up what is written.

        Args:
            specs: What is to be run.
            only_look: For a forecast: become the writer of nothing.
        """
        if self._records is not None:
            self._records.sync(publish=not only_look, taken_over=())
        if self._runs is None:
            yield
            return
        finals = {spec.row_id for spec in specs if spec.final}
        self._runs.look({spec.run_id for spec in specs} if only_look else set(), finals)
        if only_look:
            yield
            return
        with self._runs.at_work():
            yield

    def begin(self, spec: RunSpec) -> str:
        """Fetch a run's folder and become its writer; says who is, where somebody else is at work on it."""
        self._row_of[spec.run_id] = spec.row_id
        return "" if self._runs is None else self._runs.begin(spec.run_id)

    def end(self, spec: RunSpec, outcome: Outcome) -> Outcome:
        """Carry up what a run has written; where another machine has taken it over, that is how it ended."""
        if self._runs is None:
            return outcome
        try:
            who = self._runs.end(spec.run_id)
        except StorageError as error:
            self._tell(f"{error}; its files are kept in {self._runs.local / spec.run_id}, repeat the command")
            return outcome
        if not who:
            return outcome
        self._taken_over.add(spec.row_id)
        return Outcome("skipped", f"taken over by {who}; what this machine made is not shared")

    def publish(self) -> None:
        """Write the records that are new here, and fetch those that are new there."""
        if self._records is not None:
            try:
                # Of runs side by side all are ended last, and rows are written before.
                lost = () if self._runs is None else map(self._row_of.__getitem__, self._runs.lost())
                for sentence in self._records.sync(publish=True, taken_over={*self._taken_over, *lost}):
                    self._tell(sentence)
            except StorageError as error:
                self._tell(f"{error}; the records are kept in {self._records.local}, repeat the command")

    def share_tables(self, paths: Sequence[Path]) -> None:
        """Write the CSV files that are made of the records, over earlier ones."""
        if self._records is not None:
            try:
                self._records.share_tables(paths)
            except StorageError as error:
                self._tell(str(error))

    def _tell(self, sentence: str) -> None:
        self.problems.append(sentence)
        _LOG.warning("%s", sentence)
