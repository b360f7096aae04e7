"""What the weights that a run starts from have learnt from, where a run's folder or a release says so."""

from pathlib import Path

from nanoseg_bench.errors import ModelError, RecordError
from nanoseg_bench.models.run_files import RUN_FILE, WEIGHTS_FILE
from nanoseg_bench.runs.documents import TrainedRun
from nanoseg_bench.runs.folder import RunFolder
from nanoseg_bench.weights.release import read_release

_DIGITS = 8


def training_behind(weights: Path | None, title: str) -> str | None:
    """``72,000 images of nanosynth (1234abcd) by cpu``: images seen, prepared set and preset, and what came before.

    Rows of equal texts started alike, and are compared with each other: a seed does not stand in it, and a model only
    where a run starts from weights of another one.

    Args:
        weights: A ``.safetensors`` file; None for a training from scratch.
        title: Of the model that starts from them.

    Returns:
        None where nothing is known of their training, and of a fold's, which saw a part of its set.
    """
    if weights is None:
        return None
    try:
        return _of_run(weights, title) if (weights.parent / RUN_FILE).is_file() else _of_release(weights, title)
    except (RecordError, ModelError):
        return None


def _of_run(weights: Path, title: str) -> str | None:
    run = RunFolder(weights.parent)
    about = run.about()
    if weights.name != WEIGHTS_FILE or not isinstance(about, TrainedRun) or about.inputs.fold is not None:
        return None
    if run.has_other_weights():
        return None
    recipe = about.inputs.recipe
    # Runs lie in a folder of their set's name.
    data = f"{weights.resolve().parent.parent.name} ({about.inputs.set_hash[:_DIGITS]})"
    model = "" if recipe["title"] == title else f" as {recipe['title']}"
    before = about.initial_training or about.initial_weights
    return _told(run.fit().report.images_seen, data, recipe["preset"], model, before)


def _of_release(weights: Path, title: str) -> str | None:
    release = read_release(weights)
    if release is None:
        return None
    data = f"{release.trained_on.set_name} ({release.trained_on.set_hash[:_DIGITS]})"
    model = "" if release.title == title else f" as {release.title}"
    return _told(release.images_seen, data, release.preset, model, release.initial_training or release.initial_weights)


def _told(images: int, data: str, preset: str, model: str, before: str | None) -> str:
    after = f" after {before}" if before else ""
    return f"{images:,} images of {data} by {preset}{model}{after}"
