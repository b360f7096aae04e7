"""The confidence that a finished run was scored at, found again for the verbs that use its model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanoseg_bench.errors import RecordError
from nanoseg_bench.files import read_json, sha256_file
from nanoseg_bench.runs.record import read_record

_WEIGHTS = "weights.safetensors"


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A confidence, and where it comes from.

    Attributes:
        confidence: Particles with a lower score are left out.
        source: For the user: ``chosen on val, see leaderboards/records/...json``.
    """

    confidence: float
    source: str


def find_operating_point(model: Path) -> OperatingPoint | None:
    """The operating point of a run, by its record; None where there is no run, or no record of these predictions.

    Args:
        model: The run's folder, or its ``weights.safetensors``.
    """
    folder = model.parent if model.name == _WEIGHTS else model
    predictions = folder / "predictions" / "test.json.gz"
    if not (folder / "job.json").is_file() or not predictions.is_file():
        return None
    digest = sha256_file(predictions)
    records = _leaderboards(folder, read_json(folder / "job.json")) / "records"
    for path in sorted(records.glob(f"*/{folder.resolve().name}-test.json")):
        try:
            record = read_record(path)
        except RecordError:
            continue
        confidence = record.scores.get("confidence")
        if record.predictions_sha256 == digest and confidence is not None:
            return OperatingPoint(confidence, f"chosen on val, see {path}")
    return None


def _leaderboards(folder: Path, job: dict[str, Any]) -> Path:
    """Where the run wrote its record; a relative path counts from where the run was started."""
    leaderboards, run_dir = Path(job["leaderboards"]), Path(job["run_dir"])
    actual = folder.resolve()
    if run_dir.is_absolute() or actual.parts[-len(run_dir.parts) :] != run_dir.parts:
        return leaderboards
    return actual.parents[len(run_dir.parts) - 1] / leaderboards
