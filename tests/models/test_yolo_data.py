import numpy as np
import pytest
import torch

from nanoseg_bench.models.data import Particle, Sample
from nanoseg_bench.models.yolo_data import yolo_targets


def sample_of(*particles: Particle, size: int = 32, ignored: tuple[Particle, ...] = ()) -> Sample:
    return Sample(np.arange(size * size, dtype=np.uint8).reshape(size, size), particles, ignored)


def test_boxes_are_the_tight_extent_of_the_mask_as_fractions(batch_of):
    mask = np.zeros((6, 9), dtype=bool)
    mask[1:5, 2:9] = True  # the window is larger than the particle
    targets = yolo_targets(batch_of(sample_of(Particle(1, mask, x=3, y=10))))
    left, right, top, bottom = 5, 12, 11, 15
    expected = np.array([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]) / 32
    np.testing.assert_allclose(targets["bboxes"], expected[None], rtol=1e-6)
    assert targets["cls"].tolist() == [[1.0]]


@pytest.mark.parametrize("seed", range(5))
def test_masks_are_the_share_of_each_block_that_is_covered(batch_of, seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 14, 2)
    y, x = int(rng.integers(0, 32 - height + 1)), int(rng.integers(0, 32 - width + 1))
    mask = rng.random((height, width)) < 0.6
    mask[0, 0] = True
    targets = yolo_targets(batch_of(sample_of(Particle(0, mask, x, y))))
    whole = np.zeros((32, 32))
    whole[y : y + height, x : x + width] = mask
    shares = whole.reshape(8, 4, 8, 4).mean(axis=(1, 3))
    assert targets["masks"].dtype == torch.uint8
    np.testing.assert_allclose(targets["masks"][0].numpy() / 255, shares, atol=0.5 / 255)


def test_masks_at_half_resolution_are_shares_of_smaller_blocks(batch_of):
    mask = np.random.default_rng(0).random((13, 9)) < 0.5
    batch = batch_of(sample_of(Particle(0, mask, 5, 6)))
    fine, coarse = (yolo_targets(batch, stride)["masks"][0].double() / 255 for stride in (2, 4))
    whole = np.zeros((batch.size, batch.size))
    whole[6:19, 5:14] = mask
    blocks = whole.reshape(batch.size // 2, 2, batch.size // 2, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(fine.numpy(), blocks, atol=0.5 / 255)
    np.testing.assert_allclose(torch.nn.functional.avg_pool2d(fine[None], 2)[0], coarse, atol=1 / 255)


def test_overlapping_particles_keep_their_whole_masks(batch_of):
    square = np.ones((8, 8), dtype=bool)
    masks = yolo_targets(batch_of(sample_of(Particle(0, square, 4, 4), Particle(1, square, 8, 8))))["masks"]
    assert (masks == 255).sum(dim=(1, 2)).tolist() == [4, 4]
    assert (masks == 255).all(dim=0).sum() == 1


def test_a_batch_counts_particles_image_by_image_and_keeps_empty_images(batch_of):
    dot = Particle(2, np.ones((4, 4), dtype=bool), 8, 8)
    targets = yolo_targets(batch_of(sample_of(dot, dot), sample_of(), sample_of(dot)))
    assert targets["img"].shape == (3, 1, 32, 32)
    assert targets["batch_idx"].tolist() == [0, 0, 2]
    assert targets["cls"].shape == (3, 1)
    assert targets["bboxes"].shape == (3, 4)
    assert targets["masks"].shape == (3, 8, 8)
    nothing = yolo_targets(batch_of(sample_of()))
    assert [len(nothing[key]) for key in ("batch_idx", "cls", "bboxes", "masks")] == [0, 0, 0, 0]


def test_batches_can_be_pinned_for_a_gpu(batch_of):
    """A tensor whose elements share memory, as ``expand`` makes them, cannot: workers' batches would be refused."""
    targets = yolo_targets(batch_of(sample_of(Particle(0, np.ones((8, 8), dtype=bool), 4, 4))))
    assert all(0 not in value.stride() for value in targets.values())
