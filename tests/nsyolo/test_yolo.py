import ast
import csv
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from busy_head import keep_busy
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils import DEFAULT_CFG, checks

import nanoseg_bench.nsyolo
from nanoseg_bench.nsyolo import FUSION_RATE_FACTOR, NSYOLO, NSYOLOSegmentation, WeightsError, build_network
from nanoseg_bench.nsyolo.blocks import C2PSABRA, C3BADS
from nanoseg_bench.nsyolo.weights import read_weights, save_weights
from nanoseg_bench.nsyolo.yolo import NSYOLOTrainer, _cuda_precision

ROOT = Path(__file__).parents[2]
SETTINGS = {"epochs": 1, "imgsz": 64, "batch": 2, "workers": 0, "device": "cpu", "verbose": False}
CLASSES = ["cube", "rod", "sphere"]


def about(**values):
    return {"model": "nsyolo", "classes": CLASSES, "canvas": 96, "options": {"scheme": "nsyolo"}, **values}


def write(path, scheme="nsyolo", classes=CLASSES, **options):
    """Weights as `nanoseg-bench run` writes them, of a network with random weights; returns the network."""
    network = build_network(scheme, len(classes), **options).eval()
    given = about(model=scheme, classes=classes, options={"scheme": scheme, **options}, max_instances=40)
    save_weights(path, network.state_dict(), given)
    return network


def output_of(network, size=(64, 96)):
    torch.manual_seed(0)
    with torch.no_grad():
        output = network.float().eval()(torch.rand(1, 3, *size))[0]
    return output[0] if isinstance(output, tuple) else output


def trainer_for(classes):
    """A trainer as far as it is needed to build networks and optimizers."""
    trainer = NSYOLOTrainer.__new__(NSYOLOTrainer)
    trainer.args = DEFAULT_CFG
    trainer.data = {"channels": 3, "nc": len(classes), "names": dict(enumerate(classes))}
    return trainer


