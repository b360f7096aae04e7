import numpy as np
import pytest
import torch
from torch.nn import functional

from nanoseg_bench.nsyolo import NSYOLO, SCHEMES, build_network
from nanoseg_bench.nsyolo.export import export_onnx
from nanoseg_bench.nsyolo.prototypes import SubPixelConv, refined_tensors
from nanoseg_bench.nsyolo.weights import save_weights


def seeded(scheme: str, mask_stride: int):
    torch.manual_seed(0)
    return build_network(scheme, 2, mask_stride=mask_stride)


def refines(network):
    return any(isinstance(module, SubPixelConv) for module in network.modules())


def prototypes_of(network, images):
    network.eval()
    with torch.no_grad():
        return network(images)[0][1]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_fine_prototypes_begin_as_the_coarse_ones_repeated(scheme):
    images = torch.rand(2, 3, 96, 64, generator=torch.Generator().manual_seed(1))
    coarse, fine = (prototypes_of(seeded(scheme, stride), images) for stride in (4, 2))
    assert coarse.shape == (2, 32, 24, 16)
    assert fine.shape == (2, 32, 48, 32)
    torch.testing.assert_close(fine, functional.interpolate(coarse, scale_factor=2, mode="nearest"))


def test_everything_else_starts_from_the_same_weights():
    coarse, fine = (seeded("nsyolo", stride).state_dict() for stride in (4, 2))
    assert list(coarse) == list(fine)
    for name, value in coarse.items():
        # Of the last layer each channel is there four times.
        ours = fine[name] if fine[name].shape == value.shape else fine[name][::4]
        assert torch.equal(ours, value), name


def test_sub_pixels_are_those_of_the_literal_formula():
    torch.manual_seed(0)
    layer = SubPixelConv(3, 5).eval()
    x = torch.rand(1, 3, 4, 6)
    with torch.no_grad():
        wide = layer.act(layer.bn(layer.conv(x)))
        y = layer(x)
    for channel, row, column in np.ndindex(5, 8, 12):
        expected = wide[0, 4 * channel + 2 * (row % 2) + column % 2, row // 2, column // 2]
        assert y[0, channel, row, column] == expected


def test_weights_at_stride_4_start_a_network_at_stride_2():
    coarse = seeded("nsyolo", 4)
    torch.nn.init.normal_(coarse.model[-1].proto.cv3.conv.weight)
    fine = build_network("nsyolo", 2, mask_stride=2)
    fine.load_state_dict(refined_tensors(coarse.state_dict(), fine.state_dict()))
    images = torch.rand(1, 3, 64, 64)
    expected = functional.interpolate(prototypes_of(coarse, images), scale_factor=2, mode="nearest")
    torch.testing.assert_close(prototypes_of(fine, images), expected)
    # Tensors that fit stay as they are, whatever their names.
    own = fine.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in refined_tensors(own, own).items())


def test_fusing_and_exporting_give_the_same(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    network = seeded("nsyolo", 2)
    network.train()
    with torch.no_grad():
        network(torch.rand(2, 3, 64, 64))  # statistics of its own
    images = torch.rand(1, 3, 64, 96)
    expected = prototypes_of(network, images)
    export_onnx(network, tmp_path / "fine.onnx", size=96)
    session = onnxruntime.InferenceSession(tmp_path / "fine.onnx", providers=["CPUExecutionProvider"])
    exported = session.run(["prototypes"], {"images": images.numpy()})[0]
    np.testing.assert_allclose(exported, expected.numpy(), atol=2e-4)
    torch.testing.assert_close(prototypes_of(network.fuse(verbose=False), images), expected, atol=1e-4, rtol=1e-4)


def test_weights_say_their_stride(tmp_path):
    network = seeded("yolo11n", 2)
    about = {
        "model": "yolo11n",
        "classes": ["a", "b"],
        "canvas": 64,
        "options": {"scheme": "yolo11n", "mask_stride": 2},
    }
    save_weights(tmp_path / "fine.safetensors", network.state_dict(), about)
    opened = NSYOLO(tmp_path / "fine.safetensors").model
    assert refines(opened)
    assert not refines(build_network("yolo11n", 2))
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(prototypes_of(opened, images), prototypes_of(network, images))


def test_another_stride_is_refused():
    with pytest.raises(ValueError, match="mask_stride=8 must be one of 2, 4"):
        build_network("nsyolo", 2, mask_stride=8)
