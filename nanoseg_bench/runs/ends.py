"""The ends of the jobs of a plan: rows of folds, and leaderboards that are up to date after each."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nanoseg_bench.errors import NanosegError
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.cross_validation import FoldRuns, FoldTruth, score_folds
from nanoseg_bench.runs.failure import Outcome, record_row_failure
from nanoseg_bench.runs.plan import Job
from nanoseg_bench.runs.record import Status, record_path

_LOG = logging.getLogger(__name__)

_GRAVEST_FIRST: tuple[Status, ...] = ("oom", "failed", "timeout", "skipped")


class Ends:
    """Takes the outcomes of jobs in any order, makes the rows of folds, and keeps the leaderboards up to date.

    Args:
        planned: All jobs of the plan.
        prepared: The prepared set, as a whole.
        overwrite: As of ``run_plan``.
        after_each: As of ``run_plan``.
    """

    def __init__(
        self, planned: Sequence[Job], prepared: PreparedSet, overwrite: str, after_each: Callable[[], object]
    ) -> None:
        self.prepared = prepared
        self.overwrite = overwrite
        self._after_each = after_each
        self._planned = [job.spec.run_id for job in planned]
        self._open = Counter(job.spec.row_id for job in planned)
        self._of_row: dict[str, dict[int, Outcome]] = {}
        self._found: dict[str, Outcome] = {}

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """Those so far by run id, in the order of the plan."""
        return {run_id: self._found[run_id] for run_id in self._planned if run_id in self._found}

    def add(self, job: Job, outcome: Outcome, *, again: bool = False) -> None:
        """Note how a job ended; the last fold of a row makes the row.

        Args:
            job: One of the plan.
            outcome: How it ended.
            again: It was added before in this call, and something has joined its work since.
        """
        spec = job.spec
        self._found[spec.run_id] = outcome
        self._open[spec.row_id] -= not again
        if outcome.status != "ok":
            _LOG.warning("%s: %s: %s", spec.run_id, outcome.status, outcome.reason)
        if spec.fold is not None:
            self._of_row.setdefault(spec.row_id, {})[spec.fold] = outcome
            if self._open[spec.row_id]:
                return  # its row takes all folds
            if again or not (self.overwrite == "never" and record_of(job, self.prepared).is_file()):
                self._found[spec.run_id] = _score_row(job, self.prepared, self._of_row[spec.row_id])
        self._after_each()


def _score_row(job: Job, prepared: PreparedSet, outcomes: Mapping[int, Outcome]) -> Outcome:
    """Make the row of all folds of a model, or the one that says what is missing.

    Args:
        job: Of the last fold.
        prepared: The prepared set, as a whole.
        outcomes: Of the folds in this call.

    Returns:
        How the last fold ended, or why its row could not be made.
    """
    row = FoldRuns(job.run_dir.parent, job.spec.row_id, tuple(prepared.folds))
    missing = row.missing(prepared)
    if missing:
        ended = {fold: outcomes[fold] for fold in missing if fold in outcomes}
        found = {each.status for each in ended.values()}
        status: Status = next((each for each in _GRAVEST_FIRST if each in found), "failed")
        outcome = Outcome(status, _why_missing(missing, ended))
        record_row_failure(job, outcome)
        _LOG.warning("%s: no row of %d folds: %s", row.row_id, len(row.folds), outcome.reason)
        return outcomes[job.spec.fold or 0]
    try:
        score_folds(row, FoldTruth(prepared), job.leaderboards, only_missing=True)
    except NanosegError as error:
        outcome = Outcome("failed", str(error))
        record_row_failure(job, outcome)
        _LOG.warning("%s: %s: %s", row.row_id, outcome.status, outcome.reason)
        return outcome
    return outcomes[job.spec.fold or 0]


def _why_missing(missing: Sequence[int], outcomes: Mapping[int, Outcome]) -> str:
    """``fold 2: the reason; folds 4, 5: another one``."""
    by_reason: dict[str, list[int]] = {}
    for fold in missing:
        by_reason.setdefault(outcomes[fold].reason if fold in outcomes else "not run", []).append(fold)
    return "; ".join(f"{named_folds(folds)}: {reason or 'no predictions'}" for reason, folds in by_reason.items())


def record_of(job: Job, prepared: PreparedSet) -> Path:
    """The record of a job on the test set; the folds of a model share it."""
    return record_path(job.leaderboards, prepared.name, job.spec.row_id, "test")


def named_folds(folds: Sequence[int]) -> str:
    """``fold 2``, ``folds 2, 3``."""
    return f"{'fold' if len(folds) == 1 else 'folds'} {', '.join(map(str, folds))}"
