"""Making a run's folder ready for what is to be run in it; finished work is never deleted on the way.

- Nothing changed: the work goes on where it stopped.
- A prediction field of the recipe changed: the training stays, predictions and records are made anew.
- Training would be another one: the folder moves to ``runs/<set>/replaced/<run id>-<training hash>`` and an empty one
  takes its place. Where the training that is wanted was moved there earlier, it comes back.
- Another run beside it is of the same training, and only judges otherwise: its weights are taken over.
"""

import shutil
from contextlib import suppress
from pathlib import Path

from nanoseg_bench.changes import list_changes
from nanoseg_bench.errors import OutOfReachError, RecordError
from nanoseg_bench.files import atomic_path
from nanoseg_bench.models.run_files import (
    FIT_FILE,
    HISTORY_FILE,
    RUN_FILE,
    STATE_FILE,
    WEIGHTS_ABOUT_FILE,
    WEIGHTS_FILE,
)
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.documents import TrainedRun
from nanoseg_bench.runs.folder import LOG_FILE, REPLACED, RunFolder, find_runs
from nanoseg_bench.runs.inputs import Differences, Inputs, input_differences, training_hash
from nanoseg_bench.runs.plan import RunSpec
from nanoseg_bench.runs.starting import training_behind

_DIGITS = 8
_SIGNS_OF_WORK = (FIT_FILE, STATE_FILE, WEIGHTS_FILE, "predictions")


def differences(run: RunFolder, spec: RunSpec) -> Differences | None:
    """What differs between the work in the folder and what is asked for; None where there is none to go on with.

    Raises:
        OutOfReachError: There is some, and it cannot be read now.
    """
    about = _about(run)
    return input_differences(about.inputs.model_dump(), spec.inputs()) if about else None


def claim_folder(run: RunFolder, spec: RunSpec, prepared: PreparedSet, *, anew: bool = False) -> list[str]:
    """Make a run's folder ready for a spec.

    Args:
        run: The folder; it need not exist.
        spec: What is to be run.
        prepared: The prepared set, which a model without a description of its own is opened by.
        anew: Bring no earlier work back, and take no weights over from a run beside it.

    Returns:
        Sentences on what changed and what became of the earlier work.

    Raises:
        OutOfReachError: There is some, and it cannot be read now.
    """
    run.path.mkdir(parents=True, exist_ok=True)
    about, found = _about(run), differences(run, spec)
    if about is None or found is None or found.training:
        return _start(run, spec, prepared, found, anew)
    for leftover in (*run.path.glob(".*"), *run.path.glob("predictions/**/.*")):  # of a writer that was killed
        if leftover.is_file():  # a notebook keeps a hidden folder where it was opened
            leftover.unlink()
    if found.prediction:
        run.forget_operating_point()  # it was chosen for other predictions
    now = _describe(spec, prepared, about.devices)
    if now.initial_training is None:  # the weights may lie alone by now
        now = now.model_copy(update={"initial_training": about.initial_training})
    # Fields that came since change nothing, and a record keeps the recipe as it was.
    now = now if found else now.model_copy(update={"inputs": about.inputs})
    if now != about:
        run.write_about(now)
    if not found.prediction:
        return []
    return [f"{run.path}: predicting anew, the training stays: {list_changes(found.prediction)}"]


def clear_folder(run: RunFolder) -> None:
    """Remove all work of a run; the log stays."""
    if not run.path.is_dir():
        return
    (run.path / RUN_FILE).unlink(missing_ok=True)  # first: what a kill leaves is no run
    for path in run.path.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOG_FILE:
            path.unlink()


