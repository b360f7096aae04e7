"""What a run depends on, and what of it two runs have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, field_validator

from nanoseg_bench.changes import Change
from nanoseg_bench.files import sha256_json
from nanoseg_bench.models.identity import recipe_changes, training_values
from nanoseg_bench.models.recipe import Side
from nanoseg_bench.runs.facts import Document


class Inputs(Document):
    """What a run depends on, as ``run.json`` keeps it; its recipe may be of an earlier version.

    Training depends on all of it, and of the recipe on what ``models.identity`` says; the titles are what people call
    them. What is None is as if it were not there, except for the seed: an input that comes later, as the fold did,
    leaves every earlier training what it is.
    """

    recipe: dict[str, Any]
    seed: int | None = Field(title="seed")
    weights_sha256: str | None = Field(title="initial weights (sha256)")
    set_hash: str = Field(title="content of the prepared set")
    fold: int | None = Field(default=None, title="fold")

    @field_validator("recipe")
    @classmethod
    def _named(cls, recipe: dict[str, Any]) -> dict[str, Any]:
        if not {"model", "title", "preset"} <= recipe.keys():
            raise ValueError("names no model, title or preset")
        return recipe


_BESIDE_RECIPE = {name: field.title for name, field in Inputs.model_fields.items() if field.title}


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs between the inputs of two runs, by what must be done again for it."""

    training: tuple[Change, ...] = ()
    prediction: tuple[Change, ...] = ()
    names: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.training or self.prediction or self.names)


def input_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Differences:
    """What differs between two runs' inputs, given as JSON."""
    recipe = recipe_changes(old["recipe"], new["recipe"])
    others = [
        Change(title, old.get(name), new.get(name))
        for name, title in _BESIDE_RECIPE.items()
        if old.get(name) != new.get(name)
    ]
    return Differences((*recipe[Side.TRAINING], *others), tuple(recipe[Side.PREDICTION]), tuple(recipe[Side.NAME]))


def training_hash(inputs: Mapping[str, Any]) -> str:
    """SHA-256 of what training depends on. Fields at their default are left out: a new one changes no hash."""
    others = {name: inputs.get(name) for name in _BESIDE_RECIPE if name == "seed" or inputs.get(name) is not None}
    return sha256_json({"recipe": training_values(inputs["recipe"]), **others})
