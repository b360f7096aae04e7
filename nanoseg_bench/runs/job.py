"""One run from training to records. ``python -m nanoseg_bench.runs.job JOB.json`` does it in a process of its own.

``folder`` says what lies in the folder of a run, ``scored`` makes the records.
"""

import contextlib
import dataclasses
import logging
import os
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from nanoseg_bench.environment import isolate_libraries
from nanoseg_bench.errors import (
    ModelError,
    NanosegError,
    OutOfReachError,
    PredictionsError,
    TimeLimitReached,
    WorkerMemoryError,
)
from nanoseg_bench.evaluation.eval_sets import load_eval_set
from nanoseg_bench.evaluation.predictions import read_predictions, write_predictions
from nanoseg_bench.evaluation.robustness import CONDITIONS, ROBUSTNESS, clean_set
from nanoseg_bench.files import FULL, read_json, unwritable, write_json
from nanoseg_bench.locks import hold
from nanoseg_bench.models.base import FitContext, FitReport, Model
from nanoseg_bench.models.registry import build
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.claim import claim_folder, differences
from nanoseg_bench.runs.corrupted import kept_clean_set, predict_conditions, stale_conditions
from nanoseg_bench.runs.cross_validation import FoldRuns, keep_final_point, keep_fold_point
from nanoseg_bench.runs.facts import MadeBy
from nanoseg_bench.runs.failure import Outcome, record_failure
from nanoseg_bench.runs.folder import LOG_FILE, OUTCOME_FILE, RunFolder
from nanoseg_bench.runs.inference import predict_eval_set
from nanoseg_bench.runs.latency import add_latency, could_be_measured, untimed_sets
from nanoseg_bench.runs.plan import Job, RunSpec
from nanoseg_bench.runs.provenance import device_name, devices_name
from nanoseg_bench.runs.quiet import at_work
from nanoseg_bench.runs.record import Status, record_path
from nanoseg_bench.runs.scored import KeptTruth, is_scored, predicted_sets, score_run, scored_sets
from nanoseg_bench.verbosity import start_logging

UNWRITABLE = 74
"""Exit code of a job whose folder cannot be written; that of an input or output error by ``sysexits.h``."""

# By name: as a process of its own this module is called __main__, and would log past the run's file.
_LOG = logging.getLogger("nanoseg_bench.runs.job")


def execute(job: Job) -> Outcome:
    """Run a job in this process; whatever goes wrong becomes the outcome and a row of the leaderboard."""
    try:
        told = claim_folder(RunFolder(job.run_dir), job.spec, job.prepared(), anew=job.anew)
    except OutOfReachError as error:
        outcome = Outcome("failed", str(error))
        record_failure(job, outcome)
        return outcome
    with _log_to(job.run_dir / LOG_FILE):
        for sentence in told:
            _LOG.warning("%s", sentence)
        try:
            with at_work():
                _run(job)
            outcome = Outcome("ok")
        except TimeLimitReached as error:
            outcome = Outcome("timeout", str(error))
        except WorkerMemoryError as error:
            outcome = Outcome("oom", str(error))
        except NanosegError as error:
            outcome = Outcome("failed", str(error))
        except Exception as error:
            _LOG.debug("%s", traceback.format_exc())
            status: Status = "oom" if _is_out_of_memory(error) else "failed"
            outcome = Outcome(status, _reason_of(error, job))
        if outcome.status != "ok":
            record_failure(job, outcome)
    return outcome


def is_complete(job: Job) -> bool:
    """Whether every record of the job is there, scored by this evaluator from these inputs, and can be scored again.

    So must be the operating point, by which the model is used. A latency that could be measured now is missing, too, if
    the job is a timed one.

    A fold, and a training on everything, have no record of their own: all is there that the next step reads.
    """
    run, prepared = RunFolder(job.run_dir), job.prepared()
    if prepared.folds:
        return _is_part_complete(run, prepared, job)
    return (
        _is_same(run, job.spec)
        and all(run.has_current_predictions(name) for name in predicted_sets(prepared))
        and all(is_scored(run, prepared, name, job.leaderboards) for name in scored_sets(prepared))
        and run.has_operating_point()
        and (not job.robust_images or _is_robustness_complete(job, run, prepared))
        and not (job.timed and could_be_measured(run, prepared, job.leaderboards, job.device))
    )


