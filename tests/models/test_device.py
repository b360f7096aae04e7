"""Names of devices; machines with GPUs are pretended, for the tests have none."""

import numpy as np
import pytest
import torch

from nanoseg_bench.errors import UsageError
from nanoseg_bench.models.device import resolve_device, resolve_devices


@pytest.fixture
def gpus(monkeypatch):
    def there(number):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: number)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: number > 0)

    return there


@pytest.mark.parametrize(
    ("name", "devices"),
    [
        ("auto", ("cuda:0",)),
        ("cpu", ("cpu",)),
        ("cuda:2", ("cuda:2",)),
        ("1", ("cuda:1",)),
        (0, ("cuda:0",)),
        (np.int64(2), ("cuda:2",)),
        ("0,1", ("cuda:0", "cuda:1")),
        ("cuda:2, cuda:0", ("cuda:2", "cuda:0")),
        ("cpu,cpu", ("cpu", "cpu")),
    ],
)
def test_one_device_or_several(name, devices, gpus):
    gpus(3)
    assert resolve_devices(name) == devices
    if len(devices) == 1:
        assert (resolve_device(name),) == devices


@pytest.mark.parametrize(
    ("name", "number", "message"),
    [
        ("0,1", 0, "device 0,1: this machine shows 0 CUDA devices; use cpu"),
        ("cuda:3", 0, "device cuda:3: this machine shows 0 CUDA devices; use cpu"),
        ("cuda:3", 1, "device cuda:3: this machine shows 1 CUDA device; use cuda:0"),
        ("cuda:3", 2, "device cuda:3: this machine shows 2 CUDA devices, 0 to 1; use cuda:0"),
        ("0,1", 1, "device 0,1: this machine shows 1 CUDA device; use cuda:0"),
        ("0,4", 4, "device 0,4: this machine shows 4 CUDA devices, 0 to 3; use cuda:0"),
        ("0,0", 2, "device 0,0: names a GPU twice; each takes one share of every batch"),
        ("cpu,0", 2, "device cpu,0: CPU and GPU do not train together; name GPUs alone, such as 0,1"),
        ("0,", 2, "device 0,: 'nothing' is not one of several devices; write such as 0,1"),
        (3, 1, "device 3: this machine shows 1 CUDA device; use cuda:0"),
        (-1, 2, "device -1: not a device; use auto, cpu, cuda or cuda:N"),
        ("gpu", 2, "device gpu: not a device; use auto, cpu, cuda or cuda:N"),
        (None, 2, "device None: not a device; use auto, cpu, cuda or cuda:N"),
        ([0, 1], 2, "device [0, 1]: not a device; use auto, cpu, cuda or cuda:N"),
        ("0,auto", 2, "device 0,auto: 'auto' is not one of several devices; write such as 0,1"),
    ],
)
def test_what_does_not_go_together_is_refused(name, number, message, gpus):
    gpus(number)
    with pytest.raises(UsageError) as caught:
        resolve_devices(name)
    assert str(caught.value) == message
