"""Recipes: ``baselines/<model>.yaml`` holds the hyper-parameters of a model, per preset.

Each field says on which side of a run it stands, ``Training[...]``, ``Prediction[...]`` or ``Name[...]``:

- a finished training stays good until a training field changes,
- predictions stay good until a prediction field changes, or the training was done anew,
- a name only stands in tables.

A new field needs a default that does what was done before it came: a recipe that does not name it is then the same
recipe, and no finished run is touched.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from nanoseg_bench.errors import RecipeError, UsageError
from nanoseg_bench.files import read_yaml
from nanoseg_bench.resources import resource_dir
from nanoseg_bench.wording import did_you_mean, nearest

SHARED = "shared"

Views = Literal[1, 4, 8]
"""Numbers of sides that a micrograph can be looked at from."""

CONTINUED = {"fine": "cpu"}
"""Presets that go on from weights of another one: their few images, at a small rate, train no network from scratch."""

MaskCleaning = Literal["none", "largest", "largest-filled"]
"""What is done to the masks of particles; ``models.mask_cleaning`` does it."""


class Side(Enum):
    """What has to be done again when a field of a recipe changes."""

    TRAINING = "training"
    """The training, and so the predictions."""
    PREDICTION = "prediction"
    """The predictions alone."""
    NAME = "name"
    """Nothing: it only stands in tables."""


_T = TypeVar("_T")
Training = Annotated[_T, Side.TRAINING]
Prediction = Annotated[_T, Side.PREDICTION]
Name = Annotated[_T, Side.NAME]


class Values(BaseModel):
    """Values that a person writes, in YAML or on the command line: a number is finite, and a flag is no number."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_flag_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        # YAML reads `yes` and `on` as true, which would pass for 1.
        if isinstance(value, bool) and info.field_name is not None:
            kind = cls.model_fields[info.field_name].annotation
            choices = get_args(kind) or (kind,)
            flags = any(each is bool or isinstance(each, bool) for each in choices)
            if not flags and any(each in (int, float) or isinstance(each, int) for each in choices):
                raise ValueError(f"{str(value).lower()} is no number; write one")
        return value


class Augmentation(Values):
    """What is done to training images as they are drawn; the defaults are the list that all models share.

    Everything keeps the aspect ratio, or spheres would become ellipses. ``models.augmentation`` says how it is applied.
    """

    model_config = ConfigDict(extra="forbid")

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


class Recipe(Values):
    """Hyper-parameters of one model in one preset.

    The training budget is either ``images_seen`` (the same cost on any data set) or ``epochs``.
    """

    model_config = ConfigDict(extra="forbid")

    model: Training[str] = Field(description="Id of the model: `yolo11n`.")
    title: Name[str] = Field(description="Name in tables and plots: `YOLO11n-seg`.")
    preset: Name[str]
    canvas: Training[int] = Field(
        gt=0,
        description="Side of the network's input in pixels; the prepared canvas is resized to it. What neither trains "
        "nor has a network sees the prepared canvas as it is: a run puts its side here.",
    )
    crop: Training[int | None] = Field(
        default=None,
        gt=0,
        description="Side of the views that the network is trained on, in pixels; by default that of the canvas. Their "
        "magnification is relative to the canvas, on which the network predicts.",
    )
    judged_canvas: Prediction[int | None] = Field(
        default=None,
        gt=0,
        description="Side of the network's input in prediction, in pixels, where it is not that of the canvas: larger "
        "than it, the same network sees particles magnified. Chosen on val.",
    )
    judged_views: Prediction[Views] = Field(
        default=1,
        description="Sides that a micrograph is looked at from in prediction: as it is, or turned by quarters (4) and "
        "mirrored, too (8), with a vote on what is found.",
    )
    precision: Training[Literal["auto", "float32", "bfloat16"]] = Field(
        default="auto",
        description="Of the training's arithmetic; `auto` is bfloat16 where the processor or GPU computes in it.",
    )
    batch: Training[int] = Field(default=1, gt=0)
    images_seen: Training[int | None] = Field(
        default=None, ge=0, description="Training images through the network in all."
    )
    epochs: Training[int | None] = Field(
        default=None, gt=0, description="Passes over the training set, instead of images_seen."
    )
    images_per_epoch: Training[int | None] = Field(
        default=None, gt=0, description="With images_seen: images between two checkpoints (an 'epoch' in logs)."
    )
    optimizer: Training[Literal["adamw", "sgd"]] = "adamw"
    learning_rate: Training[float] = Field(default=1e-3, gt=0)
    weight_decay: Training[float] = Field(default=5e-4, ge=0)
    warmup_fraction: Training[float] = Field(
        default=0.05, ge=0, le=0.5, description="Share of the steps with a rising rate."
    )
    loader: Training[Literal["stock", "gpu"]] = Field(
        default="stock",
        description="Who assembles batches: processes of the CPU, or the training device, where the set then lies.",
    )
    copies: Training[bool] = Field(
        default=True,
        description="Whether the prepared set's augmented copies are training images, too; without them views are "
        "drawn from the original micrographs alone.",
    )
    augmentation: Training[Augmentation | None] = Field(
        default=None, description="`shared` for the list of all models, single values, or nothing."
    )
    compile: Training[Literal[False, True, "always"]] = Field(
        default=False, description="torch.compile: true on CUDA alone, `always` on the CPU too."
    )
    mask_cleaning: Prediction[MaskCleaning] = Field(
        default="none",
        description="`largest` keeps the largest connected part of each mask, `largest-filled` fills its holes, too. "
        "Chosen on val: where a set has rings, or particles of several parts, it takes them away.",
    )
    options: Training[dict[str, Any]] = Field(
        default_factory=dict,
        description="What only this model knows; `models.options` says which of them are the prediction's.",
    )

    @property
    def trains(self) -> bool:
        """Whether there is a training; of a model without one, the recipe says ``images_seen: 0``."""
        return self.images_seen != 0

    @property
    def input_canvas(self) -> int:
        """Side of the network's input in prediction, in pixels."""
        return self.canvas if self.judged_canvas is None else self.judged_canvas

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

    @model_validator(mode="after")
    def _crops_are_drawn(self) -> "Recipe":
        if self.crop is None:
            return self
        if self.augmentation is None:
            raise ValueError("crop: views are drawn by the augmentation; give one (`augmentation: shared`)")
        if self.crop > self.canvas:
            raise ValueError(f"crop: {self.crop} is larger than the canvas, {self.canvas}")
        return self


