"""A finished model on new micrographs: what ``predict`` does, for Python.

``open_predictor`` opens a run, weights or an exported file; ``Predictor.find_particles`` finds the particles of one
micrograph, and ``predict_folder`` those of many, with the files that ``nanoseg-bench predict`` writes. What is
importable from here stays as it is within a major version. Nothing is imported before it is asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nanoseg_bench.annotations.instance import Instance
    from nanoseg_bench.images import read_image
    from nanoseg_bench.inference.folder import read_folder
    from nanoseg_bench.inference.operating_point import OperatingPoint
    from nanoseg_bench.inference.particles import Particles, PredictedImage
    from nanoseg_bench.inference.predictor import Predictor, open_predictor
    from nanoseg_bench.inference.task import Outcome, predict_folder

__all__ = [
    "Instance",
    "OperatingPoint",
    "Outcome",
    "Particles",
    "PredictedImage",
    "Predictor",
    "open_predictor",
    "predict_folder",
    "read_folder",
    "read_image",
]

_HOMES = {
    "annotations.instance": ("Instance",),
    "images": ("read_image",),
    "inference.folder": ("read_folder",),
    "inference.operating_point": ("OperatingPoint",),
    "inference.particles": ("Particles", "PredictedImage"),
    "inference.predictor": ("Predictor", "open_predictor"),
    "inference.task": ("Outcome", "predict_folder"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import what is asked for (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"nanoseg_bench.{_HOME[name]}"), name)
