"""What a run leaves of a model's answer: its predictions and the record of its scores."""

from nanoseg_bench.evaluation.predictions import write_predictions
from nanoseg_bench.evaluation.scoring import EVALUATOR_VERSION
from nanoseg_bench.files import sha256_file
from nanoseg_bench.runs.record import Record, record_path, write_record


def keep_answer(prepared, answer, evaluation, *, model, title, runs, leaderboards):
    """Write both for seed 0 of the preset ``quick``; the path of the predictions comes back."""
    run_id = f"{model}-quick-seed0"
    path = runs / run_id / "predictions" / f"{answer.eval_set}.json.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_predictions(path, answer)
    record = Record(
        evaluator=EVALUATOR_VERSION,
        model=model,
        title=title,
        preset="quick",
        seed=0,
        initial_weights=None,
        set_name=prepared.name,
        dataset=prepared.dataset,
        set_hash=prepared.content_hash,
        classes=prepared.classes,
        eval_set=answer.eval_set,
        images=len(answer.images),
        status="ok",
        scores=evaluation.scores,
        resampled=evaluation.resampled,
        details=evaluation.details,
        predictions_sha256=sha256_file(path),
        finished="2026-01-01T00:00:00+00:00",
    )
    write_record(record_path(leaderboards, prepared.name, run_id, answer.eval_set), record)
    return path
