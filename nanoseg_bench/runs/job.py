"""One run from training to records. ``python -m nanoseg_bench.runs.job JOB.json`` does it in a process of its own.

Folder of a run, ``runs/<set>/<run id>/``:

    run.json                     inputs of the run and their hash
    state.pt, history.csv        training state after the last epoch, losses per epoch
    weights.safetensors, .json   finished weights
    fit.json                     report of the finished training
    predictions/<eval set>.json.gz (+ .made-from.json: from which training)
    outcome.json                 status and reason of the last attempt
    log.txt                      everything the run logged, tracebacks included
"""

import contextlib
import dataclasses
import logging
import os
import shutil
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nanoseg_bench.environment import isolate_libraries
from nanoseg_bench.errors import ModelError, NanosegError, TimeLimitReached
from nanoseg_bench.evaluation.eval_sets import EvalSet, load_eval_set
from nanoseg_bench.evaluation.operating_point import choose_confidence
from nanoseg_bench.evaluation.predictions import read_predictions, write_predictions
from nanoseg_bench.evaluation.scoring import EVALUATOR_VERSION, score, score_ood
from nanoseg_bench.files import read_json, sha256_file, write_json
from nanoseg_bench.models.base import Deadline, FitContext, FitReport, Model
from nanoseg_bench.models.recipe import Recipe
from nanoseg_bench.models.registry import build
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.inference import predict_eval_set
from nanoseg_bench.runs.plan import RunSpec
from nanoseg_bench.runs.provenance import device_name, package_commit, package_versions
from nanoseg_bench.runs.record import Record, Status, Training, read_record, record_path, write_record

# By name: as a process of its own this module is called __main__, and would log past the run's file.
_LOG = logging.getLogger("nanoseg_bench.runs.job")

SCORED_SETS = ("test", "ood")
"""Eval sets that get a record; ``val`` is predicted too, for the operating point."""


