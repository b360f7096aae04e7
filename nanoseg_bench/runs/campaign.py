"""A campaign: the runs behind a set of tables as one YAML file, in the order of their value.

    preset: cpu
    sets:
      emps: {dataset: emps}
      nanosynth: {dataset: nanosynth}
    steps:
      - {set: emps, models: [yolo11n, nsyolo], seeds: [0], about: the paper's question}
      - {set: emps, models: [yolo11n, nsyolo], weights_from: nanosynth, about: what synthetic images bring}

A step trains every model with every seed. With ``weights_from`` each starts from the weights that the same model, with
the same seed and preset, or that of ``weights_preset``, has learnt on a set of the campaign. Every step can be left out
or done before: a run is known by what it is made from, see ``runs.plan``.
"""

from collections.abc import Iterator, Mapping
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
        set: Its key in ``sets``.
        models: Their ids.
        seeds: One run for each.
        preset: In place of the campaign's.
        recipe: ``NAME=VALUE`` as of ``run --recipe``.
        robustness: Test images to judge each model on under every corruption too.
        weights_from: The set whose run of the same model and seed gives the initial weights.
        weights_preset: Of that run; the step's own by default.
        about: What the step is for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    set: str
    models: tuple[str, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = (0,)
    preset: str | None = None
    recipe: tuple[str, ...] = ()
    robustness: int = Field(default=0, ge=0)
    weights_from: str | None = None
    weights_preset: str | None = None
    about: str = ""

    def title(self) -> str:
        """Set, models and seeds in one line, and what they are for."""
        origin = f", from their weights on {self.weights_from}" if self.weights_from else ""
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
    def _know_their_sets(self) -> "Campaign":
        for step in self.steps:
            for name in (step.set, step.weights_from):
                if name is not None and name not in self.sets:
                    raise ValueError(f"a step names the set {name!r}; there are {', '.join(self.sets)}")
        return self


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


def plan_step(step: Step, preset: str, sets: Mapping[str, PreparedSet], runs: Path) -> Iterator[RunSpec | str]:
    """The runs of a step, those of one seed side by side.

    Args:
        step: What is asked for.
        preset: Of its recipes.
        sets: Those that are prepared, by key; the step's own is among them.
        runs: Folder of the runs of all sets.

    Yields:
        A run, or why it cannot be run yet.

    Raises:
        UsageError, RecipeError: A model, preset or recipe value is unknown.
    """
    overrides = parse_overrides(step.recipe)
    for seed in step.seeds:
        models, weights = resolve(step.models), {}
        if step.weights_from is not None:
            for model in models:
                origin = _run_of(step, model, seed, preset, sets.get(step.weights_from), runs)
                if isinstance(origin, str):
                    yield origin
                else:
                    weights[model] = origin.path / WEIGHTS_FILE
            models = list(weights)
        yield from plan_runs(sets[step.set], models, preset, [seed], weights, overrides)


def _run_of(step: Step, model: str, seed: int, preset: str, origin: PreparedSet | None, runs: Path) -> RunFolder | str:
    """The finished run that gives initial weights, or what is missing."""
    what = f"{model}, seed {seed}: waits for its weights on {step.weights_from}"
    if origin is None:
        return f"{what}, which is not prepared"
    if origin.folds:
        return f"{what}, whose {len(origin.folds)} folds have a network each; prepare {origin.root} without --folds"
    (spec,) = plan_runs(origin, [model], step.weights_preset or preset, [seed])
    run = RunFolder(runs / origin.name / spec.run_id)
    if not (run.is_fitted and (run.path / WEIGHTS_FILE).is_file()):
        return f"{what}: {run.path} is not trained yet"
    return run
