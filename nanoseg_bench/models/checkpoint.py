"""Training state that survives a kill, and finished weights that load without unpickling."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from nanoseg_bench.errors import ModelError
from nanoseg_bench.files import atomic_path, read_json, write_json


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a training state (tensors, numbers, strings, lists, dicts) atomically."""
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def load_state(path: Path) -> dict[str, Any] | None:
    """Read a training state onto the CPU; None when there is none yet.

    Raises:
        ModelError: The file is damaged.
    """
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a different type for every kind of damage
        raise ModelError(
            f"{path}: not a readable checkpoint ({error}); delete it to start the training anew"
        ) from error
    return state


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
        torch.cuda.set_rng_state_all(state["cuda"])


def seed_everything(seed: int | None) -> None:
    """Seed Python, NumPy and torch; None leaves them unseeded."""
    if seed is None:
        return
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def save_weights(path: Path, weights: dict[str, torch.Tensor], about: dict[str, Any]) -> None:
    """Write ``path`` (.safetensors) and, beside it, ``about`` as JSON (model, classes, canvas, provenance)."""
    with atomic_path(path) as temporary:
        # clone: tied tensors share storage, which safetensors refuses.
        save_file({key: value.detach().cpu().clone().contiguous() for key, value in weights.items()}, temporary)
    write_json(path.with_suffix(".json"), about)


def load_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what ``save_weights`` wrote.

    Raises:
        ModelError: A file is missing or damaged.
    """
    about_path = path.with_suffix(".json")
    try:
        return load_file(path), read_json(about_path)
    except FileNotFoundError as error:
        raise ModelError(
            f"{error.filename or path}: no such weights; weights are a .safetensors file with its .json"
        ) from error
    except (SafetensorError, json.JSONDecodeError, OSError) as error:
        raise ModelError(f"{path}: not readable as weights ({error}); copy or train it again") from error
