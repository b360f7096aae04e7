"""Predictions from outside, kept as a run of their own, so that they are scored again like all others."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.errors import PredictionsError, RecordError, UsageError
from nanoseg_bench.evaluation.external.reading import External
from nanoseg_bench.evaluation.predictions import write_predictions
from nanoseg_bench.locks import hold
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.documents import ExternalRun
from nanoseg_bench.runs.facts import MadeBy, RunFacts
from nanoseg_bench.runs.folder import RunFolder
from nanoseg_bench.runs.record import NotedSource

PRESET = "external"


@dataclass(frozen=True, slots=True)
class ConfidenceOrigin:
    """Where the confidence comes from at which precision, recall, counts and sizes are read.

    Attributes:
        source: Chosen on val, declared, or not known.
        confidence: The declared one; None otherwise.
    """

    source: NotedSource
    confidence: float | None = None


def confidence_origin(external: External, declared: float | None, val: External | None) -> ConfidenceOrigin:
    """How the scores of handed-in predictions become detections.

    A tool without scores has made the choice itself: every particle counts, which is a declared operating point.

    Args:
        external: What was handed in.
        declared: The confidence that the user gives.
        val: What was handed in for val, if anything.

    Raises:
        PredictionsError: A confidence is declared, or to be chosen, for or on predictions that have no scores.
        UsageError: The declared one lies outside of [0, 1], and all scores inside.
    """
    if not external.scored:
        if declared is not None or val is not None:
            flag = "--val-predictions" if val is not None else "--confidence"
            raise PredictionsError(
                f"{external.path}: its particles have no scores, so all of them count, and {flag} has no meaning; "
                "leave it out"
            )
        return ConfidenceOrigin("declared", 1.0)  # the score that particles without one get
    if declared is not None and external.predictions.has_confidence and not 0 <= declared <= 1:
        raise UsageError(
            f"--confidence {declared:g}: the scores of {external.path} lie between 0 and 1; give one of them"
        )
    if val is not None:
        if not val.scored:
            raise PredictionsError(
                f"{val.path}: its particles have no scores, and those of {external.path} have: no confidence can be "
                "chosen on them; hand in scored predictions for val, or give --confidence instead"
            )
        return ConfidenceOrigin("val")
    return ConfidenceOrigin("none") if declared is None else ConfidenceOrigin("declared", declared)


def keep_predictions(
    runs: Path,
    name: str,
    prepared: PreparedSet,
    external: External,
    origin: ConfidenceOrigin,
    val: External | None = None,
) -> RunFolder:
    """Keep predictions below the runs of a prepared set, in place of earlier ones of the same name and eval set.

    A kill leaves the old predictions, or some whose origin is not noted, which scoring refuses; the same call mends it.

    Args:
        runs: Runs of the prepared set.
        name: What the tool is called.
        prepared: The prepared set.
        external: What was handed in.
        origin: From ``confidence_origin``.
        val: Predictions for val, where the operating point is to be chosen on them.
    """
    run = RunFolder(runs / f"external-{name}")
    facts = RunFacts(model=name, title=name, preset=PRESET, external=True, **MadeBy.now().model_dump())
    about = ExternalRun(external=facts, set_hash=prepared.content_hash)
    with hold(run.path, wait=True):
        if not _is_of(run, prepared):
            shutil.rmtree(run.path, ignore_errors=True)
        run.write_about(about)
        if val is not None:
            _keep(run, val, ConfidenceOrigin("val"))
        _keep(run, external, origin)
    return run


def _keep(run: RunFolder, external: External, origin: ConfidenceOrigin) -> None:
    name = external.predictions.eval_set
    run.forget_made_from(name)
    write_predictions(run.predictions_path(name), external.predictions)
    run.write_made_from(name, source=external.path.name, confidence_source=origin.source, confidence=origin.confidence)


def _is_of(run: RunFolder, prepared: PreparedSet) -> bool:
    try:
        return run.is_external and run.set_hash() == prepared.content_hash
    except RecordError:
        return False
