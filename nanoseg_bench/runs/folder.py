"""The folder of a run: what lies where. Records can be made again from it, without the weights and without a GPU.

``runs/<set>/<run id>/``:

    run.json                     what the run is: its inputs, initial weights, devices, classes
    state.pt, history.csv        training state after the last epoch, losses per epoch
    weights.safetensors, .json   finished weights
    fit.json                     report of the finished training, size of the model, versions
    predictions/<eval set>.json.gz (+ .made-from.json: when, from which training, and how, e.g. its post-processing)
    predictions/robustness/<corruption>-<severity>.json.gz (+ .made-from.json)
    operating_point.json         confidence that was chosen on val, or the default because val cannot decide
    outcome.json                 status and reason of the last attempt
    log.txt                      everything the run logged, tracebacks included

``runs/<set>/replaced/`` holds the folders of runs that were begun anew with other inputs; ``claim`` says when.

``runs/<set>/external-<name>/`` holds predictions that were handed in: run.json and ``predictions`` only.
"""

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nanoseg_bench.errors import ModelError, OutOfReachError, RecordError
from nanoseg_bench.evaluation.predictions import SUFFIX
from nanoseg_bench.evaluation.result import OperatingPointChoice
from nanoseg_bench.files import sha256_file
from nanoseg_bench.models.base import Complexity, FitReport
from nanoseg_bench.models.identity import prediction_values, recipe_changes
from nanoseg_bench.models.recipe import Side
from nanoseg_bench.models.run_files import FIT_FILE, HISTORY_FILE, RUN_FILE
from nanoseg_bench.runs.documents import (
    ChosenConfidence,
    ExternalRun,
    Fit,
    MadeFrom,
    TrainedRun,
    read_document,
    read_run,
    write_document,
)
from nanoseg_bench.runs.facts import MadeBy, RunFacts, Training

OPERATING_POINT_FILE = "operating_point.json"
OUTCOME_FILE = "outcome.json"
LOG_FILE = "log.txt"
REPLACED = "replaced"
"""Folder beside the runs, for those that made room."""


