"""What only one kind of model knows: the names that may stand under ``options`` in its recipe.

Every option says to which side of a run it belongs (see ``models.recipe.Side``). Nothing heavy is imported here, so
that runs can be compared without the libraries that train them.
"""

from collections.abc import Mapping
from typing import Literal, Self, TypeVar

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from nanoseg_bench.errors import RecipeError
from nanoseg_bench.models.recipe import Prediction, Recipe, Training, Values, explain

SharedPixels = Literal["both", "surer"]
"""Whose pixels those are that two masks claim; ``models.shared_pixels`` gives them to the surer one."""


class Options(Values):
    """The options of a model; a subclass lists them.

    A model of a plug-in that names no class of its own gets this one, which takes any name. All its options then count
    as training's: what changes them trains anew.
    """

    model_config = ConfigDict(extra="allow")


class PostProcessing(Options):
    """The way from pixels to instances; the same for every model that says what each pixel is.

    Chosen on the training images of EMPS with Otsu's foreground, never on a test set.
    """

    model_config = ConfigDict(extra="forbid")

    threshold: Prediction[float] = Field(
        default=0.5, ge=0, le=1, description="Foreground probability above which a pixel belongs to a particle."
    )
    neck: Prediction[float] = Field(
        default=0.75,
        ge=0,
        le=1,
        description="Particles are cut apart where the neck is narrower than this share of the narrower one's width.",
    )
    min_depth: Prediction[float] = Field(
        default=1.0,
        ge=0,
        description="A maximum of the distance must also rise this many canvas pixels above the neck: what is less is "
        "the staircase of the pixel grid.",
    )
    max_hole: Prediction[float] = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Holes up to this share of the particle's filled area are filled; larger ones are background that "
        "particles enclose.",
    )
    min_area: Prediction[float] = Field(
        default=100 / 640**2,
        ge=0,
        le=1,
        description="Smaller particles, as a share of the canvas, are noise: by default what covers 100 px of 640 x "
        "640.",
    )


class OtsuOptions(PostProcessing):
    """Options of Otsu."""

    smoothing: Prediction[float] = Field(
        default=1.0, ge=0, description="Standard deviation of the Gaussian before the threshold, in canvas pixels."
    )


class SemanticOptions(PostProcessing):
    """Options of U-Net and DeepLabv3+."""

    encoder: Training[str] = Field(default="resnet34", description="Its name in segmentation-models-pytorch.")
    dice_weight: Training[float] = Field(default=1.0, ge=0, description="Weight of the Dice loss beside cross entropy.")
    distance: Training[bool] = Field(
        default=False,
        description="A further channel learns how deep inside its particle a pixel lies, and cuts touching particles.",
    )
    middle: Prediction[float] = Field(
        default=0.5,
        ge=0,
        le=1,
        description="With `distance`: least learnt depth, 1 in the middle of a particle and 0 at its edge, at which a "
        "particle of its own begins; `neck` then is that of the depth.",
    )
    score: Prediction[Literal["foreground", "fit"]] = Field(
        default="foreground",
        description="A particle's score: its mean foreground probability, or with `distance` that times the `fit` of "
        "the learnt depth to its outline.",
    )

    @model_validator(mode="after")
    def _fit_needs_a_depth(self) -> Self:
        if self.score == "fit" and not self.distance:
            raise ValueError("score: fit is that of the learnt depth; set distance: true with it, or score: foreground")
        return self


class YoloOptions(Options):
    """Options of YOLO11n-seg, NSYOLO and the steps between them; ``nsyolo.network`` says more of the blocks."""

    model_config = ConfigDict(extra="forbid")

    scheme: Training[str | None] = Field(default=None, description="Which layers are exchanged; the model's id.")
    scale: Training[str] = Field(default="n", description="YOLO11's scale: n, s, m, l or x.")
    kernel: Training[int] = Field(default=5, description="Points of a snake.")
    regions: Training[int] = Field(default=4, description="Regions per side in the routing.")
    topk: Training[int] = Field(default=4, description="Regions that a region attends to.")
    p4_layers: Training[tuple[int, ...]] = Field(default=(19,), description="Layers of the neck with snakes.")
    mask_stride: Training[Literal[2, 4]] = Field(
        default=4, description="Network pixels per pixel of the prototype masks: 4 as in YOLO11, 2 for small particles."
    )
    nms_iou: Prediction[float] = Field(
        default=0.7, ge=0, le=1, description="Of two boxes with more overlap, the better one stays."
    )
    shared_pixels: Prediction[SharedPixels] = Field(
        default="both", description="Pixels that two masks claim are both's, or the surer one's."
    )


class MaskRCNNOptions(Options):
    """Options of Mask R-CNN."""

    model_config = ConfigDict(extra="forbid")

    anchor_sizes: Training[tuple[float, ...]] = Field(
        default=(24, 48, 96, 192, 384),
        description="Sides in pixels of a 640 px canvas, one per pyramid level; scaled with the canvas.",
    )
    rpn_samples: Training[int] = Field(
        default=256, gt=0, description="Anchors per image that the proposal network learns from."
    )
    box_samples: Training[int] = Field(default=512, gt=0, description="Proposals per image that the heads learn from.")
    train_proposals: Training[int] = Field(
        default=1000, gt=0, description="Proposals per image that survive suppression in training."
    )
    nms_iou: Prediction[float] = Field(
        default=0.5, ge=0, le=1, description="Of two boxes with more overlap, the better one stays."
    )

    @field_validator("anchor_sizes")
    @classmethod
    def _one_per_level(cls, sizes: tuple[float, ...]) -> tuple[float, ...]:
        if len(sizes) != len(cls.model_fields["anchor_sizes"].default):
            raise ValueError(f"{list(sizes)} must be five, one per pyramid level")
        return sizes


_YOLO = ("yolo11n", "yolo11n-c3ds", "yolo11n-c3bads", "yolo11n-c2psa-bra", "nsyolo")

BUILT_IN_OPTIONS: Mapping[str, type[Options]] = {
    "otsu": OtsuOptions,
    "unet": SemanticOptions,
    "deeplabv3plus": SemanticOptions,
    "mask-rcnn": MaskRCNNOptions,
    **dict.fromkeys(_YOLO, YoloOptions),
}
"""By model, so that none needs to be imported for them; a plug-in's are its class' ``Options``."""

_Kind = TypeVar("_Kind", bound=Options)


def check_options(recipe: Recipe, kind: type[_Kind]) -> _Kind:
    """The options of a recipe, complete.

    Raises:
        RecipeError: One is unknown, and the nearest is named, or its value is not allowed.
    """
    try:
        return kind(**recipe.options)
    except ValidationError as error:
        raise RecipeError(f"{recipe.model}, preset {recipe.preset!r}: {explain(error, kind, 'options.')}") from error