def discs(folder, names=("disc",)):
    """A YOLO data set of four images with one disc each, and a second one in the first image; returns its data.yaml."""
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for i in range(4):
            canvas = Image.new("L", (64, 64), 40)
            ImageDraw.Draw(canvas).ellipse((10 + 4 * i, 12, 40 + 4 * i, 42), fill=220)
            canvas.convert("RGB").save(folder / "images" / split / f"{i}.png")
            turns = torch.linspace(0, 2 * torch.pi, 17)[:-1]
            points = torch.stack((25 + 4 * i + 15 * turns.cos(), 27 + 15 * turns.sin()), dim=1) / 64
            outlines = [points, points * 0.5 + 0.4] if i == 0 else [points]
            rows = ("0 " + " ".join(f"{value:.5f}" for value in outline.flatten().tolist()) for outline in outlines)
            (folder / "labels" / split / f"{i}.txt").write_text("\n".join(rows))
    document = {"path": str(folder), "train": "images/train", "val": "images/val", "names": list(names)}
    (folder / "data.yaml").write_text(json.dumps(document))
    return folder / "data.yaml"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(facade, folder of the run, data.yaml) after one epoch."""
    folder = tmp_path_factory.mktemp("trained")
    data = discs(folder)
    model = NSYOLO("nsyolo-n")
    model.train(data=str(data), project=str(folder), name="run", **SETTINGS)
    return model, folder / "run", data


# Networks by name


def test_builds_by_name():
    assert type(NSYOLO("nsyolo-n").model.model[19]) is C3BADS
    small = NSYOLO("yolo11s-c2psa-bra").model
    assert small.yaml["scale"] == "s" and type(small.model[10]) is C2PSABRA
    assert NSYOLO().task == "segment"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nsyolo-q", "nsyolo-q: no such file, and no network; did you mean 'nsyolo-"),
        ("yolo11n-c3bad", "did you mean 'yolo11n-c3bads'"),
        ("nowhere/best.safetensors", "no such file"),
        ("https://example.org/best.pt", "no such file"),
    ],
)
def test_unknown_names_and_missing_files_are_named(name, message):
    with pytest.raises(WeightsError, match=message):
        NSYOLO(name, trust_pickle=True)


# Weights


@pytest.mark.parametrize(
    ("scheme", "options"),
    [
        ("nsyolo", {}),
        ("nsyolo", {"scale": "s", "kernel": 3, "regions": 2, "topk": 1, "p4_layers": [13, 19]}),
        ("yolo11n-c3ds", {"kernel": 9, "p4_layers": [13]}),
        ("yolo11n", {}),
    ],
)
def test_weights_survive_the_way_out_and_in(scheme, options, tmp_path):
    network = write(tmp_path / "run.safetensors", scheme, **options)
    model = NSYOLO(tmp_path / "run.safetensors")
    assert torch.equal(output_of(model.model), output_of(network))
    assert list(model.names.values()) == CLASSES and model.overrides["imgsz"] == 96
    model.export_weights(tmp_path / "again.safetensors")
    first, second = (read_weights(tmp_path / f"{name}.safetensors") for name in ("run", "again"))
    assert all(torch.equal(first[0][name], value) for name, value in second[0].items())
    assert second[1]["max_instances"] == 40 and second[1]["model"] == scheme
    assert {"scheme": scheme, **options}.items() <= second[1]["options"].items()


def test_a_json_that_names_other_classes_than_the_tensors_have_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, build_network("nsyolo", 3).state_dict(), about(classes=["disc", "rod"]))
    with pytest.raises(WeightsError, match=r"tensors tell 3 classes apart, and its JSON names 2: disc, rod"):
        NSYOLO(path)


def test_a_json_with_other_options_than_the_tensors_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, build_network("nsyolo", 3).state_dict(), about(options={"scheme": "nsyolo", "kernel": 9}))
    with pytest.raises(WeightsError, match=r"tensors are of another size \(model\.19.*other classes or options"):
        NSYOLO(path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": "unet", "options": {}}, "model is 'unet', which nanoseg-bench opens; here it must be yolo11n, "),
        ({"options": {"scheme": "nsyolo", "kernel": 4}}, "describe no network .*k=4"),
        ({"options": {"scheme": "nsyolo", "scale": "q"}}, "unknown scale 'q'"),
        ({"options": {"scheme": "nsyolo", "p4_layers": 19}}, "describe no network"),
        ({"options": None}, "options None an object"),
        ({"classes": 3}, "classes 3 must be a list"),
        ({"classes": [0, 1, 2]}, r"classes \[0, 1, 2\] must be a list of names"),
        ({"canvas": "large"}, "canvas 'large' a number of pixels"),
    ],
)
def test_a_json_that_describes_no_network_is_named(values, message, tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, build_network("nsyolo", 3).state_dict(), about(**values))
    with pytest.raises(WeightsError, match=message) as caught:
        NSYOLO(path)
    assert "w.json" in str(caught.value)


def test_tensors_of_another_network_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, build_network("yolo11n", 3).state_dict(), about())
    with pytest.raises(WeightsError, match=r"of another network: \d+ of \d+ are missing \(model\.10"):
        NSYOLO(path)
    save_file({"encoder.weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match="SHA-256"):
        NSYOLO(path)


def test_what_cannot_be_opened_again_is_not_exported(tmp_path):
    model = NSYOLO("nsyolo-n")
    with pytest.raises(WeightsError, match="name it best"):
        model.export_weights(tmp_path / "best.pt")
    model.model.model[19] = torch.nn.Identity()
    with pytest.raises(WeightsError, match=r"w\.safetensors: not exported, .* layers were changed after"):
        model.export_weights(tmp_path / "w.safetensors")
    fused = NSYOLO("nsyolo-n").fuse()
    with pytest.raises(WeightsError, match="fused for inference"):
        fused.export_weights(tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


def test_weights_come_and_go_without_pickle(tmp_path, monkeypatch):
    def unpickle(*_, **__):
        raise AssertionError("something is unpickled")

    write(tmp_path / "w.safetensors")
    for name in ("pickle.load", "pickle.loads", "pickle.Unpickler", "torch.load"):
        monkeypatch.setattr(name, unpickle)
    model = NSYOLO(tmp_path / "w.safetensors")
    model.export_weights(tmp_path / "again.safetensors")
    assert NSYOLO("nsyolo-n").load(tmp_path / "again.safetensors").ckpt


def test_load_takes_over_what_fits(tmp_path):
    source = write(tmp_path / "w.safetensors", classes=["disc"])
    model = NSYOLO("nsyolo-n").load(tmp_path / "w.safetensors")
    assert torch.equal(model.model.model[0].conv.weight, source.model[0].conv.weight)
    assert model.ckpt  # Ultralytics' train() starts from the loaded network only then


# Pickles


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_runs_nothing_until_it_is_trusted(tmp_path):
    path, trace = tmp_path / "best.pt", tmp_path / "trace"
    torch.save({"model": Payload(trace)}, path)
    for read in (
        lambda: NSYOLO(path),
        lambda: NSYOLO("nsyolo-n").load(path),
        lambda: NSYOLO("nsyolo-n").train(data="x.yaml", pretrained=str(path)),
        lambda: NSYOLO("nsyolo-n").train(data="x.yaml", model=str(path)),
        lambda: NSYOLO("nsyolo-n").train(data="x.yaml", resume=str(path)),
    ):
        with pytest.raises(WeightsError, match=r"best\.pt: a \.pt is a pickle.*trust_pickle=True \(--trust-pickle"):
            read()
    assert not trace.exists()
    with pytest.raises(WeightsError, match="not readable as a checkpoint"):
        NSYOLO(path, trust_pickle=True)
    assert trace.exists()


def test_a_trusted_pickle_is_read(tmp_path):
    network = build_network("nsyolo", 2, kernel=3)
    network.names = {0: "cube", 1: "rod"}
    torch.save({"model": network, "train_args": {"imgsz": 128}}, tmp_path / "old.pt")
    model = NSYOLO(tmp_path / "old.pt", trust_pickle=True)
    assert torch.equal(output_of(model.model), output_of(network))
    described = model.description()
    assert (described["classes"], described["canvas"]) == (["cube", "rod"], 128)
    assert described["options"]["kernel"] == 3 and "max_instances" not in described
    model.export_weights(tmp_path / "new.safetensors")
    assert torch.equal(output_of(NSYOLO(tmp_path / "new.safetensors").model), output_of(network))


def test_a_damaged_or_foreign_pickle_is_named(tmp_path):
    path = tmp_path / "x.pt"
    torch.save({"model": build_network("nsyolo", 1)}, path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(WeightsError, match=r"x\.pt: not readable as a checkpoint of Ultralytics .*damaged"):
        NSYOLO(path, trust_pickle=True)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(WeightsError, match=r"x\.pt: not readable"):
        NSYOLO(path, trust_pickle=True)
    torch.save({"model": DetectionModel("yolo11n.yaml", nc=1, verbose=False)}, path)
    with pytest.raises(WeightsError, match=r"x\.pt: holds a DetectionModel, not a segmentation network"):
        NSYOLO(path, trust_pickle=True)


def test_nothing_is_installed_for_a_pickle_with_unknown_classes(tmp_path, monkeypatch):
    started = []
    # As it is where Ultralytics was imported before this package.
    monkeypatch.setattr(checks, "AUTOINSTALL", True)
    monkeypatch.setattr(subprocess, "check_output", lambda *args, **_: started.append(args) or b"")
    monkeypatch.setattr(subprocess, "run", lambda *args, **_: started.append(args))
    (tmp_path / "x.pt").write_bytes(pickle.dumps({"model": 0}).replace(b"K\x00", b"cno_such_package_here\nNet\n"))
    with pytest.raises(WeightsError, match="no_such_package_here"):
        NSYOLO(tmp_path / "x.pt", trust_pickle=True)
    assert not started


# Training


@pytest.mark.parametrize("name", ["SGD", "AdamW", "MuSGD"])
def test_fusion_parameters_learn_faster_and_do_not_decay(name):
    network = build_network("nsyolo", 3, p4_layers=(13, 19))
    optimizer = trainer_for(CLASSES).build_optimizer(network, name=name, lr=1e-3, momentum=0.9, decay=5e-4)
    alphas = [network.model[layer].m[0].cv2.alpha for layer in (13, 19)]
    (group,) = (group for group in optimizer.param_groups if group.get("param_group") == "fusion")
    assert [id(parameter) for parameter in group["params"]] == [id(alpha) for alpha in alphas]
    assert group["lr"] == pytest.approx(1e-3 * FUSION_RATE_FACTOR) and group["weight_decay"] == 0
    others = [group for group in optimizer.param_groups if group.get("param_group") != "fusion"]
    assert all(group["lr"] <= 3e-3 for group in others)
    # Every parameter is learned once.
    learned = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(learned) == sorted(id(parameter) for parameter in network.parameters())
    before = alphas[0].detach().clone()
    (alphas[0] * torch.tensor([1.0, 0.0, -1.0])).sum().backward()
    optimizer.step()
    assert not torch.equal(alphas[0], before)


def test_a_scheme_without_fusion_has_ultralytics_groups():
    optimizer = trainer_for(CLASSES).build_optimizer(build_network("yolo11n-c3ds", 3), name="SGD")
    assert {group["param_group"] for group in optimizer.param_groups} == {"weight", "bn", "bias"}


@pytest.mark.parametrize(("native", "amp"), [(True, "bf16"), (False, False)])
def test_mixed_precision_on_a_gpu_fetches_no_weights(native, amp, monkeypatch):
    # Ultralytics fetches weights to check any other value than these.
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    if _cuda_precision() is True:
        pytest.skip("this version of Ultralytics knows float16 alone")
    assert _cuda_precision() == amp


def test_fine_tuning_for_other_classes_keeps_the_described_network():
    # The class branch of 80 classes is wider; Ultralytics' own way would take it over, and no JSON would say so.
    source = NSYOLOSegmentation("nsyolo-n", nc=80, verbose=False)
    network = trainer_for(["disc"]).get_model(cfg=source.yaml, weights=source, verbose=False)
    fresh = NSYOLOSegmentation("nsyolo-n", nc=1, verbose=False).state_dict()
    assert {name: value.shape for name, value in network.state_dict().items()} == {n: v.shape for n, v in fresh.items()}
    assert torch.equal(network.model[0].conv.weight, source.model[0].conv.weight)
    same = trainer_for([str(number) for number in range(80)]).get_model(cfg=source.yaml, weights=source, verbose=False)
    assert torch.equal(output_of(same), output_of(source))


def test_a_trainer_starts_from_the_name_of_weights(tmp_path):
    source = write(tmp_path / "w.safetensors", kernel=3)
    network = trainer_for(CLASSES).get_model(cfg=str(tmp_path / "w.safetensors"), verbose=False)
    assert torch.equal(output_of(network), output_of(source))


def test_training_leaves_full_weights_without_pickle(trained):
    model, run, _ = trained
    tensors, about = read_weights(run / "weights" / "best.safetensors")
    assert {key: about[key] for key in ("model", "classes", "canvas", "max_instances")} == {
        "model": "nsyolo",
        "classes": ["disc"],
        "canvas": 64,
        "max_instances": 2,
    }
    for name, value in model.model.state_dict().items():
        assert torch.equal(value, tensors[name]), name
    # The checkpoint beside it is in half precision.
    assert any(value.is_floating_point() and not torch.equal(value, value.half().float()) for value in tensors.values())
    assert (run / "weights" / "last.json").is_file() and (run / "weights" / "best.pt").is_file()


def test_training_writes_its_results_and_no_plots(trained):
    _, run, _ = trained
    with (run / "results.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    kept = NSYOLO(run / "weights" / "last.pt", trust_pickle=True).ckpt["train_results"]
    assert kept == {name: [float(value)] for name, value in row.items()}
    assert float(row["train/box_loss"]) > 0
    assert not [path for path in run.rglob("*") if path.suffix in {".png", ".jpg"}]
    assert "optimizer: SGD" in (run / "args.yaml").read_text()


def test_a_trained_network_validates_predicts_and_fuses(trained, tmp_path):
    _, run, data = trained
    model = NSYOLO(run / "weights" / "best.safetensors")
    metrics = model.val(data=str(data), imgsz=64, device="cpu", project=str(tmp_path), verbose=False)
    assert 0 <= metrics.seg.map50 <= 1
    assert not list(tmp_path.rglob("*.png"))
    (result,) = model.predict(str(data.parent / "images" / "val" / "0.png"), imgsz=64, verbose=False, save=False)
    assert result.orig_shape == (64, 64) and result.names == {0: "disc"}
    model = NSYOLO(run / "weights" / "best.safetensors")
    before = output_of(model.model)
    after = output_of(model.fuse().model)
    assert model.model.is_fused()
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)


# Odd images


@pytest.fixture(scope="module")
def busy():
    """A model that finds a small particle at every anchor, with a score of one half, whatever it is shown."""
    model = NSYOLO("nsyolo-n")
    keep_busy(model.model.model[-1])
    return model


def found_by(model, image, **settings):
    (result,) = model.predict(image, imgsz=224, max_det=2000, verbose=False, save=False, device="cpu", **settings)
    masks = torch.empty(0) if result.masks is None else result.masks.data
    assert result.boxes.data.isfinite().all() and masks.isfinite().all()
    return len(result.boxes)


def test_a_thousand_particles_and_none(busy):
    image = torch.rand(1, 3, 224, 224)
    assert found_by(busy, image) == 28**2 + 14**2 + 7**2 > 1000
    assert found_by(busy, image, conf=0.6) == 0


@pytest.mark.parametrize(
    ("image", "number"),
    [
        (torch.full((1, 3, 224, 224), torch.nan), 0),
        (torch.rand(1, 3, 224, 224).index_fill(3, torch.tensor(9), torch.inf), 0),
        (torch.full((1, 3, 224, 224), 0.5), 1029),
        (np.full((300, 400, 3), 255, np.uint8), None),
        (np.zeros((1, 1, 3), np.uint8), None),
        (np.random.default_rng(0).integers(0, 256, (200, 8, 3), dtype=np.uint8), None),
    ],
    ids=["nan", "infinity", "constant", "white", "1x1", "8 px wide"],
)
def test_odd_images(busy, image, number):
    assert number is None or found_by(busy, image) == number
    assert found_by(busy, image) >= 0


ALONE = """
import sys
from nanoseg_bench.nsyolo import NSYOLO
model = NSYOLO(sys.argv[1])
import torch
torch.manual_seed(0)
with torch.no_grad():
    output = model.model.eval()(torch.rand(1, 3, 64, 96))[0]
