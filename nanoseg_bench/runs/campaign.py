"""A campaign: the runs behind a set of tables as one YAML file, in the order of their value.

    preset: cpu
    sets:
      emps: {dataset: emps}
      nanosynth: {dataset: nanosynth}
    steps:
      - {set: emps, models: [yolo11n, nsyolo], seeds: [0], about: the paper's question}
      - {name: rendered, set: nanosynth, models: [yolo11n, nsyolo], about: three shapes}
      - {set: emps, models: [yolo11n, nsyolo], weights_from: rendered, about: what rendered micrographs bring}

A step trains every model with every seed. With ``weights_from`` each starts from the weights that the same model has
learnt in an earlier step, with the same seed or with ``weights_seed``; that step may have started from another one's.
Every step can be left out or done before: a run is known by what it is made from, see ``runs.plan``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nanoseg_bench.errors import CampaignError
from nanoseg_bench.files import read_yaml
from nanoseg_bench.models.overrides import parse_overrides
from nanoseg_bench.models.registry import resolve
from nanoseg_bench.models.run_files import WEIGHTS_FILE
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.folder import RunFolder
from nanoseg_bench.runs.plan import RunSpec, plan_runs
from nanoseg_bench.wording import first_fault


class CampaignSet(BaseModel):
    """A prepared set of a campaign.

    Attributes:
        dataset: Name of the data set that it is prepared from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str


class Step(BaseModel):
    """Runs of one set.

    Attributes:
        name: What later steps call it.
        set: Its key in ``sets``.
        models: Their ids.
        seeds: One run for each.
        preset: In place of the campaign's.
        recipe: ``NAME=VALUE`` as of ``run --recipe``.
        robustness: Test images to judge each model on under every corruption too.
        weights_from: The earlier step whose run of the same model gives the initial weights.
        weights_seed: Of that run; the seed of each run itself by default.
        about: What the step is for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    set: str
    models: tuple[str, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = (0,)
    preset: str | None = None
    recipe: tuple[str, ...] = ()
    robustness: int = Field(default=0, ge=0)
    weights_from: str | None = None
    weights_seed: int | None = None
    about: str = ""

    def title(self) -> str:
        """Set, models and seeds in one line, and what they are for."""
        origin = f", from their weights of {self.weights_from}" if self.weights_from else ""
        values = f", {' '.join(self.recipe)}" if self.recipe else ""
        seeds = f"{'seed' if len(self.seeds) == 1 else 'seeds'} {', '.join(map(str, self.seeds))}"
        told = f"{self.set}: {', '.join(self.models)}, {seeds}{values}{origin}"
        return f"{told}: {self.about}" if self.about else told


class Campaign(BaseModel):
    """The whole file.

    Attributes:
        preset: Of all steps that name none.
        sets: By key; also the name of the folder below ``data/``.
        steps: In order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str
    sets: dict[str, CampaignSet]
    steps: tuple[Step, ...]

    @model_validator(mode="after")
    def _know_their_sets_and_starts(self) -> "Campaign":
        earlier: list[str] = []
        for step in self.steps:
            if step.set not in self.sets:
                raise ValueError(f"a step names the set {step.set!r}; there are {', '.join(self.sets)}")
            if step.weights_from is not None and step.weights_from not in earlier:
                known = ", ".join(earlier) or "none with a name"
                raise ValueError(f"weights_from {step.weights_from!r} is no step before that one; there are {known}")
            if step.name in earlier:
                raise ValueError(f"two steps are named {step.name!r}")
            if step.name is not None:
                earlier.append(step.name)
        return self

    def origin(self, step: Step) -> Step | None:
        """The step whose weights a step starts from; None where it starts from scratch."""
        if step.weights_from is None:
            return None
        return next(each for each in self.steps if each.name == step.weights_from)


def read_campaign(path: Path) -> Campaign:
    """Read a campaign; models and recipes are checked when its steps are planned.

    Raises:
        CampaignError: The file cannot be read or says something that is not understood.
    """
    try:
        return Campaign.model_validate(read_yaml(path))
    except ValidationError as error:
        raise CampaignError(f"{path}: {first_fault(error)}") from error
    except (OSError, ValueError) as error:
        raise CampaignError(f"{path}: cannot be read as a campaign ({error})") from error


def plan_step(
    campaign: Campaign, step: Step, sets: Mapping[str, PreparedSet], runs: Path, preset: str | None = None
) -> Iterator[RunSpec | str]:
    """The runs of a step, those of one seed side by side.

    Args:
        campaign: The step is one of it.
        step: What is asked for.
        sets: Those that are prepared, by key; the step's own is among them.
        runs: Folder of the runs of all sets.
        preset: In place of that of every step.

    Yields:
        A run, or why it cannot be run yet.

    Raises:
        UsageError, RecipeError: A model, preset or recipe value is unknown.
        CampaignError: The step that weights come from has no such model or seed.
    """
    starts = _Starts(campaign, sets, runs, preset)
    for seed in step.seeds:
        models, weights = resolve(step.models), {}
        if step.weights_from is not None:
            for model in models:
                found = starts.weights(step, model, seed)
                if isinstance(found, str):
                    yield found
                elif found is not None:
                    weights[model] = found
            models = list(weights)
        yield from plan_runs(sets[step.set], models, starts.preset(step), [seed], weights, parse_overrides(step.recipe))


@dataclass(frozen=True)
class _Starts:
    """Where the runs of a campaign start from; the fields are the arguments of ``plan_step``."""

    campaign: Campaign
    sets: Mapping[str, PreparedSet]
    runs: Path
    preset_of_all: str | None

    def preset(self, step: Step) -> str:
        return self.preset_of_all or step.preset or self.campaign.preset

    def weights(self, step: Step, model: str, seed: int) -> Path | str | None:
        """The initial weights of a run, None from scratch, or what they wait for."""
        origin = self.campaign.origin(step)
        if origin is None:
            return None
        if step.weights_seed is not None:
            seed = step.weights_seed
        if model not in resolve(origin.models) or seed not in origin.seeds:
            raise CampaignError(f"weights_from {origin.name}: that step has no {model} with seed {seed}")
        what, prepared = f"{model}, seed {seed}: waits for its weights of {origin.name}", self.sets.get(origin.set)
        if prepared is None:
            return f"{what}, whose set {origin.set} is not prepared"
        if prepared.folds:
            number = len(prepared.folds)
            return f"{what}, whose {number} folds have a network each; prepare {prepared.root} without --folds"
        initial = self.weights(origin, model, seed)
        if isinstance(initial, str):
            return initial
        (spec,) = plan_runs(prepared, [model], self.preset(origin), [seed], initial, parse_overrides(origin.recipe))
        run = RunFolder(self.runs / prepared.name / spec.run_id)
        weights = run.path / WEIGHTS_FILE
        return weights if run.is_fitted and weights.is_file() else f"{what}: {run.path} is not trained yet"
