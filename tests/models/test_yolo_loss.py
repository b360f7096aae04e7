"""The mask loss against Ultralytics' own."""

import pytest
import torch
from ultralytics.utils.loss import v8SegmentationLoss

from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.yolo import YoloModel
from nanoseg_bench.models.yolo_loss import SegmentationLoss

IMAGES, ANCHORS, CHANNELS, HEIGHT, WIDTH = 3, 40, 8, 12, 16
STRIDE = 4


def random_case(seed: int, particles: tuple[int, ...] = (3, 0, 5), positive: float = 0.4):
    """Arguments of ``calculate_segmentation_loss``; the coefficients and prototypes need gradients."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator)

    number = sum(particles)
    low = uniform(IMAGES, ANCHORS, 2) * torch.tensor([WIDTH, HEIGHT]) * STRIDE * 0.8
    high = (low + uniform(IMAGES, ANCHORS, 2) * 20 + 0.5).minimum(torch.tensor([WIDTH, HEIGHT]) * STRIDE)
    counts = torch.tensor(particles)
    foreground = (uniform(IMAGES, ANCHORS) < positive) & (counts[:, None] > 0)
    return {
        "fg_mask": foreground,
        "masks": (uniform(number, HEIGHT, WIDTH) * 255).round() / 255,
        "target_gt_idx": (uniform(IMAGES, ANCHORS) * counts[:, None]).long(),
        "target_bboxes": torch.cat([low, high], dim=2),
        "batch_idx": torch.arange(IMAGES).repeat_interleave(counts).float()[:, None],
        "proto": (uniform(IMAGES, CHANNELS, HEIGHT, WIDTH) - 0.5).requires_grad_(),
        "pred_masks": (4 * uniform(IMAGES, ANCHORS, CHANNELS) - 2).requires_grad_(),
        "imgsz": torch.tensor([HEIGHT, WIDTH]) * float(STRIDE),
    }


def loss_and_gradients(kind, case):
    criterion = kind.__new__(kind)  # the method needs the flag alone
    criterion.overlap = False
    loss = kind.calculate_segmentation_loss(criterion, **case)
    return loss, torch.autograd.grad(loss, (case["proto"], case["pred_masks"]))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("particles", [(3, 0, 5), (1, 1, 1), (9, 2, 0)])
def test_value_and_gradients_are_those_of_ultralytics(seed, particles):
    case = random_case(seed, particles)
    (ours, our_gradients), (theirs, their_gradients) = (
        loss_and_gradients(kind, case) for kind in (SegmentationLoss, v8SegmentationLoss)
    )
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    for one, two in zip(our_gradients, their_gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


def test_one_positive_anchor_against_the_formula():
    case = random_case(0, particles=(2, 0, 0), positive=0)
    case["fg_mask"][0, 7] = True
    loss, _ = loss_and_gradients(SegmentationLoss, case)
    x0, y0, x1, y1 = (case["target_bboxes"][0, 7] / STRIDE).tolist()
    truth = case["masks"][case["target_gt_idx"][0, 7]]
    expected = 0.0
    for y in range(HEIGHT):
        for x in range(WIDTH):
            if x0 <= x < x1 and y0 <= y < y1:
                p = torch.sigmoid((case["proto"][0, :, y, x] * case["pred_masks"][0, 7]).sum()).double()
                t = truth[y, x].double()
                expected -= (t * p.log() + (1 - t) * (1 - p).log()).item()
    share = (x1 - x0) * (y1 - y0) / (WIDTH * HEIGHT)
    assert expected > 0
    assert loss.item() == pytest.approx(expected / (WIDTH * HEIGHT) / share, rel=1e-5)


def test_a_box_between_two_pixels_costs_nothing():
    case = random_case(1, particles=(1, 0, 0), positive=0)
    case["fg_mask"][0, 0] = True
    case["target_bboxes"][0, 0] = torch.tensor([9.0, 9.0, 11.0, 11.0])
    (ours, _), (theirs, _) = (loss_and_gradients(kind, case) for kind in (SegmentationLoss, v8SegmentationLoss))
    assert ours.item() == theirs.item() == 0


def test_the_network_trains_with_it(prepared_set):
    model = YoloModel(load_recipe("yolo11n", "smoke"), prepared_set.classes, 10)
    network = model.build_network()
    nothing = {
        "img": torch.zeros(1, 3, 64, 64, dtype=torch.uint8),
        "batch_idx": torch.zeros(0),
        "cls": torch.zeros(0, 1),
        "bboxes": torch.zeros(0, 4),
        "masks": torch.zeros(0, 16, 16, dtype=torch.uint8),
    }
    losses = model.losses(network, nothing)
    assert isinstance(network.criterion, SegmentationLoss)
    assert losses["seg"].item() == 0
    sum(losses.values()).backward()
