import math

import pytest
import torch
from literal_layers import literal_conv

from nanoseg_bench.nsyolo.badsconv import BADSConv, DSConv, pooling_kernel, spatial_gradient

CONVOLUTIONS = [DSConv, BADSConv]


def literal_gradient(features):
    """Eq. 4-6 with loops: forward differences, whose last row and column repeat the ones before, mean over channels."""
    batch, channels, height, width = features.shape
    result = torch.zeros(batch, 1, height, width, dtype=torch.float64)
    for n in range(batch):
        for h in range(height):
            for w in range(width):
                for c in range(channels):
                    plane, value = features[n, c], 0.0
                    left, top = min(w, width - 2), min(h, height - 2)
                    if width > 1:
                        value += abs(float(plane[h, left + 1]) - float(plane[h, left]))
                    if height > 1:
                        value += abs(float(plane[top + 1, w]) - float(plane[top, w]))
                    result[n, 0, h, w] += value / channels
    return result


def literal_pool(plane, size):
    """Average pool of stride 1 over a map whose border repeats outwards."""
    height, width = plane.shape
    margin = size // 2
    result = torch.zeros_like(plane)
    for h in range(height):
        for w in range(width):
            total = 0.0
            for dh in range(-margin, margin + 1):
                for dw in range(-margin, margin + 1):
                    total += float(plane[min(max(h + dh, 0), height - 1), min(max(w + dw, 0), width - 1)])
            result[h, w] = total / size**2
    return result


def literal_descriptor(features):
    gradient = literal_gradient(features)
    pooled = torch.zeros_like(gradient)
    for n in range(len(gradient)):
        pooled[n, 0] = sum(literal_pool(gradient[n, 0], size) for size in (3, 5, 7)) / 3
    return pooled


