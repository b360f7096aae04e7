import io
import math

import pytest
import torch
from torch.nn import functional

from nanoseg_bench.nsyolo.snake import (
    SnakeBranch,
    StripConv,
    accumulate_from_centre,
    sample_by_grid,
    sample_by_rows,
    sample_snakes,
    snake_positions,
)

SAMPLERS = [sample_by_grid, sample_by_rows]


def limited(value, size):
    return min(max(value, 0.0), size - 1.0)


def bilinear(plane, row, column):
    """Read a list of lists between its pixels; outside it, the nearest border pixel."""
    row, column = limited(row, len(plane)), limited(column, len(plane[0]))
    top, left = math.floor(row), math.floor(column)
    bottom, right = min(top + 1, len(plane) - 1), min(left + 1, len(plane[0]) - 1)
    down, across = row - top, column - left
    upper = plane[top][left] * (1 - across) + plane[top][right] * across
    lower = plane[bottom][left] * (1 - across) + plane[bottom][right] * across
    return upper * (1 - down) + lower * down


def summed_offset(offsets, point):
    """The sum of Eq. 1 over a list of K offsets: from beside the centre to the point, which is included."""
    centre = len(offsets) // 2
    if point >= centre:
        return sum(offsets[centre + 1 : point + 1])
    return sum(offsets[point:centre])


def literal_samples(features, offsets, axis):
    batch, channels, height, width = features.shape
    points = offsets.shape[1]
    samples = torch.zeros(batch, channels, height, width * points, dtype=torch.float64)
    for n in range(batch):
        for h in range(height):
            for w in range(width):
                steps = offsets[n, :, h, w].tolist()
                for i in range(points):
                    bend, reach = summed_offset(steps, i), i - points // 2
                    row, column = (h + bend, w + reach) if axis == "x" else (h + reach, w + bend)
                    for c in range(channels):
                        samples[n, c, h, w * points + i] = bilinear(features[n, c].tolist(), row, column)
    return samples


@pytest.mark.parametrize("sample", SAMPLERS)
@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("points", [3, 5, 9])
def test_samples_follow_equation_1(sample, axis, points):
    features = torch.randn(2, 2, 5, 4, dtype=torch.float64)
    offsets = 2 * torch.rand(2, points, 5, 4, dtype=torch.float64) - 1
    expected = literal_samples(features, offsets, axis)
    torch.testing.assert_close(sample(features, offsets, axis)[0], expected, rtol=0, atol=1e-12)
    (in_single,) = sample(features.float(), offsets.float(), axis)
    torch.testing.assert_close(in_single.double(), expected, rtol=0, atol=1e-5)


def test_end_points_are_displaced_by_every_offset_up_to_them():
    offsets = torch.tensor([1.0, 10.0, 99.0, 100.0, 1000.0]).view(1, 5, 1, 1)
    assert accumulate_from_centre(offsets).flatten().tolist() == [11.0, 10.0, 0.0, 100.0, 1100.0]


@pytest.mark.parametrize("sample", SAMPLERS)
@pytest.mark.parametrize("axis", ["x", "y"])
def test_zero_offsets_read_the_row_or_column(sample, axis):
    ramp = torch.arange(12.0).view(1, 1, 3, 4)
    samples = sample(ramp, torch.zeros(1, 3, 3, 4), axis)[0].reshape(3, 4, 3)
    assert samples[1, 2].tolist() == pytest.approx([5.0, 6.0, 7.0] if axis == "x" else [2.0, 6.0, 10.0], abs=1e-5)
    # Outside the map the border repeats.
    assert samples[0, 0].tolist() == pytest.approx([0.0, 0.0, 1.0] if axis == "x" else [0.0, 0.0, 4.0], abs=1e-5)


