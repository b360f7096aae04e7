"""What holds for every torch model: loaders that agree, augmentation, and a training that can be left at any step."""

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models.detection.roi_heads import project_masks_on_boxes

from nanoseg_bench.annotations.raster import iou_matrix, mask_to_rle
from nanoseg_bench.errors import TimeLimitReached
from nanoseg_bench.images import as_rgb
from nanoseg_bench.models.base import CanvasImage, Deadline, FitContext
from nanoseg_bench.models.recipe import Augmentation, load_recipe
from nanoseg_bench.models.registry import build
from nanoseg_bench.nsyolo.badsconv import FUSION_RATE_FACTOR, BADSConv
from nanoseg_bench.preparation.letterbox import Letterbox

PASSED = Deadline(at=0.0, limit="1s")
KINDS = [
    "nsyolo",
    pytest.param("unet", marks=pytest.mark.slow),
    pytest.param("deeplabv3plus", marks=pytest.mark.slow),
    pytest.param("mask-rcnn", marks=pytest.mark.slow),
]


def make(prepared, name: str, **changes):
    small = {"canvas": 64, "batch": 2, "images_seen": 8, "images_per_epoch": 4}
    recipe = load_recipe(name, "smoke").model_copy(update={**small, **changes})
    return build(recipe, prepared.classes, prepared.max_instances)


def weights(model, prepared, run_dir, **context) -> dict[str, torch.Tensor]:
    model.fit(prepared, FitContext(run_dir, **context))
    return model._network.state_dict()


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("augmentation", [None, Augmentation()])
def test_both_loaders_end_with_the_same_weights(name, augmentation, prepared_set, tmp_path):
    stock, device = (
        weights(make(prepared_set, name, loader=loader, augmentation=augmentation), prepared_set, tmp_path / loader)
        for loader in ("stock", "gpu")
    )
    assert equal(stock, device)


@pytest.mark.parametrize("name", KINDS)
def test_an_augmented_training_left_within_an_epoch_ends_with_the_same_weights(name, prepared_set, tmp_path):
    choices = {"augmentation": Augmentation(mosaic_until=1), "loader": "gpu"}
    whole = weights(make(prepared_set, name, **choices), prepared_set, tmp_path / "whole")
    with pytest.raises(TimeLimitReached, match="step 1 of 2 in epoch 1 of 2"):
        make(prepared_set, name, **choices).fit(prepared_set, FitContext(tmp_path / "parts", deadline=PASSED))
    assert equal(whole, weights(make(prepared_set, name, **choices), prepared_set, tmp_path / "parts"))
    plain = weights(make(prepared_set, name), prepared_set, tmp_path / "plain")
    assert not equal(whole, plain), "nothing was augmented"


def test_fusion_weights_learn_at_a_rate_of_their_own(prepared_set):
    model = make(prepared_set, "nsyolo")
    network = model.build_network()
    fast = model.fast_parameters(network)
    alphas = [module.alpha for module in network.modules() if isinstance(module, BADSConv)]
    assert [id(parameter) for parameter in fast.parameters] == [id(alpha) for alpha in alphas]
    assert len(alphas) > 0
    assert fast.factor == FUSION_RATE_FACTOR
    stock = make(prepared_set, "yolo11n")
    assert list(stock.fast_parameters(stock.build_network()).parameters) == []


@pytest.mark.parametrize(
    ("name", "options"),
    [("nsyolo", {}), ("unet", {}), ("unet", {"distance": True}), ("deeplabv3plus", {}), ("mask-rcnn", {})],
)
def test_the_class_layer_is_what_depends_on_the_number_of_classes(name, options):
    recipe = load_recipe(name, "smoke").model_copy(update={"canvas": 64, "options": options})
    few, many = (build(recipe, tuple("abcdef"[:number]), 10) for number in (2, 6))
    one, shapes = few.build_network(), many.build_network().state_dict()
    differing = {name for name, value in one.state_dict().items() if value.shape != shapes[name].shape}
    assert set(few.class_layer(one)) == differing and differing