output = output[0] if isinstance(output, tuple) else output
settings = {"epochs": 1, "imgsz": 64, "batch": 2, "workers": 0, "device": "cpu", "verbose": False}
model.train(data=sys.argv[2], project=sys.argv[3], name="again", **settings)
model.predict(torch.rand(1, 3, 64, 64), imgsz=64, verbose=False)
model.export_weights(sys.argv[3] + "/exported.safetensors")
rooms = sorted({name.split(".")[1] for name in sys.modules if name.startswith("nanoseg_bench.")})
print("RESULT", repr(output.double().sum().item()), rooms, "polars" in sys.modules)
"""


@pytest.mark.slow
def test_a_fresh_process_reloads_and_fine_tunes_with_this_room_alone(trained, tmp_path):
    model, run, _ = trained
    data = discs(tmp_path / "two", names=("disc", "square"))
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(run / "weights" / "best.safetensors"), str(data), str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    _, total, rooms, polars = next(line for line in done.stdout.splitlines() if line.startswith("RESULT")).split()
    assert (rooms, polars) == ("['nsyolo']", "False")
    assert float(total) == pytest.approx(output_of(model.model).double().sum().item(), rel=1e-5)
    assert list(NSYOLO(tmp_path / "exported.safetensors").names.values()) == ["disc", "square"]
    # One epoch from trained weights stays near them; from scratch it would not.
    start, end = (load_file(path) for path in (run / "weights" / "best.safetensors", tmp_path / "exported.safetensors"))
    name = "model.0.conv.weight"
    assert (start[name] - end[name]).abs().mean() < 0.1 * start[name].abs().mean()


PUBLISHED = """
import sys
from nsyolo import NSYOLO, BADSConv, BiLevelRoutingAttention
import torch
maps = torch.rand(2, 8, 20, 20)
layers = BADSConv(8, 12, k=5), BiLevelRoutingAttention(8, heads=2, regions=4, topk=4)
shapes = [tuple(layer(maps).shape) for layer in layers]
settings = {"epochs": 1, "imgsz": 64, "batch": 2, "workers": 0, "device": "cpu", "verbose": False}
NSYOLO("nsyolo-n").train(data=sys.argv[1], project=sys.argv[2], name="run", **settings)
NSYOLO(sys.argv[2] + "/run/weights/best.safetensors").predict(torch.rand(1, 3, 64, 64), imgsz=64, verbose=False)
print("RESULT", shapes, "nanoseg_bench" in sys.modules)
"""


@pytest.mark.slow
def test_a_copy_of_this_room_is_a_package_of_its_own(tmp_path):
    shutil.copytree(Path(nanoseg_bench.nsyolo.__file__).parent, tmp_path / "nsyolo")
    data = discs(tmp_path / "set")
    done = subprocess.run(
        [sys.executable, "-c", PUBLISHED, str(data), str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    assert result == "RESULT [(2, 12, 20, 20), (2, 8, 20, 20)] False"


@pytest.mark.slow
def test_an_interrupted_training_goes_on_from_its_checkpoint(trained, tmp_path):
    _, _, data = trained
    model = NSYOLO("nsyolo-n")

    class Stop(Exception):
        pass

    def stop(trainer):
        if trainer.epoch == 0:
            raise Stop

    model.add_callback("on_model_save", stop)
    with pytest.raises(Stop):
        model.train(data=str(data), project=str(tmp_path), name="run", **{**SETTINGS, "epochs": 2})
    last = tmp_path / "run" / "weights" / "last.pt"
    resumed = NSYOLO(last, trust_pickle=True)
    resumed.train(resume=True, data=str(data))
    with (tmp_path / "run" / "results.csv").open(newline="") as stream:
        assert [row["epoch"] for row in csv.DictReader(stream)] == ["1", "2"]


def imported(tree):
    """Top-level names of all modules that a file imports, other than by relative imports within the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level != 1:
            yield node.module.partition(".")[0] if node.level == 0 else "above"


@pytest.mark.parametrize("path", sorted(Path(nanoseg_bench.nsyolo.__file__).parent.rglob("*.py")), ids=lambda p: p.name)
def test_this_room_imports_no_other(path):
    names = set(imported(ast.parse(path.read_text(encoding="utf-8"))))
    # Triton comes with torch, and is imported on a GPU alone.
    assert names <= {*sys.stdlib_module_names, "torch", "triton", "ultralytics", "safetensors"}