class RunFolder:
    """A run on disk.

    Args:
        path: The folder; its name is the run's id.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def run_id(self) -> str:
        """Stands in the names of its records."""
        return self.path.name

    def about(self) -> TrainedRun | ExternalRun:
        """What the run is.

        Raises:
            RecordError: ``run.json`` is missing, malformed, or of another version of this package.
        """
        return read_run(self.path / RUN_FILE)

    @property
    def is_external(self) -> bool:
        """Whether its predictions were handed in.

        Raises:
            RecordError: As ``about``.
        """
        return isinstance(self.about(), ExternalRun)

    def set_hash(self) -> str:
        """Content hash of the prepared set it belongs to.

        Raises:
            RecordError: As ``about``.
        """
        about = self.about()
        return about.set_hash if isinstance(about, ExternalRun) else about.inputs.set_hash

    def facts(self) -> RunFacts:
        """What its records say of it.

        Raises:
            RecordError: The training is not finished, or a file is malformed.
        """
        about = self.about()
        if isinstance(about, ExternalRun):
            return about.external
        fit = self.fit()
        return RunFacts.of_recipe(
            about.inputs.recipe,
            fit.made_by,
            seed=about.inputs.seed,
            initial_weights=about.initial_weights,
            initial_training=about.initial_training,
            training=Training.model_validate(fit.report, from_attributes=True),
            device=" + ".join(about.devices),
            **(dataclasses.asdict(fit.complexity) if fit.complexity else {}),
        )

    def write_about(self, about: TrainedRun | ExternalRun) -> None:
        """Write ``run.json``."""
        write_document(self.path / RUN_FILE, about)

    def add_device(self, name: str) -> None:
        """Note in ``run.json`` that this device trained or predicted."""
        about = self.about()
        if isinstance(about, TrainedRun) and name not in about.devices:
            self.write_about(about.model_copy(update={"devices": (*about.devices, name)}))

    @property
    def fit_path(self) -> Path:
        """The report of the training; it is there when the training is finished."""
        return self.path / FIT_FILE

    @property
    def is_fitted(self) -> bool:
        """Whether the training is finished."""
        return self.fit_path.is_file()

    def fit(self) -> Fit:
        """The finished training.

        Raises:
            RecordError: ``fit.json`` is missing, malformed, or of another version of this package.
        """
        return read_document(self.fit_path, Fit)

    def has_weights(self) -> bool:
        """Whether the training is finished and its weights are there; a model may have none.

        Raises:
            OutOfReachError: ``fit.json`` is there, and cannot be read now.
        """
        try:
            checkpoint = self.fit().report.checkpoint
        except OutOfReachError:
            raise
        except RecordError:
            return False
        return checkpoint is None or (self.path / checkpoint).is_file()

    def epochs_done(self) -> int:
        """Epochs that the training has behind it, by its history."""
        path = self.path / HISTORY_FILE
        return max(len(path.read_bytes().splitlines()) - 1, 0) if path.is_file() else 0

    def write_fit(self, report: FitReport, complexity: Complexity | None, made_by: MadeBy) -> None:
        """Write ``fit.json``; with it the training counts as finished.

        Raises:
            ModelError: The weights do not lie in the folder, where they would be looked for.
        """
        name = self._name_of(report.checkpoint) if report.checkpoint else None
        weights = self.path / name if name else None
        digest = sha256_file(weights) if weights and weights.is_file() else None
        fit = Fit(
            report=dataclasses.replace(report, checkpoint=name),
            made_by=made_by,
            complexity=complexity,
            weights_sha256=digest,
        )
        write_document(self.fit_path, fit)

    def has_other_weights(self) -> bool:
        """Whether the weights are not those that the training ended with, which predictions were made from.

        Raises:
            OutOfReachError: As ``has_weights``.
        """
        try:
            fit = self.fit()
        except OutOfReachError:
            raise
        except RecordError:
            return False
        path = self.path / fit.report.checkpoint if fit.report.checkpoint else None
        if fit.weights_sha256 is None or path is None or not path.is_file():
            return False
        return sha256_file(path) != fit.weights_sha256

    def predictions_path(self, eval_set: str) -> Path:
        """Where predictions are kept."""
        return self.path / "predictions" / f"{eval_set}{SUFFIX}"

    def predicted_sets(self) -> list[str]:
        """Eval sets with predictions, sorted."""
        paths = (self.path / "predictions").glob(f"[!.]*{SUFFIX}")
        return sorted(path.name.removesuffix(SUFFIX) for path in paths)

    def files_of(self, eval_set: str) -> tuple[Path, Path]:
        """The files of an eval set: predictions, and where they come from; neither need be there."""
        return self.predictions_path(eval_set), self._made_from_path(eval_set)

    def made_from(self, eval_set: str) -> MadeFrom:
        """Where predictions come from.

        Raises:
            RecordError: The file is missing or malformed.
        """
        return read_document(self._made_from_path(eval_set), MadeFrom)

    def write_made_from(self, eval_set: str, *, set_hash: str | None = None, **origin: Any) -> None:
        """Note that predictions were written now.

        Args:
            eval_set: The eval set that was predicted.
            set_hash: Of a corrupted eval set.
            origin: Of handed-in ones, fields of ``MadeFrom``; by default they come from the folder's training.
        """
        if not origin:
            origin = self._training()
        made_from = MadeFrom(finished=datetime.now(UTC).isoformat(timespec="seconds"), set_hash=set_hash, **origin)
        write_document(self._made_from_path(eval_set), made_from)

    def forget_made_from(self, eval_set: str) -> None:
        """Before predictions are replaced: a kill must not leave new ones with the origin of the old ones."""
        self._made_from_path(eval_set).unlink(missing_ok=True)

    def has_current_predictions(self, eval_set: str, set_hash: str | None = None) -> bool:
        """Whether there are predictions of the folder's training, made as its recipe says.

        Args:
            eval_set: Of which.
            set_hash: Of a corrupted eval set, whose images depend on more than the prepared set.
        """
        if not self.is_fitted or not self.predictions_path(eval_set).is_file():
            return False
        try:
            made_from, about = self.made_from(eval_set), self.about()
        except RecordError:
            return False
        if not isinstance(about, TrainedRun):
            return False
        same = (made_from.fit_sha256, made_from.set_hash) == (sha256_file(self.fit_path), set_hash)
        return same and not recipe_changes(made_from.prediction, about.inputs.recipe)[Side.PREDICTION]

    def keep_operating_point(self, point: OperatingPointChoice) -> None:
        """Write the operating point of the folder's training."""
        chosen = ChosenConfidence(**point.model_dump(), fit_sha256=sha256_file(self.fit_path))
        write_document(self.path / OPERATING_POINT_FILE, chosen)

    def operating_point(self) -> OperatingPointChoice | None:
        """What val chose for the folder's training; None where it was not asked, or for another training only.

        Raises:
            RecordError: ``operating_point.json`` is malformed.
        """
        path = self.path / OPERATING_POINT_FILE
        if not (path.is_file() and self.is_fitted):
            return None
        chosen = read_document(path, ChosenConfidence)
        return chosen if sha256_file(self.fit_path) == chosen.fit_sha256 else None

    def has_operating_point(self) -> bool:
        """Whether val was asked for the folder's training, and its answer can be read."""
        try:
            return self.operating_point() is not None
        except RecordError:
            return False

    def forget_operating_point(self) -> None:
        """Before the predictions are replaced that it was chosen for."""
        (self.path / OPERATING_POINT_FILE).unlink(missing_ok=True)

    def _training(self) -> dict[str, Any]:
        about = self.about()
        prediction = prediction_values(about.inputs.recipe) if isinstance(about, TrainedRun) else {}
        return {"fit_sha256": sha256_file(self.fit_path), "prediction": prediction}

    def _name_of(self, checkpoint: Path) -> Path:
        name = Path(checkpoint.name)
        if checkpoint != name and checkpoint.parent.resolve() != self.path.resolve():
            raise ModelError(
                f"{checkpoint}: are the weights that `fit` returned, and must lie in the run's folder itself; write "
                f"{self.path / name}"
            )
        return name

    def _made_from_path(self, eval_set: str) -> Path:
        return self.path / "predictions" / f"{eval_set}.made-from.json"


def find_runs(runs: Path) -> Iterator[RunFolder]:
    """The runs below ``runs/<set>``, sorted by id."""
    yield from (RunFolder(path.parent) for path in sorted(runs.glob(f"[!.]*/{RUN_FILE}")))
