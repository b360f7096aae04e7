"""NSYOLO: YOLO11-seg with boundary-aware dynamic snake convolution and bi-level routing attention.

Han et al., AIMat 2026, doi 10.55092/aimat20260006, section 2.2. The package needs torch, Ultralytics and safetensors
only and leaves Ultralytics' files as they are. Its public names load on first use.
"""

import importlib
import os
from typing import Any

# Read by Ultralytics at its import: without the first, a checkpoint whose classes are not importable makes it install
# a package of that name from the registry.
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ.setdefault("YOLO_OFFLINE", "true")

_HOMES = {
    "SnakeBranch": "snake",
    "BADSConv": "badsconv",
    "DSConv": "badsconv",
    "FUSION_RATE_FACTOR": "badsconv",
    "fusion_parameters": "badsconv",
    "BiLevelRoutingAttention": "routing",
    "C3BADS": "blocks",
    "C3DS": "blocks",
    "C2PSABRA": "blocks",
    "NSYOLO": "yolo",
    "NSYOLOSegmentation": "network",
    "NSYOLOTrainer": "yolo",
    "SCHEMES": "network",
    "WeightsError": "weights",
    "build_network": "network",
    "read_weights": "weights",
    "save_weights": "weights",
    "mask_maps": "probe",
    "probe_network": "probe",
}

__all__ = [  # resolved by __getattr__
    "C2PSABRA",
    "C3BADS",
    "C3DS",
    "FUSION_RATE_FACTOR",
    "NSYOLO",
    "SCHEMES",
    "BADSConv",
    "BiLevelRoutingAttention",
    "DSConv",
    "NSYOLOSegmentation",
    "NSYOLOTrainer",
    "SnakeBranch",
    "WeightsError",
    "build_network",
    "fusion_parameters",
    "mask_maps",
    "probe_network",
    "read_weights",
    "save_weights",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
