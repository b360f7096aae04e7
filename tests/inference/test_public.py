"""The room as a Python user sees it: arrays and folders in, particles with masks, confidences and classes out."""

import json
import pickle
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from finished_runs import write_otsu_run
from PIL import Image, ImageDraw, ImageFont

from nanoseg_bench import inference
from nanoseg_bench.annotations.masks.reading import read_instance_map
from nanoseg_bench.cli import main
from nanoseg_bench.errors import ModelError, NanosegError, UsageError
from nanoseg_bench.files import sha256_file, write_json
from nanoseg_bench.inference import open_predictor, predict_folder, read_folder, read_image
from nanoseg_bench.models.checkpoint import describe, save_weights
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.registry import build
from nanoseg_bench.weights import shipped

DISCS = ((80, 90, 26), (200, 300, 32), (330, 120, 40), (430, 260, 20))
"""Centres and radii in pixels; none touches another or the border."""

HEIGHT, WIDTH = 480, 600


@pytest.fixture
def pixels():
    """Bright discs on a dark ground, and a bright scale bar with its text."""
    noise = cv2.GaussianBlur(np.random.default_rng(0).normal(size=(HEIGHT, WIDTH)), (0, 0), 2)
    image = np.clip(85 + noise / noise.std() * 6, 65, 110).astype(np.uint8)
    for x, y, radius in DISCS:
        cv2.circle(image, (x, y), radius, 200, -1)
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    pen.text((450, 355), "300 nm", 255, ImageFont.load_default(size=32))
    pen.rectangle((440, 400, 569, 409), 255)
    return np.array(picture)


@pytest.fixture
def run(tmp_path):
    """A finished run of Otsu, which needs no training."""
    return write_otsu_run(tmp_path / "runs")


@pytest.fixture
def ships(tmp_path, monkeypatch):
    """As if weights of two networks had come with the package."""
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "shipped")
    torch.manual_seed(0)
    for name in ("nsyolo", "yolo11n"):
        recipe = load_recipe(name, "smoke").model_copy(update={"canvas": 64})
        network = build(recipe, ("disc",), 9).build_network()
        save_weights(shipped.FOLDER / f"{name}.safetensors", network.state_dict(), describe(recipe, ("disc",), 9))


def exact_mask(x, y, radius):
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def facts(image):
    found = [(each.label, each.score, each.region, each.on_mark) for each in image.instances]
    return image.name, image.source, image.source_sha256, image.width, image.height, found


def test_an_array_gives_masks_confidences_and_classes(run, pixels):
    found = open_predictor(run).find_particles(pixels)
    assert (found.height, found.width) == pixels.shape
    masks = list(found.masks())
    assert len(masks) == len(found.particles) == len(DISCS)
    for disc in DISCS:
        exact = exact_mask(*disc)
        overlaps = [(exact & mask).sum() / (exact | mask).sum() for mask in masks]
        assert max(overlaps) > 0.95
    assert {each.label for each in found.particles} == {"particle"}
    scores = [each.score for each in found.particles]
    assert scores == sorted(scores, reverse=True) and all(0 <= score <= 1 for score in scores)
    # Twice the radius, as a disc of that area has it.
    assert found.mean_diameter == pytest.approx(np.mean([2 * radius for *_, radius in DISCS]), rel=0.02)


def test_bars_and_lettering_are_flagged_unless_they_are_kept(run, pixels):
    predictor = open_predictor(run)
    found, kept = predictor.find_particles(pixels), predictor.find_particles(pixels, keep_marks=True)
    assert found.on_marks == len(kept.particles) - len(DISCS) > 0
    assert [each.region for each in found.instances] == [each.region for each in kept.instances]
    assert any(mask[405, 445:565].all() for mask in kept.masks()), "the scale bar was found"


def test_the_operating_point_is_the_users_the_runs_or_a_default(run, pixels):
    every = open_predictor(run)
    assert every.operating_point.confidence == 0 and "only rank them" in every.operating_point.source
    scores = [each.score for each in every.find_particles(pixels, keep_marks=True).particles]
    given = open_predictor(run, confidence=scores[2])
    assert given.operating_point.source == "as given"
    assert [each.score for each in given.find_particles(pixels, keep_marks=True).particles] == scores[:3]
    fit = sha256_file(run / "fit.json")
    write_json(
        run / "operating_point.json", {"confidence": scores[1], "source": "val", "reason": "", "fit_sha256": fit}
    )
    chosen = open_predictor(run)
    assert (
        chosen.operating_point.chosen and "did best with it on its validation images" in chosen.operating_point.source
    )
    assert len(chosen.find_particles(pixels, keep_marks=True).particles) == 2
    with pytest.raises(UsageError, match=r"confidence 1\.2: give a number between 0 and 1"):
        open_predictor(run, confidence=1.2)


