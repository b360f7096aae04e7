"""From a finished run to released weights: the run's own file with its description, model card and known images.

The weights are copied byte for byte, and only where the run's predictions were made from these very bytes and its
record from these predictions: what the card says is what the file does.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanoseg_bench.catalog.registry import cards
from nanoseg_bench.errors import RecordError, UsageError
from nanoseg_bench.evaluation.scoring import EVALUATOR_VERSION
from nanoseg_bench.files import sha256_file, write_bytes, write_text
from nanoseg_bench.models.checkpoint import read_description
from nanoseg_bench.models.identity import prediction_values, with_prediction_of
from nanoseg_bench.models.recipe import Recipe
from nanoseg_bench.models.run_files import WEIGHTS_FILE
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.documents import TrainedRun
from nanoseg_bench.runs.folder import RunFolder
from nanoseg_bench.runs.record import Record, read_record, record_path
from nanoseg_bench.runs.scored import is_scored, scored_sets
from nanoseg_bench.weights.known_images import SUFFIX as KNOWN_SUFFIX
from nanoseg_bench.weights.known_images import write_known_images
from nanoseg_bench.weights.model_card import SCORES, model_card
from nanoseg_bench.weights.release import KEY, Judged, Release, TrainedOn

_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Released:
    """The files of a release.

    Attributes:
        weights: With the JSON beside it.
        card: The model card.
        known_images: Fingerprints of the training images; weights of one set share the file.
        release: What the JSON says.
    """

    weights: Path
    card: Path
    known_images: Path
    release: Release


def release_run(
    run: RunFolder, prepared: PreparedSet, leaderboards: Path, out: Path, name: str, workers: int | None = None
) -> Released:
    """Write the files of a release; what is there of this name is replaced.

    Args:
        run: Finished, predicted and scored.
        prepared: The set that it was trained on.
        leaderboards: Folder of its records.
        out: Folder of the release.
        name: Of the files.
        workers: Processes that look at the training images.

    Raises:
        UsageError: The run is not of this set, or of no single training.
        RecordError: It is not predicted or scored, or not from these weights.
    """
    about = _require_single(run, prepared)
    records = _records(run, prepared, leaderboards)
    weights, digest = run.path / WEIGHTS_FILE, sha256_file(run.path / WEIGHTS_FILE)
    description = read_description(weights)
    # Predicted anew with another post-processing since it was trained: whoever uses the file gets what was judged.
    recipe = with_prediction_of(
        Recipe(**description["training"]["signature"]["recipe"]), prediction_values(about.inputs.recipe)
    ).model_dump(mode="json")
    known = out / f"{prepared.name}-{prepared.content_hash[:_DIGITS]}{KNOWN_SUFFIX}"
    release = _describe(run, prepared, records, name, known.name)
    write_known_images(known, prepared, workers)
    written = out / f"{name}.safetensors"
    described: dict[str, Any] = {
        **description,
        "options": recipe["options"],
        "training": _with_recipe(description["training"], recipe),
        KEY: release.model_dump(mode="json"),
    }
    write_bytes(written, weights.read_bytes())
    write_text(written.with_suffix(".json"), json.dumps(described, indent=1, ensure_ascii=False) + "\n")
    card = model_card(
        release,
        model=description["model"],
        classes=description["classes"],
        canvas=Recipe(**recipe).input_canvas,
        weights_sha256=digest,
    )
    write_text(written.with_suffix(".md"), card)
    return Released(written, written.with_suffix(".md"), known, release)


def _require_single(run: RunFolder, prepared: PreparedSet) -> TrainedRun:
    about = run.about()
    if not isinstance(about, TrainedRun) or not (run.path / WEIGHTS_FILE).is_file():
        raise UsageError(f"{run.path}: holds no {WEIGHTS_FILE}; give the folder of a finished run of a trained network")
    if about.inputs.fold is not None or prepared.folds:
        raise UsageError(
            f"{run.path}: is of a set with folds, whose row is not of one network; prepare without --folds"
        )
    if about.inputs.set_hash != prepared.content_hash:
        raise UsageError(
            f"{run.path}: trained on content {about.inputs.set_hash[:12]}, and {prepared.root} is "
            f"{prepared.content_hash[:12]}; give the set it was trained on with --data"
        )
    return about


def _records(run: RunFolder, prepared: PreparedSet, leaderboards: Path) -> list[Record]:
    """The records of these very weights, test first.

    Raises:
        RecordError: One is missing, or is not of them.
    """
    again = "the same `nanoseg-bench run` makes it so"
    if run.has_other_weights():
        raise RecordError(f"{run.path}: its predictions are of other weights than those that lie there; {again}")
    records = []
    for eval_set in scored_sets(prepared):
        path = record_path(leaderboards, prepared.name, run.run_id, eval_set)
        if not is_scored(run, prepared, eval_set, leaderboards):
            raise RecordError(
                f"{path}: is missing, or not made from the predictions of the weights in {run.path} by this evaluator "
                f"({EVALUATOR_VERSION}); {again}"
            )
        records.append(read_record(path))
    return records


def _describe(run: RunFolder, prepared: PreparedSet, records: list[Record], name: str, known_images: str) -> Release:
    test = records[0]
    point = run.operating_point()
    if point is None:
        raise RecordError(f"{run.path}: has no operating point; the same `nanoseg-bench run` chooses it")
    if test.training is None:
        raise RecordError(f"{run.path}: its record tells nothing of a training; give the folder of a trained network")
    hours = test.training.core_seconds / 3600 if test.training.core_seconds else None
    return Release(
        name=name,
        title=test.title,
        run=run.run_id,
        preset=test.preset,
        seed=test.seed,
        initial_weights=test.initial_weights,
        initial_training=test.initial_training,
        images_seen=test.training.images_seen,
        core_hours=None if hours is None else round(hours, 2),
        confidence=point.confidence,
        confidence_source=point.source,
        trained_on=_trained_on(prepared),
        judged=tuple(_judged(record) for record in records),
        evaluator=test.evaluator,
        known_images=known_images,
        package=test.versions["nanoseg-bench"],
        commit=test.commit,
        finished=test.finished,
    )


def _trained_on(prepared: PreparedSet) -> TrainedOn:
    originals = {split: [i for i in prepared.images(split) if i.parent is None] for split in ("train", "val")}
    truth = prepared.truth("train")
    card = next((each for each in cards() if each.name == prepared.dataset), None)
    told = {} if card is None else card.model_dump(include={"title", "licence", "citation", "source"})
    return TrainedOn(
        set_name=prepared.name,
        set_hash=prepared.content_hash,
        dataset=prepared.dataset,
        **told,
        train=len(originals["train"]),
        val=len(originals["val"]),
        particles=sum(not each.ignored for image in originals["train"] for each in truth.get(image.name, ())),
    )


def _judged(record: Record) -> Judged:
    wanted = [f"{metric.name}{end}" for metric in SCORES for end in ("", "_lo", "_hi")]
    scores = {column: record.scores.get(column) for column in wanted}
    known = {column: value for column, value in scores.items() if value is not None}
    return Judged(eval_set=record.eval_set, images=record.images, scores=known)


def _with_recipe(training: dict[str, Any], recipe: dict[str, Any]) -> dict[str, Any]:
    return {**training, "signature": {**training["signature"], "recipe": recipe}}
