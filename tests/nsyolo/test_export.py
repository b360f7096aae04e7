import copy
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import nn
from ultralytics.nn.modules.block import DFL, Proto
from ultralytics.nn.modules.conv import Conv
from ultralytics.utils.torch_utils import fuse_conv_and_bn

from nanoseg_bench.nsyolo.badsconv import BADSConv, DSConv
from nanoseg_bench.nsyolo.export import INPUT, OPSET, OUTPUTS, export_onnx
from nanoseg_bench.nsyolo.export_forms import (
    ExportedDFL,
    ExportedProto,
    ExportedRouting,
    ExportedSnakes,
    exported_form,
)
from nanoseg_bench.nsyolo.network import SCHEMES, build_network
from nanoseg_bench.nsyolo.routing import BiLevelRoutingAttention

EMPS = Path(__file__).parents[3] / "shared" / "data" / "emps" / "images"


def fused(module):
    """What ``fuse`` of a whole network does to a part."""
    for part in module.modules():
        if isinstance(part, Conv) and hasattr(part, "bn"):
            part.conv = fuse_conv_and_bn(part.conv, part.bn)
            del part.bn
            part.forward = part.forward_fuse
    return module.eval()


def largest_difference(form, module, x):
    with torch.no_grad():
        return (form(x) - module(x)).abs().max().item()


@pytest.mark.parametrize("kind", [DSConv, BADSConv])
@pytest.mark.parametrize("points", [3, 5, 9])
def test_snakes_as_one_gather_are_the_two_branches(kind, points, unsettle):
    module = unsettle(kind(6, 10, points))
    with torch.no_grad():
        module.offset_conv.weight.mul_(5)  # displacements up to their limit
    module = fused(module)
    form = ExportedSnakes(module)
    for height, width in ((20, 20), (7, 13), (2, 3), (1, 4)):
        assert largest_difference(form, module, torch.randn(2, 6, height, width)) < 1e-4


@pytest.mark.parametrize(("heads", "regions", "topk"), [(2, 4, 4), (1, 4, 16), (2, 3, 1)])
def test_routing_by_heads_is_routing(heads, regions, topk, unsettle):
    module = fused(unsettle(BiLevelRoutingAttention(32, heads, regions, topk)))
    form = ExportedRouting(module)
    for height, width in ((20, 20), (12, 8), (5, 7), (9, 2), (1, 1)):
        assert largest_difference(form, module, torch.randn(2, 32, height, width)) < 1e-4


def test_the_box_distribution_without_softmax():
    module = DFL(16)
    x = torch.randn(2, 64, 50)
    x[..., :5] = 300 * torch.randn(2, 64, 5)  # exp of these is infinite
    assert largest_difference(ExportedDFL(module), module, x) < 1e-5


@pytest.mark.parametrize("size", [(6, 9), (1, 1), (2, 5)])
def test_prototypes_by_one_convolution_are_exact_at_the_border_too(size, unsettle):
    module = unsettle(Proto(8, 16, 12))
    with torch.no_grad():
        module.upsample.bias.normal_()
    module = fused(module)
    assert largest_difference(ExportedProto(module), module, torch.randn(2, 8, *size)) < 1e-5


def test_other_modules_stay():
    class OtherProto(Proto):
        pass

    assert exported_form(nn.Conv2d(3, 3, 1)) is None
    assert exported_form(OtherProto(8, 16, 12)) is None


@pytest.fixture(scope="module")
def make(unsettle):
    def build(scheme="nsyolo", images=None, **options):
        network = unsettle(build_network(scheme, 3, **options)).train()
        with torch.no_grad():
            # Statistics of such images: under random ones, all that an image says is lost on the way.
            for part in network.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.momentum = 1.0
            network(torch.rand(4, 3, 128, 128) if images is None else images)
            network.eval()
            for parts in network.model[-1].cv3:
                parts[-1].bias.zero_()  # scores all over [0, 1]
        return network

    return build


@pytest.fixture(scope="module")
def exported(make, tmp_path_factory):
    """exported(scheme, **options): a network and its file, made once for all tests; no test changes either."""

    @lru_cache
    def build(scheme="nsyolo", **options):
        torch.manual_seed(0)
        network = make(scheme, **options)
        before = copy.deepcopy(network.state_dict())
        path = tmp_path_factory.mktemp("exported") / "network.onnx"
        export_onnx(network, path, size=64)
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
        assert not hasattr(network.model[-1], "export") or not network.model[-1].export
        return network, path

    return build


