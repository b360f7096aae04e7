"""The confidence that a finished run was scored at, found again for the verbs that use its model."""

from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.evaluation.operating_point import EVERY_PARTICLE, default_confidence
from nanoseg_bench.models.run_files import WEIGHTS_FILE
from nanoseg_bench.runs.folder import OPERATING_POINT_FILE, RunFolder
from nanoseg_bench.weights.release import read_release

# "Chosen on val" says nothing to a chemist who only uses the model.
_BEST = "the model did best with it on its validation images"
_UNDECIDED = "since the model's validation images cannot decide"


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A confidence, and where it comes from.

    Attributes:
        confidence: Particles with a lower score are left out.
        source: For the user, in the same words on the command line, in reports and on the page: ``as given``.
        chosen: Whether it is the choice of val, or of the folds' vals.
    """

    confidence: float
    source: str
    chosen: bool = False


def choose_confidence(
    model: Path | None, given: float | None, of_the_file: float | None = None, *, only_ranks: bool = False
) -> OperatingPoint:
    """The confidence from which particles count.

    Args:
        model: A run's folder, weights, or an exported file; None where the model comes from no file.
        given: By the user; None where the user leaves it to us.
        of_the_file: Operating point that stands in the model's own file.
        only_ranks: The model's scores are no confidences, so that no default means anything: all particles count.

    Returns:
        The first that there is: the user's, the run's, the file's, a default.
    """
    if given is not None:
        return OperatingPoint(given, "as given")
    if model is not None and (point := find_operating_point(model)) is not None:
        return point
    if of_the_file is not None:
        return OperatingPoint(of_the_file, _BEST, chosen=True)
    if only_ranks:
        every = default_confidence(has_confidence=False)
        return OperatingPoint(every, "every particle: none was chosen with the model, whose scores only rank them")
    return OperatingPoint(default_confidence(has_confidence=True), "a default: none was chosen with the model")


def find_operating_point(model: Path) -> OperatingPoint | None:
    """The operating point that a run or a release keeps beside its weights; also the default, where val cannot decide.

    Args:
        model: The run's folder, or its ``weights.safetensors``; or released weights.

    Returns:
        None where this is neither, or none was chosen for the training.

    Raises:
        RecordError, ModelError: What it keeps is malformed.
    """
    if (release := read_release(model)) is not None:
        chosen = release.confidence_source == "val"
        return OperatingPoint(release.confidence, _BEST if chosen else f"a default, {_UNDECIDED}", chosen=chosen)
    run = RunFolder((model.parent if model.name == WEIGHTS_FILE else model).resolve())
    point = run.operating_point()
    if point is None:
        return None
    path = run.path / OPERATING_POINT_FILE
    if point.source == "default":
        what = "every particle" if point.confidence == EVERY_PARTICLE else "a default"
        return OperatingPoint(point.confidence, f"{what}, {_UNDECIDED}: {point.reason}; see {path}")
    if point.source == "folds":
        but = f" ({point.reason})" if point.reason else ""
        return OperatingPoint(
            point.confidence, f"the median of the choices of its cross-validation{but}, see {path}", chosen=True
        )
    return OperatingPoint(point.confidence, f"{_BEST}, see {path}", chosen=True)