@dataclass(frozen=True, slots=True)
class Job:
    """A run with the places it reads and writes.

    Attributes:
        spec: What to run.
        data: The prepared set's folder.
        run_dir: The run's own folder.
        leaderboards: Folder of the records.
        device: torch device name.
        deadline: When to stop with a checkpoint.
    """

    spec: RunSpec
    data: Path
    run_dir: Path
    leaderboards: Path
    device: str
    deadline: Deadline = dataclasses.field(default_factory=Deadline)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended; ``reason`` is empty when all is well."""

    status: Status
    reason: str = ""


def execute(job: Job) -> Outcome:
    """Run a job in this process; whatever goes wrong becomes the outcome and a row of the leaderboard."""
    job.run_dir.mkdir(parents=True, exist_ok=True)
    with _log_to(job.run_dir / "log.txt"):
        try:
            _run(job)
            outcome = Outcome("ok")
        except TimeLimitReached as error:
            outcome = Outcome("timeout", str(error))
        except NanosegError as error:
            outcome = Outcome("failed", str(error))
        except Exception as error:
            _LOG.debug("%s", traceback.format_exc())
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            status: Status = "oom" if _is_out_of_memory(error) else "failed"
            outcome = Outcome(status, f"{reason}; see {job.run_dir / 'log.txt'}")
        if outcome.status != "ok":
            record_failure(job, outcome)
    return outcome


def is_complete(job: Job) -> bool:
    """Whether every record of the job is there, scored by this evaluator from these inputs."""
    prepared = PreparedSet(job.data)
    return all(_record_is_current(job, eval_set) for eval_set in _scored_sets(prepared))


def record_failure(job: Job, outcome: Outcome) -> None:
    """Write the rows of a run that did not end well; a good row of the same recipe and set stays."""
    prepared = PreparedSet(job.data)
    for name in _scored_sets(prepared):
        path = record_path(job.leaderboards, prepared.name, job.spec.run_id, name)
        record = _record(
            job, prepared, name, images=len(prepared.images(name)), outcome=outcome, made_by=_made_by(job.device)
        )
        try:
            if not (path.is_file() and _is_good_and_equal(read_record(path), record)):
                write_record(path, record)
        except OSError as error:
            # The other models still have a chance, and the outcome is told all the same.
            _LOG.error("%s: the row cannot be written (%s); make room or give another --leaderboards", path, error)


def _run(job: Job) -> None:
    prepared = PreparedSet(job.data)
    prepared.require_audit()
    _claim_folder(job)
    model = build(job.spec.recipe, prepared.classes, prepared.max_instances)
    report = _fit(model, prepared, job)
    eval_sets = {name: load_eval_set(prepared, name) for name in ("val", *_scored_sets(prepared))}
    stale = [name for name in eval_sets if not _predictions_are_current(job, name)]
    if stale:
        _load(model, report, job)
        _note_device(job)
    for name in stale:
        job.deadline.check(f"the predictions for {name}")
        predictions = predict_eval_set(model, prepared, eval_sets[name], job.device)
        write_predictions(_predictions_path(job, name), predictions)
        write_json(_made_from_path(job, name), _made_from(job))
    _score(job, prepared, eval_sets, model, report)


def _claim_folder(job: Job) -> None:
    """Empty the run folder when it holds the work of other inputs; keep it when the work can go on."""
    about = job.run_dir / "run.json"
    if about.is_file() and read_json(about).get("inputs_hash") == job.spec.inputs_hash:
        for leftover in job.run_dir.glob(".*"):  # temporary files of a writer that was killed
            leftover.unlink()
        return
    for path in job.run_dir.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "log.txt":
            path.unlink()
    write_json(about, {"inputs_hash": job.spec.inputs_hash, "inputs": job.spec.inputs(), "devices": []})


def _fit(model: Model, prepared: PreparedSet, job: Job) -> FitReport:
    """Train, or read the report of a training that is finished and whose weights are there."""
    done = job.run_dir / "fit.json"
    if done.is_file():
        saved = read_json(done)["report"]
        checkpoint = saved.pop("checkpoint")
        report = FitReport(checkpoint=job.run_dir / checkpoint if checkpoint else None, **saved)
        if report.checkpoint is None or report.checkpoint.is_file():
            return report
        _LOG.warning("%s: the weights are gone; training again", report.checkpoint)
    _note_device(job)
    context = FitContext(job.run_dir, job.spec.seed, job.device, job.deadline, job.spec.weights)
    report = model.fit(prepared, context)
    # Only the name: a runs folder may be moved.
    checkpoint_name = report.checkpoint.name if report.checkpoint else None
    saved = {**dataclasses.asdict(report), "checkpoint": checkpoint_name}
    write_json(done, {"report": saved, "made_by": {"versions": package_versions(), "commit": package_commit()}})
    return report


def _load(model: Model, report: FitReport, job: Job) -> None:
    try:
        model.load(report.checkpoint, job.device)
    except ModelError as error:
        raise ModelError(f"{error}; `nanoseg-bench run --overwrite always` trains the model anew") from error


def _note_device(job: Job) -> None:
    """Remember that this device trained or predicted for the run: a resumed run may have moved."""
    about = job.run_dir / "run.json"
    value = read_json(about)
    device = device_name(job.device)
    if device not in value["devices"]:
        write_json(about, {**value, "devices": [*value["devices"], device]})


def _made_by(device: str) -> dict[str, Any]:
    return {"device": device_name(device), "versions": package_versions(), "commit": package_commit()}


def _is_good_and_equal(old: Record, new: Record) -> bool:
    same = (old.set_hash, old.evaluator, old.recipe) == (new.set_hash, new.evaluator, new.recipe)
    return old.status == "ok" and same


def _score(job: Job, prepared: PreparedSet, eval_sets: dict[str, EvalSet], model: Model, report: FitReport) -> None:
    confidence = choose_confidence(eval_sets["val"], read_predictions(_predictions_path(job, "val")))
    complexity = model.complexity()
    devices = " + ".join(read_json(job.run_dir / "run.json")["devices"])
    made_by = {"device": devices, **read_json(job.run_dir / "fit.json")["made_by"]}
    for name in _scored_sets(prepared):
        if _record_is_current(job, name):
            continue
        path = _predictions_path(job, name)
        predictions = read_predictions(path)
        if name == "ood":
            scores = score_ood(eval_sets[name], predictions)
        else:
            scores = score(eval_sets[name], predictions, confidence)
        record = _record(
            job,
            prepared,
            name,
            images=len(eval_sets[name].images),
            outcome=Outcome("ok"),
            scores=scores,
            training=Training(
                epochs=report.epochs, images_seen=report.images_seen, seconds=report.seconds, resumes=report.resumes
            ),
            parameters=complexity.parameters if complexity else None,
            gflops=complexity.gflops if complexity else None,
            predictions_sha256=sha256_file(path),
            made_by=made_by,
        )
        write_record(record_path(job.leaderboards, prepared.name, job.spec.run_id, name), record)


def _record(
    job: Job,
    prepared: PreparedSet,
    eval_set: str,
    *,
    images: int,
    outcome: Outcome,
    made_by: dict[str, Any],
    **values: Any,
) -> Record:
    spec = job.spec
    return Record(
        evaluator=EVALUATOR_VERSION,
        model=spec.recipe.model,
        title=spec.recipe.title,
        preset=spec.recipe.preset,
        seed=spec.seed,
        initial_weights=f"{spec.weights.name} sha256:{spec.weights_sha256}" if spec.weights else None,
        set_name=prepared.name,
        dataset=prepared.dataset,
        set_hash=prepared.content_hash,
        classes=prepared.classes,
        eval_set=eval_set,
        images=images,
        status=outcome.status,
        reason=outcome.reason,
        **made_by,
        recipe=spec.recipe.model_dump(mode="json"),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        **values,
    )


def _scored_sets(prepared: PreparedSet) -> list[str]:
    return [name for name in SCORED_SETS if prepared.has(name)]


def _predictions_path(job: Job, eval_set: str) -> Path:
    return job.run_dir / "predictions" / f"{eval_set}.json.gz"


def _made_from_path(job: Job, eval_set: str) -> Path:
    return job.run_dir / "predictions" / f"{eval_set}.made-from.json"


def _made_from(job: Job) -> dict[str, Any]:
    return {"inputs_hash": job.spec.inputs_hash, "fit_sha256": sha256_file(job.run_dir / "fit.json")}


def _predictions_are_current(job: Job, eval_set: str) -> bool:
    path = _predictions_path(job, eval_set)
    about = _made_from_path(job, eval_set)
    return path.is_file() and about.is_file() and read_json(about) == _made_from(job)


def _record_is_current(job: Job, eval_set: str) -> bool:
    prepared_name = PreparedSet(job.data).name
    path = record_path(job.leaderboards, prepared_name, job.spec.run_id, eval_set)
    predictions = _predictions_path(job, eval_set)
    if not path.is_file() or not predictions.is_file() or not (job.run_dir / "fit.json").is_file():
        return False
    if not _predictions_are_current(job, eval_set):
        return False
    record = read_record(path)
    return (
        record.status == "ok"
        and record.evaluator == EVALUATOR_VERSION
        and record.set_hash == job.spec.set_hash
        and record.predictions_sha256 == sha256_file(predictions)
    )


def _is_out_of_memory(error: Exception) -> bool:
    # torch raises a RuntimeError for the CPU and its own class for the GPU.
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)


@contextlib.contextmanager
def _log_to(path: Path) -> Any:
    """Append what is logged, tracebacks included, to the run's own file."""
    handler = logging.FileHandler(path, encoding="utf-8")
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