def _is_part_complete(run: RunFolder, prepared: PreparedSet, job: Job) -> bool:
    return (
        _is_same(run, job.spec)
        and (run.has_weights() or not job.spec.final)
        and all(run.has_current_predictions(name) for name in predicted_sets(prepared))
        and run.has_operating_point()
        and not (job.timed and untimed_sets(run, prepared, job.device))
    )


def _is_same(run: RunFolder, spec: RunSpec) -> bool:
    found = differences(run, spec)
    return found is not None and not found and not run.has_other_weights()


def _is_robustness_complete(job: Job, run: RunFolder, prepared: PreparedSet) -> bool:
    clean = clean_set(load_eval_set(prepared, "test"), job.robust_images)
    return not stale_conditions(run, clean) and is_scored(run, prepared, ROBUSTNESS, job.leaderboards)


def _run(job: Job) -> None:
    prepared, run = job.prepared(), RunFolder(job.run_dir)
    prepared.require_audit()
    model = build(job.spec.recipe, prepared.classes, prepared.max_instances)
    report = _fit(model, prepared, run, job)
    if job.spec.final:
        keep_final_point(FoldRuns(run.path.parent, job.spec.row_id, tuple(prepared.folds)), prepared)
        return
    truth = KeptTruth(prepared)
    _forget_damaged(run, prepared)
    stale = [name for name in predicted_sets(prepared) if not run.has_current_predictions(name)]
    clean = clean_set(truth.eval_set("test"), job.robust_images) if job.robust_images else None
    conditions = stale_conditions(run, clean) if clean else []
    untimed = untimed_sets(run, prepared, job.device) if job.timed else []
    if stale or conditions or untimed:
        _load(model, report, job)
        run.add_device(device_name(job.device))
    for name in stale:
        job.deadline.check(f"the predictions for {name}")
        # Nothing is published of val, its latency neither.
        timed = job.timed and name != "val"
        predictions = predict_eval_set(model, prepared, truth.eval_set(name), job.device, timed=timed)
        run.forget_made_from(name)
        write_predictions(run.predictions_path(name), predictions)
        run.write_made_from(name)
    add_latency(model, run, prepared, untimed, job.device)
    if prepared.folds:
        keep_fold_point(run, truth)  # the record is that of all folds together
        return
    if "val" in stale and kept_clean_set(run, truth.eval_set("test")) is None:
        _forget_robustness(job, prepared)
    # New predictions for val may move the operating point of every record, and it is written with them.
    score_run(run, truth, job.leaderboards, only_missing="val" not in stale and run.has_operating_point())
    if clean and conditions:
        predict_conditions(model, prepared, run, clean, job.deadline)
        score_run(run, truth, job.leaderboards, only_missing=True)


def _forget_damaged(run: RunFolder, prepared: PreparedSet) -> None:
    """Predictions that cannot be read are as good as none: the weights are there to make them anew."""
    for name in (*predicted_sets(prepared), *(condition.name for condition in CONDITIONS)):
        path = run.predictions_path(name)
        if path.is_file():
            try:
                read_predictions(path)
            except PredictionsError:
                _LOG.warning("%s: cannot be read; predicting anew", path)
                run.forget_made_from(name)
                path.unlink()


def _fit(model: Model, prepared: PreparedSet, run: RunFolder, job: Job) -> FitReport:
    """Train, or read the report of a training that is finished and whose weights are there."""
    if run.has_weights():
        fit = run.fit()
        if run.has_other_weights():
            _LOG.warning("%s: its weights changed since it was predicted; predicting anew", run.path)
            run.write_fit(fit.report, fit.complexity, fit.made_by)
        checkpoint = run.path / fit.report.checkpoint if fit.report.checkpoint else None
        return dataclasses.replace(fit.report, checkpoint=checkpoint)
    if run.is_fitted:
        _LOG.warning("%s: its weights are gone, or it cannot be read; training again", run.fit_path)
    run.add_device(devices_name((job.device, *job.beside)))
    # It would be of the training before, and this call may not be asked to make it anew.
    _forget_robustness(job, prepared)
    context = FitContext(job.run_dir, job.spec.seed, job.device, job.deadline, job.spec.weights, job.beside)
    report = model.fit(prepared, context)
    run.write_fit(report, model.complexity(), MadeBy.now())
    return report


