"""Weights on the command line: those that ship, by name or by leaving them out, and what is to be known of them."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.cli.places import require_there
from nanoseg_bench.errors import UsageError
from nanoseg_bench.wording import counted

if TYPE_CHECKING:
    from nanoseg_bench.preparation.prepared_set import PreparedSet

_LOG = logging.getLogger(__name__)

_SHOWN = 5
_WEIGHTS_HINT = "give a .safetensors file, or the name of weights that ship with this package"


def find_model(given: Path | None, hint: str, flag: str = "--model") -> Path:
    """The model that is meant, which is there.

    Args:
        given: A path, or the name of shipped weights where no path is called so; None for the default ones.
        hint: What to give, where there is nothing like it.
        flag: Of the option, for messages; empty where there is none.

    Raises:
        UsageError: It is not there.
    """
    from nanoseg_bench.weights.shipped import shipped_names, shipped_weights

    if given is None:
        try:
            return shipped_weights()
        except UsageError as error:
            raise UsageError(f"no model is given, and {error}: {f'{flag} RUN'.strip()}") from error
    name = str(given)
    if given.exists() or name not in {*shipped_names(), *_networks()}:
        require_there({flag: given}, hint)
        return given
    return shipped_weights(name)


def find_initial_weights(given: str | None, models: Sequence[str]) -> Mapping[str, Path]:
    """The initial weights of each model; empty where they are trained from scratch.

    Args:
        given: A path, the name of shipped weights, or ``shipped``, which means each model's own.
        models: Their ids.

    Raises:
        UsageError: There are no such weights, or a model cannot start from them.
    """
    if given is None:
        return {}
    from nanoseg_bench.weights.shipped import SHIPPED, is_shipped, shipped_names, shipped_weights

    path = Path(given)
    names = [*shipped_names(), *_networks()]
    if path.exists() or given not in (SHIPPED, *names):
        require_there({"--weights": path}, _WEIGHTS_HINT)
        chosen = dict.fromkeys(models, path)
    elif given == SHIPPED:
        shipped_weights()  # says it where there are none at all
        chosen = {model: shipped_weights(model) for model in models if model in shipped_names()}
        if lacking := [model for model in models if model in _networks() and model not in chosen]:
            raise UsageError(
                f"--weights {SHIPPED}: none of {', '.join(lacking)} ship; start from those of another network with "
                f"--weights {shipped_names()[0]}, which takes what agrees, or give --models {' '.join(chosen)}"
            )
    else:
        chosen = dict.fromkeys(models, shipped_weights(given))
    if all(map(is_shipped, chosen.values())) and (others := [model for model in models if model not in _networks()]):
        able = [model for model in models if model in _networks()] or ["nsyolo"]
        raise UsageError(
            f"--weights {given}: start networks of the YOLO family, and not {', '.join(others)}; give --models "
            f"{' '.join(able)}"
        )
    return chosen


def tell_release(model: Path) -> None:
    """Say what released weights were trained on, and how to cite the data; nothing of others."""
    from nanoseg_bench.weights.release import read_release

    release = read_release(model)
    if release is None:
        return
    data = release.trained_on
    licence = f" (licence of the data: {data.licence})" if data.licence else ""
    _LOG.info("weights %s: %s%s; more in %s", release.name, release.provenance, licence, model.with_suffix(".md"))
    if data.citation:
        _LOG.info("cite the data: %s", data.citation)


def warn_of_known_images(
    prepared: "PreparedSet", weights: Sequence[Path] | None = None, workers: int | None = None
) -> list[str]:
    """Sentences on images that a set is judged by and that released weights have seen.

    Args:
        prepared: The set.
        weights: That models start from; None for all that ship.
        workers: Processes.

    Raises:
        ModelError: The weights' files are damaged.
    """
    from nanoseg_bench.weights.release import read_release
    from nanoseg_bench.weights.shipped import shipped_names, shipped_weights

    names_of: dict[Path, list[str]] = {}
    for path in [*map(shipped_weights, shipped_names())] if weights is None else dict.fromkeys(weights):
        release = read_release(path)
        # The parts of one set are kept apart by its own audit.
        if release is not None and release.trained_on.set_hash != prepared.content_hash:
            names_of.setdefault(path.with_name(release.known_images), []).append(release.name)
    if not names_of:
        return []
    from nanoseg_bench.weights.known_images import find_known_images

    told = []
    for known, names in names_of.items():
        if not known.is_file():  # whoever passed the weights on may have kept it
            told.append(
                f"{known}: is not there, so nothing tells whether this set shows what the weights "
                f"{' and '.join(names)} were trained on"
            )
            continue
        found = find_known_images(prepared, known, workers)
        if found:
            images = found.all_names
            shown = ", ".join(images[:_SHOWN])
            more = f" and {len(images) - _SHOWN} more" if len(images) > _SHOWN else ""
            told.append(
                f"{found.words} seem to show what the weights {' and '.join(names)} were trained on ({shown}{more}): "
                f"what starts from these weights is flattered on this set; leave {counted(len(images), 'image')} out "
                "of it, or train from scratch"
            )
    return told


def _networks() -> list[str]:
    """Ids of the YOLO family."""
    from nanoseg_bench.models.options import BUILT_IN_OPTIONS, YoloOptions

    return [model for model, options in BUILT_IN_OPTIONS.items() if options is YoloOptions]
