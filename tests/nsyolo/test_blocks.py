import pytest
import torch
from ultralytics.nn.modules.block import C2PSA, C3k2

from nanoseg_bench.nsyolo.badsconv import BADSConv, DSConv
from nanoseg_bench.nsyolo.blocks import C2PSABRA, C3BADS, C3DS
from nanoseg_bench.nsyolo.routing import BiLevelRoutingAttention

IMAGES = [(320, 320), (512, 512), (640, 640), (320, 416)]


@pytest.mark.parametrize("block", [C3DS, C3BADS])
@pytest.mark.parametrize("image", IMAGES)
def test_snake_blocks_keep_the_shape_of_c3k2_at_p4(block, image):
    features = torch.randn(1, 192, image[0] // 16, image[1] // 16)
    with torch.no_grad():
        assert block(192, 128).eval()(features).shape == C3k2(192, 128).eval()(features).shape


@pytest.mark.parametrize("image", IMAGES)
def test_routed_block_keeps_the_shape_of_c2psa_after_sppf(image):
    features = torch.randn(1, 256, image[0] // 32, image[1] // 32)
    with torch.no_grad():
        assert C2PSABRA(256, 256).eval()(features).shape == C2PSA(256, 256).eval()(features).shape


@pytest.mark.parametrize(("block", "convolution"), [(C3DS, DSConv), (C3BADS, BADSConv)])
@pytest.mark.parametrize(("c3k", "count"), [(False, 2), (True, 4)])
def test_the_second_convolution_of_every_bottleneck_is_replaced(block, convolution, c3k, count):
    layer = block(16, 16, n=2, c3k=c3k, kernel=3)
    replaced = [module for module in layer.modules() if type(module) is convolution]
    assert len(replaced) == count
    assert all(module.offset_conv.out_channels == 6 for module in replaced)
    stock = C3k2(16, 16, n=2, c3k=c3k).state_dict()
    # All else is the stock block's: its names, but for the replaced convolutions', are there with their shapes.
    kept = {name for name, value in stock.items() if name in layer.state_dict()}
    assert len(stock) - len(kept) == 6 * count
    assert all(stock[name].shape == layer.state_dict()[name].shape for name in kept)
    assert layer(torch.randn(2, 16, 5, 7)).shape == (2, 16, 5, 7)


def test_routed_block_has_as_many_heads_as_the_attention_it_replaces():
    layer = C2PSABRA(256, 256, n=2, regions=2, topk=3)
    routed = [module for module in layer.modules() if isinstance(module, BiLevelRoutingAttention)]
    assert [(module.heads, module.regions, module.topk) for module in routed] == [(2, 2, 3)] * 2
    assert C2PSA(256, 256).m[0].attn.num_heads == 2
