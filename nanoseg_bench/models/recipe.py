"""Recipes: ``baselines/<model>.yaml`` holds the hyper-parameters of a model, per preset."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from nanoseg_bench.errors import RecipeError
from nanoseg_bench.resources import resource_dir

SHARED = "shared"


class Augmentation(BaseModel):
    """What is done to training images as they are drawn; the defaults are the list that all models share.

    Everything keeps the aspect ratio, or spheres would become ellipses. ``models.views`` says how it is applied.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mosaic: float = Field(default=0.5, ge=0, le=1, description="Probability that four images share a canvas.")
    mosaic_until: float = Field(
        default=0.9, ge=0, le=1, description="Share of the training with mosaics, from its start."
    )
    flip: float = Field(default=0.5, ge=0, le=1, description="Probability of a mirror image.")
    turn: float = Field(default=1.0, ge=0, le=1, description="Probability of 0, 1, 2 or 3 quarter turns.")
    rotate: float = Field(default=0.5, ge=0, le=1, description="Probability of a rotation by any angle.")
    scale: tuple[float, float] = Field(default=(0.5, 1.5), description="Smallest and largest magnification.")
    brightness: float = Field(default=0.2, ge=0, le=1, description="Largest shift, as a share of the grey scale.")
    contrast: float = Field(default=0.2, ge=0, lt=1, description="Largest relative change.")

    @field_validator("scale")
    @classmethod
    def _rising(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1]:
            raise ValueError(f"{list(value)}: give the smallest magnification, above 0, and then the largest")
        return value


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
    loader: Literal["stock", "gpu"] = Field(
        default="stock",
        description="Who assembles batches: processes of the CPU, or the training device, where the set then lies.",
    )
    augmentation: Augmentation | None = Field(
        default=None, description="`shared` for the list of all models, single values, or nothing."
    )
    compile: Literal[False, True, "always"] = Field(
        default=False, description="torch.compile: true on CUDA alone, `always` on the CPU too."
    )
    options: dict[str, Any] = Field(default_factory=dict, description="What only this model knows.")

    @field_validator("augmentation", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value != SHARED:
                raise ValueError(f"{value!r}: write `{SHARED}`, or the values themselves, such as {{mosaic: 0.5}}")
            return Augmentation()
        return value

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
