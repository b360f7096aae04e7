"""Training state that survives a kill, and finished weights that load without unpickling."""

import random
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nanoseg_bench.errors import ModelError
from nanoseg_bench.files import atomic_path
from nanoseg_bench.models.recipe import Recipe
from nanoseg_bench.nsyolo import weights


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a training state (tensors, numbers, strings, lists, dicts) atomically.

    Raises:
        OSError: It cannot be written, as on a full disk.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        try:
            torch.save(state, stream)
        except RuntimeError as error:
            # torch says of a full disk that a position in its archive is another one than expected.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise


def load_state(path: Path) -> dict[str, Any] | None:
    """Read a training state onto the CPU; None when there is none yet.

    Raises:
        ModelError: The file is damaged.
        PermissionError: It may not be read.
        MemoryError: There is no memory for it.
    """
    if not path.is_file():
        return None
    try:
        _require_checksums(path)
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (PermissionError, MemoryError):  # it may be whole: nobody is to delete it for that
        raise
    except Exception as error:  # torch raises a different type for every kind of damage
        raise ModelError(
            f"{path}: not a readable checkpoint ({error}); delete it to start the training anew"
        ) from error
    return state


def _require_checksums(path: Path) -> None:
    """Refuse a file in which a bit is another one: torch reads its ZIP archive without looking at the checksums.

    Raises:
        ValueError, zipfile.BadZipFile: It is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        if (damaged := archive.testzip()) is not None:
            raise ValueError(f"the checksum of {damaged} is wrong")


def rng_state() -> dict[str, Any]:
    """The state of every global random generator that training libraries draw from."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    version, internal, gauss_next = random.getstate()
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": [
            kind,
            torch.from_numpy(np.asarray(keys).astype(np.int64)),
            int(position),
            int(has_gauss),
            float(gauss),
        ],
        "python": [version, list(internal), gauss_next],
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore_rng(state: dict[str, Any]) -> None:
    """Set every global random generator back to ``state``."""
    torch.set_rng_state(state["torch"])
    kind, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"][: torch.cuda.device_count()])  # it may go on with fewer


def seed_everything(seed: int | None) -> None:
    """Seed Python, NumPy and torch; None leaves them unseeded."""
    if seed is None:
        return
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def save_weights(path: Path, tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> None:
    """Write ``path`` (.safetensors) and, beside it, a JSON with ``about``; the layout is that of ``nsyolo.weights``."""
    weights.save_weights(path, tensors, about)


def load_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what ``save_weights`` wrote: tensors by name, and the JSON.

    Raises:
        ModelError: A file is missing or damaged, or the JSON is of another version or belongs to other tensors.
    """
    with _as_model_error():
        return weights.read_weights(path)


def read_description(path: Path) -> dict[str, Any]:
    """Read the JSON of the weights ``path`` and leave the tensors alone.

    Raises:
        ModelError: It is missing, damaged or of another version.
    """
    with _as_model_error():
        return weights.read_description(path)


def load_into(network: nn.Module, tensors: Mapping[str, torch.Tensor], origin: Path) -> None:
    """Copy ``tensors`` of the file ``origin`` into ``network``.

    Raises:
        ModelError: They are of another network.
    """
    with _as_model_error():
        weights.load_into(network, tensors, origin)


@contextmanager
def _as_model_error() -> Iterator[None]:
    """The room of the networks has an error of its own, which knows nothing of this package's."""
    try:
        yield
    except weights.WeightsError as error:
        raise ModelError(str(error)) from error


def round_parameters(network: nn.Module) -> dict[str, torch.Tensor]:
    """Round a finished network's parameters to half precision, in place.

    What is used is then what is stored and what is judged, at half the size; Ultralytics does so with its checkpoints.
    Buffers, such as the running variances of batch normalisation, span more than half precision holds and weigh next to
    nothing: they stay, and so does a parameter with a value beyond 65504.

    Returns:
        The network's tensors by name, what was rounded as float16.
    """
    rounded: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        for name, parameter in network.named_parameters(remove_duplicate=False):
            half = parameter.half()
            if parameter.is_floating_point() and half.isfinite().all():
                parameter.copy_(half)
                rounded[name] = half
    return {name: rounded.get(name, value) for name, value in network.state_dict().items()}


def describe(recipe: Recipe, classes: Sequence[str], max_instances: int) -> dict[str, Any]:
    """What a weights file must agree with to be loaded, and what its reader wants to know."""
    return {
        "model": recipe.model,
        "classes": list(classes),
        "canvas": recipe.canvas,
        "max_instances": max_instances,
        "preset": recipe.preset,
        "options": recipe.options,
    }


def read_trained(checkpoint: Path, recipe: Recipe, classes: Sequence[str]) -> dict[str, torch.Tensor]:
    """The tensors of a finished training of this model with these classes.

    Raises:
        ModelError: The file is missing, damaged, or of another model, other classes or another version.
    """
    tensors, about = load_weights(checkpoint)
    for key, expected in (("model", recipe.model), ("classes", list(classes))):
        if about.get(key) != expected:
            raise ModelError(f"{checkpoint}: {key} is {about.get(key)!r}, expected {expected!r}; train it again")
    return tensors
