"""What is to be run: one ``RunSpec`` per model and seed, and what it shares with work that is there already."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanoseg_bench.changes import Change
from nanoseg_bench.files import sha256_file, sha256_json
from nanoseg_bench.models.identity import recipe_changes, training_values
from nanoseg_bench.models.options import check_options
from nanoseg_bench.models.overrides import Overrides, override
from nanoseg_bench.models.recipe import Recipe, Side, load_recipe
from nanoseg_bench.models.registry import options_of, recipe_folder
from nanoseg_bench.preparation.prepared_set import PreparedSet

FOLD, FINAL = "-fold", "-final"
"""Endings of run ids in a set with folds."""

_DIGITS = 8  # of a hash in a file name

_NAMED = {
    "seed": "seed",
    "weights_sha256": "initial weights (sha256)",
    "set_hash": "content of the prepared set",
    "fold": "fold",
}
"""What training depends on beside the recipe, as people call it.

What is None is as if it were not there, except for the seed: an input that comes later, as the fold did, leaves every
earlier training what it is.
"""


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs between the inputs of two runs, by what must be done again for it."""

    training: tuple[Change, ...] = ()
    prediction: tuple[Change, ...] = ()
    names: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.training or self.prediction or self.names)


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One training and its predictions.

    Attributes:
        recipe: Hyper-parameters; names model and preset.
        seed: Seed; None is unseeded.
        weights: Initial weights; None trains from scratch.
        weights_sha256: Their content.
        set_hash: Content hash of the prepared set, or of the fold.
        fold: Of a set with folds, from 1; None trains on the set as it is.
        final: Whether it trains on everything that a set with folds holds, to be used and not to be judged.
    """

    recipe: Recipe
    seed: int | None
    weights: Path | None
    weights_sha256: str | None
    set_hash: str
    fold: int | None = None
    final: bool = False

    @property
    def run_id(self) -> str:
        """Name of the run's folder: that of its row, and which fold it is."""
        if self.final:
            return f"{self.row_id}{FINAL}"
        return self.row_id if self.fold is None else f"{self.row_id}{FOLD}{self.fold}"

    @property
    def row_id(self) -> str:
        """Name of its record, which the folds of a model share.

        Model, preset, seed, and digests of values from the command line and of initial weights.
        """
        start = f"-from-{self.weights_sha256[:_DIGITS]}" if self.weights_sha256 else ""
        seed = "unseeded" if self.seed is None else f"seed{self.seed}"
        preset, plus, values = self.recipe.preset.partition("+")
        if plus:
            preset += f"+{hashlib.sha256(values.encode()).hexdigest()[:_DIGITS]}"
        return f"{self.recipe.model}-{preset}{start}-{seed}"

    @property
    def initial_weights(self) -> str | None:
        """Initial weights as records name them: file name and SHA-256."""
        return f"{self.weights.name} sha256:{self.weights_sha256}" if self.weights else None

    def inputs(self) -> dict[str, Any]:
        """What the run depends on, as JSON values; ``run.json`` keeps it."""
        return {
            "recipe": self.recipe.model_dump(mode="json"),
            "seed": self.seed,
            "weights_sha256": self.weights_sha256,
            "set_hash": self.set_hash,
            **({} if self.fold is None else {"fold": self.fold}),
        }


def input_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Differences:
    """What differs between two runs' ``inputs``."""
    recipe = recipe_changes(old["recipe"], new["recipe"])
    others = [Change(name, old.get(key), new.get(key)) for key, name in _NAMED.items() if old.get(key) != new.get(key)]
    return Differences((*recipe[Side.TRAINING], *others), tuple(recipe[Side.PREDICTION]), tuple(recipe[Side.NAME]))


def training_hash(inputs: Mapping[str, Any]) -> str:
    """SHA-256 of what training depends on. Fields at their default are left out: a new one changes no hash."""
    others = {key: inputs.get(key) for key in _NAMED if key == "seed" or inputs.get(key) is not None}
    return sha256_json({"recipe": training_values(inputs["recipe"]), **others})


def plan_runs(
    prepared: PreparedSet,
    models: Sequence[str],
    preset: str,
    seeds: Sequence[int | None],
    weights: Path | Mapping[str, Path] | None = None,
    overrides: Overrides | None = None,
    *,
    final: bool = False,
) -> list[RunSpec]:
    """Every model with every seed, and of a set with folds with every fold, folds innermost.

    Args:
        prepared: The prepared set.
        models: Their ids.
        preset: Of their recipes.
        seeds: One run for each.
        weights: Initial weights of all, or of each model by its id.
        overrides: Recipe values that are not those of the preset.
        final: Of a set with folds, train on everything in place of the folds.

    Raises:
        RecipeError: A model has no such preset, or its recipe holds what the model does not know.
        UsageError: An override names or says what the recipe does not know.
    """
    start = weights if isinstance(weights, Mapping) else {} if weights is None else dict.fromkeys(models, weights)
    digests = {path: sha256_file(path) for path in set(start.values())}
    recipes = [_recipe(model, preset, overrides or {}) for model in models]
    if final or not prepared.folds:
        parts: dict[int | None, str] = {None: prepared.content_hash}
    else:
        parts = {fold: prepared.of_fold(fold).content_hash for fold in prepared.folds}
    return [
        RunSpec(recipe, seed, initial, digests[initial] if initial else None, content_hash, fold, final)
        for recipe in recipes
        for initial in [start.get(recipe.model)]
        for seed in seeds
        for fold, content_hash in parts.items()
    ]


def _recipe(model: str, preset: str, overrides: Overrides) -> Recipe:
    options = options_of(model)
    recipe = override(load_recipe(model, preset, recipe_folder(model)), overrides, options)
    # Complete: what a run was made with is known even when a default moves.
    known = check_options(recipe, options).model_dump(mode="json", exclude_none=True)
    return recipe.model_copy(update={"options": known})