def test_a_folder_gives_what_the_command_line_gives(run, pixels, tmp_path, capsys):
    images = tmp_path / "images"
    (images / "more").mkdir(parents=True)
    Image.fromarray(pixels).save(images / "a.png")
    Image.fromarray(pixels[::-1].copy()).save(images / "more" / "a.tif")
    assert (read_image(str(images / "a.png")) == pixels).all()
    (images / "broken.png").write_bytes(b"no image")
    formats = ("labelme", "coco", "masks", "overlay")
    outcome = predict_folder(open_predictor(str(run)), str(images), str(tmp_path / "python"), formats=formats)
    assert capsys.readouterr().out == ""
    arguments = ["predict", str(images), "--model", str(run), "--out", str(tmp_path / "shell"), "--to", *formats]
    assert main(arguments) == 1
    here, there = (
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file() and path.name != "conversion_report.json"
        }
        for name in ("python", "shell")
    )
    assert set(here) == set(there) and len(here) > 8
    assert [path for path in here if here[path] != there[path]] == []

    assert [image.name for image in outcome.found] == ["a", "a-2"]
    (error,) = outcome.unreadable
    assert "broken.png" in str(error)
    contents = read_folder(tmp_path / "python")
    assert list(map(facts, contents.images)) == list(map(facts, outcome.found))
    assert contents.settings.classes == ("particle",)
    for image in contents.images:
        drawn = read_instance_map(tmp_path / "python" / "masks" / "masks" / f"{image.name}.png", None)
        assert len(drawn) == len(image.particles) == len(list(image.masks())) == len(DISCS)


def test_what_has_come_is_added(run, pixels, tmp_path, caplog):
    caplog.set_level("INFO")
    first, out = tmp_path / "first.png", tmp_path / "found"
    Image.fromarray(pixels).save(first)
    predictor = open_predictor(run)
    predict_folder(predictor, first, out)
    with pytest.raises(UsageError, match="holds predictions"):
        predict_folder(predictor, first, out)
    second = tmp_path / "second.png"
    Image.fromarray(pixels.T.copy()).save(second)
    added = predict_folder(predictor, [first, second], out, overwrite="missing")
    assert ([image.name for image in added.kept], [image.name for image in added.found]) == (["first"], ["second"])
    assert added.earlier == 1
    Image.fromarray(255 - pixels).save(first)
    again = predict_folder(predictor, [first], out, overwrite="missing")
    assert [image.name for image in again.found] == ["first"] and len(read_folder(out).images) == 2
    assert f"{first}: predicted anew, since the file is another one now" in caplog.text
    replaced = predict_folder(predictor, second, out, overwrite="always")
    assert list(map(facts, read_folder(out).images)) == list(map(facts, replaced.found))
    assert [path.name for path in (out / "overlay").iterdir()] == ["second.png"]


def test_outlines_that_are_corrected_meanwhile_are_not_written_over(run, pixels, tmp_path):
    first, second, out = tmp_path / "first.png", tmp_path / "second.png", tmp_path / "found"
    Image.fromarray(pixels).save(first)
    Image.fromarray(pixels.T.copy()).save(second)
    predict_folder(open_predictor(run), first, out)
    corrected = out / "labelme" / "first.json"
    mine = json.dumps({**json.loads(corrected.read_text(encoding="utf-8")), "shapes": []})

    class WhileIWork(inference.Predictor):
        def find_particles(self, *arguments, **options):
            corrected.write_text(mine, encoding="utf-8")
            return super().find_particles(*arguments, **options)

    predictor = WhileIWork(open_predictor(run).model, path=run)
    for _ in range(2):  # the next call knows it, too
        with pytest.raises(UsageError, match=r"1 file changed since this command wrote them, such as first\.json"):
            predict_folder(predictor, [first, second], out, overwrite="missing")
        assert corrected.read_text(encoding="utf-8") == mine
    assert [image.name for image in read_folder(out).images] == ["first", "second"], "what was found is kept"
    (out / "labelme").rename(tmp_path / "corrected")
    added = predict_folder(open_predictor(run), [first, second], out, overwrite="missing")
    assert not added.found and (out / "labelme" / "second.json").is_file()