def _start(run: RunFolder, spec: RunSpec, prepared: PreparedSet, found: Differences | None, anew: bool) -> list[str]:
    told = []
    changed = list_changes(found.training) if found else "its run.json is missing or cannot be read"
    if any((run.path / name).exists() for name in _SIGNS_OF_WORK):
        place = _move_aside(run)
        told.append(f"{run.path}: training anew: {changed}; the earlier work is kept in {place}")
    back = None if anew else moved_aside(run, spec)
    if back is not None:
        shutil.rmtree(run.path, ignore_errors=True)
        back.path.rename(run.path)
        return [
            *told,
            f"{run.path}: back from {back.path}, where an earlier call had moved it",
            *claim_folder(run, spec, prepared),
        ]
    clear_folder(run)
    run.path.mkdir(parents=True, exist_ok=True)
    like = None if anew else trained_alike(run, spec)
    if like is None:
        run.write_about(_describe(spec, prepared))
        return told
    for name in (WEIGHTS_FILE, WEIGHTS_ABOUT_FILE, HISTORY_FILE, FIT_FILE):
        with atomic_path(run.path / name) as temporary:
            shutil.copyfile(like.path / name, temporary)
    # Last: what a kill leaves is no run, and the next call does not train what is there but for a file.
    run.write_about(_describe(spec, prepared, _devices(like)))
    return [*told, f"{run.path}: trained already, as {like.run_id}, whose weights are judged here"]


def moved_aside(run: RunFolder, spec: RunSpec) -> RunFolder | None:
    """Where the training that is wanted lies since an earlier call replaced it; None where there is none."""
    kept = RunFolder(_place(run, training_hash(spec.inputs())))
    found = differences(kept, spec)
    return None if found is None or found.training else kept


def trained_alike(run: RunFolder, spec: RunSpec) -> RunFolder | None:
    """A finished run beside this one whose training is the one that is wanted; None where there is none."""
    for other in find_runs(run.path.parent):
        if other.path == run.path:
            continue
        with suppress(OutOfReachError):
            if _is_of_training(other, spec):
                return other
    return None


def _is_of_training(run: RunFolder, spec: RunSpec) -> bool:
    """Whether the training that is wanted was finished there, by our own loop."""
    found = differences(run, spec)
    if found is None or found.training:
        return False
    has_files = all((run.path / name).is_file() for name in (WEIGHTS_ABOUT_FILE, HISTORY_FILE))
    return has_files and run.has_weights() and not run.has_other_weights() and _has_own_kind(run)


def _has_own_kind(run: RunFolder) -> bool:
    """Whether the weights are of our own training loop, whose files are known; a plug-in's may be any."""
    checkpoint = run.fit().report.checkpoint
    return checkpoint is not None and checkpoint.name == WEIGHTS_FILE


def _devices(run: RunFolder) -> tuple[str, ...]:
    about = _about(run)
    return about.devices if about else ()


def _move_aside(run: RunFolder) -> Path:
    about = _about(run)
    digest = training_hash(about.inputs.model_dump()) if about else "unknown"
    place = _place(run, digest)
    number = 1
    while place.exists():
        number += 1
        place = place.with_name(f"{_place(run, digest).name}-{number}")
    place.parent.mkdir(parents=True, exist_ok=True)
    run.path.rename(place)
    run.path.mkdir()
    return place


def _place(run: RunFolder, digest: str) -> Path:
    return run.path.parent / REPLACED / f"{run.path.name}-{digest[:_DIGITS]}"


def _about(run: RunFolder) -> TrainedRun | None:
    try:
        about = run.about()
    except OutOfReachError:
        raise  # what cannot be read now may be finished work
    except RecordError:
        return None
    return about if isinstance(about, TrainedRun) else None


def _describe(spec: RunSpec, prepared: PreparedSet, devices: tuple[str, ...] = ()) -> TrainedRun:
    return TrainedRun(
        inputs=Inputs.model_validate(spec.inputs()),
        initial_weights=spec.initial_weights,
        initial_training=training_behind(spec.weights, spec.recipe.title),
        devices=devices,
        classes=prepared.classes,
        max_instances=prepared.max_instances,
    )
