"""Models by name. Nothing is imported before a model is asked for."""

import importlib
import importlib.util
from collections.abc import Iterable, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from nanoseg_bench.errors import ModelError, UsageError
from nanoseg_bench.models.base import Model
from nanoseg_bench.models.options import BUILT_IN_OPTIONS, Options
from nanoseg_bench.models.recipe import Recipe
from nanoseg_bench.resources import resource_dir
from nanoseg_bench.wording import did_you_mean

BUILT_IN: dict[str, str] = {
    "otsu": "nanoseg_bench.models.otsu:Otsu",
    "unet": "nanoseg_bench.models.semantic:SemanticModel",
    "deeplabv3plus": "nanoseg_bench.models.semantic:SemanticModel",
    "mask-rcnn": "nanoseg_bench.models.mask_rcnn:MaskRCNN",
    "yolo11n": "nanoseg_bench.models.yolo:YoloModel",
    "yolo11n-c3ds": "nanoseg_bench.models.yolo:YoloModel",
    "yolo11n-c3bads": "nanoseg_bench.models.yolo:YoloModel",
    "yolo11n-c2psa-bra": "nanoseg_bench.models.yolo:YoloModel",
    "nsyolo": "nanoseg_bench.models.yolo:YoloModel",
}
"""The models of the paper, in the order in which ``--models all`` runs them."""

ABLATION = ("yolo11n", "yolo11n-c3ds", "yolo11n-c3bads", "yolo11n-c2psa-bra", "nsyolo")
"""The rows of the ablation table (paper: Table 1, Table S1)."""

ENTRY_POINT_GROUP = "nanoseg_bench.models"


def available() -> dict[str, str]:
    """Every model's ``module:Class`` by name: ours, then those of installed plug-ins."""
    plugins = {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
    return {**plugins, **BUILT_IN}


def resolve(names: Iterable[str]) -> list[str]:
    """Expand ``all``, drop repeats, and refuse unknown names.

    Raises:
        UsageError: A name is unknown; the message offers the nearest.
    """
    known = available()
    chosen: dict[str, None] = {}
    for name in names:
        if name == "all":
            chosen.update(dict.fromkeys(BUILT_IN))
        elif name in known:
            chosen[name] = None
        else:
            hint = did_you_mean(name, known, 0.4)
            raise UsageError(f"unknown model {name!r}: {hint}known are {', '.join(known)}, or `all`")
    return list(chosen)


def recipe_folder(name: str) -> Path:
    """Folder of the model's recipe: ours, or ``baselines/`` inside a plug-in's top-level package."""
    if name in BUILT_IN:
        return resource_dir("baselines")
    package = available()[name].partition(":")[0].partition(".")[0]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(f"model {name!r}: its entry point names {package!r}, which is no installed package")
    return Path(spec.submodule_search_locations[0]) / "baselines"


def model_class(name: str) -> type[Model]:
    """The class of a model.

    Raises:
        UsageError: No model of this name is installed.
        ModelError: The plug-in that it comes from cannot be imported, or names something else than a model.
    """
    (name,) = resolve([name])
    entry = available()[name]
    module, _, attribute = entry.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        if name in BUILT_IN:
            raise
        raise ModelError(
            f"model {name!r}: its entry point {entry} cannot be imported ({error}); mend or reinstall the plug-in"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Model)):
        raise ModelError(f"model {name!r}: its entry point {entry} is no subclass of nanoseg_bench.models.Model")
    return found


def options_of(name: str) -> type[Options]:
    """What may stand under ``options`` in a model's recipe; of our own models, without importing them.

    Raises:
        UsageError, ModelError: As ``model_class``.
    """
    return BUILT_IN_OPTIONS.get(name) or model_class(name).Options


def build(recipe: Recipe, classes: Sequence[str], max_instances: int) -> Model:
    """Make the model that ``recipe.model`` names.

    Raises:
        UsageError: No model of this name is installed.
        ModelError: The plug-in that it comes from cannot be imported.
        RecipeError: The recipe holds what the model does not know.
    """
    return model_class(recipe.model)(recipe, classes, max_instances)