def test_usage_errors(run, pixels, tmp_path):
    image = tmp_path / "images" / "a.png"
    image.parent.mkdir()
    Image.fromarray(pixels).save(image)
    predictor = open_predictor(run)
    with pytest.raises(UsageError, match="pdf: give formats of labelme, coco, masks, overlay"):
        predict_folder(predictor, image, tmp_path / "out", formats=("pdf",))
    with pytest.raises(UsageError, match="'maybe'"):
        predict_folder(predictor, image, tmp_path / "out", overwrite="maybe")
    with pytest.raises(UsageError, match="lies inside"):
        predict_folder(predictor, image.parent, image.parent / "out")
    with pytest.raises(UsageError, match="no image"):
        predict_folder(predictor, [], tmp_path / "out")
    with pytest.raises(UsageError, match=r"holds no predictions \(no predictions\.json\); give the folder"):
        read_folder(tmp_path / "out")
    for tiles in ("on", -1, 1, 2.5, None, True):
        with pytest.raises(UsageError, match="give auto, off, or a number of tiles from 2 on"):
            predict_folder(predictor, image, tmp_path / "out", tiles=tiles)
        with pytest.raises(UsageError, match="give auto, off, or a number of tiles from 2 on"):
            predictor.find_particles(pixels, tiles=tiles)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ModelError, match="no such file or folder"):
        open_predictor(tmp_path / "nowhere")


def test_an_engine_or_number_of_sides_that_is_none_is_refused(run):
    with pytest.raises(UsageError, match="engine 'onnxruntime': is one of auto, torch, onnx"):
        open_predictor(run, engine="onnxruntime")
    for views in (0, 3, "8"):
        with pytest.raises(UsageError, match=f"views {views!r}: give 1, 4 or 8"):
            open_predictor(run, views=views)


def test_pixels_that_are_none_are_refused_at_any_confidence(run, pixels):
    predictor = open_predictor(run)
    for wrong in (pixels.astype(float), pixels[:0], "a.png"):
        with pytest.raises(UsageError, match="pixels: are"):
            predictor.predict(wrong, 0.5)
        with pytest.raises(UsageError, match="pixels: are"):
            predictor.find_particles(wrong)


def test_a_predictor_says_what_it_is(run):
    assert repr(open_predictor(run)) == f"Predictor(Otsu + watershed, from {run}, particle)"


def test_what_was_found_says_so_in_a_line(run, pixels, tmp_path):
    image, out = tmp_path / "a.png", tmp_path / "out"
    Image.fromarray(pixels).save(image)
    predictor = open_predictor(run)
    outcome = predict_folder(predictor, [image, tmp_path / "gone.png"], out, formats="coco")
    (found,) = outcome.found
    marked = f"{len(DISCS)} particles, {found.on_marks} on marks"
    assert repr(predictor.find_particles(pixels)) == f"Particles({WIDTH} x {HEIGHT} px, {marked})"
    assert repr(found) == f"PredictedImage('a', {WIDTH} x {HEIGHT} px, {marked})"
    assert repr(outcome) == f"Outcome({str(out)!r}, 1 found, 0 kept, 1 unreadable)"
    assert repr(read_folder(out)).startswith("Contents(1 image, Settings(model='otsu ")
    assert repr(found.particles[0].region) == f"Rle(height={HEIGHT}, width={WIDTH})"


def test_what_was_given_for_something_else_is_named(run, pixels, tmp_path):
    for confidence in ("0.3", [0.3], float("nan"), -0.1):
        with pytest.raises(UsageError, match=r"^confidence .*: give a number between 0 and 1$"):
            open_predictor(run, confidence=confidence)
        with pytest.raises(UsageError, match=r"^confidence .*: give a number between 0 and 1$"):
            open_predictor(run).predict(pixels, confidence)
    for device in ("gpu", None, [0, 1]):
        with pytest.raises(UsageError, match=r"^device .*: not a device; use auto, cpu, cuda or cuda:N$"):
            open_predictor(run, device=device)
    predictor, out = open_predictor(run), tmp_path / "out"
    for images in (pixels, [pixels], None, 3):
        with pytest.raises(UsageError, match=r"^images: give files.*; pixels are for Predictor\.find_particles$"):
            predict_folder(predictor, images, out)
    with pytest.raises(UsageError, match=r"^predictor .*: give what open_predictor returns$"):
        predict_folder(run, tmp_path, out)
    with pytest.raises(UsageError, match=r"^out s3://bucket/out: takes a folder of this machine"):
        predict_folder(predictor, tmp_path, "s3://bucket/out")
    with pytest.raises(UsageError, match="holds no predictions"):
        read_folder(run / "fit.json")


