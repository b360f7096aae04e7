"""torch.compile of a network that is trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn

from nanoseg_bench.errors import ModelError


def compiled(network: nn.Module, device: str, wanted: Literal[False, True, "always"]) -> nn.Module:
    """The network, its forward and backward pass compiled where the recipe wants that on this device.

    The result shares its parameters with ``network``. It is compiled for each batch size by itself: an epoch has two,
    and one graph for any size would be slower.
    """
    if wanted == "always" or (wanted and device.startswith("cuda")):
        compiled_network: nn.Module = torch.compile(network, dynamic=False)
        return compiled_network
    return network


@contextmanager
def compile_errors(model: str) -> Iterator[None]:
    """Say what to do when nothing can be compiled; it shows in the first step.

    Raises:
        ModelError: The compiler is missing or failed.
    """
    try:
        yield
    except RuntimeError as error:
        # By name: the class lives in a private module, which takes seconds to import.
        if any(kind.__name__ == "TorchDynamoException" for kind in type(error).__mro__):
            reason = str(error).strip().splitlines()[0]
            raise ModelError(
                f"{model}: torch.compile failed ({reason}); it needs a C++ compiler: install one, or set "
                "`compile: false` in the recipe"
            ) from error
        raise
