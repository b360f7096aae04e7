"""Records from the predictions that a run keeps: no weights, no GPU. ``run`` and ``score`` both go through here."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nanoseg_bench.errors import PredictionsError, RecordError
from nanoseg_bench.evaluation.comparison import Confidence
from nanoseg_bench.evaluation.cross_validation import evaluate_beside_folds
from nanoseg_bench.evaluation.eval_sets import EvalSet, load_eval_set
from nanoseg_bench.evaluation.operating_point import choose_operating_point, default_of_answers
from nanoseg_bench.evaluation.predictions import Predictions, read_predictions, require_complete
from nanoseg_bench.evaluation.result import Evaluation, OperatingPointChoice
from nanoseg_bench.evaluation.robustness import CONDITIONS, ROBUSTNESS, evaluate_robustness
from nanoseg_bench.evaluation.scoring import EVALUATOR_VERSION, evaluate, evaluate_ood
from nanoseg_bench.files import sha256_file, sha256_json
from nanoseg_bench.locks import hold
from nanoseg_bench.preparation.begun_truth import began_truth
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.preparation.shortcomings import shortcoming_lines, split_shortcomings
from nanoseg_bench.runs.corrupted import kept_clean_set
from nanoseg_bench.runs.documents import MadeFrom, TrainedRun
from nanoseg_bench.runs.facts import RunFacts
from nanoseg_bench.runs.folder import RunFolder
from nanoseg_bench.runs.record import ConfidenceSource, Record, read_record, record_path, write_record

Scorer = Callable[[EvalSet, Predictions, Confidence], Evaluation]
"""Eval set, predictions and operating point to everything that a record holds."""

SCORERS: Mapping[str, Scorer] = {"test": evaluate, "ood": evaluate_ood, "hrtem": evaluate}
"""Eval sets that every run has a record of. ``val`` is predicted too, for the operating point; ``robustness``, where
it was asked for, is scored in a way of its own."""


def scored_sets(prepared: PreparedSet) -> list[str]:
    """The eval sets of a prepared set that every run has a record of.

    Of a set with folds only ``test``: other images belong to no fold, and every fold's network would answer to them.
    """
    return ["test"] if prepared.folds else [name for name in SCORERS if prepared.has(name)]


def predicted_sets(prepared: PreparedSet) -> list[str]:
    """The eval sets of a prepared set that every run predicts; none of a set with folds that is read as a whole."""
    return [] if prepared.folds and prepared.fold is None else ["val", *scored_sets(prepared)]


class KeptTruth:
    """The eval sets of a prepared set, each read once, for the runs that are scored one after the other.

    Args:
        prepared: The prepared set.
    """

    def __init__(self, prepared: PreparedSet) -> None:
        self.prepared = prepared
        self._read: dict[str, EvalSet] = {}

    def eval_set(self, name: str) -> EvalSet:
        """One of them.

        Raises:
            DatasetError: As ``load_eval_set``.
        """
        if name not in self._read:
            self._read[name] = load_eval_set(self.prepared, name)
        return self._read[name]


def score_run(run: RunFolder, truth: KeptTruth, leaderboards: Path, *, only_missing: bool = False) -> None:
    """Write a run's records from its kept predictions, and its operating point; from the same ones, the same bytes.

    They are written together: whoever makes the tables meanwhile sees the old ones or the new ones, not one operating
    point on test and another on ood.

    Args:
        run: A run whose training is finished, or predictions that were handed in.
        truth: Of the prepared set.
        leaderboards: Folder of the records.
        only_missing: Leave the records that are current.

    Raises:
        RecordError: The run's own files are malformed.
        PredictionsError: Predictions are missing, truncated, incomplete, or of another prepared set or training.
        DatasetError: The prepared set lacks an eval set.
    """
    prepared = truth.prepared
    names = eval_sets_of(run, truth)
    if only_missing:
        names = [name for name in names if not is_scored(run, prepared, name, leaderboards)]
    records = list(build_records(run, truth, names))
    with hold(leaderboards / prepared.name, wait=True):
        for record in records:
            if record.operating_point is not None and run.is_fitted:
                run.keep_operating_point(record.operating_point)
            write_record(record_path(leaderboards, prepared.name, run.run_id, record.eval_set), record)


def build_records(run: RunFolder, truth: KeptTruth, eval_sets: Sequence[str]) -> Iterator[Record]:
    """The records of a run from its kept predictions, one at a time.

    Args:
        run: As of ``score_run``.
        truth: Of the prepared set.
        eval_sets: Whose records are wanted.

    Raises:
        RecordError, PredictionsError, DatasetError: As ``score_run``.
    """
    on_val = functools.cache(lambda: _choose(run, truth))
    for name in eval_sets:
        yield _score(run, truth, name, on_val() if _is_chosen_on_val(run, name) else None)


def _choose(run: RunFolder, truth: KeptTruth) -> OperatingPointChoice:
    """The operating point of all eval sets of a run."""
    on_val = read_kept(run, truth, "val")
    default = None
    if run.is_external:
        default = default_of_answers([on_val, *(read_kept(run, truth, name) for name in eval_sets_of(run, truth))])
    return choose_operating_point(truth.eval_set("val"), on_val, default)


def is_scored(run: RunFolder, prepared: PreparedSet, eval_set: str, leaderboards: Path) -> bool:
    """Whether the record is there, made by this evaluator from the predictions that are kept."""
    path = record_path(leaderboards, prepared.name, run.run_id, eval_set)
    if not path.is_file() or not (eval_set == ROBUSTNESS or run.has_current_predictions(eval_set)):
        return False
    return is_current(path, run, prepared, lambda: predictions_sha256(run, eval_set))


def is_current(path: Path, run: RunFolder, prepared: PreparedSet, kept: Callable[[], str]) -> bool:
    """Whether a record is the good one of this set, evaluator and recipe, made from these predictions.

    Args:
        path: Of the record.
        run: Its run, or that of its first fold.
        prepared: The prepared set.
        kept: Gives the SHA-256 of the predictions; called last, for they are read for it.
    """
    try:
        record, about = read_record(path), run.about()
    except RecordError:  # of an earlier format
        return False
    # The record names the recipe: a new title, or what the predictions were made with.
    if isinstance(about, TrainedRun) and record.recipe != about.inputs.recipe:
        return False
    return record.status == "ok" and is_of(record, prepared) and record.predictions_sha256 == kept()


def is_of(record: Record, prepared: PreparedSet) -> bool:
    """Whether a record is of this prepared set, and of this evaluator: one table holds no others."""
    return (record.set_hash, record.evaluator) == (prepared.content_hash, EVALUATOR_VERSION)


def make_record(facts: RunFacts, prepared: PreparedSet, eval_set: str, **judged: Any) -> Record:
    """A record by this evaluator.

    Args:
        facts: Of the run.
        prepared: The prepared set.
        eval_set: Of it.
        judged: The record's other fields.
    """
    return Record(
        **dict(facts),
        evaluator=EVALUATOR_VERSION,
        set_name=prepared.name,
        dataset=prepared.dataset,
        set_hash=prepared.content_hash,
        classes=prepared.classes,
        eval_set=eval_set,
        shortcomings=tuple(shortcoming_lines(split_shortcomings(prepared))),
        **judged,
    )


def eval_sets_of(run: RunFolder, truth: KeptTruth) -> list[str]:
    """What is to be scored: of a model everything that it predicts, of predictions from outside what was handed in."""
    scored = scored_sets(truth.prepared)
    if not run.is_external:
        return [*scored, ROBUSTNESS] if kept_clean_set(run, truth.eval_set("test")) else scored
    kept = run.predicted_sets()
    return [name for name in scored if name in kept]


def _score(run: RunFolder, truth: KeptTruth, name: str, point: OperatingPointChoice | None) -> Record:
    """The record of an eval set; ``point`` is that of val, None where it has no say."""
    prepared, made_from = truth.prepared, _made_from(run, name)
    source: ConfidenceSource = made_from.confidence_source if point is None else point.source
    images, evaluation = _evaluate(run, truth, name, made_from.confidence if point is None else point.confidence)
    facts = run.facts()
    judged_on = "test" if name == ROBUSTNESS else name
    return make_record(
        facts,
        prepared,
        name,
        truth_begun_by=began_truth(prepared, judged_on, facts.model, facts.initial_weights),
        images=images,
        status="ok",
        confidence_source=source,
        operating_point=point,
        **dict(evaluation),
        predictions_sha256=predictions_sha256(run, name),
        finished=made_from.finished,
    )


def _evaluate(run: RunFolder, truth: KeptTruth, name: str, confidence: float | None) -> tuple[int, Evaluation]:
    """(number of images, what scoring says of them)."""
    prepared = truth.prepared
    if name != ROBUSTNESS:
        eval_set, kept = truth.eval_set(name), read_kept(run, truth, name)
        if prepared.folds and prepared.fold is None:
            folds = [[image.name for image in prepared.of_fold(fold).images(name)] for fold in prepared.folds]
            return len(eval_set.images), evaluate_beside_folds(eval_set, kept, confidence, folds)
        return len(eval_set.images), SCORERS[name](eval_set, kept, confidence)
    clean = kept_clean_set(run, truth.eval_set("test"))
    if clean is None:
        raise PredictionsError(
            f"{run.path}: keeps no predictions for {name}; `nanoseg-bench run --robustness` makes them"
        )
    evaluation = evaluate_robustness(
        clean,
        read_kept(run, truth, "test"),
        lambda condition: read_predictions(run.predictions_path(condition.name)),
        confidence,
    )
    return len(clean.images), evaluation


def _made_from(run: RunFolder, name: str) -> MadeFrom:
    return run.made_from(CONDITIONS[-1].name if name == ROBUSTNESS else name)


def _is_chosen_on_val(run: RunFolder, name: str) -> bool:
    """Only who hands in predictions may declare a confidence; that of a model is val's, whatever is noted beside it."""
    return not run.is_external or _made_from(run, name).confidence_source == "val"


def predictions_sha256(run: RunFolder, name: str) -> str:
    """SHA-256 of the predictions that a record is made from."""
    if name != ROBUSTNESS:
        return sha256_file(run.predictions_path(name))
    # The clean images' predictions are the reference that degradation is measured by.
    names = ("test", *(condition.name for condition in CONDITIONS))
    return sha256_json([sha256_file(run.predictions_path(each)) for each in names])


def read_kept(run: RunFolder, truth: KeptTruth, name: str) -> Predictions:
    """The predictions that a run keeps for an eval set.

    Raises:
        PredictionsError: They are missing, truncated, incomplete, or of another prepared set or training.
    """
    path = run.predictions_path(name)
    predictions = read_predictions(path)
    try:
        require_complete(predictions, truth.eval_set(name))
    except PredictionsError as error:
        raise PredictionsError(f"{path}: {error}") from error
    if not run.is_external and not run.has_current_predictions(name):
        raise PredictionsError(
            f"{path}: made from another training than the one in {run.path}; run the model again, which predicts anew"
        )
    return predictions
