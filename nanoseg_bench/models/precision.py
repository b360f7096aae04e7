"""The arithmetic of a training: float32, or bfloat16 where the device computes in it.

In bfloat16, matrix products and convolutions are rounded to 8 significant bits; weights, their updates, normalisation
and losses stay float32 (``torch.autocast``).
"""

from typing import Literal

import torch

Precision = Literal["float32", "bfloat16"]


def resolve_precision(wanted: Literal["auto", "float32", "bfloat16"], device: str) -> Precision:
    """What ``auto`` means on a device: bfloat16 on GPUs and on CPUs with instructions for it, else float32.

    A CPU without them (AMX or AVX512-BF16) converts every number there and back, and is slower than in float32.

    Args:
        wanted: As in the recipe.
        device: torch device name.
    """
    if wanted != "auto":
        return wanted
    return "bfloat16" if device.startswith("cuda") or cpu_computes_in_bfloat16() else "float32"


def cpu_computes_in_bfloat16() -> bool:
    """Whether this machine's processor has instructions for bfloat16."""
    # Without a leading underscore PyTorch says it nowhere; absent in a future version, it means no.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in checks)
