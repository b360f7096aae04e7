"""What a plan would do, and how long that takes judging by earlier records. Nothing is written.

Where a model has no record in the preset, one in another preset (the smoke run's, say) gives an estimate: its time for
an image, times the ratio of the pixels that the network sees. So does one of this processor with another number of
threads: runs side by side share the cores.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nanoseg_bench.changes import list_changes
from nanoseg_bench.errors import RecordError
from nanoseg_bench.evaluation.eval_sets import load_eval_set
from nanoseg_bench.evaluation.robustness import CONDITIONS, ROBUSTNESS, clean_set
from nanoseg_bench.files import read_json
from nanoseg_bench.models.budget import plan_budget
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.claim import differences, moved_aside, trained_alike
from nanoseg_bench.runs.corrupted import stale_conditions
from nanoseg_bench.runs.cross_validation import FoldRuns
from nanoseg_bench.runs.cross_validation import is_scored as is_row_scored
from nanoseg_bench.runs.folder import OUTCOME_FILE, REPLACED, RunFolder
from nanoseg_bench.runs.inputs import Differences
from nanoseg_bench.runs.plan import RunSpec
from nanoseg_bench.runs.provenance import processor_of
from nanoseg_bench.runs.record import Record, read_record, record_path
from nanoseg_bench.runs.scored import is_scored, predicted_sets, scored_sets

State = Literal["cached", "to do", "failed earlier"]

_FAILURES = ("failed", "oom")


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a run.

    Attributes:
        name: ``fit``, ``predict`` or ``score``.
        state: ``failed earlier`` stands at the step where the run ended; it is tried again.
        seconds: How long it will take; 0 where it is cached, None where no record tells.
        estimated: Whether the time comes from another preset, or from another number of threads.
    """

    name: str
    state: State
    seconds: float | None
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class RunForecast:
    """What a run would do.

    Attributes:
        run_id: Its id.
        steps: Fit, predict, score.
        reason: Why it failed earlier; empty otherwise.
        changes: What changed since the work that is there, and what becomes of that; empty otherwise.
    """

    run_id: str
    steps: tuple[Step, ...]
    reason: str = ""
    changes: str = ""

    @property
    def seconds(self) -> float | None:
        """Time of training and prediction; None where it is not known. Scoring takes seconds, and is not counted."""
        times = [step.seconds for step in self.steps if step.name != "score"]
        return None if None in times else sum(time for time in times if time is not None)

    @property
    def estimated(self) -> bool:
        """Whether a part of the time comes from another preset, or from another number of threads."""
        return any(step.estimated for step in self.steps)


@dataclass(frozen=True, slots=True)
class _Time:
    seconds: float | None
    estimated: bool = False


