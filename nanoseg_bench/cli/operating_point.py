"""The confidence that a finished run was scored at, found again for the verbs that use its model."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.errors import RecordError
from nanoseg_bench.files import sha256_file
from nanoseg_bench.runs.record import read_record

_WEIGHTS = "weights.safetensors"
_LEADERBOARDS = "leaderboards"


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A confidence, and where it comes from.

    Attributes:
        confidence: Particles with a lower score are left out.
        source: For the user: ``chosen on val, see leaderboards/records/...json``.
    """

    confidence: float
    source: str


def choose_confidence(
    model: Path, given: float | None, of_the_file: float | None = None, *, only_ranks: bool = False
) -> OperatingPoint:
    """The confidence from which a verb takes particles.

    Args:
        model: What the verb was given: a run's folder, weights, or an exported file.
        given: By the user; None where the user leaves it to us.
        of_the_file: Operating point that stands in the model's own file.
        only_ranks: The model's scores are no confidences, so that no default means anything: all particles count.

    Returns:
        The first that there is: the user's, that of the run's record, the file's, a default.
    """
    from nanoseg_bench.models.predictor import DEFAULT_CONFIDENCE

    if given is not None:
        return OperatingPoint(given, "as given")
    point = find_operating_point(model)
    if point is not None:
        return point
    if of_the_file is not None:
        return OperatingPoint(of_the_file, "chosen on val, as the file says")
    if only_ranks:
        return OperatingPoint(0.0, "every particle: no operating point came with the model, whose scores only rank")
    return OperatingPoint(DEFAULT_CONFIDENCE, "the default: no operating point came with the model")


def find_operating_point(model: Path) -> OperatingPoint | None:
    """The operating point of a run, by the record of its predictions.

    A run does not say where its record went. It is looked for in folders named ``leaderboards`` where the command is
    given, beside the run, and above it, which is where ``run`` puts them unless it is told otherwise.

    Args:
        model: The run's folder, or its ``weights.safetensors``.

    Returns:
        None where this is no run, or no record of its predictions is found.
    """
    folder = (model.parent if model.name == _WEIGHTS else model).resolve()
    predictions = folder / "predictions" / "test.json.gz"
    if not predictions.is_file():
        return None
    digest = sha256_file(predictions)
    for path in _records(folder):
        try:
            record = read_record(path)
        except RecordError:
            continue
        confidence = record.scores.get("confidence")
        if record.predictions_sha256 == digest and confidence is not None:
            return OperatingPoint(confidence, f"chosen on val, see {path}")
    return None


def _records(folder: Path) -> Iterator[Path]:
    for above in (Path.cwd(), *folder.parents):
        yield from sorted((above / _LEADERBOARDS / "records").glob(f"*/{folder.name}-test.json"))
