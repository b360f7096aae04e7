import numpy as np
import pytest
import torch
from torchvision.models.detection.roi_heads import project_masks_on_boxes

from nanoseg_bench.annotations.raster import iou_matrix, to_mask
from nanoseg_bench.errors import RecipeError, TimeLimitReached
from nanoseg_bench.models.base import MIN_SCORE, CanvasImage, Deadline, FitContext
from nanoseg_bench.models.data import Particle, Sample
from nanoseg_bench.models.mask_rcnn import MaskRCNN, boxes_and_masks, place_mask
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.preparation.letterbox import Letterbox

PASSED = Deadline(at=0.0, limit="1s")


def make(prepared, **changes) -> MaskRCNN:
    recipe = load_recipe("mask-rcnn", "smoke").model_copy(update=changes)
    return MaskRCNN(recipe, prepared.classes, prepared.max_instances)


def test_fit_predict_load_and_resume(prepared_set, test_images, tmp_path):
    with pytest.raises(TimeLimitReached, match="epoch 1 of 2"):
        make(prepared_set, canvas=64).fit(prepared_set, FitContext(tmp_path, deadline=PASSED))
    model = make(prepared_set, canvas=64)
    report = model.fit(prepared_set, FitContext(tmp_path))
    assert (report.images_seen, report.resumes) == (8, 1)
    predictions = model.predict(test_images)
    fresh = make(prepared_set, canvas=64)
    fresh.load(report.checkpoint, "cpu")
    for ours, theirs, image in zip(predictions, fresh.predict(test_images), test_images, strict=True):
        assert [(i.label, i.score, i.region) for i in ours] == [(i.label, i.score, i.region) for i in theirs]
        assert 0 < len(ours) <= model.max_detections
        assert [i.score for i in ours] == sorted((i.score for i in ours), reverse=True)
        for instance in ours:
            assert instance.label in prepared_set.classes
            assert MIN_SCORE <= instance.score <= 1
            assert (instance.region.width, instance.region.height) == (image.letterbox.width, image.letterbox.height)


@pytest.mark.slow
def test_an_interrupted_training_ends_with_the_same_weights(prepared_set, tmp_path):
    whole, parts = (make(prepared_set, canvas=64) for _ in range(2))
    whole.fit(prepared_set, FitContext(tmp_path / "whole"))
    with pytest.raises(TimeLimitReached):
        parts.fit(prepared_set, FitContext(tmp_path / "parts", deadline=PASSED))
    parts.fit(prepared_set, FitContext(tmp_path / "parts"))
    expected = whole._network.state_dict()
    for name, value in parts._network.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_detection_limits_come_from_the_data(prepared_set):
    recipe = load_recipe("mask-rcnn", "smoke")
    network = MaskRCNN(recipe, prepared_set.classes, 400).build_network()
    assert network.roi_heads.detections_per_img == 800
    assert network.roi_heads.score_thresh == MIN_SCORE
    assert network.rpn.post_nms_top_n() == recipe.options["train_proposals"]
    network.eval()
    assert network.rpn.post_nms_top_n() == 800
    assert network.rpn.pre_nms_top_n() == 1600
    assert not any("BatchNorm" in type(module).__name__ for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_what_could_be_of_two_classes_is_one_particle():
    """As the YOLO networks have it; torchvision suppresses within a class alone."""
    torch.manual_seed(0)
    recipe = load_recipe("mask-rcnn", "smoke")
    model = MaskRCNN(recipe, ("cube", "sphere"), 20)
    network = model.build_network()
    boxes, masks = network.roi_heads.box_predictor, network.roi_heads.mask_predictor
    with torch.no_grad():
        for layer in (boxes.cls_score, boxes.bbox_pred, masks.mask_fcn_logits):
            layer.weight.zero_()
            layer.bias.zero_()
        boxes.cls_score.bias[0] = -3  # each proposal: either class, as likely
        masks.mask_fcn_logits.bias.fill_(5)  # the whole box
    model.adopt(network, "cpu")
    noise = np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8)
    (found,) = model.predict([CanvasImage.of_micrograph(noise, 96)])
    regions = [each.region for each in found]
    overlaps = np.triu(iou_matrix(regions, regions), 1)
    assert len(found) > 10
    assert overlaps.max() < model.options.nms_iou + 0.1  # of boxes; masks are whole pixels


def test_recipe_errors_name_the_value(prepared_set):
    with pytest.raises(RecipeError, match="canvas 100 must be a multiple of 32"):
        make(prepared_set, canvas=100)
    with pytest.raises(RecipeError, match=r"options.anchor_sizes: \[8.0, 16.0\] must be five"):
        make(prepared_set, options={"anchor_sizes": [8, 16]})


