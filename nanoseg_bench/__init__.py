"""Benchmark and serve instance segmentation of nanoparticles in SEM/TEM micrographs.

What is importable from here, from ``nanoseg_bench.inference``, ``nanoseg_bench.models`` and ``nanoseg_bench.nsyolo``
stays as it is within a major version. Nothing is imported before it is asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nanoseg_bench.annotations.instance import Instance, Micrograph
    from nanoseg_bench.annotations.readers import read_annotations
    from nanoseg_bench.errors import NanosegError
    from nanoseg_bench.images import read_image
    from nanoseg_bench.inference.predictor import Predictor, open_predictor
    from nanoseg_bench.inference.task import predict_folder
    from nanoseg_bench.leaderboard.benchmark import Benchmark, read_leaderboard
    from nanoseg_bench.leaderboard.benchmark import run_models as run
    from nanoseg_bench.preparation.prepared_set import PreparedSet
    from nanoseg_bench.preparation.preparing import prepare_micrographs as prepare

__version__ = "0.1.0"

__all__ = [
    "Benchmark",
    "Instance",
    "Micrograph",
    "NanosegError",
    "Predictor",
    "PreparedSet",
    "__version__",
    "open_predictor",
    "predict_folder",
    "prepare",
    "read_annotations",
    "read_image",
    "read_leaderboard",
    "run",
]

_HOMES = {
    "Benchmark": "leaderboard.benchmark:Benchmark",
    "Instance": "annotations.instance:Instance",
    "Micrograph": "annotations.instance:Micrograph",
    "NanosegError": "errors:NanosegError",
    "Predictor": "inference.predictor:Predictor",
    "PreparedSet": "preparation.prepared_set:PreparedSet",
    "open_predictor": "inference.predictor:open_predictor",
    "predict_folder": "inference.task:predict_folder",
    "prepare": "preparation.preparing:prepare_micrographs",
    "read_annotations": "annotations.readers:read_annotations",
    "read_image": "images:read_image",
    # Not ``leaderboard``: that is the room, which Python sets as an attribute here once it is imported.
    "read_leaderboard": "leaderboard.benchmark:read_leaderboard",
    "run": "leaderboard.benchmark:run_models",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home, _, attribute = _HOMES[name].partition(":")
    return getattr(importlib.import_module(f"{__name__}.{home}"), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
