import numpy as np
import pytest
import torch

from nanoseg_bench.models.depth import depth_loss, depth_map


def literal(owner: np.ndarray) -> np.ndarray:
    """By the definition: to the nearest pixel that shows something else, less the half of it, over the largest."""
    rows, columns = np.indices(owner.shape)
    distance = np.zeros(owner.shape)
    for y, x in zip(*np.nonzero(owner), strict=True):
        others = owner != owner[y, x]
        # Of the pixels at the edge, those that are the particle's own: half a pixel inside.
        edge = np.zeros_like(others)
        edge[1:] |= others[:-1]
        edge[:-1] |= others[1:]
        edge[:, 1:] |= others[:, :-1]
        edge[:, :-1] |= others[:, 1:]
        ends = (edge & ~others) | others
        distance[y, x] = np.hypot(rows - y, columns - x)[ends].min() + 0.5
    depth = np.zeros(owner.shape)
    for number in np.unique(owner[owner > 0]):
        depth[owner == number] = distance[owner == number] / distance[owner == number].max()
    return depth


def test_against_the_definition():
    owner = np.zeros((2, 24, 24), dtype=np.int64)
    owner[0, 3:12, 2:10] = 1
    owner[0, 3:12, 10:21] = 2  # touches the first
    owner[0, 18:20, 5:7] = 3  # all edge
    owner[1, 10:24, 6:18] = 4  # cut by the canvas
    depth = depth_map(torch.from_numpy(owner)).numpy()
    assert depth.dtype == np.float32
    for ours, numbers in zip(depth, owner, strict=True):
        assert ours == pytest.approx(literal(numbers), abs=1e-5)
    assert (depth[0][owner[0] == 3] == 1).all()
    assert depth[1, 23, 12] == depth[1].max() == 1, "the canvas' edge is none of the particle's"
    assert (depth[0, 3:12, 9:11] < 0.3).all(), "touching particles are apart"


def test_without_particles():
    assert not depth_map(torch.zeros((1, 8, 8), dtype=torch.int64)).any()


def test_loss_against_its_definition():
    generator = torch.Generator().manual_seed(0)
    logits, depth = torch.randn(2, 3, 3, generator=generator), torch.rand(2, 3, 3, generator=generator)
    counted = torch.rand(2, 3, 3, generator=generator) > 0.3
    p = 1 / (1 + np.exp(-logits.double().numpy()))
    each = -(depth.numpy() * np.log(p) + (1 - depth.numpy()) * np.log(1 - p))
    assert depth_loss(logits, depth, counted).item() == pytest.approx(each[counted.numpy()].mean(), rel=1e-5)
    assert depth_loss(logits, depth, torch.zeros_like(counted)).item() == 0