@pytest.mark.parametrize("box", [(10.0, 20.0, 38.0, 48.0), (10.3, 20.7, 31.9, 75.2), (-6.5, -3.2, 14.0, 30.0)])
def test_a_placed_mask_has_the_area_and_centre_of_its_box(box):
    window, x, y = place_mask(np.ones((28, 28), dtype=np.float32), np.array(box, dtype=np.float32))
    ys, xs = np.mgrid[: window.shape[0], : window.shape[1]] + 0.5
    x0, y0, x1, y1 = box
    assert window.sum() == pytest.approx((x1 - x0) * (y1 - y0), rel=0.02)
    assert (window * xs).sum() / window.sum() + x == pytest.approx((x0 + x1) / 2, abs=0.05)
    assert (window * ys).sum() / window.sum() + y == pytest.approx((y0 + y1) / 2, abs=0.05)


def test_a_disc_in_its_box_is_a_disc_on_the_image():
    ys, xs = np.mgrid[:28, :28] + 0.5
    disc = (np.hypot(xs - 14, ys - 14) < 14).astype(np.float32)
    window, x, y = place_mask(disc, np.array([20.5, 10.25, 60.5, 50.25], dtype=np.float32))
    ys, xs = np.mgrid[: window.shape[0], : window.shape[1]] + 0.5
    truth = np.hypot(xs + x - 40.5, ys + y - 30.25) < 20
    found = window > 0.5
    assert (found & truth).sum() / (found | truth).sum() > 0.95


@pytest.mark.parametrize("radius", [6, 15])
def test_a_mask_as_torchvision_teaches_it_is_placed_where_its_particle_is(prepared_set, batch_of, radius):
    model, canvas = make(prepared_set), Letterbox(64, 64, 64)
    ys, off = np.arange(64) + 0.5, []
    for x, y in np.random.default_rng(0).uniform(24, 40, (20, 2)):
        disc = np.hypot(ys[None] - x, ys[:, None] - y) < radius
        (target,) = boxes_and_masks(batch_of(Sample(np.zeros((64, 64), np.uint8), (Particle(0, disc, 0, 0),), ())))
        target["boxes"] += torch.tensor([-2, -2, 2, 2])  # proposals are no tighter; a tight box cuts off half a pixel
        learnt = project_masks_on_boxes(target["masks"], target["boxes"], torch.tensor([0]), 28)
        answer = {**target, "masks": learnt[:, None], "scores": torch.ones(1)}
        (found,) = model._instances(answer, canvas, canvas)
        off.append([each.mean() for each in np.nonzero(to_mask(found, 64, 64))])
        off[-1] -= np.array([each.mean() for each in np.nonzero(disc)])
    assert np.mean(off, axis=0) == pytest.approx([0, 0], abs=0.03)


def test_boxes_enclose_the_masks(batch_of):
    mask = np.zeros((4, 5), dtype=bool)
    mask[1:3, 2:5] = True
    pixels = np.zeros((16, 16), dtype=np.uint8)
    samples = [Sample(pixels, (), ()), Sample(pixels, (Particle(1, mask, 6, 8), Particle(0, mask, 0, 0)), ())]
    empty, target = boxes_and_masks(batch_of(*samples))
    assert target["boxes"].tolist() == [[8, 9, 11, 11], [2, 1, 5, 3]]
    assert target["labels"].tolist() == [2, 1]
    assert target["masks"].shape == (2, 16, 16)
    assert target["masks"][0].nonzero().tolist() == [[9, 8], [9, 9], [9, 10], [10, 8], [10, 9], [10, 10]]
    assert (empty["boxes"].shape, empty["labels"].shape, empty["masks"].shape) == ((0, 4), (0,), (0, 16, 16))


def test_an_image_without_particles_can_be_trained_on(prepared_set, batch_of):
    model = make(prepared_set)
    network = model.build_network().train()
    batch = model.targets(batch_of(Sample(np.zeros((96, 96), dtype=np.uint8), (), ())))
    losses = model.losses(network, batch)
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_boxes_are_exact_in_bfloat16(prepared_set, batch_of):
    """A particle one pixel wide beyond 256 px, where bfloat16 knows even numbers alone."""
    model = make(prepared_set)
    network = model.build_network().train()
    particle = Particle(0, np.ones((4, 1), dtype=bool), 300, 301)
    batch = model.targets(batch_of(Sample(np.zeros((320, 320), dtype=np.uint8), (particle,), ())))
    learnt = []
    encode = network.roi_heads.box_coder.encode
    network.roi_heads.box_coder.encode = lambda truth, proposals: learnt.append(truth) or encode(truth, proposals)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = model.losses(network, batch)
    assert all(torch.isfinite(loss) for loss in losses.values()), losses
    (truth,) = learnt[0]
    assert truth.dtype == torch.float32 and [300.0, 301.0, 301.0, 305.0] in truth.tolist()
