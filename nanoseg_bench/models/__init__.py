"""Every model behind one interface: ``fit`` on a prepared set, ``predict`` instances in original pixels.

What a model outside this package builds on is importable from here, and stays as it is within a major version:
``Model``, ``TorchModel`` and ``SemanticModel`` with what their methods take and return, and ``Options`` with its marks.
Nothing is imported before it is asked for: ``Model`` and ``Options`` need no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nanoseg_bench.annotations.instance import Instance, Polygon, Rle
    from nanoseg_bench.models.base import CanvasImage, Complexity, FitContext, FitReport, Model
    from nanoseg_bench.models.batches import InstanceBatch
    from nanoseg_bench.models.options import Options, PostProcessing, SemanticOptions
    from nanoseg_bench.models.pixels import PixelInstance, instances_from_probability, restore_instances
    from nanoseg_bench.models.process_group import mean_of_all, summed
    from nanoseg_bench.models.recipe import Prediction, Recipe, Training
    from nanoseg_bench.models.semantic import SemanticModel
    from nanoseg_bench.models.torch_model import TorchModel
    from nanoseg_bench.models.yolo import YoloModel

__all__ = [
    "CanvasImage",
    "Complexity",
    "FitContext",
    "FitReport",
    "Instance",
    "InstanceBatch",
    "Model",
    "Options",
    "PixelInstance",
    "Polygon",
    "PostProcessing",
    "Prediction",
    "Recipe",
    "Rle",
    "SemanticModel",
    "SemanticOptions",
    "TorchModel",
    "Training",
    "YoloModel",
    "instances_from_probability",
    "mean_of_all",
    "restore_instances",
    "summed",
]

_HOMES = {
    "annotations.instance": ("Instance", "Polygon", "Rle"),
    "models.batches": ("InstanceBatch",),
    "models.base": ("CanvasImage", "Complexity", "FitContext", "FitReport", "Model"),
    "models.options": ("Options", "PostProcessing", "SemanticOptions"),
    "models.pixels": ("PixelInstance", "instances_from_probability", "restore_instances"),
    "models.process_group": ("mean_of_all", "summed"),
    "models.recipe": ("Prediction", "Recipe", "Training"),
    "models.semantic": ("SemanticModel",),
    "models.torch_model": ("TorchModel",),
    "models.yolo": ("YoloModel",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import what is asked for (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"nanoseg_bench.{_HOME[name]}"), name)
