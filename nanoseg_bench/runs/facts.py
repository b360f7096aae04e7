"""What is known of a run whatever it is judged on: the part that all its records share, and so say once."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from nanoseg_bench.runs.provenance import package_commit, package_versions


class Document(BaseModel):
    """A file that this package writes and reads back, or a part of one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Training(Document):
    """What training cost, all folds together; all zero for a model that does not train."""

    epochs: int
    images_seen: int
    seconds: float
    core_seconds: float | None = None
    resumes: int
    precision: str | None = None


class MadeBy(Document):
    """The software that trained."""

    versions: dict[str, str]
    commit: str | None

    @classmethod
    def now(cls) -> "MadeBy":
        """What is installed here."""
        return cls(versions=package_versions(), commit=package_commit())


class RunFacts(Document):
    """A run as its records describe it.

    Attributes:
        model: Its id; of predictions from outside, the name of the tool.
        title: Its name in tables.
        preset: Of the recipe, with the values from the command line.
        seed: None is unseeded, or from outside.
        initial_weights: File name and SHA-256 of the initial weights; None: trained from scratch.
        initial_training: What these weights had learnt from, see ``runs.starting``; None where that is not known.
        external: Whether the predictions come from outside; such rows stand in the table without a rank.
        training: What it cost; None where nothing was trained to the end.
        parameters: Of the network.
        gflops: For one image.
        device: What trained and predicted.
        versions: Of the software, by name.
        commit: Of this package.
        recipe: ``Recipe.model_dump(mode="json")`` as it was, maybe of an earlier version.
    """

    model: str
    title: str
    preset: str
    seed: int | None = None
    initial_weights: str | None = None
    initial_training: str | None = None
    external: bool = False
    training: Training | None = None
    parameters: int | None = None
    gflops: float | None = None
    device: str = ""
    versions: dict[str, str] = {}
    commit: str | None = None
    recipe: dict[str, Any] = {}

    @classmethod
    def of_recipe(cls, recipe: dict[str, Any], made_by: MadeBy, **known: Any) -> "RunFacts":
        """Of a run of a recipe, which names its model, title and preset.

        Args:
            recipe: As JSON.
            made_by: The software.
            known: Further fields.
        """
        named = {name: recipe[name] for name in ("model", "title", "preset")}
        return cls(**named, **made_by.model_dump(), recipe=recipe, **known)
