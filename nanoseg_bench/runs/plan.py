"""What is to be run: one ``RunSpec`` per model and seed, and the hash that says whether its output is still good."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanoseg_bench.files import sha256_file, sha256_json
from nanoseg_bench.models.recipe import Recipe, load_recipe
from nanoseg_bench.models.registry import recipe_folder
from nanoseg_bench.preparation.prepared_set import PreparedSet


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One training and its predictions.

    Attributes:
        recipe: Hyper-parameters; names model and preset.
        seed: Seed; None is unseeded.
        weights: Initial weights; None trains from scratch.
        weights_sha256: Their content.
        set_hash: Content hash of the prepared set.
    """

    recipe: Recipe
    seed: int | None
    weights: Path | None
    weights_sha256: str | None
    set_hash: str

    @property
    def run_id(self) -> str:
        """Folder and record name: model, preset, seed, and a digest of the initial weights where there are some."""
        start = f"-from-{self.weights_sha256[:8]}" if self.weights_sha256 else ""
        seed = "unseeded" if self.seed is None else f"seed{self.seed}"
        return f"{self.recipe.model}-{self.recipe.preset}{start}-{seed}"

    @property
    def initial_weights(self) -> str | None:
        """Initial weights as records name them: file name and SHA-256."""
        return f"{self.weights.name} sha256:{self.weights_sha256}" if self.weights else None

    @property
    def inputs_hash(self) -> str:
        """Changes when anything that training depends on changes."""
        return sha256_json(self.inputs())

    def inputs(self) -> dict[str, Any]:
        """What training depends on, as JSON values."""
        return {
            "recipe": self.recipe.model_dump(mode="json"),
            "seed": self.seed,
            "weights_sha256": self.weights_sha256,
            "set_hash": self.set_hash,
        }


def plan_runs(
    prepared: PreparedSet,
    models: Sequence[str],
    preset: str,
    seeds: Sequence[int | None],
    weights: Path | None = None,
) -> list[RunSpec]:
    """Every model with every seed, seeds innermost.

    Raises:
        RecipeError: A model has no such preset.
    """
    digest = sha256_file(weights) if weights else None
    recipes = [load_recipe(model, preset, recipe_folder(model)) for model in models]
    return [RunSpec(recipe, seed, weights, digest, prepared.content_hash) for recipe in recipes for seed in seeds]
