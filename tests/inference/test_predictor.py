import numpy as np
import pytest
import tifffile
import torch
from busy_head import keep_busy

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import iou_matrix, rle_to_mask, window_to_rle
from nanoseg_bench.cli import main
from nanoseg_bench.errors import ModelError, UsageError
from nanoseg_bench.evaluation.predictions import read_predictions
from nanoseg_bench.files import write_json
from nanoseg_bench.images import read_image
from nanoseg_bench.inference.predictor import Predictor, open_predictor
from nanoseg_bench.models.base import MIN_SCORE, FitContext, FitReport, Model
from nanoseg_bench.models.checkpoint import describe, save_weights
from nanoseg_bench.models.mask_cleaning import clean_masks
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.registry import build
from nanoseg_bench.models.yolo import YoloModel
from nanoseg_bench.runs.folder import RunFolder


@pytest.fixture(scope="module")
def run_dir(prepared_set, tmp_path_factory):
    """A NSYOLO after a short training at the size of the prepared canvas."""
    folder = tmp_path_factory.mktemp("run")
    recipe = load_recipe("nsyolo", "smoke").model_copy(update={"canvas": prepared_set.canvas})
    YoloModel(recipe, prepared_set.classes, prepared_set.max_instances).fit(prepared_set, FitContext(folder))
    return folder


@pytest.fixture(scope="module")
def micrograph(prepared_set, discs):
    (image,) = prepared_set.images("test")
    return read_image({each.name: each.image_path for each in discs}[image.micrograph])


def seen(instances):
    return [(each.label, each.score, each.region) for each in instances]


def test_a_micrograph_gives_what_its_canvas_gives(run_dir, prepared_set, test_images, micrograph):
    predictor = open_predictor(run_dir, engine="torch")
    assert predictor.engine == "torch"
    (expected,) = predictor.model.predict(test_images)
    found = predictor.predict(micrograph, MIN_SCORE)
    assert len(found) >= len(expected) > 10
    assert seen(found)[: len(expected)] == seen(expected)


@pytest.mark.usefixtures("runs_in_this_process")
def test_otsu_finds_in_a_micrograph_what_it_was_judged_by(prepared_set, micrograph, tmp_path):
    """The set's canvas is 128 px, the recipe's 640 px."""
    runs, boards = tmp_path / "runs", tmp_path / "boards"
    places = ["--runs", str(runs), "--leaderboards", str(boards), "--device", "cpu"]
    assert main(["run", str(prepared_set.root), "--models", "otsu", "--preset", "smoke", *places]) == 0
    run = RunFolder(runs / "otsu-smoke-seed0")
    (judged,) = read_predictions(run.predictions_path("test")).images.values()
    found = open_predictor(run.path).predict(micrograph, 0)
    assert len(judged) > 3
    assert [each.region for each in found] == [each.region for each in judged]


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


def test_masks_are_cleaned_as_the_recipe_says(run_dir, micrograph):
    predictor = open_predictor(run_dir, engine="torch")
    weight = predictor.model.network.model[-1].proto.cv3.conv.weight
    for seed in range(20):  # until masks are ragged: what a seed gives is another thing on another processor
        weight.data = torch.from_numpy(np.random.default_rng(seed).normal(size=weight.shape)).float()
        raw = predictor.predict(micrograph, MIN_SCORE)
        if seen(raw) != seen(clean_masks(raw, "largest-filled", *micrograph.shape[:2])):
            break
    predictor.model.recipe = predictor.model.recipe.model_copy(update={"mask_cleaning": "largest-filled"})
    cleaned = predictor.predict(micrograph, MIN_SCORE)
    assert seen(cleaned) == seen(clean_masks(raw, "largest-filled", *micrograph.shape[:2]))
    assert seen(cleaned) != seen(raw)


@pytest.mark.parametrize("engine", ["torch", "onnx"])
@pytest.mark.parametrize("shape", [(1, 1), (300, 8), (8, 300, 3), (2, 2000), (64, 64)])
def test_odd_images(run_dir, engine, shape):
    predictor = open_predictor(run_dir, engine=engine)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for pixels in (noise, np.zeros_like(noise), np.full_like(noise, 255)):
        for found in predictor.predict(pixels, MIN_SCORE):
            assert (found.region.height, found.region.width) == shape[:2]
            assert 0 <= found.score <= 1 and rle_to_mask(found.region).any()


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """Weights that find a small, filled particle at every anchor, with a score of one half."""
    torch.manual_seed(0)
    recipe = load_recipe("nsyolo", "smoke").model_copy(update={"canvas": 224})
    network = build(recipe, ("disc", "square"), 9).build_network()
    keep_busy(network.model[-1])
    path = tmp_path_factory.mktemp("busy") / "weights.safetensors"
    save_weights(path, network.state_dict(), describe(recipe, ("disc", "square"), 9))
    return path


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_a_thousand_particles_and_none(busy, engine):
    predictor = open_predictor(busy, engine=engine)
    noise = np.random.default_rng(0).integers(0, 256, (448, 448), dtype=np.uint8)
    found = predictor.predict(noise, 0.4)
    assert len(found) == 28**2 + 14**2 + 7**2 > 1000 > predictor.model.max_detections
    assert all(each.score == pytest.approx(0.5) and rle_to_mask(each.region).any() for each in found)
    assert predictor.predict(noise, 0.6) == []


