"""Recipes: ``baselines/<model>.yaml`` holds the hyper-parameters of a model, per preset."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nanoseg_bench.errors import RecipeError
from nanoseg_bench.resources import resource_dir


class Recipe(BaseModel):
    """Hyper-parameters of one model in one preset.

    The training budget is either ``images_seen`` (the same cost on any data set) or ``epochs``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(description="Id of the model: `yolo11n`.")
    title: str = Field(description="Name in tables and plots: `YOLO11n-seg`.")
    preset: str
    canvas: int = Field(
        gt=0, description="Side of the network's input in pixels; the prepared canvas is resized to it."
    )
    batch: int = Field(default=1, gt=0)
    images_seen: int | None = Field(default=None, ge=0, description="Training images through the network in all.")
    epochs: int | None = Field(default=None, gt=0, description="Passes over the training set, instead of images_seen.")
    images_per_epoch: int | None = Field(
        default=None, gt=0, description="With images_seen: images between two checkpoints (an 'epoch' in logs)."
    )
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=5e-4, ge=0)
    warmup_fraction: float = Field(default=0.05, ge=0, le=0.5, description="Share of the steps with a rising rate.")
    options: dict[str, Any] = Field(default_factory=dict, description="What only this model knows.")

    @model_validator(mode="after")
    def _one_budget(self) -> "Recipe":
        if (self.images_seen is None) == (self.epochs is None):
            raise ValueError("give either images_seen or epochs")
        return self


def load_recipe(model: str, preset: str, folder: Path | None = None) -> Recipe:
    """Read the recipe of ``model`` for ``preset``; keys above ``presets`` apply to all of them.

    Raises:
        RecipeError: No such file or preset, or a value is wrong.
    """
    path = (folder or resource_dir("baselines")) / f"{model}.yaml"
    if not path.is_file():
        raise RecipeError(f"{path}: no recipe for model {model!r}")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        presets = document.pop("presets")
    except (yaml.YAMLError, KeyError, AttributeError, TypeError) as error:
        raise RecipeError(f"{path}: not a recipe ({error!r}); it needs `model`, `title` and `presets`") from error
    if preset not in presets:
        raise RecipeError(f"{path}: no preset {preset!r}; it has {', '.join(presets)}")
    chosen = presets[preset]
    options = {**document.pop("options", {}), **chosen.pop("options", {})}
    try:
        return Recipe(**{**document, **chosen, "preset": preset, "options": options})
    except ValidationError as error:
        raise RecipeError(f"{path}, preset {preset!r}: {error}") from error