class Forecaster:
    """Looks at runs, records and the prepared set.

    Args:
        prepared: The prepared set.
        runs: Runs of this prepared set.
        leaderboards: Folder of the records.
        device: Name of the device as records have it; the time on others says nothing.
        overwrite: As of ``run_plan``.
        robust_images: As of ``run_plan``.
    """

    def __init__(
        self,
        prepared: PreparedSet,
        runs: Path,
        leaderboards: Path,
        device: str,
        overwrite: str,
        robust_images: int = 0,
    ) -> None:
        self._prepared = prepared
        self._runs = runs
        self._leaderboards = leaderboards
        self._overwrite = overwrite
        self._views: dict[int | None, PreparedSet] = {
            fold: prepared if fold is None else prepared.of_fold(fold) for fold in (None, *prepared.folds)
        }
        self._sizes = {
            fold: {name: len(view.images(name)) for name in ("train", *predicted_sets(view))}
            for fold, view in self._views.items()
        }
        self._device = device
        self._known = _timed_records(leaderboards, device)
        self._clean = clean_set(load_eval_set(prepared, "test"), robust_images) if robust_images else None

    def forecast(self, specs: Sequence[RunSpec]) -> list[RunForecast]:
        """One for each run, in their order."""
        return [self._forecast(spec) for spec in specs]

    def _forecast(self, spec: RunSpec) -> RunForecast:
        record = record_path(self._leaderboards, self._prepared.name, spec.row_id, "test")
        if self._overwrite == "never" and record.is_file() and not spec.final:
            return RunForecast(spec.run_id, tuple(Step(name, "cached", 0.0) for name in ("fit", "predict", "score")))
        run = RunFolder(self._runs / spec.run_id)
        found = differences(run, spec) if self._overwrite != "always" else None
        changes = _say(found)
        mine = found is not None and not found.training
        if self._overwrite != "always" and not mine and (back := moved_aside(run, spec)) is not None:
            changes = f"comes back from {REPLACED}/{back.path.name}"
            run, found, mine = back, differences(back, spec), True
        fitted = run.has_weights() if mine else self._overwrite != "always" and trained_alike(run, spec) is not None
        predicted = mine and fitted and found is not None and not found.prediction and not run.has_other_weights()
        to_predict = [
            name
            for name in predicted_sets(self._views[spec.fold])
            if not (predicted and run.has_current_predictions(name))
        ]
        conditions = self._conditions_to_predict(run if predicted else None)
        scored = not (to_predict or conditions) and self._is_scored(spec, run)
        # The record of a model's folds says nothing of one of them.
        reason = _earlier_failure(run, None if self._prepared.folds else record) if mine and not scored else ""
        steps = []
        failed = bool(reason)
        for name, cached, time in (
            ("fit", fitted, self._training_time(spec, run if mine else None)),
            ("predict", not (to_predict or conditions), self._prediction_time(spec, to_predict, conditions)),
            ("score", scored, _Time(None)),
        ):
            if cached:
                steps.append(Step(name, "cached", 0.0))
                continue
            steps.append(Step(name, "failed earlier" if failed else "to do", time.seconds, time.estimated))
            failed = False  # what comes after it was never tried
        return RunForecast(spec.run_id, tuple(steps), reason, changes)

    def _is_scored(self, spec: RunSpec, run: RunFolder) -> bool:
        if not run.has_operating_point():
            return False
        if spec.final:
            return True
        if spec.fold is not None:
            row = FoldRuns(self._runs, spec.row_id, tuple(self._prepared.folds))
            return is_row_scored(row, self._prepared, self._leaderboards)
        to_score = [*scored_sets(self._prepared), *([ROBUSTNESS] if self._clean else [])]
        return all(is_scored(run, self._prepared, name, self._leaderboards) for name in to_score)

    def _like(self, spec: RunSpec, tells: Callable[[Record], bool]) -> Record | None:
        """The record of the same model that says most.

        Of this preset, else of the nearest canvas; of as many threads; of this set; new.
        """
        recipe = spec.recipe

        def closeness(record: Record) -> tuple[bool, float, bool, bool, str]:
            of_the_preset = record.preset == recipe.preset
            distance = 0.0 if of_the_preset else abs(math.log(_pixels(spec, record)))
            of_the_set = record.set_name == self._prepared.name
            return of_the_preset, -distance, record.device == self._device, of_the_set, record.finished

        known = [record for record in self._known if record.model == recipe.model and tells(record)]
        return max(known, key=closeness, default=None)

    def _training_time(self, spec: RunSpec, begun: RunFolder | None) -> _Time:
        like = self._like(spec, lambda record: record.training is not None)
        if like is None or like.training is None:
            return _Time(None)
        if like.training.images_seen == 0:
            return _Time(like.training.seconds / (like.folds or 1))
        budget = plan_budget(spec.recipe, self._sizes[spec.fold]["train"])
        done = begun.epochs_done() / budget.epochs if begun and budget.epochs else 0.0
        per_image = like.training.seconds / like.training.images_seen
        seconds = per_image * budget.images_seen * max(1 - done, 0)
        if like.preset != spec.recipe.preset:
            seconds *= _pixels(spec, like)
        return _Time(seconds, self._is_estimate(spec, like))

    def _conditions_to_predict(self, fitted: RunFolder | None) -> int:
        if self._clean is None:
            return 0
        return len(stale_conditions(fitted, self._clean)) if fitted else len(CONDITIONS)

    def _prediction_time(self, spec: RunSpec, eval_sets: Sequence[str], conditions: int) -> _Time:
        like = self._like(spec, lambda record: record.scores.get("latency_ms_per_image") is not None)
        latency = like.scores.get("latency_ms_per_image") if like else None
        if like is None or latency is None:
            return _Time(None)
        corrupted = conditions * len(self._clean.images) if self._clean else 0
        images = sum(self._sizes[spec.fold][name] for name in eval_sets) + corrupted
        side, theirs = spec.recipe.input_canvas, like.recipe.get("judged_canvas") or like.recipe.get("canvas")
        zoom = side / theirs if theirs else 1.0
        looks = spec.recipe.judged_views / (like.recipe.get("judged_views") or 1)
        return _Time(latency / 1000 * images * zoom**2 * looks, zoom != 1 or self._is_estimate(spec, like))

    def _is_estimate(self, spec: RunSpec, like: Record) -> bool:
        return like.preset != spec.recipe.preset or like.device != self._device


def _pixels(spec: RunSpec, like: Record) -> float:
    """By how many times more pixels the spec's network is trained on, in an image, than that of a record."""
    side = spec.recipe.crop or spec.recipe.canvas
    return float(side / (like.recipe.get("crop") or like.recipe["canvas"])) ** 2


def _say(found: Differences | None) -> str:
    if found is not None and found.training:
        return f"trains anew, and the earlier work is kept in {REPLACED}/: {list_changes(found.training)}"
    if found is not None and found.prediction:
        return f"predicts anew, the training stays: {list_changes(found.prediction)}"
    return ""


def _timed_records(leaderboards: Path, device: str) -> list[Record]:
    """Good records of this GPU or processor, of any prepared set: the time for an image hardly depends on the set."""
    records = []
    for path in sorted((leaderboards / "records").glob("*/[!.]*-test.json")):
        try:
            record = read_record(path)
        except RecordError:  # of an earlier format
            continue
        if record.status == "ok" and processor_of(record.device) == processor_of(device) and not record.external:
            records.append(record)
    return records


def _earlier_failure(run: RunFolder, record: Path | None) -> str:
    """Why the run ended the last time; empty where it did not fail."""
    outcome = run.path / OUTCOME_FILE
    if outcome.is_file():
        try:
            ended = read_json(outcome)
            return str(ended["reason"]) if ended["status"] in _FAILURES else ""
        except (OSError, ValueError, KeyError, TypeError):  # damaged: it says nothing
            return ""
    # A process that was killed leaves no outcome.
    try:
        row = read_record(record) if record is not None and record.is_file() else None
    except RecordError:
        return ""
    return row.reason if row is not None and row.status in _FAILURES else ""
