"""What is to be run: one ``RunSpec`` per model and seed, and with its places a ``Job``."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

from pydantic import SerializeAsAny, TypeAdapter
from pydantic.dataclasses import dataclass

from nanoseg_bench.errors import RecipeError, UsageError
from nanoseg_bench.files import sha256_file
from nanoseg_bench.models.base import Deadline
from nanoseg_bench.models.options import check_options
from nanoseg_bench.models.overrides import FLAG, Overrides, override, require_use
from nanoseg_bench.models.recipe import CONTINUED, Recipe, load_recipe, recipe_path
from nanoseg_bench.models.registry import build, model_class, options_of, recipe_folder
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.inputs import Inputs

FOLD, FINAL = "-fold", "-final"
"""Endings of run ids in a set with folds."""

_DIGITS = 8  # of a hash in a file name


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

    recipe: SerializeAsAny[Recipe]
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
        # A run that is of no fold has no such input: sets without folds came first.
        names = Inputs.model_fields.keys() - ({"fold"} if self.fold is None else set())
        return dict(_SPEC.dump_python(self, mode="json", include=names))


_SPEC = TypeAdapter(RunSpec)


@dataclass(frozen=True, slots=True)
class Job:
    """A run with the places it reads and writes.

    Attributes:
        spec: What to run.
        data: The prepared set's folder.
        run_dir: The run's own folder.
        leaderboards: Folder of the records.
        device: torch device name.
        deadline: When to stop with a checkpoint.
        robust_images: Test images to predict under every corruption too.
        timed: Whether latency is measured too: not while others run beside it.
        beside: Further devices that train with ``device``, which then predicts alone.
        anew: Train, whatever was kept of earlier work or a run beside it holds (``--overwrite always``).
    """

    spec: RunSpec
    data: Path
    run_dir: Path
    leaderboards: Path
    device: str
    deadline: Deadline = dataclasses.field(default_factory=Deadline)
    robust_images: int = 0
    timed: bool = True
    beside: tuple[str, ...] = ()
    anew: bool = False

    def prepared(self) -> PreparedSet:
        """What is trained and judged on: the set, or one of its folds."""
        return PreparedSet(self.data, self.spec.fold)


def require_seeds(seeds: Sequence[int], option: str) -> None:
    """Refuse seeds that NumPy's or PyTorch's generators do not take.

    Args:
        seeds: As the user gives them.
        option: What they are given as, for the message.

    Raises:
        UsageError: One is no whole number, is negative, or has more than 32 bits.
    """
    if odd := [seed for seed in seeds if not isinstance(seed, Integral)]:
        raise UsageError(f"{option} {odd[0]!r}: give whole numbers")
    if wrong := [seed for seed in seeds if not 0 <= seed < 2**32]:
        raise UsageError(f"{option} {wrong[0]}: a seed lies between 0 and 2^32 - 1")


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
        seeds: One run for each; one that is named twice counts once.
        weights: Initial weights of all, or of each model by its id.
        overrides: Recipe values that are not those of the preset.
        final: Of a set with folds, train on everything in place of the folds.

    Raises:
        RecipeError: A model has no such preset, or its recipe holds what the model does not know.
        UsageError: An override names or says what the recipe does not know or the model cannot do, or is of the
            training, and none of the models trains.
    """
    start = weights if isinstance(weights, Mapping) else {} if weights is None else dict.fromkeys(models, weights)
    digests = {path: sha256_file(path) for path in set(start.values())}
    written = [_written(model, preset) for model in models]
    require_use(written, overrides or {})
    recipes = [_recipe(each, overrides or {}, prepared) for each in written]
    if final or not prepared.folds:
        parts: dict[int | None, str] = {None: prepared.content_hash}
    else:
        parts = {fold: prepared.of_fold(fold).content_hash for fold in prepared.folds}
    return [
        RunSpec(recipe, seed, initial, digests[initial] if initial else None, content_hash, fold, final)
        for recipe in recipes
        for initial in [start.get(recipe.model)]
        for seed in dict.fromkeys(seeds)
        for fold, content_hash in parts.items()
    ]


def from_scratch_lines(specs: Sequence[RunSpec]) -> list[str]:
    """A sentence for each preset that goes on from weights, where some of its runs are given none.

    Args:
        specs: The plan.
    """
    titles: dict[str, dict[str, None]] = {}
    for spec in specs:
        preset = spec.recipe.preset.partition("+")[0]
        if preset in CONTINUED and spec.weights is None:
            titles.setdefault(preset, {})[spec.recipe.title] = None
    return [
        f"preset {preset} goes on from weights of preset {CONTINUED[preset]}, and none are given: {', '.join(found)} "
        "would train from scratch, for which it is too short; give --weights"
        for preset, found in titles.items()
    ]


def _written(model: str, preset: str) -> Recipe:
    folder = recipe_folder(model)
    recipe = load_recipe(model, preset, folder)
    try:
        check_options(recipe, options_of(model))
    except RecipeError as error:
        raise RecipeError(f"{recipe_path(model, folder)}: {error}") from error
    return recipe


def _recipe(written: Recipe, overrides: Overrides, prepared: PreparedSet) -> Recipe:
    options = options_of(written.model)
    recipe = override(written, overrides, options)
    # Complete: what a run was made with is known even when a default moves.
    known = check_options(recipe, options).model_dump(mode="json", exclude_none=True)
    recipe = recipe.model_copy(update={"options": known})
    if not written.trains and not model_class(written.model).judged_at_any_size:
        # It sees the canvas as it is, and is to see new micrographs on one of the same size.
        recipe = recipe.model_copy(update={"canvas": prepared.canvas})
    if overrides:
        try:
            build(recipe, prepared.classes, prepared.max_instances)
        except RecipeError as error:
            raise UsageError(f"{FLAG}: {error}") from error
    return recipe
