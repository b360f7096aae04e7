import math

import pytest
import torch
from torch import nn

from nanoseg_bench.nsyolo import build_network, mask_maps, probe_network
from nanoseg_bench.nsyolo.badsconv import BADSConv, DSConv
from nanoseg_bench.nsyolo.routing import BiLevelRoutingAttention

HEIGHT, WIDTH = 96, 160
STRIDES = (8, 16, 32)
LAYER = "model.19.m.0.cv2"


@pytest.fixture
def make(unsettle):
    def build(scheme="nsyolo", **options):
        return unsettle(build_network(scheme, 3, **options)).eval()

    return build


@pytest.fixture
def images():
    return torch.rand(2, 3, HEIGHT, WIDTH)


def tensors_of(output):
    if torch.is_tensor(output):
        return [output]
    parts = output.values() if isinstance(output, dict) else output
    return [tensor for part in parts for tensor in tensors_of(part)]


def inputs_by_hand(network, images):
    """What enters BADSConv in layer 19 and BRA in layer 10, by calling the layers one after the other."""
    with torch.no_grad():
        outputs, entering = [], images
        for layer in network.model[:20]:
            if layer.f != -1:
                sources = [layer.f] if isinstance(layer.f, int) else layer.f
                chosen = [entering if source == -1 else outputs[source] for source in sources]
                entering = chosen[0] if len(chosen) == 1 else chosen
            if layer.i == 10:
                routed = layer.cv1(entering).chunk(2, dim=1)[1]
            if layer.i == 19:
                snaked = layer.m[0].cv1(layer.cv1(entering).chunk(2, dim=1)[1])
            entering = layer(entering)
            outputs.append(entering)
    return snaked.clone(), routed.clone()


def literal_positions(offsets, axis):
    """Eq. 1 for every pixel: offsets are summed from the centre outwards, positions end at the border."""
    batch, points, height, width = offsets.shape
    centre = points // 2
    positions = torch.zeros(batch, points, height, width, 2, dtype=torch.float64)
    for n in range(batch):
        for row in range(height):
            for column in range(width):
                for i in range(points):
                    between = range(centre + 1, i + 1) if i > centre else range(i, centre)
                    bend = sum(float(offsets[n, k, row, column]) for k in between)
                    x, y = (column + i - centre, row + bend) if axis == "x" else (column + bend, row + i - centre)
                    positions[n, i, row, column, 0] = min(max(x, 0), width - 1)
                    positions[n, i, row, column, 1] = min(max(y, 0), height - 1)
    return positions


def literal_bilinear(values, y, x):
    """A map (h, w) at the continuous map position (y, x), pixel i having its centre at i, borders repeated."""
    height, width = len(values), len(values[0])
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = min(math.floor(y), max(height - 2, 0)), min(math.floor(x), max(width - 2, 0))
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    above = values[top][left] * (1 - x + left) + values[top][right] * (x - left)
    below = values[bottom][left] * (1 - x + left) + values[bottom][right] * (x - left)
    return above * (1 - y + top) + below * (y - top)


