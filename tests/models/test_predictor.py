import numpy as np
import pytest
import torch

from nanoseg_bench.annotations.raster import iou_matrix, rle_to_mask
from nanoseg_bench.errors import ModelError, UsageError
from nanoseg_bench.files import write_json
from nanoseg_bench.imageio import read_image
from nanoseg_bench.models.base import MIN_SCORE, FitContext
from nanoseg_bench.models.checkpoint import describe, save_weights
from nanoseg_bench.models.predictor import Predictor, open_predictor
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.registry import build
from nanoseg_bench.models.yolo import YoloModel


@pytest.fixture(scope="module")
def run_dir(prepared_set, tmp_path_factory):
    """A NSYOLO after a short training at the size of the prepared canvas."""
    folder = tmp_path_factory.mktemp("run")
    recipe = load_recipe("nsyolo", "smoke").model_copy(update={"canvas": prepared_set.canvas})
    YoloModel(recipe, prepared_set.classes, prepared_set.max_instances).fit(prepared_set, FitContext(folder))
    return folder


@pytest.fixture(scope="module")
def micrograph(prepared_set):
    (image,) = prepared_set.images("test")
    return read_image(prepared_set.root.parent / f"{image.micrograph}.png")


def seen(instances):
    return [(each.label, each.score, each.region) for each in instances]


def test_a_micrograph_gives_what_its_canvas_gives(run_dir, prepared_set, test_images, micrograph):
    predictor = open_predictor(run_dir, engine="torch")
    assert predictor.engine == "torch"
    (expected,) = predictor.model.predict(test_images)
    found = predictor.predict(micrograph, MIN_SCORE)
    assert len(found) >= len(expected) > 10
    assert seen(found)[: len(expected)] == seen(expected)


def test_both_engines_find_the_same_particles(run_dir, micrograph):
    here, there = (open_predictor(run_dir, engine=name).predict(micrograph, MIN_SCORE) for name in ("torch", "onnx"))
    best = here[: len(here) // 2]  # the others may fall below the confidence by rounding
    assert len(best) > 5
    iou = iou_matrix([each.region for each in best], [each.region for each in there])
    for each, row in zip(best, iou, strict=True):
        twins = [other for other, overlap in zip(there, row, strict=True) if overlap > 0.99]
        assert any(twin.label == each.label and abs(twin.score - each.score) < 1e-4 for twin in twins)


def test_auto_is_onnx_runtime_on_the_cpu_and_its_file_is_kept(run_dir):
    assert open_predictor(run_dir).engine == "onnx"
    (kept,) = run_dir.glob("*.onnx")
    written = kept.stat().st_mtime_ns
    assert open_predictor(run_dir / "weights.safetensors").engine == "onnx"
    assert open_predictor(kept).engine == "onnx"
    assert [file.stat().st_mtime_ns for file in run_dir.glob("*.onnx")] == [written]


def test_a_higher_confidence_only_leaves_out(run_dir, micrograph):
    predictor = open_predictor(run_dir)
    everything = predictor.predict(micrograph, MIN_SCORE)
    middle = float(np.median([each.score for each in everything]))
    assert seen(predictor.predict(micrograph, middle)) == seen(each for each in everything if each.score >= middle)
    assert predictor.predict(micrograph, 1.0) == []


@pytest.mark.parametrize("engine", ["torch", "onnx"])
@pytest.mark.parametrize("shape", [(1, 1), (300, 8), (8, 300, 3), (2, 2000), (64, 64)])
def test_odd_images(run_dir, engine, shape):
    predictor = open_predictor(run_dir, engine=engine)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for pixels in (noise, np.zeros_like(noise), np.full_like(noise, 255)):
        for found in predictor.predict(pixels, MIN_SCORE):
            assert (found.region.height, found.region.width) == shape[:2]
            assert 0 <= found.score <= 1 and rle_to_mask(found.region).any()


class Grid:
    """An engine that finds a particle in each cell of a grid; the first prototype is 1 everywhere."""

    name = "torch"

    def __init__(self, side: int) -> None:
        self.side = side

    def run(self, pixels):
        size = pixels.shape[0]
        cell = size / self.side
        centres = (torch.arange(self.side) + 0.5) * cell
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        ones = torch.ones(self.side**2)
        boxes = torch.stack([x.flatten(), y.flatten(), 0.8 * cell * ones, 0.8 * cell * ones])
        return torch.cat([boxes, 0.9 * ones[None], 0 * ones[None], ones[None]]), torch.ones(1, size // 4, size // 4)


def test_a_thousand_particles(prepared_set):
    recipe = load_recipe("nsyolo", "smoke").model_copy(update={"canvas": 640})
    model = YoloModel(recipe, prepared_set.classes, prepared_set.max_instances)
    model.run_with(Grid(32))
    found = Predictor(model).predict(np.zeros((960, 960), dtype=np.uint8), 0.25)
    assert len(found) == 1024 > model.max_detections
    union = np.zeros((960, 960), dtype=int)
    for each in found:
        union += rle_to_mask(each.region)
    assert union.max() == 1 and union.sum() == 1024 * 24**2


def test_models_without_onnx_run_in_pytorch(prepared_set, tmp_path, micrograph):
    recipe = load_recipe("unet", "smoke").model_copy(update={"canvas": 64})
    unet = build(recipe, prepared_set.classes, 10)
    save_weights(
        tmp_path / "weights.safetensors", unet._build().state_dict(), describe(recipe, prepared_set.classes, 10)
    )
    predictor = open_predictor(tmp_path)
    assert predictor.engine == "torch"
    assert all(each.score >= 0.4 for each in predictor.predict(micrograph, 0.4))
    with pytest.raises(UsageError, match="unet runs in PyTorch only"):
        open_predictor(tmp_path, engine="onnx")


def test_scores_that_only_rank_leave_nothing_out(tmp_path, micrograph):
    recipe = load_recipe("otsu", "smoke").model_dump(mode="json")
    write_json(tmp_path / "run.json", {"inputs": {"recipe": recipe}})
    write_json(tmp_path / "fit.json", {"report": {"checkpoint": None}})
    predictor = open_predictor(tmp_path)
    assert len(predictor.predict(micrograph, 1.0)) == len(predictor.predict(micrograph, 0.0)) > 2


def test_what_does_not_go_together(run_dir, tmp_path):
    with pytest.raises(UsageError, match="--engine onnx runs on the CPU"):
        open_predictor(run_dir, engine="onnx", device="cuda:0")
    for wrong in ({"engine": "torch"}, {"device": "cuda:0"}):
        with pytest.raises(UsageError, match="runs in ONNX Runtime on the CPU"):
            open_predictor(tmp_path / "model.onnx", **wrong)
    with pytest.raises(ModelError, match="no such file"):
        open_predictor(tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="no such file or folder"):
        open_predictor(tmp_path / "nowhere")
    (tmp_path / "last.pt").write_bytes(b"pickle")
    with pytest.raises(ModelError, match="trust"):
        open_predictor(tmp_path / "last.pt")