@pytest.mark.parametrize("name", ["unet", pytest.param("mask-rcnn", marks=pytest.mark.slow)])
def test_a_training_from_weights_of_as_many_other_classes_draws_the_class_layer_anew(
    name, prepared_set, tmp_path, caplog
):
    untrained = {"images_seen": 0, "images_per_epoch": None}
    recipe = make(prepared_set, name, **untrained).recipe
    others = build(recipe, [f"other {each}" for each in prepared_set.classes], prepared_set.max_instances)
    given = weights(others, prepared_set, tmp_path / "given", seed=1)
    told = "the class layer is drawn anew"
    assert told not in caplog.text
    started = make(prepared_set, name, **untrained)
    own = weights(started, prepared_set, tmp_path / "started", weights=tmp_path / "given" / "weights.safetensors")
    assert told in caplog.text
    layer = set(started.class_layer(started.network))
    scratch = weights(make(prepared_set, name, **untrained), prepared_set, tmp_path / "scratch")
    for key, value in own.items():
        assert torch.equal(value, (scratch if key in layer else given)[key]), key
    assert not equal({key: own[key] for key in layer}, given)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["nsyolo", "unet", "mask-rcnn"])
@pytest.mark.parametrize("loader", ["stock", "gpu"])
@pytest.mark.parametrize("compile_it", [False, True])
def test_trains_on_a_cuda_device_and_goes_on(name, loader, compile_it, prepared_set, tmp_path):
    if compile_it and name == "mask-rcnn":
        pytest.skip("its recipes do not compile it")
    choices = {"augmentation": Augmentation(), "loader": loader, "compile": compile_it}
    whole = make(prepared_set, name, **choices)
    report = whole.fit(prepared_set, FitContext(tmp_path / "whole", device="cuda:0"))
    assert report.images_seen == 8
    with pytest.raises(TimeLimitReached):
        make(prepared_set, name, **choices).fit(
            prepared_set, FitContext(tmp_path / "parts", device="cuda:0", deadline=PASSED)
        )
    parts = make(prepared_set, name, **choices)
    assert parts.fit(prepared_set, FitContext(tmp_path / "parts", device="cuda:0")).resumes == 1
    for key, value in whole._network.state_dict().items():
        # Sums of a GPU come in any order.
        torch.testing.assert_close(parts._network.state_dict()[key], value, rtol=0.05, atol=0.02, msg=key)


class BrightIsParticle(nn.Module):
    """A network that knows one particle, the bright pixels of its input, and says so as ``kind`` does."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind

    def forward(self, images):
        self.shape = images.shape[2:]
        bright = (images[0, 0] > (images.min() + images.max()) / 2).float()
        rows, columns = bright.nonzero().unbind(1)
        box = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).float()
        if self.kind == "nsyolo":
            shares = nn.functional.avg_pool2d(bright[None, None], 4) - 0.5
            scores = torch.tensor([0.9, 0.1])
            detection = torch.cat([(box[:2] + box[2:]) / 2, box[2:] - box[:2], scores, torch.ones(1)])
            return (detection[None, :, None], shares), None
        if self.kind == "unet":
            return torch.stack([1 - bright, bright, 0 * bright])[None] * 20
        box += torch.tensor([-2, -2, 2, 2])
        mask = project_masks_on_boxes(bright[None], box[None], torch.tensor([0]), 28)[:, None]
        return [{"boxes": box[None], "masks": mask, "labels": torch.tensor([1]), "scores": torch.tensor([0.9])}]


@pytest.mark.parametrize("kind", ["nsyolo", "unet", "mask-rcnn"])
@pytest.mark.parametrize("canvas", [128, 320])
@pytest.mark.parametrize(
    ("width", "height", "seen"), [(500, 300, (96, 128)), (170, 300, (128, 96)), (90, 90, (128, 128))]
)
def test_prediction_sees_little_padding_and_particles_are_where_they_were(
    kind, canvas, width, height, seen, prepared_set
):
    model, network = make(prepared_set, kind, canvas=128), BrightIsParticle(kind)
    model.adopt(network, "cpu")
    ys, xs = np.mgrid[:height, :width] + 0.5
    disc = np.hypot(xs - 0.6 * width, ys - 0.45 * height) < 0.3 * min(width, height)
    letterbox = Letterbox(width, height, canvas)
    pixels = as_rgb(letterbox.apply(np.where(disc, np.uint8(230), np.uint8(40))))
    ((found,),) = model.predict([CanvasImage("disc", pixels, letterbox)])
    assert network.shape == seen
    assert found.label == prepared_set.classes[0]
    assert iou_matrix([found.region], [mask_to_rle(disc)])[0, 0] > 0.95
