"""What the JSON beside released weights says of their release: enough to use, to judge and to cite them."""

import logging
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from nanoseg_bench.errors import ModelError
from nanoseg_bench.files import read_json
from nanoseg_bench.wording import first_fault

KEY = "release"
"""Of the weights' JSON, under which the release stands."""

_LOG = logging.getLogger(__name__)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainedOn(_Part):
    """The data that the weights come from.

    Attributes:
        set_name: Of the prepared set.
        set_hash: Its content hash.
        dataset: Name of its card; of a set without one, what it was prepared as.
        title: Of the card.
        licence: SPDX identifier; empty where there is no card.
        citation: What to cite; likewise.
        source: Where the data come from; likewise.
        train: Micrographs of the part train, without copies.
        val: Micrographs of the part val, which chose the operating point.
        particles: Of the part train.
    """

    set_name: str
    set_hash: str
    dataset: str
    title: str = ""
    licence: str = ""
    citation: str = ""
    source: str = ""
    train: int
    val: int
    particles: int


class Judged(_Part):
    """What a record says of these very weights.

    Attributes:
        eval_set: On which they were judged.
        images: Of it.
        scores: Columns of the leaderboards; an interval is ``<name>_lo`` and ``<name>_hi``.
    """

    eval_set: str
    images: int
    scores: dict[str, float]


class Release(_Part):
    """Released weights.

    Attributes:
        name: Of the files, and on the command line where they ship.
        title: Of the model.
        run: Id of the run that they are from.
        preset: Of the run.
        seed: Of the run.
        initial_weights: What the run started from; None for scratch.
        initial_training: What those weights had learnt from; None where that is not known.
        images_seen: Training images that went through the network, repeats counted.
        core_hours: Of the training, all cores together; None where it was not measured.
        confidence: Operating point.
        confidence_source: ``val``, or ``default`` where val could not decide.
        trained_on: The data.
        judged: One for each eval set.
        evaluator: Version that judged.
        known_images: File beside the weights with the fingerprints of the micrographs of train and val.
        package: Version of nanoseg-bench that trained.
        commit: Of nanoseg-bench; None where it was installed without one.
        finished: When the predictions that were judged were there; UTC, ISO 8601.
    """

    name: str
    title: str
    run: str
    preset: str
    seed: int | None
    initial_weights: str | None
    initial_training: str | None = None
    images_seen: int
    core_hours: float | None
    confidence: float
    confidence_source: str
    trained_on: TrainedOn
    judged: tuple[Judged, ...]
    evaluator: str
    known_images: str
    package: str
    commit: str | None
    finished: str

    @property
    def provenance(self) -> str:
        """One line for the console: what was trained on which data."""
        data = self.trained_on
        return f"{self.title}, trained on {data.train} micrographs of {data.title or data.set_name}"


def read_release(weights: Path) -> Release | None:
    """What the JSON beside ``weights`` says of their release; None where they are of no release.

    Raises:
        ModelError: It says so in a way that is not understood.
    """
    path = weights.with_suffix(".json")
    if weights.suffix != ".safetensors" or not path.is_file():
        return None
    try:
        about: Any = read_json(path)
        found = about.get(KEY) if isinstance(about, dict) else None
        return None if found is None else Release.model_validate(found)
    except ValidationError as error:
        reason = first_fault(error, KEY)
        raise ModelError(f"{path}: {reason}; copy it again from where the weights come from") from error
    except ValueError:
        return None  # whoever loads the weights says what is wrong with their JSON


def tell_release(model: Path) -> None:
    """Say what released weights were trained on, and how to cite the data; nothing of others."""
    release = read_release(model)
    if release is None:
        return
    data = release.trained_on
    licence = f" (licence of the data: {data.licence})" if data.licence else ""
    _LOG.info("weights %s: %s%s; more in %s", release.name, release.provenance, licence, model.with_suffix(".md"))
    if data.citation:
        _LOG.info("cite the data: %s", data.citation)
