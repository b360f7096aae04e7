"""Cross-validation: the runs of a model on all folds of a prepared set become one record, never on some of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.changes import list_changes
from nanoseg_bench.errors import RecordError
from nanoseg_bench.evaluation.cross_validation import FoldAnswer, evaluate_folds, median_point
from nanoseg_bench.evaluation.operating_point import choose_operating_point
from nanoseg_bench.evaluation.result import OperatingPointChoice
from nanoseg_bench.files import sha256_file, sha256_json
from nanoseg_bench.locks import hold
from nanoseg_bench.models.identity import recipe_changes
from nanoseg_bench.models.recipe import Side
from nanoseg_bench.preparation.begun_truth import began_truth
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.documents import TrainedRun
from nanoseg_bench.runs.facts import RunFacts, Training
from nanoseg_bench.runs.folder import RunFolder
from nanoseg_bench.runs.plan import FINAL, FOLD
from nanoseg_bench.runs.record import Record, record_path, write_record
from nanoseg_bench.runs.scored import KeptTruth, is_current, make_record, predicted_sets, read_kept

TEST = "test"
"""The eval set that is pooled. Images that every fold's network would answer to (``ood``, ``hrtem``) are not judged."""


@dataclass(frozen=True, slots=True)
class FoldRuns:
    """The runs of one model and seed on the folds of a prepared set; not all of them need be there.

    Attributes:
        runs: Folder of the runs.
        row_id: Name of their record.
        folds: Numbers of the folds.
    """

    runs: Path
    row_id: str
    folds: tuple[int, ...]

    def run(self, fold: int) -> RunFolder:
        """The run of a fold."""
        return RunFolder(self.runs / f"{self.row_id}{FOLD}{fold}")

    def final(self) -> RunFolder:
        """The run that trains on everything."""
        return RunFolder(self.runs / f"{self.row_id}{FINAL}")

    def missing(self, prepared: PreparedSet) -> tuple[int, ...]:
        """The folds without current predictions for this set."""
        return tuple(fold for fold in self.folds if not self._is_predicted(prepared.of_fold(fold)))

    def _is_predicted(self, prepared: PreparedSet) -> bool:
        run = self.run(prepared.fold or 0)
        try:
            if run.set_hash() != prepared.content_hash:
                return False
        except RecordError:
            return False
        return all(run.has_current_predictions(name) for name in predicted_sets(prepared))

    def points(self) -> list[OperatingPointChoice]:
        """What each fold chose on its own val.

        Raises:
            RecordError: A fold has not chosen any.
        """
        found = {fold: self.run(fold).operating_point() for fold in self.folds}
        lacking = [fold for fold, point in found.items() if point is None]
        if lacking:
            raise RecordError(
                f"{self.run(lacking[0]).path}: has no operating point; run the folds again without --final"
            )
        return [point for point in found.values() if point is not None]


class FoldTruth:
    """The eval sets of a prepared set with folds, each read once.

    Args:
        prepared: The prepared set, as a whole.
    """

    def __init__(self, prepared: PreparedSet) -> None:
        self.prepared = prepared
        self.whole = KeptTruth(prepared)
        self._folds: dict[int, KeptTruth] = {}

    def of_fold(self, fold: int) -> KeptTruth:
        """The eval sets of one fold, loaded once."""
        if fold not in self._folds:
            self._folds[fold] = KeptTruth(self.prepared.of_fold(fold))
        return self._folds[fold]


def fold_runs(runs: Iterable[RunFolder], prepared: PreparedSet) -> list[FoldRuns]:
    """The rows that these runs of folds belong to, with the folds beside them; runs of no fold are passed over."""
    rows = {}
    for run in runs:
        row_id = row_id_of(run)
        if row_id != run.run_id:
            rows[run.path.parent, row_id] = FoldRuns(run.path.parent, row_id, tuple(prepared.folds))
    return list(rows.values())


def row_id_of(run: RunFolder) -> str:
    """Name of the record of a run: its own id, but for the run of a fold that of all folds together."""
    try:
        about = run.about()
    except RecordError:
        return run.run_id
    fold = about.inputs.fold if isinstance(about, TrainedRun) else None
    return run.run_id if fold is None else run.run_id.removesuffix(f"{FOLD}{fold}")


def score_folds(row: FoldRuns, truth: FoldTruth, leaderboards: Path, *, only_missing: bool = False) -> None:
    """Write the record of a cross-validation, and the operating points that it reads; same predictions, same bytes.

    Args:
        row: The runs; all folds are predicted.
        truth: Of the prepared set.
        leaderboards: Folder of the records.
        only_missing: Leave a record that is current.

    Raises:
        RecordError: A run's own files are malformed, or folds were run with other recipes.
        PredictionsError: Predictions are missing, truncated, incomplete, or of another prepared set or training.
        DatasetError: The prepared set is malformed.
    """
    if only_missing and is_scored(row, truth.prepared, leaderboards):
        return
    record = build_record(row, truth)
    with hold(leaderboards / truth.prepared.name, wait=True):
        for result in record.fold_results:
            row.run(result.fold).keep_operating_point(result.operating_point)
        keep_final_point(row, truth.prepared)
        write_record(record_path(leaderboards, truth.prepared.name, row.row_id, TEST), record)