@lru_cache(maxsize=1)  # the opening of a file takes longer than an image
def session_of(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(path, images):
    return session_of(path).run(list(OUTPUTS), {INPUT: images.numpy()})


def compare(output, expected, side):
    """Largest differences of boxes (as a share of the side), scores and prototypes; lowest IoU of the best masks."""
    (detections, prototypes), (expected, expected_prototypes) = output, expected
    assert detections.shape == expected.shape and prototypes.shape == expected_prototypes.shape
    ious = []
    for n in range(len(expected)):
        best = expected[n, 4:-32].max(0).values.topk(20).indices
        here = torch.einsum("ma,mhw->ahw", detections[n, -32:, best], prototypes[n])
        there = torch.einsum("ma,mhw->ahw", expected[n, -32:, best], expected_prototypes[n])
        cut = there.mean()  # an untrained network may call everything outside
        here, there = here > cut, there > cut
        ious.append(((here & there).sum() / (here | there).sum()).item())
    return (
        (detections[:, :4] - expected[:, :4]).abs().max().item() / side,
        (detections[:, 4:-32] - expected[:, 4:-32]).abs().max().item(),
        (prototypes - expected_prototypes).abs().max().item(),
        min(ious),
    )


def assert_as_exact_as_pytorch(network, path, images):
    """Untrained networks blow up rounding, by another factor on every processor: exact arithmetic is the measure.

    Scores range over half of [0, 1]; a part of the graph that computes something else shows.
    """
    with torch.no_grad():
        (detections, prototypes), _ = network(images)
        exact, _ = copy.deepcopy(network).double()(images.double())
    assert images.std() == 0 or exact[0][:, 4:-32].std(2).min() > 0.01, "the scores say nothing about the image"
    side = max(images.shape[2:])
    own = compare((detections.double(), prototypes.double()), exact, side)
    found = compare([torch.from_numpy(array).double() for array in run(path, images)], exact, side)
    for name, limit, here, there in zip(("box", "score", "prototype"), (1e-6, 1e-6, 1e-5), found, own, strict=False):
        assert here <= max(10 * there, limit), (name, here, there)
    assert found[3] >= min(own[3], 0.999)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_file_is_the_network_at_any_batch_and_size(scheme, exported):
    network, path = exported(scheme)
    for shape in ((1, 3, 64, 64), (2, 3, 96, 160), (3, 3, 32, 32), (1, 3, 160, 224)):
        assert_as_exact_as_pytorch(network, path, torch.rand(shape))
    written = onnx.load(path)
    assert [entry.version for entry in written.opset_import if entry.domain == ""] == [OPSET]
    operators = {node.op_type for node in written.graph.node}
    assert "GridSample" not in operators and "BatchNormalization" not in operators


def test_options_of_the_network_are_kept(make, tmp_path):
    network = make("nsyolo", kernel=9, regions=3, topk=2, p4_layers=(13, 19))
    export_onnx(network, tmp_path / "network.onnx", size=128)
    assert_as_exact_as_pytorch(network, tmp_path / "network.onnx", torch.rand(2, 3, 128, 96))


def test_a_network_in_training_mode_and_channels_last(make, tmp_path):
    network = make().train().to(memory_format=torch.channels_last)
    export_onnx(network, tmp_path / "network.onnx", size=64)
    assert network.training
    assert_as_exact_as_pytorch(network.eval(), tmp_path / "network.onnx", torch.rand(1, 3, 64, 64))


def test_constant_images(exported):
    network, path = exported("nsyolo")
    for value in (0.0, 1.0, 114 / 255):
        images = torch.full((1, 3, 64, 64), value)
        assert_as_exact_as_pytorch(network, path, images)
        assert all(np.isfinite(array).all() for array in run(path, images))


@pytest.mark.parametrize("kernel", [3, 9])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_image_that_holds_no_number_leaves_the_others_alone(kernel, value, exported):
    _, path = exported("nsyolo", kernel=kernel)
    images = torch.rand(3, 3, 64, 96)
    expected = run(path, images)
    images[1, :, 20, 30] = value
    for before, after in zip(expected, run(path, images), strict=True):
        assert np.isnan(after[1]).any()
        np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])


def test_sizes_that_the_network_cannot_take(make, tmp_path):
    for size in (0, -32, 100):
        with pytest.raises(ValueError, match=f"size={size}"):
            export_onnx(make(), tmp_path / "network.onnx", size=size)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(not EMPS.is_dir(), reason="EMPS is not at hand")
@pytest.mark.parametrize("scheme", ["yolo11n", "nsyolo"])
def test_micrographs(scheme, make, tmp_path):
    pictures = [Image.open(file).convert("RGB") for file in sorted(EMPS.iterdir())[:6]]
    resized = {
        size: torch.stack([torch.from_numpy(np.array(each.resize(size)).transpose(2, 0, 1)) for each in pictures]) / 255
        for size in ((640, 640), (512, 384))
    }
    network = make(scheme, resized[512, 384])
    path = tmp_path / "network.onnx"
    export_onnx(network, path)
    for images in (*resized[640, 640].split(1), *resized[512, 384].split(2)):
        with torch.no_grad():
            expected, _ = network(images)
        found = [torch.from_numpy(array) for array in run(path, images)]
        boxes, scores, _, iou = compare(found, expected, max(images.shape[2:]))
        assert boxes < 1e-4 and scores < 1e-4 and iou >= 0.999, (boxes, scores, iou)
