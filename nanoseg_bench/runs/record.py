"""A record: one JSON file for each model × preset × initial weights × set hash × eval set × seed.

Records are the only source of the leaderboards.
"""

import json
import re
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from nanoseg_bench.errors import RecordError
from nanoseg_bench.evaluation.result import Details, FoldResult, Numbers, OperatingPointChoice, Scores
from nanoseg_bench.files import read_json, write_text
from nanoseg_bench.runs.facts import RunFacts
from nanoseg_bench.seals import SEAL, sealed, unsealed
from nanoseg_bench.wording import first_fault

# A line ends between the parts of a document alone, never within a text.
_NUMBERS = re.compile(r"\[\n\s*((?:(?:null|-?\d[\d.eE+-]*),?\s+)+)\]")

WRITTEN_BY = "written_by"
"""Of a record in a shared storage: the machine that wrote it, beside what is sealed."""

SCRATCH = "none"
"""What a run starts from without initial weights."""

FORMAT: Literal["nanoseg-record/3"] = "nanoseg-record/3"

Status = Literal["ok", "failed", "timeout", "oom", "skipped"]

ConfidenceSource = Literal["val", "default", "folds", "declared", "none"]
"""Where the operating point comes from: chosen on val, the default because val cannot decide, of each fold its own (the
number is their median), declared by whoever handed in predictions, or not known."""

NotedSource = Literal["val", "declared", "none"]
"""What may be noted beside predictions; whether val can decide, and what folds chose, is found when they are scored."""


class Record(RunFacts):
    """One row of a leaderboard with everything a referee may ask about it: a run, and how it was judged."""

    format: Literal["nanoseg-record/3"] = FORMAT
    evaluator: str
    set_name: str
    dataset: str
    set_hash: str
    classes: tuple[str, ...]
    eval_set: str
    images: int
    """Images of the eval set."""
    status: Status
    reason: str = ""
    confidence_source: ConfidenceSource = "val"
    operating_point: OperatingPointChoice | None = None
    """How val chose it, and how sure that is; None where it was declared, or where there is none."""
    scores: Scores = Field(default_factory=dict)
    resampled: dict[str, Numbers] = Field(default_factory=dict)
    details: Details = Details()
    predictions_sha256: str | None = None
    truth_begun_by: str = ""
    """What of the truth that it is judged by began with this model: ``3 of 10 val images, 12 of 40 test images``."""
    shortcomings: tuple[str, ...] = ()
    """What the split of the set cannot carry, a line for each part: ``test: 3 source groups (below 5, ...)``."""
    folds: int | None = None
    """Of a cross-validation, how many; None where one training was judged."""
    fold_results: tuple[FoldResult, ...] = ()
    """Of a cross-validation, what each fold is by itself."""
    finished: str
    """UTC, ISO 8601."""

    @property
    def started_from(self) -> str:
        """What its training began with: what its initial weights had learnt from, else their name, or ``none``."""
        return self.initial_training or self.initial_weights or SCRATCH


_FIRST = (
    *("format", "evaluator", "model", "title", "preset", "seed", "initial_weights", "initial_training"),
    *("set_name", "dataset", "set_hash", "classes", "eval_set", "images"),
    *("status", "reason", "external", "confidence_source", "operating_point", "scores", "resampled", "details"),
)
"""What a reader of the file asks first; how the run was made, and the rest, follow as they are declared."""


def record_path(leaderboards: Path, set_name: str, run_id: str, eval_set: str) -> Path:
    """Where a record lies."""
    return leaderboards / "records" / set_name / f"{run_id}-{eval_set}.json"


def write_record(path: Path, record: Record) -> None:
    """Write a record atomically; a list of numbers stands on one line, so that a person can read the rest."""
    values = record.model_dump(mode="json")
    document = sealed({name: values[name] for name in (*_FIRST, *values)})
    text = json.dumps(document, indent=1, ensure_ascii=False)
    write_text(path, _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n")


def read_record(path: Path, *, any_seal: bool = False) -> Record:
    """Read a record.

    Args:
        path: Of the file.
        any_seal: Read it even if it is not as it was written: for a caller that holds every number against others.

    Raises:
        RecordError: The file is no record of this format, is not as it was written, or is of another version.
    """
    try:
        document = read_json(path)
        known = document.get("format") if isinstance(document, dict) else None
        if known != FORMAT:
            raise ValueError(f"its format is {known!r}")
        document.pop(WRITTEN_BY, None)
        if any_seal:
            document.pop(SEAL, None)
        document = unsealed(document)
        return Record.model_validate(document)
    except ValidationError as error:
        reason = first_fault(error)
    except (ValueError, RecursionError) as error:
        reason = str(error)
    raise RecordError(
        f"{path}: not a record of format {FORMAT} ({reason}); `nanoseg-bench score` makes it anew from the predictions "
        "that were kept, where there are none delete it and run the model again"
    )


def find_records(leaderboards: Path, set_name: str) -> list[Path]:
    """The files of all records of a prepared set's name, sorted."""
    # Hidden ones are temporary files of a writer that was killed.
    return sorted((leaderboards / "records" / set_name).glob("[!.]*.json"))
