import copy

import numpy as np
import pytest
import torch

from nanoseg_bench.models.onnx_engine import OnnxEngine
from nanoseg_bench.models.parity import Parity, example_batches, measure_parity
from nanoseg_bench.nsyolo.export import export_onnx
from nanoseg_bench.nsyolo.network import build_network


def test_a_network_agrees_with_its_own_file_and_with_no_other(tmp_path):
    torch.manual_seed(0)
    network = build_network("yolo11n", 2).eval()
    export_onnx(network, tmp_path / "network.onnx", size=64)
    engine = OnnxEngine(tmp_path / "network.onnx")
    batches = example_batches(64)
    assert measure_parity(network, engine, batches).passed
    for layer, quantity in (("cv2", "box"), ("cv3", "score"), ("cv4", "mask_iou")):
        other = copy.deepcopy(network)
        with torch.no_grad():
            for branch in getattr(other.model[-1], layer):
                branch[-1].bias += torch.linspace(-0.1, 0.1, len(branch[-1].bias))
        found = measure_parity(other, engine, batches)
        assert not found.passed
        assert getattr(found, quantity) != pytest.approx(1 if quantity == "mask_iou" else 0, abs=1e-4), found


def test_nan_never_passes():
    for values in ((np.nan, 0, 1), (0, np.nan, 1), (0, 0, np.nan)):
        assert not Parity(*values).passed
    assert Parity(0, 0, 1).passed


def test_example_batches_have_several_sizes():
    assert [batch.shape for batch in example_batches(640)] == [(1, 3, 640, 640), (2, 3, 320, 352)]
    assert [batch.shape for batch in example_batches(64)] == [(1, 3, 64, 64), (2, 3, 64, 96)]
    for batch in example_batches(96):
        assert batch.dtype == np.float32 and 0 <= batch.min() < batch.max() <= 1