@pytest.mark.parametrize("sample", SAMPLERS)
@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("points", [3, 5, 9])
def test_gradients_agree_with_finite_differences(sample, axis, points):
    features = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    # Away from whole numbers, where bilinear interpolation has a kink.
    offsets = (0.2 + 0.1 * torch.rand(1, points, 3, 4, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda f, o: sample(f, o, axis)[0], (features, offsets))


@pytest.mark.parametrize("points", [3, 5, 9])
@pytest.mark.parametrize("sample", SAMPLERS)
def test_every_offset_but_the_centre_gets_a_gradient(points, sample):
    offsets = (0.6 * torch.rand(1, points, 9, 9) - 0.3).requires_grad_()
    sample(torch.randn(1, 3, 9, 9), offsets, "x")[0].pow(2).sum().backward()
    strength = offsets.grad.abs().sum((0, 2, 3))
    assert strength[points // 2] == 0
    assert (strength > 0).sum() == points - 1


@pytest.mark.parametrize("sample", SAMPLERS)
def test_every_image_of_a_batch_samples_itself(sample):
    features, offsets = torch.randn(3, 2, 6, 5), torch.rand(3, 5, 6, 5)
    (together,) = sample(features, offsets, "y")
    apart = torch.cat([sample(features[i : i + 1], offsets[i : i + 1], "y")[0] for i in range(3)])
    torch.testing.assert_close(together, apart)


@pytest.mark.parametrize("sample", SAMPLERS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_positions_stay_precise_in_half_precision(sample, dtype):
    # On stripes one pixel wide the value is the position: near column 150, float16 would round it by 0.05 px,
    # bfloat16 by 0.3 px.
    stripes = (torch.arange(160.0) % 2).expand(1, 1, 4, 160)
    offsets = torch.full((1, 3, 4, 160), 0.3)
    (samples,) = sample(stripes.to(dtype), offsets.to(dtype), "y")
    (exact,) = sample(stripes.double(), offsets.to(dtype).double(), "y")
    assert samples.dtype == dtype
    torch.testing.assert_close(samples, exact.to(dtype), rtol=torch.finfo(dtype).eps, atol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (2, 3), (5, 8)])
@pytest.mark.parametrize("axis", ["x", "y"])
def test_samplers_agree_on_tiny_maps_far_outside_them_too(size, axis):
    features, offsets = torch.randn(2, 2, *size), 6 * torch.randn(2, 9, *size)
    (by_grid,), (by_rows,) = sample_by_grid(features, offsets, axis), sample_by_rows(features, offsets, axis)
    assert by_grid.isfinite().all()
    torch.testing.assert_close(by_rows, by_grid, rtol=0, atol=1e-4)


@pytest.mark.parametrize("sample", SAMPLERS)
def test_several_axes_at_once_are_each_for_itself(sample):
    features, offsets = torch.randn(2, 3, 5, 6), torch.randn(2, 10, 5, 6)
    together = sample(features, offsets, ("y", "x"))
    apart = [sample(features, part, axis)[0] for part, axis in zip(offsets.split(5, dim=1), "yx", strict=True)]
    assert len(together) == 2
    for one, other in zip(together, apart, strict=True):
        assert one.shape == (2, 3, 5, 30)
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_of_the_samplers_agree(layout):
    features = torch.randn(2, 3, 7, 6).contiguous(memory_format=layout)
    offsets = (2 * torch.randn(2, 10, 7, 6)).contiguous(memory_format=layout)
    weight = torch.randn(2, 3, 7, 30)
    gradients = []
    for sample in SAMPLERS:
        inputs = features.clone().requires_grad_(), offsets.clone().requires_grad_()
        sum((part * weight).sum() for part in sample(*inputs, ("y", "x"))).backward()
        gradients.append([value.grad for value in inputs])
    for by_grid, by_rows in zip(*gradients, strict=True):
        torch.testing.assert_close(by_rows, by_grid, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("only", [0, 1])
def test_rows_are_differentiated_only_where_it_is_asked_for(only):
    inputs = [torch.randn(1, 2, 4, 5, dtype=torch.float64), torch.rand(1, 3, 4, 5, dtype=torch.float64)]
    inputs[only].requires_grad_()
    (samples,) = sample_by_rows(*inputs, "x")
    samples.pow(2).sum().backward()
    alone = inputs[only].grad.clone()
    inputs = [value.detach().requires_grad_() for value in inputs]
    sample_by_rows(*inputs, "x")[0].pow(2).sum().backward()
    torch.testing.assert_close(alone, inputs[only].grad)


@pytest.mark.parametrize("sample", SAMPLERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_positions_that_are_no_numbers_do_not_crash(sample, value):
    features, offsets = torch.randn(2, 2, 4, 5), torch.zeros(2, 10, 4, 5)
    offsets[0, :, 1, 2] = value
    for samples in sample(features, offsets, ("y", "x")):
        assert samples.shape == (2, 2, 4, 25)
        # What is wrong stays with its pixel.
        healthy = samples.view(2, 2, 4, 5, 5).isfinite().all(-1).all(1)
        assert healthy.sum() >= 2 * 4 * 5 - 1 and healthy[1].all()


def test_positions_are_centre_plus_step_plus_sum():
    offsets = torch.rand(1, 5, 3, 4, dtype=torch.float64)
    along, across = snake_positions(offsets, "x")
    assert along.expand_as(across)[0, :, 2, 1].tolist() == [-1, 0, 1, 2, 3]
    expected = [2 + summed_offset(offsets[0, :, 2, 1].tolist(), point) for point in range(5)]
    assert across[0, :, 2, 1].tolist() == pytest.approx(expected)


def test_branch_is_the_strip_convolution_over_the_samples():
    branch = SnakeBranch(2, 3, 5, "x").double().eval()
    features = torch.randn(1, 2, 4, 3, dtype=torch.float64)
    offsets = 2 * torch.rand(1, 5, 4, 3, dtype=torch.float64) - 1
    samples = literal_samples(features, offsets, "x").view(1, 2, 4, 3, 5)
    expected = torch.zeros(1, 3, 4, 3, dtype=torch.float64)
    for o in range(3):
        for c in range(2):
            for i in range(5):
                expected[0, o] += branch.strip.conv.weight[o, c, 0, i].item() * samples[0, c, :, :, i]
    expected /= math.sqrt(1 + branch.strip.bn.eps)
    expected *= torch.sigmoid(expected)
    torch.testing.assert_close(branch(features, offsets), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("points", [3, 5])
def test_strip_convolution_is_the_same_as_a_matrix_product(points, unsettle):
    strip = unsettle(StripConv(4, 6, points)).eval()
    samples = torch.randn(3, 4, 5, 7 * points)
    expected = strip(samples)
    torch.testing.assert_close(strip(samples.contiguous(memory_format=torch.channels_last)), expected)
    by_hand = functional.silu(strip.bn(functional.conv2d(samples, strip.conv.weight, stride=(1, points))))
    torch.testing.assert_close(expected, by_hand)


def test_a_cpu_reads_rows():
    features, offsets = torch.randn(1, 2, 4, 4), torch.randn(1, 3, 4, 4)
    assert torch.equal(sample_snakes(features, offsets, "x")[0], sample_by_rows(features, offsets, "x")[0])


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
def test_exported_graphs_have_neither_grid_sample_nor_a_function_of_our_own():
    branch = SnakeBranch(2, 3, 5, "y").eval()
    features, offsets = torch.randn(1, 2, 6, 7), 2 * torch.rand(1, 5, 6, 7) - 1
    with torch.no_grad():
        expected = branch(features, offsets)
        exported = torch.export.export(branch, (features, offsets))
        traced = torch.jit.trace(branch, (features, offsets))
        for graph in (str(exported.graph), str(traced.inlined_graph)):
            assert not any(name in graph for name in ("grid_sampler", "embedding_bag", "PythonOp", "_InterpolatedRows"))
        for again in (exported.module(), torch.jit.load(io.BytesIO(saved(traced)))):
            torch.testing.assert_close(again(features, offsets), expected, rtol=0, atol=1e-5)


def saved(traced):
    file = io.BytesIO()
    torch.jit.save(traced, file)
    return file.getvalue()
