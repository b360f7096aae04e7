"""Weights as safetensors with a JSON beside them: nothing is unpickled, and a pair that does not belong together shows.

``NAME.safetensors`` holds the tensors by name, ``NAME.json`` beside it says what they are:

    format            nanoseg-weights/1
    model             the scheme (``nsyolo``), or the id of another network of nanoseg-bench
    classes           names, in the order of the network's outputs
    canvas            side of the network's input, pixels
    max_instances     particles in the densest image of the set, of any split, from which detection limits follow, or of
                      the training images where NSYOLO.train wrote it; absent where unknown
    options           scheme, scale, kernel, regions, topk, p4_layers, mask_stride; other networks have their own
    tensors_sha256    SHA-256 of NAME.safetensors
    made_by           versions of the packages; the commit stands in the records of nanoseg-bench
    training          how nanoseg-bench trained them; absent for others

The first runs of nanoseg-bench wrote neither ``max_instances`` nor ``tensors_sha256`` nor ``made_by``; their files are
read all the same. This module needs torch and safetensors alone, so that networks of other libraries can use it.
"""

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

SUFFIX = ".safetensors"
FORMAT = "nanoseg-weights/1"

_PACKAGES = ("nanoseg-bench", "torch", "ultralytics", "safetensors")
_SHOWN = 3  # tensors named in an error


class WeightsError(ValueError):
    """Weights are missing, damaged, of another network or version, or would run code while they are read."""


def save_weights(path: Path, tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> None:
    """Write ``path`` and its JSON, each of them atomically, the tensors first.

    Args:
        path: Ends in ``.safetensors``; its folder is made where it is missing.
        tensors: By name, as ``state_dict`` gives them.
        about: ``model``, ``classes``, ``canvas``, ``max_instances``, ``options`` and what else is to be kept; the other
            keys of the layout are filled in.

    Raises:
        WeightsError: ``path`` has another ending.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise WeightsError(f"{path}: weights are written as {SUFFIX}; name it {path.with_suffix(SUFFIX).name}")
    # clone: tied tensors share storage, which safetensors refuses.
    data = save({name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()})
    filled_in = {"tensors_sha256": hashlib.sha256(data).hexdigest(), "made_by": _made_by()}
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, data)
    text = json.dumps({"format": FORMAT, **about, **filled_in}, indent=1, ensure_ascii=False) + "\n"
    _replace(path.with_suffix(".json"), text.encode("utf-8"))


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what ``save_weights`` wrote, onto the CPU.

    Returns:
        The tensors by name, and the JSON.

    Raises:
        WeightsError: A file is missing, damaged, of another format or version, or the JSON belongs to other tensors.
    """
    path = Path(path)
    about = read_description(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: no such weights ({error.strerror}); copy it beside its .json") from error
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise WeightsError(
            f"{path}: not readable as weights ({error}); it is truncated or no {SUFFIX} file: copy it again"
        ) from error
    expected = about.get("tensors_sha256")
    if expected is not None and hashlib.sha256(data).hexdigest() != expected:
        raise WeightsError(
            f"{path}: its SHA-256 is not the one in {path.with_suffix('.json').name}: the two files are of different "
            "trainings, or one was changed; copy both from one place"
        )
    return tensors, about


def read_description(weights: Path) -> dict[str, Any]:
    """Read the JSON beside ``weights`` and leave the tensors alone.

    Raises:
        WeightsError: It is missing, damaged, or of another format or version.
    """
    weights = Path(weights)
    if weights.suffix != SUFFIX:
        raise WeightsError(f"{weights}: weights are a {SUFFIX} file with its .json beside it")
    path = weights.with_suffix(".json")
    try:
        about = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        if not weights.is_file():
            raise WeightsError(f"{weights}: no such weights") from error
        raise WeightsError(
            f"{path}: missing; it says what the tensors of {weights.name} are: copy it from where they come from"
        ) from error
    except OSError as error:
        raise WeightsError(f"{path}: not readable ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: not JSON ({error}); copy it again") from error
    found = about.get("format") if isinstance(about, dict) else None
    if found == FORMAT:
        return dict(about)
    if isinstance(found, str) and found.startswith(FORMAT.partition("/")[0] + "/"):
        raise WeightsError(
            f"{path}: format {found!r}, and this version reads {FORMAT!r}; update nanoseg-bench, which wrote it"
        )
    raise WeightsError(f"{path}: format is {found!r}, expected {FORMAT!r}; it does not describe weights")


def load_into(network: nn.Module, tensors: Mapping[str, torch.Tensor], origin: Path) -> None:
    """Copy ``tensors`` into ``network``, which must have exactly these.

    Args:
        network: Takes the tensors.
        tensors: By name.
        origin: The file they come from, for messages.

    Raises:
        WeightsError: A tensor is missing, left over, or of another shape; the network is as it was.
    """
    own = network.state_dict()
    missing = [name for name in own if name not in tensors]
    foreign = [name for name in tensors if name not in own]
    reshaped = [
        f"{name} is {tuple(tensors[name].shape)}, not {tuple(own[name].shape)}"
        for name in own
        if name in tensors and tensors[name].shape != own[name].shape
    ]
    if missing or foreign:
        raise WeightsError(
            f"{origin}: the tensors are of another network: {len(missing)} of {len(own)} are missing"
            f"{_some(missing)}, {len(foreign)} are unknown{_some(foreign)}; copy both files from one place"
        )
    if reshaped:
        raise WeightsError(
            f"{origin}: {len(reshaped)} of {len(own)} tensors are of another size{_some(reshaped)}; "
            "they were trained with other classes or options than the JSON says: copy both files from one place"
        )
    network.load_state_dict(dict(tensors))


def _some(items: list[str]) -> str:
    shown = ", ".join(items[:_SHOWN])
    return f" ({shown}{', …' if len(items) > _SHOWN else ''})" if items else ""


def _replace(path: Path, data: bytes) -> None:
    """Write a file that is either old or new, never half-written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _made_by() -> dict[str, Any]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {"versions": versions}
