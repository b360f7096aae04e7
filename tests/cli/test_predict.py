import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from earlier_files import rewrite
from PIL import Image

from nanoseg_bench.annotations.begun_by import BegunBy
from nanoseg_bench.annotations.coco.reading import read_coco
from nanoseg_bench.annotations.labelme.reading import read_labelme, read_labelme_regions
from nanoseg_bench.annotations.masks.reading import read_instance_map
from nanoseg_bench.annotations.raster import area, iou_matrix, to_rle
from nanoseg_bench.cli import main
from nanoseg_bench.files import sha256_file
from nanoseg_bench.inference import task
from nanoseg_bench.inference.operating_point import find_operating_point
from nanoseg_bench.inference.predictor import VIEWS, Predictor
from nanoseg_bench.models.checkpoint import describe, save_weights
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.registry import build
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.record import read_record

pytestmark = pytest.mark.usefixtures("runs_in_this_process")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights that find boxes on every image, all of the first class and filled."""
    torch.manual_seed(0)
    recipe = load_recipe("nsyolo", "smoke").model_copy(update={"canvas": 64})
    network = build(recipe, ("disc", "Würfel"), 9).build_network()
    with torch.no_grad():
        head = network.model[-1]
        for branch in head.cv3:
            branch[-1].bias.copy_(torch.tensor([0.0, -5.0]))
        for branch in head.cv4:
            branch[-1].bias.fill_(1.0)
        head.proto.cv3.bn.bias.fill_(1.0)
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_weights(path, network.state_dict(), describe(recipe, ("disc", "Würfel"), 9))
    return path


@pytest.fixture
def images(tmp_path):
    """One image per way in which files differ, and one that is none."""
    folder = tmp_path / "Aufnahmen Größe"
    folder.mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (48, 60), dtype=np.uint8)).save(folder / "größe.png")
    tifffile.imwrite(folder / "deep.tif", rng.integers(0, 9000, (40, 80)).astype(np.uint16))
    turned = Image.fromarray(rng.integers(0, 256, (30, 50, 3), dtype=np.uint8))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(folder / "turned.jpg", exif=exif)
    (folder / "below").mkdir()
    Image.new("L", (1, 1)).save(folder / "below" / "größe.png")
    (folder / "notes.txt").write_text("no image")
    return folder


def predict(images, weights, out, *more):
    return main(["predict", str(images), "--model", str(weights), "--out", str(out), "--device", "cpu", *more])


def found_in(out):
    return json.loads((out / "predictions.json").read_text())["images"]


def test_every_format_holds_the_same_particles(images, weights, tmp_path, capsys, caplog):
    out = tmp_path / "found"
    caplog.set_level("INFO")
    assert predict(images, weights, out, "--to", "labelme,coco,masks,overlay", "--confidence", "0.3") == 0
    assert "nsyolo in ONNX Runtime on cpu" in caplog.text and "confidence 0.3 (as given)" in caplog.text
    shown = capsys.readouterr().out
    entries = {entry["name"]: entry for entry in found_in(out)}
    assert set(entries) == {"deep", "größe", "größe-2", "turned"}
    assert (entries["turned"]["width"], entries["turned"]["height"]) == (30, 50), "EXIF is applied"
    assert sum(len(entry["instances"]) for entry in entries.values()) > 10
    coco = read_coco(out / "coco" / "annotations.json").instances
    for name, entry in entries.items():
        size = entry["height"], entry["width"]
        masks = coco[name]
        assert [each.score for each in masks] == [each["score"] for each in entry["instances"]]
        assert [each.region.counts.decode() for each in masks] == [each["counts"] for each in entry["instances"]]
        assert all(each.score >= 0.3 for each in masks)
        labelme = read_labelme(out / "labelme" / f"{name}.json")
        assert (labelme.height, labelme.width) == size
        assert [each.label for each in labelme.instances] == [each.label for each in masks]
        assert labelme.begun_by == BegunBy("nsyolo", None, sha256_file(weights))
        scored = read_labelme_regions(out / "labelme" / f"{name}.json", size[1], size[0])
        assert [each.score for each in scored] == pytest.approx([each.score for each in masks], rel=1e-5)
        if masks:
            drawn = [to_rle(each, *size) for each in labelme.instances]
            assert np.diag(iou_matrix(drawn, [each.region for each in masks])).min() >= 0.98
            visible = read_instance_map(out / "masks" / "masks" / f"{name}.png", None)
            assert 0 < len(visible) <= len(masks)
            diameter = np.mean([np.sqrt(4 * area(each.region) / np.pi) for each in masks])
            assert f" {len(masks)} " in shown and diameter > 0
        assert Image.open(out / "overlay" / f"{name}.png").size == (entry["width"], entry["height"])
    assert not list(out.rglob("notes*"))


def test_engines_agree_and_an_exported_file_does(images, weights, tmp_path):
    exported = tmp_path / "model.onnx"
    assert main(["export", str(weights), "--to", "onnx", "--out", str(exported)]) == 0
    counts = {}
    for name, model, more in (
        ("torch", weights, ("--engine", "torch")),
        ("onnx", weights, ("--engine", "onnx")),
        ("file", exported, ()),
    ):
        assert predict(images, model, tmp_path / name, "--to", "coco", "--confidence", "0.3", *more) == 0
        counts[name] = [len(entry["instances"]) for entry in found_in(tmp_path / name)]
    assert counts["torch"] == counts["onnx"] == counts["file"]


def test_files_that_cannot_be_read_are_told_and_the_others_done(images, weights, tmp_path, capsys):
    (images / "a.png").write_bytes(b"no image")
    (images / "z.tif").write_bytes(b"II*\0 cut off")
    assert predict(images, weights, tmp_path / "found", "--to", "coco") == 1
    shown = capsys.readouterr().out
    assert "could not be read" in shown and "a.png" in shown and "z.tif" in shown
    assert len(found_in(tmp_path / "found")) == 4


def test_links_that_lead_nowhere_are_a_line_each(images, weights, tmp_path, capsys):
    (images / "gone.png").symlink_to(".git/annex/gone.png")
    (images / "round.png").symlink_to("round.png")
    assert predict(images, weights, tmp_path / "out", "--to", "coco") == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("could not be read: ")]
    assert len(lines) == 2
    assert lines[0].startswith(f"could not be read: {images / 'gone.png'}: a link to .git/annex/gone.png, which is not")
    assert lines[1].startswith(f"could not be read: {images / 'round.png'}: a link that leads round to itself")
    assert len(found_in(tmp_path / "out")) == 4
    assert predict(images / "gone.png", weights, tmp_path / "other") == 2
    assert "gone.png: a link to .git/annex/gone.png" in capsys.readouterr().err


def test_nothing_found_is_an_answer(images, weights, tmp_path):
    out = tmp_path / "found"
    assert predict(images, weights, out, "--to", "labelme,coco,masks,overlay", "--confidence", "1") == 0
    assert [entry["instances"] for entry in found_in(out)] == [[]] * 4
    assert read_labelme(out / "labelme" / "deep.json").instances == ()
    assert not np.asarray(Image.open(out / "masks" / "masks" / "deep.png")).any()


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_odd_micrographs_go_through_every_format(engine, weights, tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    noise = np.random.default_rng(0).normal(100, 20, (40, 50)).astype(np.float32)
    gap = np.where(noise > 110, np.nan, noise)
    shown = {
        "nan": gap * np.nan,
        "gap": gap,
        "constant": noise * 0 + 7,
        "single": noise[:1, :1],
        "narrow": noise[:, :8],
    }
    for name, values in shown.items():
        tifffile.imwrite(folder / f"{name}.tif", values)
    out = tmp_path / "found"
    formats = ("--to", "labelme,coco,masks,overlay")
    assert predict(folder, weights, out, "--engine", engine, "--confidence", "0.3", *formats) == 0

    def refuse(constant):
        raise AssertionError(f"{constant} in JSON")

    for path in out.rglob("*.json"):
        json.loads(path.read_text(), parse_constant=refuse)
    sizes = {entry["name"]: (entry["height"], entry["width"]) for entry in found_in(out)}
    assert sizes == {name: values.shape for name, values in shown.items()}
    assert all(Image.open(out / "overlay" / f"{name}.png").size == size[::-1] for name, size in sizes.items())


def test_overwriting(images, weights, tmp_path, capsys):
    out = tmp_path / "found"
    assert predict(images / "deep.tif", weights, out, "--to", "coco") == 0
    first = found_in(out)
    assert predict(images, weights, out, "--to", "coco") == 2
    assert "--overwrite missing" in capsys.readouterr().err
    assert predict(images, weights, out, "--overwrite", "missing", "--confidence", "0.9") == 2
    assert "confidence 0.25 -> 0.9" in capsys.readouterr().err
    assert predict(images, weights, out, "--overwrite", "missing", "--keep-marks") == 2
    assert "what lies on marks left out -> counted" in capsys.readouterr().err
    assert found_in(out) == first
    assert predict(images, weights, out, "--to", "coco", "--overwrite", "missing") == 0
    assert "predicted earlier: 1 image\n" in capsys.readouterr().out
    assert len(found_in(out)) == 4 and found_in(out)[0] == first[0]
    assert set(read_coco(out / "coco" / "annotations.json").images) == {"deep", "größe", "größe-2", "turned"}
    assert predict(images / "turned.jpg", weights, out, "--to", "coco", "--overwrite", "always") == 0
    assert [entry["name"] for entry in found_in(out)] == ["turned"]


def train_anew(path, bias):
    """Change the weights as another training would; each class is found as surely as ``bias`` says."""
    from safetensors.torch import load_file

    recipe, classes, most = load_recipe("nsyolo", "smoke").model_copy(update={"canvas": 64}), ("disc", "Würfel"), 9
    tensors = load_file(path)
    for name in [name for name in tensors if ".cv3." in name and name.endswith(".2.bias")]:
        tensors[name] = torch.tensor(bias)
    save_weights(path, tensors, describe(recipe, classes, most))


def test_other_weights_predict_all_anew(images, weights, tmp_path, capsys):
    model, out = tmp_path / "model" / "weights.safetensors", tmp_path / "found"
    shutil.copytree(weights.parent, model.parent)
    both = "--to", "coco", "overlay"
    assert predict(images, model, out, *both, "labelme", "--confidence", "0.3") == 0
    before = found_in(out)
    assert {each["label"] for entry in before for each in entry["instances"]} == {"disc"}
    first = sha256_file(model)
    # Of the same weights elsewhere all is there already.
    capsys.readouterr()
    copy = shutil.copytree(out, tmp_path / "copy")
    assert predict(images, weights, copy, *both, "--confidence", "0.3", "--overwrite", "missing") == 0
    assert "predicted earlier: 4 images" in capsys.readouterr().out
    assert found_in(copy) == before

    train_anew(model, [-5.0, 0.0])
    labels = (out / "labelme" / "deep.json").read_text()
    picture = (out / "overlay" / "deep.png").read_bytes()
    # Another operating point is part of another training; what is not asked for is not left as it was.
    assert predict(images / "turned.jpg", model, out, *both, "--confidence", "0.2", "--overwrite", "missing") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"weights {first[:12]} -> {sha256_file(model)[:12]}" in shown
    assert "4 images predicted anew" in shown and "predicted earlier" not in shown
    found = {entry["name"]: entry for entry in found_in(out)}
    assert found.keys() == {entry["name"] for entry in before}
    assert {each["label"] for entry in found.values() for each in entry["instances"]} == {"Würfel"}
    assert (out / "labelme" / "deep.json").read_text() != labels
    assert (out / "overlay" / "deep.png").read_bytes() != picture
    assert predict(images, weights, out, "--overwrite", "missing", "--confidence", "0.2") == 2
    assert f"model nsyolo ({model}) -> nsyolo ({weights})" in capsys.readouterr().err


def test_an_image_that_changed_is_predicted_anew(images, weights, tmp_path, capsys):
    out = tmp_path / "found"
    assert predict(images, weights, out, "--to", "coco", "overlay") == 0
    before = {entry["name"]: entry for entry in found_in(out)}
    Image.new("L", (70, 44), 30).save(images / "größe.png")
    capsys.readouterr()
    assert predict(images, weights, out, "--to", "coco", "overlay", "--overwrite", "missing") == 0
    shown = capsys.readouterr().out
    assert f"{images / 'größe.png'}: predicted anew, since the file is another one now" in shown
    assert "predicted earlier: 3 images" in shown
    after = {entry["name"]: entry for entry in found_in(out)}
    changed = [name for name, entry in after.items() if entry != before[name]]
    assert [(after[name]["width"], after[name]["height"]) for name in changed] == [(70, 44)]
    assert Image.open(out / "overlay" / f"{changed[0]}.png").size == (70, 44)


def test_corrected_outlines_are_not_written_over(images, weights, tmp_path, capsys):
    out = tmp_path / "found"
    assert predict(images / "deep.tif", weights, out, "--to", "labelme") == 0
    corrected = out / "labelme" / "deep.json"
    document = json.loads(corrected.read_text())
    corrected.write_text(json.dumps({**document, "shapes": []}))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for to, overwrite in itertools.product(("labelme", "coco"), ("missing", "always")):
        assert predict(images, weights, out, "--to", to, "--overwrite", overwrite) == 2
        message = capsys.readouterr().err
        assert (
            "1 file changed since this command wrote them, such as deep.json" in message
            and "--annotated --out" in message
        )
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    # With damaged predictions beside them, nobody can tell.
    (out / "predictions.json").write_text("{")
    assert predict(images, weights, out, "--overwrite", "always") == 2
    assert "1 file may have changed since this command wrote them, such as deep.json" in capsys.readouterr().err
    (out / "predictions.json").write_bytes(before[out / "predictions.json"])
    # Outside of it, they are safe.
    (out / "labelme").rename(tmp_path / "corrected")
    assert predict(images, weights, out, "--to", "labelme", "--overwrite", "missing") == 0
    assert len(list((out / "labelme").glob("*.json"))) == 1 + 4
    assert predict(images, weights, out, "--to", "labelme", "--overwrite", "missing") == 0


def test_what_is_replaced_leaves_no_pictures_of_before(images, weights, tmp_path):
    out = tmp_path / "found"
    assert predict(images, weights, out, "--to", "coco", "overlay") == 0
    assert predict(images / "deep.tif", weights, out, "--to", "masks", "--overwrite", "always") == 0
    assert [path.stem for path in (out / "overlay").iterdir()] == ["deep"]
    assert set(read_coco(out / "coco" / "annotations.json").images) == {"deep"}


def test_a_folder_of_the_users_own_is_left_alone(images, weights, tmp_path, capsys):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("mine")
    for overwrite in ("never", "missing", "always"):
        assert predict(images, weights, mine, "--overwrite", overwrite) == 2
        assert "holds other things" in capsys.readouterr().err
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]
    assert predict(images, weights, images / "found") == 2
    assert "lies inside" in capsys.readouterr().err


def test_usage_errors(images, weights, tmp_path, capsys):
    for message, arguments in (
        ("--confidence 2", ["--confidence", "2"]),
        ("--to 'pdf'", ["--to", "pdf"]),
        ("--to 'labelme pdf'", ["--to", "labelme", "pdf"]),
        ("device tpu: not a device", ["--device", "tpu"]),
        ("--engine onnx runs on the CPU", ["--engine", "onnx", "--device", "cuda"]),
    ):
        code = main(["predict", str(images), "--model", str(weights), "--out", str(tmp_path / "out"), *arguments])
        error = capsys.readouterr().err
        assert code == 2
        assert message in error or "CUDA" in error
    assert predict(tmp_path / "none.png", weights, tmp_path / "out") == 2
    (tmp_path / "empty").mkdir()
    assert predict(tmp_path / "empty", weights, tmp_path / "out") == 2
    assert "no image" in capsys.readouterr().err
    assert predict(images, tmp_path / "none", tmp_path / "out") == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_operating_point_of_a_run_is_found(tiny_set, tmp_path, caplog, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = ["--runs", "runs/mine", "--device", "cpu"]
    assert main(["run", str(tiny_set), "--preset", "smoke", "--models", "nsyolo", *places]) == 0
    folder = tmp_path / "runs" / "mine" / "nsyolo-smoke-seed0"
    record = read_record(next((tmp_path / "leaderboards" / "records").rglob("*-test.json")))
    copied = shutil.copytree(folder, tmp_path / "elsewhere" / "nsyolo")
    shutil.rmtree(tmp_path / "leaderboards")
    for model in (folder, folder / "weights.safetensors", copied):
        point = find_operating_point(model)
        assert point is not None and point.confidence == record.scores["confidence"]
    caplog.set_level("INFO")
    picture = PreparedSet(tiny_set).images("test")[0].image_path
    assert predict(picture, folder, tmp_path / "found") == 0
    # The val of this set is of one specimen: it was asked, and cannot decide.
    assert record.confidence_source == "default"
    told = f"a default, since the model's validation images cannot decide: {record.operating_point.reason}; see"
    assert told in caplog.text
    caplog.clear()
    assert main(["explain", str(picture), "--model", str(folder)]) == 0
    assert f"confidence {record.scores['confidence']:.3g} ({told}" in caplog.text
    assert main(["export", str(folder), "--to", "onnx", "--out", str(tmp_path / "model.onnx")]) == 0
    assert predict(picture, tmp_path / "model.onnx", tmp_path / "found again") == 0
    settings = [json.loads((tmp_path / name / "predictions.json").read_text()) for name in ("found", "found again")]
    assert settings[0]["confidence"] == settings[1]["confidence"] == record.scores["confidence"]
    with (folder / "fit.json").open("a") as fit:
        fit.write(" ")  # of another training
    assert find_operating_point(folder) is None


def test_a_model_whose_scores_only_rank_keeps_every_particle_where_val_cannot_decide(
    tiny_set, tmp_path, capsys, caplog
):
    name = PreparedSet(tiny_set).name
    run, boards = tmp_path / "runs" / name / "otsu-smoke-seed0", tmp_path / "leaderboards"
    places = ["--runs", str(run.parent), "--leaderboards", str(boards)]
    assert main(["run", str(tiny_set), "--preset", "smoke", "--models", "otsu", *places]) == 0
    record = read_record(boards / "records" / name / "otsu-smoke-seed0-test.json")
    assert (record.confidence_source, record.scores["confidence"]) == ("default", 0.0)
    source = tiny_set.with_name("data-source") / "main"
    micrographs = [str(path) for path in sorted(source.rglob("*.png"))[:4]]

    def scores(folder, *more):
        command = ["predict", *micrographs, "--model", str(run), "--out", str(folder), "--to", "coco"]
        # Which tiles are looked at depends on the confidence.
        command += ["--tiles", "off", *more]
        assert main(command) == 0
        path = folder / "coco" / "annotations.json"
        return [each["score"] for each in json.loads(path.read_text(encoding="utf-8"))["annotations"]]

    every = scores(tmp_path / "every", "--confidence", "0")
    caplog.set_level("INFO")
    assert sorted(scores(tmp_path / "found")) == sorted(every) != []
    assert (
        "every particle, since the model's validation images cannot decide: val is of one source group" in caplog.text
    )
    # Where val chose, the model is cut where it was judged.
    path = run / "operating_point.json"
    middle = sorted(every)[len(every) // 2]
    rewrite(path, confidence=middle, source="val", reason="")
    found = scores(tmp_path / "cut")
    assert sorted(found) == sorted(score for score in every if score >= middle)
    assert (
        0 < len(found) < len(every)
        and f"(the model did best with it on its validation images, see {path.resolve()})" in caplog.text
    )
    (run / "operating_point.json").write_text('{"confidence": "high", "fit_sha256": ""}', encoding="utf-8")
    assert main(["predict", *micrographs, "--model", str(run), "--out", str(tmp_path / "damaged")]) == 1
    assert "operating_point.json: confidence: Input should be a valid number" in capsys.readouterr().err


def test_namesakes_are_told_apart_and_a_file_comes_once(weights, tmp_path, capsys, monkeypatch):
    rng = np.random.default_rng(0)
    for folder, name in (("x", "a"), ("y", "a"), ("y", "b")):
        (tmp_path / folder).mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 48), dtype=np.uint8)).save(tmp_path / folder / f"{name}.png")
    # As in data sets whose files lie elsewhere, under their hash.
    (tmp_path / "store").mkdir()
    (tmp_path / "y" / "b.png").rename(tmp_path / "store" / "0f3c")
    (tmp_path / "y" / "b.png").symlink_to(tmp_path / "store" / "0f3c")
    monkeypatch.chdir(tmp_path)
    given = ["x", "y", "x/a.png", "y/../x/a.png", str(tmp_path / "y" / "a.png")]
    more = ["--model", str(weights), "--out", "found", "--device", "cpu", "--to", "coco,overlay"]
    assert main(["predict", *given, *more]) == 0
    shown = capsys.readouterr().out
    entries = found_in(tmp_path / "found")
    assert [entry["name"] for entry in entries] == ["a", "a-2", "b"]
    assert len(list((tmp_path / "found" / "overlay").iterdir())) == 3
    assert " x/a.png " in shown and " y/a.png -> a-2 " in shown and " b.png " in shown
    assert "3 images" in shown
    again = ["predict", str(tmp_path / "store" / "0f3c"), "x", *more, "--overwrite", "missing"]
    assert main(again) == 0
    assert "predicted earlier: 2 images" in capsys.readouterr().out
    assert len(found_in(tmp_path / "found")) == 3


@pytest.mark.parametrize("target", ["gone.png", "link.png"])
def test_links_that_lead_nowhere_are_told(target, images, weights, tmp_path, capsys):
    (images / "link.png").symlink_to(target)
    assert predict(images, weights, tmp_path / "found", "--to", "coco") == 1
    assert "could not be read" in (shown := capsys.readouterr().out) and "link.png" in shown
    assert len(found_in(tmp_path / "found")) == 4


def test_a_call_that_was_killed_leaves_a_folder_that_the_next_one_goes_on_in(images, weights, tmp_path):
    out = tmp_path / "found"
    assert predict(images, weights, out, "--to", "coco,overlay") == 0
    # What a kill leaves: predictions.json as it was at the beginning, pictures, and half of one.
    rewrite(out / "predictions.json", images=[])
    shutil.rmtree(out / "coco")
    (out / "overlay" / ".deep.abcd1234.png").write_bytes(b"half")
    (out / ".predictions.abcd1234.json").write_bytes(b"half")
    (out / ".gitignore").write_text("*")
    assert predict(images, weights, out, "--to", "coco,overlay", "--overwrite", "missing") == 0
    assert len(found_in(out)) == 4
    hidden = [path.name for path in out.rglob(".*")]
    assert hidden == [".gitignore"]


def test_what_was_found_before_a_kill_is_not_looked_for_again(images, weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(task, "_SAVE_EVERY", 0.0)
    find, looked = Predictor.find_particles, []

    def find_three(self, *given, name, **more):
        looked.append(Path(name).name)
        if len(looked) == 3:
            raise KeyboardInterrupt
        return find(self, *given, name=name, **more)

    monkeypatch.setattr(Predictor, "find_particles", find_three)
    out = tmp_path / "found"
    assert predict(images, weights, out, "--to", "coco") == 130
    assert [entry["name"] for entry in found_in(out)] == [Path(name).stem for name in looked[:2]]
    assert predict(images, weights, out, "--to", "coco", "--overwrite", "missing") == 0
    assert "predicted earlier: 2 images" in capsys.readouterr().out
    assert looked[2] in looked[3:] and len(looked) == 5 and len(found_in(out)) == 4
    assert (out / "coco").is_dir()


def test_what_helps_where_nothing_was_found(weights, tmp_path, capsys):
    Image.fromarray(np.full((64, 64), 90, np.uint8)).save(tmp_path / "empty.png")
    assert (
        predict(tmp_path / "empty.png", weights, tmp_path / "out", "--confidence", "1", "--to", "coco", "overlay") == 0
    )
    shown = capsys.readouterr().out
    assert "no particles in 1 of 1 image. What helps: a lower --confidence than 1, e.g. 0.05" in shown
    assert f"{tmp_path / 'out' / 'overlay'}: " in shown
    assert (tmp_path / "out" / "overlay" / "empty.png").is_file()
    assert (tmp_path / "out" / "coco").is_dir()


def test_the_table_holds_whole_names_in_eighty_columns(weights, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    folder = tmp_path / "Gold"
    folder.mkdir()
    names = ("specimen-0001-0.png", "a name that is as long as those that people give to what they measured.png")
    for name in names:
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 60), dtype=np.uint8)).save(folder / name)
    assert predict(folder, weights, tmp_path / "out", "--to", "coco", "--confidence", "0.3") == 0
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("┏", "┃", "│", "└"))]
    assert table and max(map(len, table)) <= 80
    assert names[0] in table[-2] or any(names[0] in line for line in table)
    assert "".join(line[1:].split("│")[0].strip(" ") for line in table).count("what they measured.png") <= 1
    assert "…" not in "".join(table)
    assert "60 × 48" in "".join(table)


def test_large_micrographs_are_looked_at_in_tiles(images, weights, tmp_path, capsys):
    folder, out = tmp_path / "fields", tmp_path / "found"
    folder.mkdir()
    field = np.random.default_rng(0).integers(0, 60, (300, 400), dtype=np.uint8)
    Image.fromarray(field).save(folder / "field.png")
    assert predict(folder, weights, out, "--confidence", "0.2", "--tiles", "3") == 0
    assert "1 image looked at in tiles too, up to 3.0 times as large" in capsys.readouterr().out
    assert json.loads((out / "predictions.json").read_text())["tiles"] == 3
    (entry,) = found_in(out)
    assert entry["magnification"] == 3
    assert predict(folder, weights, out, "--confidence", "0.2", "--overwrite", "missing") == 2
    assert "tiles 3 -> auto" in capsys.readouterr().err
    assert predict(folder, weights, out, "--confidence", "0.2", "--tiles", "3", "--overwrite", "missing") == 0
    assert "predicted earlier: 1 image" in capsys.readouterr().out
    assert predict(folder, weights, tmp_path / "whole", "--confidence", "0.2", "--tiles", "off") == 0
    assert found_in(tmp_path / "whole")[0]["magnification"] == 1
    for wrong in ("1", "-2", "many"):
        with pytest.raises(SystemExit):
            predict(folder, weights, tmp_path / "none", "--tiles", wrong)
        assert "give auto, off, or a number of tiles from 2 on" in capsys.readouterr().err


def test_micrographs_are_looked_at_from_several_sides(images, weights, tmp_path, capsys):
    out = tmp_path / "four"
    assert predict(images, weights, out, "--confidence", "0.1", "--views", "4") == 0
    assert json.loads((out / "predictions.json").read_text())["views"] == 4
    assert any(image["instances"] for image in found_in(out))
    capsys.readouterr()
    assert predict(images, weights, out, "--confidence", "0.1", "--overwrite", "missing") == 2
    assert "views 4 -> 1" in capsys.readouterr().err
    assert predict(images, weights, out, "--confidence", "0.1", "--views", "4", "--overwrite", "missing") == 0
    with pytest.raises(SystemExit):
        predict(images, weights, tmp_path / "three", "--views", "3")
    assert f"--views: there is no '3'; choose from {', '.join(map(str, VIEWS))}" in capsys.readouterr().err