class OneInFour(Model):
    """Finds a square in the upper left, and three masks without a pixel."""

    def fit(self, prepared, context):
        return FitReport(None)

    def load(self, checkpoint, device):
        pass

    def complexity(self):
        return None

    def predict(self, images):
        return [[self.particle(image.letterbox, side, 0.9 - side / 100) for side in (0, 0, 0, 20)] for image in images]

    def particle(self, box, side, score):
        window = np.ones((min(side, box.height), min(side, box.width)), dtype=bool)
        return Instance("disc", window_to_rle(window, 0, 0, box.height, box.width), score)


@pytest.mark.parametrize("side", [64, 256])
def test_a_mask_without_a_pixel_is_no_particle(side):
    recipe = load_recipe("otsu", "smoke").model_copy(update={"canvas": 64, "options": {}})
    predictor = Predictor(OneInFour(recipe, ["disc"], 9), confidence=0.5)
    found = predictor.find_particles(np.zeros((side, side), dtype=np.uint8), keep_marks=True)
    assert [mask.sum() for mask in found.masks()] == [20 * 20]


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_micrographs_that_hold_no_numbers(run_dir, engine, tmp_path):
    predictor = open_predictor(run_dir, engine=engine)
    values = np.random.default_rng(0).normal(100, 20, (60, 80)).astype(np.float32)
    gap = values.copy()
    gap[10:30, 20:50] = np.nan
    for number, image in enumerate((gap, np.full_like(values, np.nan), np.full_like(values, 3.5))):
        path = tmp_path / f"{number}.tif"
        tifffile.imwrite(path, image)
        for found in predictor.predict(read_image(path), MIN_SCORE):
            assert 0 <= found.score <= 1 and rle_to_mask(found.region).any()


def test_models_without_onnx_run_in_pytorch(prepared_set, tmp_path, micrograph):
    recipe = load_recipe("unet", "smoke").model_copy(update={"canvas": 64})
    unet = build(recipe, prepared_set.classes, 10)
    save_weights(
        tmp_path / "weights.safetensors", unet.build_network().state_dict(), describe(recipe, prepared_set.classes, 10)
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
    scores = sorted(instance.score for instance in predictor.predict(micrograph, 0.0))
    assert len(scores) > 2
    assert len(predictor.predict(micrograph, scores[1])) == sum(score >= scores[1] for score in scores) < len(scores)


@pytest.mark.parametrize(
    ("pixels", "told"),
    [
        (np.zeros((6, 8), dtype=np.uint16), "uint16 of 6 x 8"),
        (np.zeros((6, 8)), "float64 of 6 x 8"),
        (np.zeros((6, 8, 4), dtype=np.uint8), "uint8 of 6 x 8 x 4"),
        (np.zeros((2, 6, 8, 3), dtype=np.uint8), "uint8 of 2 x 6 x 8 x 3"),
        ([[1, 2], [3, 4]], "list"),
    ],
)
def test_what_is_no_micrograph_is_refused_in_words(tmp_path, micrograph, pixels, told):
    model = build(load_recipe("otsu", "smoke"), ["disc"], 9)
    predictor = Predictor(model, None, None, tmp_path, 0.0)
    assert predictor.find_particles(micrograph).particles
    with pytest.raises(UsageError, match=f"pixels: are {told}; give an array of uint8, H x W or H x W x 3"):
        predictor.find_particles(pixels)


def test_what_does_not_go_together(run_dir, tmp_path):
    with pytest.raises(UsageError, match="engine onnx: runs on the CPU; use device cpu, or engine torch for cuda:0"):
        open_predictor(run_dir, engine="onnx", device="cuda:0")
    with pytest.raises(UsageError, match=r"^device cuda:99: this machine shows"):
        open_predictor(run_dir, device="cuda:99")
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