@pytest.mark.parametrize("kernel", [3, 5])
def test_snakes_lie_where_equation_1_puts_them(kernel, make, images):
    network = make(kernel=kernel)
    (snake,) = probe_network(network, images).snakes
    entering, _ = inputs_by_hand(network, images)
    with torch.no_grad():
        horizontal, vertical = network.get_submodule(LAYER).offsets(entering).chunk(2, dim=1)
    assert snake.layer == LAYER and snake.stride == (16, 16)
    for positions, offsets, axis in ((snake.along_x, vertical, "x"), (snake.along_y, horizontal, "y")):
        assert positions.shape == (2, kernel, HEIGHT // 16, WIDTH // 16, 2)
        expected = literal_positions(offsets, axis)
        assert (expected != literal_positions(torch.zeros_like(offsets), axis)).any(), "nothing bends"
        torch.testing.assert_close(positions.double(), expected, rtol=0, atol=1e-5)
        # The centre of map pixel i lies in the middle of 16 input pixels.
        torch.testing.assert_close(snake.to_input(positions).double(), expected * 16 + 8, rtol=0, atol=1e-3)


def test_boundary_attention_is_the_blocks_own(make, images):
    network = make()
    (snake,) = probe_network(network, images).snakes
    entering, _ = inputs_by_hand(network, images)
    with torch.no_grad():
        expected = network.get_submodule(LAYER).boundary_attention(entering)
    assert snake.attention.shape == (2, 1, HEIGHT // 16, WIDTH // 16)
    assert 0 <= snake.attention.min() < snake.attention.max() <= 1
    torch.testing.assert_close(snake.attention, expected)


def test_routes_and_their_regions(make, images):
    network = make()
    (routing,) = probe_network(network, images).routings
    _, entering = inputs_by_hand(network, images)
    block = network.get_submodule(routing.layer)
    with torch.no_grad():
        assert torch.equal(routing.routes, block.routes(entering))
    assert routing.routes.shape == (2, 16, 4)
    # The map of 3×5 tokens is padded to 4×8, regions of 1×2 tokens of 32 px: the last row and column are empty.
    for i in range(4):
        for j in range(4):
            tokens = [(r, c) for r in range(i, i + 1) for c in range(2 * j, 2 * j + 2) if r < 3 and c < 5]
            x0, y0, x1, y1 = routing.regions[4 * i + j].tolist()
            assert (x1 - x0) * (y1 - y0) == len(tokens) * 32 * 32
            if tokens:
                assert (x0, y0) == (32 * tokens[0][1], 32 * tokens[0][0])


def test_confidence_is_the_best_score_of_the_three_strides(make, images):
    network = make()
    found = probe_network(network, images)
    with torch.no_grad():
        (output, _), _ = network(images)
    scores = output[:, 4:7].double().amax(1)
    assert found.confidence.shape == (2, 1, HEIGHT, WIDTH)
    start, maps = 0, []
    for stride in STRIDES:
        rows, columns = HEIGHT // stride, WIDTH // stride
        part = scores[:, start : start + rows * columns]
        maps.append(part.reshape(2, rows, columns).tolist())
        start += rows * columns
    for n in range(2):
        for y in range(0, HEIGHT, 5):
            for x in range(0, WIDTH, 3):
                expected = max(
                    literal_bilinear(values[n], (y + 0.5) / stride - 0.5, (x + 0.5) / stride - 0.5)
                    for stride, values in zip(STRIDES, maps, strict=True)
                )
                assert float(found.confidence[n, 0, y, x]) == pytest.approx(expected, abs=1e-6)


def test_mask_maps_are_maxima_over_the_particles():
    prototypes = torch.randn(3, 6, 10) * 2
    boxes = torch.tensor([[2.0, 3.5, 21.2, 19.0], [12.0, 0.0, 40.0, 24.0], [5.0, 5.0, 5.0, 5.0]])
    coefficients = torch.randn(3, 3)
    found = mask_maps(prototypes, boxes, coefficients, (24, 40))
    logits = torch.einsum("dm,mhw->dhw", coefficients.double(), prototypes.double()).tolist()
    for y in range(24):
        for x in range(40):
            masks = [0.0]
            for (x0, y0, x1, y1), values in zip(boxes.tolist(), logits, strict=True):
                if x0 <= x + 0.5 < x1 and y0 <= y + 0.5 < y1:
                    value = literal_bilinear(values, (y + 0.5) / 4 - 0.5, (x + 0.5) / 4 - 0.5)
                    masks.append(1 / (1 + math.exp(-value)))
            assert float(found.probability[y, x]) == pytest.approx(max(masks), abs=1e-6)
            assert float(found.boundary[y, x]) == pytest.approx(max(4 * p * (1 - p) for p in masks), abs=1e-6)


def test_no_detection_gives_empty_mask_maps():
    found = mask_maps(torch.randn(3, 6, 10), torch.zeros(0, 4), torch.zeros(0, 3), (24, 40))
    assert found.probability.shape == found.boundary.shape == (24, 40)
    assert not found.probability.any() and not found.boundary.any()


@pytest.mark.parametrize("scheme", ["yolo11n", "nsyolo"])
def test_the_network_is_left_as_it_was(scheme, make, images):
    network = make(scheme)
    with torch.no_grad():
        before = tensors_of(network(images))
    state = {name: value.clone() for name, value in network.state_dict().items()}
    found = probe_network(network, images)
    with torch.no_grad():
        after = tensors_of(network(images))
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert torch.equal(found.output, before[0]) and torch.equal(found.prototypes, before[1])
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in network.modules())
    assert not any(tensor.requires_grad for tensor in (found.output, found.confidence))


def test_hooks_are_removed_after_a_failure(make):
    network = make()
    network.model[22].forward = lambda x: 1 / 0
    with pytest.raises(ZeroDivisionError):
        probe_network(network, torch.rand(1, 3, 64, 64))
    assert not any(module._forward_pre_hooks for module in network.modules())


@pytest.mark.parametrize(
    ("scheme", "snakes", "attention", "routings"),
    [("yolo11n", 0, 0, 0), ("yolo11n-c3ds", 1, 0, 0), ("yolo11n-c3bads", 1, 1, 0), ("yolo11n-c2psa-bra", 0, 0, 1)],
)
def test_schemes_without_a_block_have_nothing_of_it(scheme, snakes, attention, routings, make, images):
    found = probe_network(make(scheme), images)
    assert len(found.snakes) == snakes
    assert sum(snake.attention is not None for snake in found.snakes) == attention
    assert len(found.routings) == routings
    assert found.confidence.shape == (2, 1, HEIGHT, WIDTH)


def test_every_block_of_a_larger_network_is_probed(make):
    network = make(scale="m", p4_layers=(13, 19))
    found = probe_network(network, torch.rand(1, 3, 64, 64))
    names = [name for name, module in network.named_modules() if isinstance(module, DSConv)]
    assert [snake.layer for snake in found.snakes] == names and len(names) > 2
    assert all(isinstance(network.get_submodule(name), BADSConv) for name in names)
    assert [routing.layer for routing in found.routings] == [
        name for name, module in network.named_modules() if isinstance(module, BiLevelRoutingAttention)
    ]


def test_fusing_changes_nothing(make, images):
    network = make()
    before = probe_network(network, images)
    after = probe_network(network.fuse(verbose=False), images)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    compare(before, after, atol=1e-3)


def test_images_of_a_batch_do_not_touch_each_other(make, images):
    network = make()
    together = probe_network(network, images)
    for n in range(2):
        alone = probe_network(network, images[n : n + 1])
        for one, other in zip(everything(together), everything(alone), strict=True):
            torch.testing.assert_close(one[n : n + 1], other, rtol=1e-4, atol=1e-4)


def test_channels_last_gives_the_same(make, images):
    network = make()
    before = probe_network(network, images)
    network = network.to(memory_format=torch.channels_last)
    compare(before, probe_network(network, images.to(memory_format=torch.channels_last)), atol=1e-3)


def test_a_network_in_training_and_an_odd_size_are_refused(make, images):
    with pytest.raises(ValueError, match="evaluation mode"):
        probe_network(make().train(), images)
    with pytest.raises(ValueError, match="100x96"):
        probe_network(make(), images[:, :, :, :100])


def everything(found):
    (snake,), (routing,) = found.snakes, found.routings
    return [found.confidence, found.prototypes, snake.attention, snake.along_x, snake.along_y, routing.routes]


def compare(one, other, atol):
    for left, right in zip(everything(one), everything(other), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-3, atol=atol)
