"""A record: one JSON file for each model × preset × initial weights × set hash × eval set × seed.

Records are the only source of the leaderboards.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from nanoseg_bench.errors import RecordError
from nanoseg_bench.files import read_json, write_json

FORMAT: Literal["nanoseg-record/1"] = "nanoseg-record/1"

Status = Literal["ok", "failed", "timeout", "oom", "skipped"]


class Training(BaseModel):
    """What training cost; all zero for a model that does not train."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int
    images_seen: int
    seconds: float
    resumes: int


class Record(BaseModel):
    """One row of a leaderboard with everything a referee may ask about it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["nanoseg-record/1"] = FORMAT
    evaluator: str
    model: str
    title: str
    preset: str
    seed: int | None
    initial_weights: str | None
    """File name and SHA-256 of the initial weights; None: trained from scratch."""
    set_name: str
    dataset: str
    set_hash: str
    classes: tuple[str, ...]
    eval_set: str
    images: int
    """Images of the eval set."""
    status: Status
    reason: str = ""
    scores: dict[str, float | None] = {}
    training: Training | None = None
    parameters: int | None = None
    gflops: float | None = None
    device: str = ""
    versions: dict[str, str] = {}
    commit: str | None = None
    recipe: dict[str, Any] = {}
    predictions_sha256: str | None = None
    finished: str
    """UTC, ISO 8601."""


def record_path(leaderboards: Path, set_name: str, run_id: str, eval_set: str) -> Path:
    """Where a record lies."""
    return leaderboards / "records" / set_name / f"{run_id}-{eval_set}.json"


def write_record(path: Path, record: Record) -> None:
    """Write a record atomically."""
    write_json(path, record.model_dump(mode="json"))


def read_record(path: Path) -> Record:
    """Read a record.

    Raises:
        RecordError: The file is no record of this format.
    """
    try:
        return Record.model_validate(read_json(path))
    except (ValidationError, ValueError) as error:
        message = f"{path}: not a record of format {FORMAT} ({error}); delete it and run the model again"
        raise RecordError(message) from error


def read_records(leaderboards: Path, set_name: str) -> list[Record]:
    """All records of a prepared set's name, sorted by file name."""
    paths = (leaderboards / "records" / set_name).glob("*.json")
    # Hidden ones are temporary files of a writer that was killed.
    return [read_record(path) for path in sorted(paths) if not path.name.startswith(".")]
