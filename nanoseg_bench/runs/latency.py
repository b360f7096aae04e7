"""The latency of a run that was predicted while something else was at work: measured later, without predicting anew."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nanoseg_bench.errors import PredictionsError, RecordError
from nanoseg_bench.evaluation.predictions import read_predictions, write_predictions
from nanoseg_bench.models.base import Model
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.documents import TrainedRun
from nanoseg_bench.runs.folder import RunFolder
from nanoseg_bench.runs.inference import measure_latency
from nanoseg_bench.runs.provenance import device_name, processor_of
from nanoseg_bench.runs.quiet import is_quiet
from nanoseg_bench.runs.record import read_record, record_path
from nanoseg_bench.runs.scored import scored_sets


def could_be_measured(run: RunFolder, prepared: PreparedSet, leaderboards: Path, device: str) -> bool:
    """Whether a good record of a run has no latency, and this device, which predicted it, is free to measure it."""

    def is_untimed(name: str) -> bool:
        path = record_path(leaderboards, prepared.name, run.run_id, name)
        try:
            record = read_record(path)
        except (OSError, RecordError):
            return False
        return record.status == "ok" and record.scores.get("latency_ms_per_image") is None

    return any(map(is_untimed, scored_sets(prepared))) and _is_of(run, device) and is_quiet()


def untimed_sets(run: RunFolder, prepared: PreparedSet, device: str) -> list[str]:
    """The eval sets whose kept predictions hold no latency, if this device predicted them and is free to measure."""
    if not _is_of(run, device) or not is_quiet():
        return []
    return [name for name in scored_sets(prepared) if run.has_current_predictions(name) and _is_untimed(run, name)]


def add_latency(model: Model, run: RunFolder, prepared: PreparedSet, eval_sets: Sequence[str], device: str) -> None:
    """Measure, and write the kept predictions with what was measured; what is not measured stays as it is.

    Args:
        model: The run's, ready to predict.
        run: Its predictions are kept.
        prepared: Holds the images.
        eval_sets: From ``untimed_sets``.
        device: torch device name.
    """
    for name in eval_sets:
        timing = measure_latency(model, prepared, name, device)
        if timing is not None:
            path = run.predictions_path(name)
            write_predictions(path, replace(read_predictions(path), timing=timing))


def _is_untimed(run: RunFolder, eval_set: str) -> bool:
    """Whether predictions hold no latency; damaged ones hold none, and are made anew with it."""
    try:
        return read_predictions(run.predictions_path(eval_set)).timing is None
    except PredictionsError:
        return True


def _is_of(run: RunFolder, device: str) -> bool:
    """A latency goes with the processor that the row names last; the row then names the threads of both."""
    try:
        about = run.about()
    except RecordError:
        return False
    if not isinstance(about, TrainedRun) or not about.devices:
        return False
    return processor_of(about.devices[-1]) == processor_of(device_name(device))
