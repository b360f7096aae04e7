"""How a run ended, and the row of one that did not end well."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nanoseg_bench.errors import RecordError
from nanoseg_bench.locks import hold
from nanoseg_bench.models.identity import recipe_changes
from nanoseg_bench.models.recipe import Side
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.facts import MadeBy, RunFacts
from nanoseg_bench.runs.plan import Job
from nanoseg_bench.runs.provenance import device_name
from nanoseg_bench.runs.record import Record, Status, read_record, record_path, write_record
from nanoseg_bench.runs.scored import is_of, make_record, scored_sets
from nanoseg_bench.runs.starting import training_behind

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended; ``reason`` is empty when all is well."""

    status: Status
    reason: str = ""


def record_failure(job: Job, outcome: Outcome) -> None:
    """Write the rows of a job that did not end well; a good row of the same recipe and set stays.

    So does the row of an attempt that did not end well where the job was not even begun this time: what went wrong then
    tells more than that there was no time now.

    A fold by itself has no row, see ``record_row_failure``; a training on everything has none at all.

    Args:
        job: What was to be run.
        outcome: What happened.
    """
    if job.spec.fold is None and not job.spec.final:
        record_row_failure(job, outcome)


def record_row_failure(job: Job, outcome: Outcome) -> None:
    """The same for the row of a job, which the folds of a model share.

    Args:
        job: What was to be run, or one of the folds.
        outcome: What happened.
    """
    prepared = PreparedSet(job.data)
    for name in scored_sets(prepared):
        path = record_path(job.leaderboards, prepared.name, job.spec.row_id, name)
        record = _record(job, prepared, name, outcome)
        try:
            with hold(job.leaderboards / prepared.name, wait=True):
                if not (path.is_file() and _tells_more(path, record, prepared)):
                    write_record(path, record)
        except OSError as error:
            # The other models still have a chance, and the outcome is reported all the same.
            _LOG.error("%s: the row cannot be written (%s); make room or give another --leaderboards", path, error)


def _record(job: Job, prepared: PreparedSet, eval_set: str, outcome: Outcome) -> Record:
    spec = job.spec
    facts = RunFacts.of_recipe(
        spec.recipe.model_dump(mode="json"),
        MadeBy.now(),
        seed=spec.seed,
        initial_weights=spec.initial_weights,
        initial_training=training_behind(spec.weights, spec.recipe.title),
        device=device_name(job.device),
    )
    return make_record(
        facts,
        prepared,
        eval_set,
        images=len(prepared.judged_images(eval_set)),
        status=outcome.status,
        reason=outcome.reason,
        confidence_source="none",
        folds=len(prepared.folds) or None,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _tells_more(path: Path, new: Record, prepared: PreparedSet) -> bool:
    """Whether the record there is of the same recipe and set, and is good or of an attempt where ``new`` is of none."""
    try:
        old = read_record(path)
    except RecordError:  # damaged, or of an earlier format: no row that could stay
        return False
    changes = recipe_changes(old.recipe, new.recipe)
    if not is_of(old, prepared) or changes[Side.TRAINING] or changes[Side.PREDICTION]:
        return False
    return old.status == "ok" or (new.status == "skipped" and old.status != "skipped")