def job_to_json(job: Job) -> dict[str, Any]:
    """The job as a JSON value; the deadline becomes the seconds that are left."""
    left = None if job.deadline.at is None else job.deadline.at - time.monotonic()
    return {
        "recipe": job.spec.recipe.model_dump(mode="json"),
        "seed": job.spec.seed,
        "weights": str(job.spec.weights) if job.spec.weights else None,
        "weights_sha256": job.spec.weights_sha256,
        "set_hash": job.spec.set_hash,
        "data": str(job.data),
        "run_dir": str(job.run_dir),
        "leaderboards": str(job.leaderboards),
        "device": job.device,
        "seconds_left": left,
        "limit": job.deadline.limit,
    }


def job_from_json(value: dict[str, Any]) -> Job:
    """The inverse of ``job_to_json``."""
    left = value["seconds_left"]
    spec = RunSpec(
        recipe=Recipe(**value["recipe"]),
        seed=value["seed"],
        weights=Path(value["weights"]) if value["weights"] else None,
        weights_sha256=value["weights_sha256"],
        set_hash=value["set_hash"],
    )
    return Job(
        spec=spec,
        data=Path(value["data"]),
        run_dir=Path(value["run_dir"]),
        leaderboards=Path(value["leaderboards"]),
        device=value["device"],
        deadline=Deadline(None if left is None else time.monotonic() + left, value["limit"]),
    )


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


def _main(job_file: Path) -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    # The run's file wants more than a terminal, and the package's level is raised for it.
    logging.getLogger().handlers[0].setLevel(logging.INFO)
    _die_with_parent()
    isolate_libraries()
    try:
        outcome = execute(job_from_json(read_json(job_file)))
    except KeyboardInterrupt:
        return 130
    write_json(job_file.with_name("outcome.json"), dataclasses.asdict(outcome))
    return 0


if __name__ == "__main__":
    raise SystemExit(_main(Path(sys.argv[1])))
