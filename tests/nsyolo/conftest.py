"""Fixtures for the NSYOLO tests: one thread, one seed, and modules that look trained."""

import pytest

from nanoseg_bench.environment import isolate_libraries

isolate_libraries()

import torch  # noqa: E402 - Ultralytics reads its settings when it is imported
from torch import nn  # noqa: E402


@pytest.fixture(autouse=True)
def _reproducible():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def unsettle():
    """Give every parameter and BN statistic a random value, so that no default hides an error; returns the module."""

    def apply(module: nn.Module) -> nn.Module:
        with torch.no_grad():
            for norm in module.modules():
                if isinstance(norm, nn.BatchNorm2d):
                    norm.running_mean.normal_(std=0.3)
                    norm.running_var.uniform_(0.5, 1.5)
                    norm.weight.uniform_(0.5, 1.5)
                    norm.bias.normal_(std=0.3)
            for name, parameter in module.named_parameters():
                if "offset_conv" in name:
                    parameter.normal_(std=0.3)
                elif name.endswith("alpha_logit_scale"):
                    parameter.normal_()
        return module

    return apply
