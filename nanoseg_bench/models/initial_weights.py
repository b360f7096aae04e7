"""Initial weights: what of another training's file a network takes up, and what it begins anew."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from nanoseg_bench.errors import ModelError
from nanoseg_bench.files import read_json, sha256_file

Adaptation = Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], Mapping[str, Tensor]]
"""(tensors of initial weights, the network's own), both by name -> tensors in the shapes that the network has."""

_LOG = logging.getLogger(__name__)


def load_initial_weights(
    network: nn.Module,
    path: Path,
    adapt: Adaptation | None = None,
    classes: Sequence[str] = (),
    class_layer: Sequence[str] = (),
) -> int:
    """Copy the tensors of a .safetensors file that agree with the network in name and shape; return their number.

    Those that do not, such as the class layer of another number of classes, keep what they were drawn as, and are named
    in the log.

    Args:
        network: Takes them up.
        path: The file.
        adapt: Applied to the file's tensors first.
        classes: Of the network.
        class_layer: Names of its tensors that tell them apart. Where the JSON beside the file names other classes,
            these keep what they were drawn as, whatever their shape; a network of one class starts from any of one.

    Raises:
        ModelError: The file cannot be read, is not the one that its JSON describes, or fewer than half of the network's
            tensors are in it.
    """
    try:
        given = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not readable as initial weights ({error}); give a .safetensors file") from error
    about = _about(path)
    if about.get("tensors_sha256") not in (None, sha256_file(path)):
        raise ModelError(
            f"{path}: its SHA-256 is not the one in {path.with_suffix('.json').name}, so that it is damaged or of "
            "another training; copy both from one place"
        )
    own = network.state_dict()
    if adapt is not None:
        given = dict(adapt(given, own))
    matching = {name: given[name] for name, value in own.items() if name in given and given[name].shape == value.shape}
    if 2 * len(matching) < len(own):
        raise ModelError(
            f"{path}: only {len(matching)} of the network's {len(own)} tensors agree in name and shape; "
            "these weights are of another model"
        )
    told: set[str] = set()
    known = about.get("classes")
    known = [str(name) for name in known] if isinstance(known, list) else None
    if classes and known and known != list(classes) and not len(known) == len(classes) == 1:
        told = set(class_layer)
        _LOG.warning(
            "%s: knows the classes %s, and the set has %s: %s",
            path.name,
            ", ".join(known),
            ", ".join(classes),
            "the class layer is drawn anew"
            if class_layer
            else "the network does not say which layer tells them apart (class_layer), so what has its shape is taken",
        )
    matching = {name: value for name, value in matching.items() if name not in told}
    network.load_state_dict(matching, strict=False)
    _LOG.info("%s: %d of %d tensors taken", path, len(matching), len(own))
    if others := [name for name in own if name not in matching and name not in told]:
        _LOG.warning("%s: begin anew, since the file lacks them or has other shapes: %s", path, ", ".join(others))
    return len(matching)


def _about(weights: Path) -> dict[str, Any]:
    """What the JSON beside weights says; empty where there is none, or it cannot be read."""
    try:
        about = read_json(weights.with_suffix(".json"))
    except (OSError, ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}
