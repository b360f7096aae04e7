"""Finished models, opened by the file or folder that holds them."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from nanoseg_bench.environment import isolate_libraries
from nanoseg_bench.errors import ModelError, RecipeError, UsageError
from nanoseg_bench.files import read_json
from nanoseg_bench.models.base import Model
from nanoseg_bench.models.checkpoint import read_description
from nanoseg_bench.models.finished import require_finished
from nanoseg_bench.models.identity import prediction_values, with_prediction_of
from nanoseg_bench.models.recipe import Recipe, explain
from nanoseg_bench.models.registry import build
from nanoseg_bench.models.run_files import FIT_FILE, RUN_FILE, WEIGHTS_FILE
from nanoseg_bench.seals import unsealed
from nanoseg_bench.wording import first_fault

DEFAULT_MAX_INSTANCES = 500
"""Where weights do not say how many particles the densest image of their set held: that of EMPS has 497."""

_NO_CLASSES = ("particle",)  # of a model that tells none apart


class _Signature(BaseModel):
    recipe: Recipe


class _Training(BaseModel):
    signature: _Signature


class _Description(BaseModel):
    """The part of a weights' JSON that a model is built from; ``nsyolo.weights`` has the whole layout."""

    model: str
    classes: tuple[str, ...] = Field(min_length=1)
    canvas: int = Field(gt=0)
    max_instances: int | None = Field(default=None, ge=0)
    preset: str = "custom"
    options: dict[str, Any] = Field(default_factory=dict)
    training: _Training | None = None

    def recipe(self) -> Recipe:
        """The recipe it was trained with, or what is known of it."""
        if self.training is not None:
            return self.training.signature.recipe
        return Recipe(
            model=self.model,
            title=self.model,
            preset=self.preset,
            canvas=self.canvas,
            images_seen=0,
            options=self.options,
        )


def open_trained(path: Path, device: str = "cpu", *, trust_pickle: bool = False) -> Model:
    """Open a finished model, ready to predict.

    Its ``recipe.canvas`` is the side of the network's input, its ``max_instances`` the particles in its set's densest
    image; where the file does not say, ``DEFAULT_MAX_INSTANCES``.

    Args:
        path: A run's folder (``runs/<set>/<run id>``) of any model, weights (``.safetensors`` with the ``.json`` beside
            it), or a checkpoint (``.pt``) of a YOLO11-seg or NSYOLO network that Ultralytics trained.
        device: torch device name.
        trust_pickle: Read a ``.pt``, which runs whatever code stands in it.

    Raises:
        ModelError: There is no finished model, or it is damaged, of another version, or of a model that is not
            installed; the message names the file and the way out.
    """
    path = Path(path)
    require_finished(path)
    if path.is_dir():
        weights = path / WEIGHTS_FILE
        return _open_weights(weights, device) if weights.is_file() else _open_run(path, device)
    if path.suffix.lower() == ".pt":
        return _open_pickle(path, device, trust_pickle)
    return _open_weights(path, device)


def _open_weights(path: Path, device: str) -> Model:
    about_path = path.with_suffix(".json")
    try:
        about = _Description.model_validate(read_description(path))
    except ValidationError as error:
        raise ModelError(
            f"{about_path}: {first_fault(error)}; copy it again from where the weights come from"
        ) from error
    try:
        recipe = with_prediction_of(about.recipe(), prediction_as_judged(path))
    except ValidationError as error:
        raise ModelError(f"{path.with_name(RUN_FILE)}: {explain(error, Recipe)}; run the model again") from error
    model = _build(recipe, about.classes, about.max_instances, about_path)
    try:
        model.load(path, device)
    except RecipeError as error:  # the network is built only now
        raise ModelError(f"{about_path}: {error}") from error
    return model


def _open_run(folder: Path, device: str) -> Model:
    """A model whose weights are a file of its own kind, or which has none, such as Otsu: the run says what it is."""
    origin = folder / RUN_FILE
    try:
        checkpoint = unsealed(read_json(folder / FIT_FILE))["report"]["checkpoint"]
        about = unsealed(read_json(origin))
        recipe = Recipe(**about["inputs"]["recipe"])
        classes = tuple(str(name) for name in about.get("classes", ()))
        max_instances = about.get("max_instances")
        is_whole = checkpoint is None or (folder / checkpoint).is_file()  # an OSError where no file can be called so
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder}: not readable as a run ({error!r}); run the model again") from error
    if not is_whole:
        raise ModelError(f"{folder}: its weights, {checkpoint}, are gone; run the model again")
    model = _build(recipe, classes or _NO_CLASSES, max_instances, origin)
    if model.knows_classes and not classes:
        raise ModelError(f"{origin}: names no classes, it is of an earlier version; the same `run` adds them")
    model.load(folder / checkpoint if checkpoint is not None else None, device)
    return model


def prediction_as_judged(weights: Path) -> dict[str, Any]:
    """How the run that ``weights`` lie in predicts, by its recipe's values; empty where they lie in none.

    A run may be predicted anew with another post-processing than that of its training.

    Raises:
        ModelError: The run's file is malformed.
    """
    path = weights.with_name(RUN_FILE)
    if weights.name != WEIGHTS_FILE or not path.is_file():
        return {}
    try:
        return prediction_values(unsealed(read_json(path))["inputs"]["recipe"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: not readable as a run ({error!r}); run the model again") from error


def _open_pickle(path: Path, device: str, trust_pickle: bool) -> Model:
    isolate_libraries()
    from nanoseg_bench.models.yolo import YoloModel
    from nanoseg_bench.nsyolo import NSYOLO, WeightsError

    try:
        trained = NSYOLO(path, trust_pickle=trust_pickle)
        about = _Description.model_validate(trained.description())
        model = YoloModel(about.recipe(), about.classes, DEFAULT_MAX_INSTANCES)
    except (WeightsError, RecipeError) as error:
        raise ModelError(str(error) if str(path) in str(error) else f"{path}: {error}") from error
    model.adopt(trained.model, device)
    return model


def _build(recipe: Recipe, classes: tuple[str, ...], max_instances: int | None, origin: Path) -> Model:
    try:
        return build(recipe, classes, DEFAULT_MAX_INSTANCES if max_instances is None else max_instances)
    except UsageError as error:
        raise ModelError(f"{origin}: {error}; install the plug-in that the model comes from") from error
    except RecipeError as error:
        raise ModelError(f"{origin}: {error}") from error