def literal_norm(norm, x):
    """Batch normalisation in eval mode, written out."""
    mean, variance, weight, bias = (
        values.view(1, -1, 1, 1) for values in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (x - mean) / torch.sqrt(variance + norm.eps) * weight + bias


def conv_bn(block, x, activation):
    return activation(literal_norm(block.bn, literal_conv(x, block.conv.weight, padding=block.conv.padding[0])))


def silu(x):
    return x / (1 + torch.exp(-x))


def literal_offsets(module, x):
    """Eq. 3, and for BADSConv Eq. 7-8."""
    offsets = torch.tanh(literal_conv(x, module.offset_conv.weight, module.offset_conv.bias, padding=1))
    if isinstance(module, BADSConv):
        hidden = conv_bn(module.bam[0], literal_descriptor(x), lambda y: y.clamp(min=0))
        score = literal_conv(hidden, module.bam[1].weight, module.bam[1].bias)
        offsets = offsets * (1 + 1 / (1 + torch.exp(-score)))
    return offsets


def literal_snake(branch, x, offsets, axis):
    """Eq. 1 and 9-10: the strip convolution over bilinear samples, with loops."""
    batch, _, height, width = x.shape
    points = offsets.shape[1]
    centre = points // 2
    weight = branch.strip.conv.weight
    result = torch.zeros(batch, len(weight), height, width, dtype=torch.float64)
    for n in range(batch):
        for h in range(height):
            for w in range(width):
                for i in range(points):
                    passed = range(centre + 1, i + 1) if i >= centre else range(i, centre)
                    bend = sum(float(offsets[n, j, h, w]) for j in passed)
                    row, column = (h + bend, w + i - centre) if axis == "x" else (h + i - centre, w + bend)
                    row, column = min(max(row, 0.0), height - 1.0), min(max(column, 0.0), width - 1.0)
                    for r in range(height):
                        for c in range(width):
                            share = max(0.0, 1 - abs(row - r)) * max(0.0, 1 - abs(column - c))
                            if share:
                                result[n, :, h, w] += share * (weight[:, :, 0, i] @ x[n, :, r, c])
    return silu(literal_norm(branch.strip.bn, result))


def literal_forward(module, x):
    offsets = literal_offsets(module, x)
    points = offsets.shape[1] // 2
    branches = [
        conv_bn(module.standard, x, silu),
        literal_snake(module.snake_x, x, offsets[:, points:], "x"),
        literal_snake(module.snake_y, x, offsets[:, :points], "y"),
    ]
    weights = [1 / 3] * 3
    if isinstance(module, BADSConv):
        powers = [math.exp(a) for a in module.alpha.tolist()]
        weights = [power / sum(powers) for power in powers]
    return conv_bn(module.project, sum(w * y for w, y in zip(weights, branches, strict=True)), silu)


@pytest.mark.parametrize("size", [(4, 6), (5, 3), (1, 4), (4, 1), (1, 1), (2, 2)])
def test_gradient_and_descriptor_follow_equations_4_to_6(size):
    features = torch.randn(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(spatial_gradient(features), literal_gradient(features))
    module = BADSConv(3, 3).double()
    torch.testing.assert_close(module.boundary_descriptor(features), literal_descriptor(features), rtol=1e-6, atol=1e-7)


def test_pools_are_one_kernel_of_sum_one():
    kernel = pooling_kernel()
    assert kernel.sum().item() == pytest.approx(1)
    assert kernel[0, 0, 3, 3].item() == pytest.approx((1 / 9 + 1 / 25 + 1 / 49) / 3)
    assert kernel[0, 0, 0, 3].item() == pytest.approx(1 / 49 / 3)


def test_attention_and_offsets_follow_equations_3_7_and_8(unsettle):
    module = unsettle(BADSConv(3, 4)).double().eval()
    features = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    offsets = module.offsets(features)
    torch.testing.assert_close(offsets, literal_offsets(module, features), rtol=1e-6, atol=1e-7)
    gain = offsets / DSConv.offsets(module, features)
    torch.testing.assert_close(gain, (1 + module.boundary_attention(features)).expand_as(gain))
    assert offsets.shape == (2, 10, 5, 6)
    assert ((gain >= 1) & (gain <= 2)).all()


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
@pytest.mark.parametrize(("k", "size"), [(3, (4, 5)), (5, (4, 5)), (9, (4, 5)), (5, (1, 1)), (9, (1, 3)), (3, (6, 1))])
def test_forward_follows_the_algorithm(convolution, k, size, unsettle):
    module = unsettle(convolution(2, 3, k)).double().eval().requires_grad_(False)
    features = torch.randn(2, 2, *size, dtype=torch.float64)
    # The pooling kernel is held in single precision.
    torch.testing.assert_close(module(features), literal_forward(module, features), rtol=1e-6, atol=1e-6)


def test_fusion_weights_follow_equation_12():
    module = BADSConv(2, 2)
    assert module.fusion_weights().tolist() == pytest.approx([1 / 3] * 3)
    with torch.no_grad():
        module.alpha.copy_(torch.tensor([0.0, math.log(2), math.log(5)]))
    assert module.fusion_weights().tolist() == pytest.approx([1 / 8, 2 / 8, 5 / 8])


@pytest.mark.parametrize("k", [3, 5, 9])
def test_gradients_reach_offsets_boundary_attention_and_alpha(k):
    module = BADSConv(4, 6, k).train()
    module(torch.randn(2, 4, 12, 10)).pow(3).sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name
    per_channel = module.offset_conv.weight.grad.abs().sum((1, 2, 3))
    centres = {k // 2, k + k // 2}
    assert {i for i, strength in enumerate(per_channel.tolist()) if strength == 0} == centres


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
@pytest.mark.parametrize("k", [3, 5, 9])
def test_gradients_agree_with_finite_differences(convolution, k, unsettle):
    module = unsettle(convolution(2, 2, k)).double().eval()
    features = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    # Each number by itself for the shortest snake; for the others a random direction through all of them.
    assert torch.autograd.gradcheck(lambda x, *_: module(x), (features, *module.parameters()), fast_mode=k > 3)


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
@pytest.mark.parametrize("k", [3, 5, 9])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 2), (7, 13)])
def test_layout_and_batch_do_not_matter(convolution, k, size, unsettle):
    module = unsettle(convolution(4, 6, k)).eval()
    features = torch.randn(3, 4, *size)
    together = module(features)
    assert together.shape == (3, 6, *size)
    apart = torch.cat([module(one) for one in features.split(1)])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)
    changed = features.clone()
    changed[1] = torch.randn(4, *size)
    assert torch.equal(module(changed)[[0, 2]], together[[0, 2]])
    last = module.to(memory_format=torch.channels_last)(features.to(memory_format=torch.channels_last))
    torch.testing.assert_close(together, last, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
@pytest.mark.parametrize("k", [3, 5, 9])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_error_of_half_precision_is_as_stated(convolution, k, dtype, unsettle):
    module = unsettle(convolution(8, 8, k)).eval()
    features = torch.randn(2, 8, 11, 9)
    exact = module(features)
    with torch.autocast("cpu", dtype=dtype):
        mixed = module(features)
        mixed.float().pow(2).mean().backward()
    assert mixed.dtype == dtype
    assert all(parameter.grad.isfinite().all() for parameter in module.parameters())
    tolerance = 4 * torch.finfo(dtype).eps
    torch.testing.assert_close(mixed.float(), exact, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(module.to(dtype)(features.to(dtype)).float(), exact, rtol=tolerance, atol=tolerance)


def test_plain_convolution_shares_the_weights_of_the_boundary_aware_one():
    torch.manual_seed(3)
    plain = DSConv(4, 6).state_dict()
    torch.manual_seed(3)
    aware = BADSConv(4, 6).state_dict()
    assert all(torch.equal(value, aware[name]) for name, value in plain.items())
    assert sum(v.numel() for k, v in aware.items() if k not in plain and "running" not in k and "num_" not in k) == 100


@pytest.mark.parametrize("k", [1, 2, 4])
def test_even_and_single_point_snakes_are_refused(k):
    with pytest.raises(ValueError, match=f"k={k}"):
        BADSConv(2, 2, k)
