"""The JSON documents in the folder of a run: what a record needs and predictions do not hold."""

from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from nanoseg_bench.errors import OutOfReachError, RecordError
from nanoseg_bench.evaluation.result import OperatingPointChoice
from nanoseg_bench.files import read_json, write_json
from nanoseg_bench.models.base import Complexity, FitReport
from nanoseg_bench.runs.facts import Document, MadeBy, RunFacts
from nanoseg_bench.runs.inputs import Inputs
from nanoseg_bench.runs.record import NotedSource
from nanoseg_bench.seals import sealed, unsealed
from nanoseg_bench.wording import first_fault

_LONGEST_NAME = 255  # that a file can have


class TrainedRun(Document):
    """``run.json`` of a run of a model."""

    inputs: Inputs
    classes: tuple[str, ...]
    """Of the prepared set."""
    max_instances: int
    """Particles in its densest image."""
    initial_weights: str | None = None
    """File name and SHA-256."""
    initial_training: str | None = None
    """What these weights had learnt from, as ``runs.starting`` says it; None where that is not known."""
    devices: tuple[str, ...] = ()
    """Those that trained or predicted: a resumed run may have moved."""


class ExternalRun(Document):
    """``run.json`` of predictions from outside."""

    external: RunFacts
    set_hash: str


class Fit(Document):
    """``fit.json``."""

    report: FitReport
    """Its checkpoint is a file name: a folder of runs may be moved."""
    made_by: MadeBy
    complexity: Complexity | None = None
    """None where the model has none."""
    weights_sha256: str | None = None
    """Of the report's checkpoint, where that is one file."""

    @model_validator(mode="after")
    def _require_file_name(self) -> Self:
        checkpoint = self.report.checkpoint
        if checkpoint is not None and (str(checkpoint) != checkpoint.name or len(checkpoint.name) > _LONGEST_NAME):
            raise ValueError("its checkpoint is no file name")
        return self


class MadeFrom(Document):
    """``predictions/<eval set>.made-from.json``."""

    finished: str
    """When the predictions were there; UTC, ISO 8601."""
    fit_sha256: str | None = None
    """Of ``fit.json``: the training that predicted."""
    prediction: dict[str, Any] = Field(default_factory=dict)
    """The recipe's values that predictions depend on beside the training, laid out as in the recipe."""
    source: str | None = None
    """Name of the file or folder that was handed in."""
    confidence_source: NotedSource = "val"
    """Of predictions from outside; that of a model is always chosen on val."""
    confidence: float | None = None
    """The declared one."""
    set_hash: str | None = None
    """Of a corrupted eval set; all others have that of the prepared set."""


class ChosenConfidence(Document, OperatingPointChoice):
    """``operating_point.json``: what val chose, or why it could not, for those who use the model without its record."""

    fit_sha256: str
    """Of the training it was chosen for."""


_Kind = TypeVar("_Kind", bound=Document)


def read_run(path: Path) -> TrainedRun | ExternalRun:
    """Read ``run.json``.

    Raises:
        RecordError: As ``read_document``.
    """
    document = _read(path)
    if isinstance(document, dict) and "external" in document:
        return _validated(path, document, ExternalRun)
    return _validated(path, document, TrainedRun)


def read_document(path: Path, kind: type[_Kind]) -> _Kind:
    """Read a document.

    Raises:
        RecordError: The file is missing, malformed, or of another version of this package.
    """
    return _validated(path, _read(path), kind)


def write_document(path: Path, document: Document) -> None:
    """Write a document atomically; same document, same bytes."""
    write_json(path, sealed(document.model_dump(mode="json")))


def _read(path: Path) -> Any:
    try:
        return unsealed(read_json(path))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise RecordError(f"{path}: {error.strerror}; run the model again, or hand its predictions in again") from error
    except OSError as error:
        raise OutOfReachError(
            f"{path}: cannot be read now ({error.strerror}); mend that, and give the command again: it goes on with "
            "what is there"
        ) from error
    except (ValueError, RecursionError) as error:
        raise RecordError(
            f"{path}: cannot be read ({error}); run the model again, or hand its predictions in again"
        ) from error


def _validated(path: Path, document: Any, kind: type[_Kind]) -> _Kind:
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise RecordError(
            f"{path}: {first_fault(error)}; it was changed, or written by another version: run the model again, "
            "which keeps what is still good"
        ) from error
