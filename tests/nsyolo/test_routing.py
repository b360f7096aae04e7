import math

import pytest
import torch
from literal_layers import literal_conv
from torch.nn import functional

from nanoseg_bench.nsyolo.routing import BiLevelRoutingAttention

SIZES = [(4, 8), (6, 10), (5, 7), (3, 3), (2, 9), (1, 1)]


def regions_of(height, width, side):
    """The real tokens of every region, row by row (Eq. 15): a list of S² lists of (row, column)."""
    rows, columns = math.ceil(height / side), math.ceil(width / side)
    return [
        [
            (h, w)
            for h in range(i * rows, min((i + 1) * rows, height))
            for w in range(j * columns, min((j + 1) * columns, width))
        ]
        for i in range(side)
        for j in range(side)
    ]


def conv_bn(block, x):
    y = literal_conv(x, block.conv.weight, padding=block.conv.padding[0], groups=block.conv.groups)
    shape = (1, -1, 1, 1)
    y = (y - block.bn.running_mean.view(shape)) / torch.sqrt(block.bn.running_var.view(shape) + block.bn.eps)
    return y * block.bn.weight.view(shape) + block.bn.bias.view(shape)


def literal_routes(query, key, regions, topk):
    """Eq. 17-18 for one image: the best non-empty regions of every non-empty region."""
    routes = {}
    filled = [r for r, places in enumerate(regions) if places]
    for i in filled:
        q = torch.stack([query[:, h, w] for h, w in regions[i]]).mean(0)
        affinity = {j: float(q @ torch.stack([key[:, h, w] for h, w in regions[j]]).mean(0)) for j in filled}
        routes[i] = sorted(filled, key=lambda j, a=affinity: -a[j])[:topk]
    return routes


def literal_attention(module, x):
    """Eq. 16-21 with loops over regions, tokens and heads."""
    batch, channels, height, width = x.shape
    query, key, value = conv_bn(module.qkv, x).chunk(3, dim=1)
    regions = regions_of(height, width, module.regions)
    depth = channels // module.heads
    attended = torch.zeros_like(x)
    for n in range(batch):
        routes = literal_routes(query[n], key[n], regions, module.topk)
        for i, routed in routes.items():
            places = [place for j in routed for place in regions[j]]
            for h, w in regions[i]:
                for head in range(module.heads):
                    part = slice(head * depth, (head + 1) * depth)
                    scores = [float(query[n, part, h, w] @ key[n, part, r, c]) / math.sqrt(depth) for r, c in places]
                    powers = [math.exp(score - max(scores)) for score in scores]
                    for power, (r, c) in zip(powers, places, strict=True):
                        attended[n, part, h, w] += power / sum(powers) * value[n, part, r, c]
    return conv_bn(module.proj, attended + conv_bn(module.lce, value))


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("topk", [1, 4, 16])
def test_forward_follows_equations_14_to_21(size, topk, dense, unsettle):
    module = unsettle(BiLevelRoutingAttention(4, 2, regions=4, topk=topk)).double().eval()
    module.dense = dense
    features = torch.randn(2, 4, *size, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(module(features), literal_attention(module, features))


@pytest.mark.parametrize("size", [(8, 8), (6, 10), (5, 7)])
def test_routes_follow_equations_17_and_18(size, unsettle):
    module = unsettle(BiLevelRoutingAttention(6, 2, topk=3)).double().eval()
    features = torch.randn(2, 6, *size, dtype=torch.float64)
    routes = module.routes(features)
    module.requires_grad_(False)
    query, key, _ = conv_bn(module.qkv, features).chunk(3, dim=1)
    assert routes.shape == (2, 16, 3)
    for n in range(2):
        for i, expected in literal_routes(query[n], key[n], regions_of(*size, 4), 3).items():
            assert routes[n, i].tolist() == expected


def test_routing_to_all_regions_is_full_attention(unsettle):
    module = unsettle(BiLevelRoutingAttention(4, 1, regions=2, topk=4)).eval()
    features = torch.randn(1, 4, 5, 5)
    query, key, value = (part.flatten(2).transpose(1, 2) for part in module.qkv(features).chunk(3, dim=1))
    attended = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(1, 4, 5, 5)
    expected = module.proj(attended + module.lce(module.qkv(features).chunk(3, dim=1)[2]))
    torch.testing.assert_close(module(features), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("size", [(4, 4), (3, 5), (1, 2)])
def test_gradients_agree_with_finite_differences(size, dense, unsettle):
    module = unsettle(BiLevelRoutingAttention(2, 1, regions=2, topk=2)).double().eval()
    module.dense = dense
    features = torch.randn(1, 2, *size, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *_: module(x), (features, *module.parameters()))


@pytest.mark.parametrize("dense", [False, True])
def test_gradients_reach_every_weight(dense):
    module = BiLevelRoutingAttention(8, 2).train()
    module.dense = dense
    module(torch.randn(2, 8, 6, 10)).pow(3).sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("size", [(8, 8), (5, 7), (1, 1)])
def test_layout_and_batch_do_not_matter(size, unsettle):
    module = unsettle(BiLevelRoutingAttention(8, 2)).eval()
    features = torch.randn(3, 8, *size)
    together = module(features)
    apart = torch.cat([module(one) for one in features.split(1)])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)
    changed = features.clone()
    changed[1] = torch.randn(8, *size)
    assert torch.equal(module(changed)[[0, 2]], together[[0, 2]])
    last = module.to(memory_format=torch.channels_last)(features.to(memory_format=torch.channels_last))
    torch.testing.assert_close(together, last, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_routes_are_chosen_in_single_precision(dtype, unsettle):
    module = unsettle(BiLevelRoutingAttention(16, 2)).eval()
    features = torch.randn(4, 16, 20, 20)
    query, key, _ = (module._to_regions(part).to(dtype) for part in module.qkv(features).chunk(3, dim=1))
    expected = module._route(query.float(), key.float(), None)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(module._route(query, key, None), expected)
        mixed = module(features)
    assert mixed.dtype == dtype and mixed.isfinite().all()


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [(20, 20), (5, 7)])
def test_the_error_of_half_precision_is_as_stated(size, dtype, dense, unsettle):
    module = unsettle(BiLevelRoutingAttention(32, 2)).eval()
    module.dense = dense
    features = torch.randn(4, 32, *size)
    exact, routes = module(features), module.routes(features)
    with torch.autocast("cpu", dtype=dtype):
        mixed, mixed_routes = module(features), module.routes(features)
        mixed.float().pow(2).mean().backward()
    assert mixed.dtype == dtype
    assert all(parameter.grad.isfinite().all() for parameter in module.parameters())
    alike = (routes.sort().values == mixed_routes.sort().values).all(-1)
    rows, columns = (math.ceil(length / 4) for length in size)
    alike = alike.view(4, 4, 4).repeat_interleave(rows, 1).repeat_interleave(columns, 2)[:, : size[0], : size[1]]
    assert alike.float().mean() > 0.9
    tolerance = 4 * torch.finfo(dtype).eps
    same = alike[:, None].expand_as(exact)
    torch.testing.assert_close(mixed.float()[same], exact[same], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("arguments", "named"), [((6, 4), "heads=4"), ((4, 2, 0), "regions=0"), ((4, 2, 4, 0), "topk=0")]
)
def test_impossible_sizes_are_refused(arguments, named):
    with pytest.raises(ValueError, match=named):
        BiLevelRoutingAttention(*arguments)
