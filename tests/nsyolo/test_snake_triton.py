"""The kernels on a CPU, by Triton's interpreter, against ``grid_sample``; in a process of their own, since Triton
reads the switch when it is imported. One process does all of it: its imports take longer than the comparisons."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("triton", reason="comes with PyTorch for Linux alone")

# Prints for each name what went wrong, or nothing.
_PROGRAM = """
import json, sys, traceback
import torch
from nanoseg_bench.nsyolo.snake import sample_by_grid
from nanoseg_bench.nsyolo.snake_triton import sample_by_kernels


def compare(shape, points, dtype, layout):
    batch, _, height, width = shape
    torch.manual_seed(0)
    features = torch.randn(shape, dtype=dtype).contiguous(memory_format=layout).requires_grad_()
    # Far enough to leave the map on every side.
    offsets = (2 * torch.randn(batch, 2 * points, height, width, dtype=dtype)).requires_grad_()
    results = []
    for sample in (sample_by_grid, sample_by_kernels):
        features.grad = offsets.grad = None
        first, second = sample(features, offsets, ("y", "x"))
        weights = torch.linspace(-1, 1, second.numel(), dtype=dtype).view_as(second)
        (first.pow(2).sum() + (second * weights).sum()).backward()
        results.append((first, second, features.grad, offsets.grad))
    for expected, found in zip(*results):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def check_operator():
    inputs = torch.randn(2, 4, 3, 5, requires_grad=True), torch.randn(2, 3, 3, 5, requires_grad=True), True
    torch.library.opcheck(torch.ops.nanoseg_bench.read_snakes.default, inputs)


def check_nan():
    features, offsets = torch.randn(1, 4, 6, 7), torch.zeros(1, 3, 6, 7)
    offsets[0, 0, 2, 3] = float("nan")
    (samples,) = sample_by_kernels(features, offsets, ("x",))
    spoilt = samples.isnan().any(1).nonzero().tolist()
    assert spoilt == [[0, 2, 3 * 3]], spoilt


def fault(check):
    try:
        eval(check)
    except Exception:
        return traceback.format_exc()


print(json.dumps({check: fault(check) for check in sys.argv[1:]}))
"""

_CASES = [
    "(2, 6, 7, 9), 5, torch.float32, torch.channels_last",
    "(1, 3, 1, 8), 3, torch.float32, torch.contiguous_format",
    "(2, 5, 6, 4), 9, torch.float64, torch.channels_last",
]


@pytest.fixture(scope="module")
def faults():
    """What went wrong, by check; None where nothing did."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *(f"compare({case})" for case in _CASES), "check_operator()", "check_nan()"],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", _CASES)
def test_samples_and_gradients_are_those_of_grid_sample(faults, case):
    assert faults[f"compare({case})"] is None


def test_is_an_operator_that_torch_compile_takes(faults):
    assert faults["check_operator()"] is None


def test_a_position_that_is_no_number_spoils_its_own_sample_alone(faults):
    assert faults["check_nan()"] is None