def test_what_python_raises_names_no_options(run, tmp_path):
    """Commands in backticks are whole; everything else is said in words that fit both."""
    (tmp_path / "best.pt").touch()
    for wrong in (
        {"engine": "onnx"},
        {"engine": "onnx", "device": "cuda:0"},
        {"device": "gpu"},
        {"views": 8},
        {"model": tmp_path},
        {"model": tmp_path / "gone"},
    ):
        with pytest.raises(NanosegError) as caught:
            open_predictor(**{"model": run, **wrong})
        assert " --" not in re.sub("`[^`]*`", "", f" {caught.value}")
    with pytest.raises(ModelError, match=r"trust_pickle=True \(--trust-pickle on the command line\)"):
        open_predictor(tmp_path / "best.pt")


def test_one_format_needs_no_list_and_what_is_missing_is_told(run, pixels, tmp_path, caplog):
    image = tmp_path / "a.png"
    Image.fromarray(pixels).save(image)
    outcome = predict_folder(open_predictor(run), [image, tmp_path / "gone.png"], tmp_path / "out", formats="masks")
    assert outcome.formats == ("masks",) and len(outcome.found) == len(outcome.unreadable) == 1
    assert "left out: " in caplog.text and "gone.png: no such image" in caplog.text


def test_weights_that_ship_are_opened_by_name_or_by_none(ships, pixels, tmp_path):
    out = tmp_path / "found"
    image = tmp_path / "a.png"
    Image.fromarray(pixels).save(image)
    opened = {name: open_predictor(name, engine="torch") for name in (None, "nsyolo", "yolo11n")}
    models = {name: predictor.model.recipe.model for name, predictor in opened.items()}
    assert models == {None: "nsyolo", "nsyolo": "nsyolo", "yolo11n": "yolo11n"}
    predict_folder(opened[None], image, out)
    assert json.loads((out / "predictions.json").read_text())["model"] == "nsyolo (shipped weights nsyolo)"
    with pytest.raises(UsageError, match="no weights called 'yolo11n-c3bads'"):
        open_predictor("yolo11n-c3bads")


def test_a_model_from_no_file_works_too(pixels, tmp_path):
    model = build(load_recipe("otsu", "smoke").model_copy(update={"canvas": 640}), ("disc",), 9)
    predictor = inference.Predictor(model)
    assert len(predictor.find_particles(pixels).particles) == len(DISCS)
    image = tmp_path / "a.png"
    Image.fromarray(pixels).save(image)
    assert predict_folder(predictor, image, tmp_path / "found").found[0].particles


def test_another_process_opens_the_same_model_once(run, pixels):
    predictor = open_predictor(run, confidence=0.2)
    twice = [pickle.loads(pickle.dumps(predictor)) for _ in range(2)]
    assert twice[0] is twice[1]
    assert twice[0].operating_point == predictor.operating_point
    found, expected = (
        [(each.score, each.region.counts) for each in one.find_particles(pixels).instances]
        for one in (twice[0], predictor)
    )
    assert found == expected and len(found) >= len(DISCS)


def test_a_model_from_no_file_stays_in_its_process():
    model = build(load_recipe("otsu", "smoke"), ("disc",), 9)
    with pytest.raises(TypeError, match="cannot go to another process"):
        pickle.dumps(inference.Predictor(model))


def test_what_is_public_is_there_and_nothing_is_loaded_before():
    for name in inference.__all__:
        assert getattr(inference, name).__doc__
    assert inference.read_image is read_image
    with pytest.raises(AttributeError, match="Nothing"):
        inference.Nothing  # noqa: B018
    code = "import sys, nanoseg_bench.inference\nsys.exit(bool({'torch', 'cv2', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