def explain(error: ValidationError, kind: type[BaseModel], prefix: str = "") -> str:
    """What is wrong with each value, by its dotted name; for an unknown name, the nearest that there is.

    Args:
        error: Of a recipe or its options.
        kind: Whose names are meant.
        prefix: What precedes the names: ``options.``.
    """
    return "; ".join(_explain_one(fault, kind, prefix) for fault in error.errors())


def _explain_one(fault: Mapping[str, Any], kind: type[BaseModel], prefix: str) -> str:
    place = [str(part) for part in fault["loc"]]
    name = prefix + ".".join(place)
    if fault["type"] == "value_error":  # our own, which names the value
        sentence = str(fault["ctx"]["error"])
        return f"{name}: {sentence}" if place else sentence
    if fault["type"] == "missing":
        return f"{name} is missing; add it"
    if fault["type"] != "extra_forbidden":
        return f"{name} {fault['input']!r}: {fault['msg']}"
    if place[0] == "augmentation" and len(place) > 1:
        kind, prefix = Augmentation, f"{prefix}augmentation."
    return unknown_name(place[-1], list(kind.model_fields), prefix)


def unknown_name(name: str, known: Sequence[str], prefix: str = "") -> str:
    """``no 'epoch', did you mean 'epochs'?``.

    Args:
        name: What was given.
        known: What there is.
        prefix: What precedes the names: ``options.``.
    """
    near = nearest(name, known)
    hint = f"there are: {', '.join(known) or 'none'}" if near is None else f"did you mean {prefix + near!r}?"
    return f"no {prefix + name!r}; {hint}"


def recipe_path(model: str, folder: Path | None = None) -> Path:
    """Where the recipe of ``model`` lies: in a folder, or among ours."""
    return (folder or resource_dir("baselines")) / f"{model}.yaml"


def load_recipe(model: str, preset: str, folder: Path | None = None) -> Recipe:
    """Read the recipe of ``model`` for ``preset``; keys above ``presets`` apply to all of them.

    Raises:
        UsageError: No such preset.
        RecipeError: No such file, it is of another model, or a value is wrong.
    """
    path = recipe_path(model, folder)
    if not path.is_file():
        raise RecipeError(f"{path}: no recipe for model {model!r}")
    try:
        document = read_yaml(path)
    except ValueError as error:
        raise RecipeError(f"{path}: not a recipe: not YAML in UTF-8 ({error}); mend it") from error
    try:
        presets = {str(name): values for name, values in document.pop("presets").items()}
    except (KeyError, AttributeError, TypeError) as error:
        raise RecipeError(f"{path}: not a recipe ({error!r}); it needs `model`, `title` and `presets`") from error
    if document.get("model", model) != model:
        # A copy of another model's recipe would otherwise run that model under its own name.
        raise RecipeError(f"{path}: model is {document['model']!r}; write `model: {model}`, as the file is called")
    if preset not in presets:
        hint = did_you_mean(preset, presets)
        raise UsageError(f"{path}: no preset {preset!r}; {hint}it has {', '.join(presets)}")
    try:
        chosen = dict(presets[preset])
        options = {**document.pop("options", {}), **chosen.pop("options", {})}
        values = {str(name): value for name, value in {**document, **chosen}.items()}
    except (ValueError, TypeError) as error:
        raise RecipeError(f"{path}, preset {preset!r}: it and its options are names with values ({error})") from error
    try:
        return Recipe(**{**values, "preset": preset, "options": options})
    except ValidationError as error:
        raise RecipeError(f"{path}, preset {preset!r}: {explain(error, Recipe)}") from error