def keep_fold_point(run: RunFolder, truth: KeptTruth) -> None:
    """Choose the operating point of a fold's run on the fold's val, and keep it.

    Raises:
        RecordError, PredictionsError, DatasetError: As ``score_folds``.
    """
    run.keep_operating_point(_choose(run, truth))


def keep_final_point(row: FoldRuns, prepared: PreparedSet) -> None:
    """Give the training on everything, where there is one of this set and recipe, the median of what the folds chose.

    Args:
        row: The runs.
        prepared: The prepared set, as a whole.

    Raises:
        RecordError: A fold has not chosen any, or a file is malformed.
    """
    final = row.final()
    if not final.is_fitted or final.set_hash() != prepared.content_hash:
        return
    if _is_alike(final.facts(), row.run(row.folds[0]).facts()):
        final.keep_operating_point(median_point(row.points()))


def build_record(row: FoldRuns, truth: FoldTruth) -> Record:
    """The record of a cross-validation from the predictions that its folds keep.

    Raises:
        RecordError, PredictionsError, DatasetError: As ``score_folds``.
    """
    prepared = truth.prepared
    facts = [row.run(fold).facts() for fold in row.folds]
    _require_one_recipe(row, facts)
    evaluation, results = evaluate_folds(
        truth.whole.eval_set(TEST), [_answer(row.run(fold), truth.of_fold(fold)) for fold in row.folds]
    )
    point = median_point([result.operating_point for result in results])
    first = facts[0]
    together = first.model_copy(
        update={
            "training": _together([each.training for each in facts if each.training is not None]),
            "device": _joined(each.device for each in facts),
            "versions": {
                name: _joined(each.versions.get(name, "") for each in facts)
                for name in dict.fromkeys(name for each in facts for name in each.versions)
            },
            "commit": _joined(each.commit or "" for each in facts) or None,
        }
    )
    return make_record(
        together,
        prepared,
        TEST,
        truth_begun_by=began_truth(prepared, TEST, first.model, first.initial_weights),
        images=len(truth.whole.eval_set(TEST).images),
        status="ok",
        confidence_source=point.source,
        operating_point=point,
        **dict(evaluation),
        predictions_sha256=predictions_sha256(row),
        folds=len(row.folds),
        fold_results=results,
        finished=max(row.run(fold).made_from(TEST).finished for fold in row.folds),
    )


def is_scored(row: FoldRuns, prepared: PreparedSet, leaderboards: Path) -> bool:
    """Whether the record is there, made by this evaluator from the predictions of all folds that are kept."""
    path = record_path(leaderboards, prepared.name, row.row_id, TEST)
    if not path.is_file() or row.missing(prepared):
        return False
    return is_current(path, row.run(row.folds[0]), prepared, lambda: predictions_sha256(row))


def predictions_sha256(row: FoldRuns) -> str:
    """SHA-256 of the predictions that the record is made from; those for val decide at which confidence they count."""
    runs = [row.run(fold) for fold in row.folds]
    return sha256_json([[sha256_file(run.predictions_path(name)) for name in ("val", TEST)] for run in runs])


def _answer(run: RunFolder, truth: KeptTruth) -> FoldAnswer:
    if truth.prepared.fold is None:
        raise RecordError(f"{run.path}: is not the run of a fold")
    return FoldAnswer(truth.prepared.fold, read_kept(run, truth, TEST), _choose(run, truth))


def _choose(run: RunFolder, truth: KeptTruth) -> OperatingPointChoice:
    return choose_operating_point(truth.eval_set("val"), read_kept(run, truth, "val"))


def _require_one_recipe(row: FoldRuns, facts: Sequence[RunFacts]) -> None:
    for fold, each in zip(row.folds[1:], facts[1:], strict=True):
        if not _is_alike(each, facts[0]):
            changes = recipe_changes(facts[0].recipe, each.recipe)
            told = list_changes((*changes[Side.TRAINING], *changes[Side.PREDICTION])) or "initial weights"
            raise RecordError(
                f"{row.run(fold).path}: was run with another recipe than fold {row.folds[0]} ({told}), and one row "
                "cannot hold both; run the model again, which trains what differs"
            )


def _is_alike(one: RunFacts, other: RunFacts) -> bool:
    changes = recipe_changes(one.recipe, other.recipe)
    same = (one.seed, one.initial_weights) == (other.seed, other.initial_weights)
    return same and not (changes[Side.TRAINING] or changes[Side.PREDICTION])


def _together(trainings: Sequence[Training]) -> Training | None:
    """What the trainings of all folds cost in sum; None where there is none."""
    if not trainings:
        return None
    core_seconds = [each.core_seconds for each in trainings if each.core_seconds is not None]
    return Training(
        epochs=sum(each.epochs for each in trainings),
        images_seen=sum(each.images_seen for each in trainings),
        seconds=sum(each.seconds for each in trainings),
        core_seconds=sum(core_seconds) if len(core_seconds) == len(trainings) else None,
        resumes=sum(each.resumes for each in trainings),
        precision=_joined(each.precision or "" for each in trainings) or None,
    )


def _joined(texts: Iterable[str]) -> str:
    return " + ".join(dict.fromkeys(text for text in texts if text))