def _forget_robustness(job: Job, prepared: PreparedSet) -> None:
    """Remove a record that is not of the other ones' operating point any more, unseen by whoever makes the tables."""
    with hold(job.leaderboards / prepared.name, wait=True):
        record_path(job.leaderboards, prepared.name, job.spec.run_id, ROBUSTNESS).unlink(missing_ok=True)


def _load(model: Model, report: FitReport, job: Job) -> None:
    try:
        model.load(report.checkpoint, job.device)
    except ModelError as error:
        raise ModelError(f"{error}; `nanoseg-bench run --overwrite always` trains the model anew") from error


def _reason_of(error: Exception, job: Job) -> str:
    if isinstance(error, OSError) and error.errno in FULL:
        file = Path(error.filename) if error.filename else job.run_dir
        return f"{unwritable(file, error, '--runs')}; the same command goes on"
    first, *_ = f"{type(error).__name__}: {error}".splitlines()
    return f"{first}; see {job.run_dir / LOG_FILE}"


def _is_out_of_memory(error: Exception) -> bool:
    # torch raises a RuntimeError for the CPU and its own class for the GPU.
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, the name is that of logging
        """On a full disk a line is lost; that the disk is full says whoever writes something that matters."""


@contextlib.contextmanager
def _log_to(path: Path) -> Any:
    """Append what is logged, tracebacks included, to the run's own file."""
    handler = _LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.setLevel(logging.DEBUG)
    package = logging.getLogger("nanoseg_bench")
    previous = package.level
    package.setLevel(logging.DEBUG)
    package.addHandler(handler)
    try:
        yield
    finally:
        package.removeHandler(handler)
        package.setLevel(previous)
        handler.close()


_JOB = TypeAdapter(Job)


def job_to_json(job: Job) -> dict[str, Any]:
    """The job as a JSON value for another process of this machine: the fields of its run beside its own."""
    values: dict[str, Any] = {}
    for name, value in _JOB.dump_python(job, mode="json").items():
        if name == "spec":
            values |= value
        else:
            values[name] = value
    return values


def job_from_json(values: Mapping[str, Any]) -> Job:
    """The inverse of ``job_to_json``; what an earlier version did not write has its default."""
    own = dict(values)
    spec = {field.name: own.pop(field.name) for field in dataclasses.fields(RunSpec) if field.name in own}
    return _JOB.validate_python({"spec": spec, **own})


def _die_with_parent() -> None:
    """End this process when the one that started it is gone, however it went.

    The parent holds the other end of our standard input and never writes: reading returns when it dies, even by
    ``kill -9``. Otherwise an orphan would go on writing into a run that the next call continues.
    """

    def wait() -> None:
        # The descriptor itself: a thread inside sys.stdin would hold a lock that Python's shutdown wants.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def carry_out(job_file: Path) -> int:
    """Run the job that a file holds, and write its outcome beside it.

    Returns:
        An exit code: 0 however the run went, ``UNWRITABLE`` where its folder cannot be written, 130 when it was
        interrupted.
    """
    try:
        outcome = execute(job_from_json(read_json(job_file)))
        write_json(job_file.with_name(OUTCOME_FILE), dataclasses.asdict(outcome))
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        _LOG.error("%s", unwritable(job_file.parent, error, "--runs"))
        return UNWRITABLE
    return 0


def _main(job_file: Path) -> int:
    start_logging()
    _die_with_parent()
    isolate_libraries()
    return carry_out(job_file)


if __name__ == "__main__":
    raise SystemExit(_main(Path(sys.argv[1])))
