import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from nanoseg_bench.cli import main
from nanoseg_bench.preparation.prepared_set import PreparedSet


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "in Größe"
    root.mkdir()
    for name in ("a", "b"):
        Image.new("L", (60, 40)).save(root / f"{name}.png")
        shapes = [{"label": "cube", "points": [[5, 5], [25, 5], [15, 25]], "shape_type": "polygon"}]
        document = {"version": "5.5.0", "shapes": shapes, "imagePath": f"{name}.png", "imageData": None}
        (root / f"{name}.json").write_text(json.dumps(document))
    return root


def run(*arguments):
    return main(["convert", *map(str, arguments), "--workers", "1"])


@pytest.mark.parametrize("to", ["labelme", "coco", "yolo", "masks"])
def test_there_and_back(folder, tmp_path, capsys, to):
    assert run(folder, tmp_path / "there", "--to", to) == 0
    shown = capsys.readouterr().out
    assert f"labelme -> {to}" in shown and "conversion_report.json" in shown and "worst 1.0000" in shown
    assert run(tmp_path / "there", tmp_path / "back", "--to", "masks", "--from", to) == 0
    assert run(folder, tmp_path / "direct", "--to", "masks") == 0
    for name in ("a", "b"):
        back, direct = (
            np.asarray(Image.open(tmp_path / each / "masks" / f"{name}.png")) for each in ("back", "direct")
        )
        assert (back == direct).all() and back.any()


def test_formats_are_found_by_themselves(folder, tmp_path, capsys):
    for to in ("coco", "yolo", "masks"):
        assert run(folder, tmp_path / to, "--to", to) == 0
        capsys.readouterr()
        assert run(tmp_path / to, tmp_path / f"{to}-labelme", "--to", "labelme") == 0
        assert f"{to} -> labelme" in capsys.readouterr().out


def test_masks_with_their_images_elsewhere(tmp_path, capsys):
    (tmp_path / "truth").mkdir()
    (tmp_path / "raw").mkdir()
    mask = np.zeros((40, 60), np.uint8)
    mask[5:10, 5:10] = mask[10:15, 10:15] = 255
    Image.fromarray(mask).save(tmp_path / "truth" / "a.png")
    Image.new("L", (60, 40)).save(tmp_path / "raw" / "a.png")
    for connectivity, particles in ((8, 1), (4, 2)):
        options = ["--from", "masks", "--image-folder", tmp_path / "raw", "--connectivity", connectivity]
        options += ["--mask-kind", "binary", "--label", "nanocube"]
        assert run(tmp_path / "truth", tmp_path / f"out{connectivity}", "--to", "coco", *options) == 0
        document = json.loads((tmp_path / f"out{connectivity}" / "annotations.json").read_text())
        assert len(document["annotations"]) == particles
        assert document["categories"] == [{"id": 1, "name": "nanocube"}]
        capsys.readouterr()


def test_what_masks_are_taken_for_is_told_before_anything_is_made_of_them(tmp_path, caplog):
    caplog.set_level("INFO")
    for kind, second, told in (
        ("binary", 1, "binary masks, of which each connected piece is a particle"),
        ("instance", 2, "instance maps, of which each value is a particle"),
    ):
        mask = np.zeros((40, 60), np.uint8)
        mask[5:15, 5:15], mask[20:30, 5:15] = 1, second
        for folder, pixels in (("images", np.zeros((40, 60), np.uint8)), ("masks", mask)):
            (tmp_path / kind / folder).mkdir(parents=True)
            Image.fromarray(pixels).save(tmp_path / kind / folder / "a.png")
        caplog.clear()
        assert run(tmp_path / kind, tmp_path / f"{kind}-out", "--to", "coco") == 0
        assert f"taken for {told}; if they are not" in caplog.text
        caplog.clear()
        assert run(tmp_path / kind, tmp_path / f"{kind}-given", "--to", "coco", "--mask-kind", kind) == 0
        assert "taken for" not in caplog.text


def test_masks_by_colour(tmp_path):
    colours = np.zeros((40, 60, 3), np.uint8)
    colours[5:10, 5:10], colours[20:30, 5:10] = (255, 0, 0), (0, 9, 0)
    for folder, pixels in (("images", np.zeros((40, 60), np.uint8)), ("masks", colours)):
        (tmp_path / "in" / folder).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "in" / folder / "a.png")
    assert run(tmp_path / "in", tmp_path / "out", "--to", "coco", "--mask-kind", "colour") == 0
    document = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert sorted(each["area"] for each in document["annotations"]) == [25, 50]


def test_images_inside_their_json(folder, tmp_path):
    import base64

    document = json.loads((folder / "a.json").read_text())
    document["imageData"] = base64.b64encode((folder / "a.png").read_bytes()).decode()
    content = (folder / "a.png").read_bytes()
    (folder / "a.json").write_text(json.dumps(document))
    (folder / "a.png").unlink()
    assert run(folder, tmp_path / "out", "--to", "yolo") == 0
    assert (tmp_path / "out" / "images" / "a.png").read_bytes() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in Größe", "out"]
    assert not (folder / "a.png").exists()


def test_faults_and_losses(folder, tmp_path, capsys):
    (folder / "a.json").write_text("{")
    assert run(folder, tmp_path / "out", "--to", "yolo", "--from", "labelme") == 1
    assert "a.json: not JSON" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert run(folder, tmp_path / "out", "--to", "yolo", "--from", "labelme", "--on-error", "skip") == 0
    shown = capsys.readouterr().out
    assert "1 file left out" in shown and "a.json: not JSON" in shown
    assert run(folder, tmp_path / "out", "--to", "yolo", "--from", "labelme", "--on-error", "skip") == 2
    assert "--overwrite always" in capsys.readouterr().err
    again = ["--on-error", "skip", "--overwrite", "always", "--copy", "--classes", "rod, cube"]
    assert run(folder, tmp_path / "out", "--to", "yolo", "--from", "labelme", *again) == 0
    assert (tmp_path / "out" / "labels" / "b.txt").read_text().startswith("1 ")


def test_usage_errors(folder, tmp_path, capsys, monkeypatch):
    for more, message in (
        (["--max-loss", "1.5"], "--max-loss 1.5"),
        (["--classes", "a,a"], "--classes 'a,a'"),
        (["--classes", ""], "--classes ''"),
        (["--label-attribute", "type"], "label attribute"),
        (["--image-folder", str(folder)], "image folder"),
        (["--threshold", "128", "--min-area", "4"], "--threshold, --min-area: for masks"),
        (["--label", "cube", "--connectivity", "4"], "--connectivity, --label: for masks"),
        (["--invert", "--mask-kind", "classes"], "--invert: "),
    ):
        assert run(folder, tmp_path / "out", "--to", "yolo", *more) == 2
        assert message in capsys.readouterr().err
    assert main(["convert", str(folder), str(tmp_path / "out"), "--to", "yolo", "--workers", "0"]) == 2
    assert run(folder, folder / "out", "--to", "yolo") == 2
    assert "lies inside" in capsys.readouterr().err
    assert run(tmp_path / "none", tmp_path / "out", "--to", "yolo") == 2
    assert "no such" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert run(folder, ".", "--to", "yolo") == 1
    assert "is the current folder" in capsys.readouterr().err and not any(Path().iterdir())
    with pytest.raises(SystemExit) as caught:
        run(folder, tmp_path / "out", "--to", "voc")
    assert caught.value.code == 2
    assert not (tmp_path / "out").exists()


def black_on_white(folder, specks=0):
    """A mask of 20 black squares in two sizes, and single black pixels, on white; and its image."""
    mask = np.full((120, 160), 255, np.uint8)
    for number in range(20):
        row, column = divmod(number, 5)
        mask[row * 30 + 5 :, column * 30 + 5 :][: 12 + number % 2, :12] = 0
    mask[119, : 2 * specks : 2] = 0
    for name, pixels in (("images", np.full((120, 160), 90, np.uint8)), ("masks", mask)):
        (folder / name).mkdir(parents=True)
        Image.fromarray(pixels).save(folder / name / "a.png")
    return folder


def test_masks_that_are_no_instances_are_refused_with_the_flag_that_reads_them(tmp_path, capsys):
    source = black_on_white(tmp_path / "in")
    assert run(source, tmp_path / "out", "--to", "coco") == 1
    assert "Give --invert if particles are black" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert run(source, tmp_path / "out", "--to", "coco", "--invert", "--label", "cube") == 0
    document = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert sorted(each["area"] for each in document["annotations"]) == [144] * 10 + [156] * 10
    assert capsys.readouterr().err == ""


def test_specks_of_masks_are_told_on_the_console(tmp_path, capsys):
    source = black_on_white(tmp_path / "in", specks=2)
    assert run(source, tmp_path / "out", "--to", "coco", "--invert") == 0
    shown = capsys.readouterr().out
    assert "2 specks of at most 3 px count as particles" in shown and "a: 2 of 22" in shown and "--min-area 4" in shown
    assert run(source, tmp_path / "clean", "--to", "coco", "--invert", "--min-area", "4") == 0
    assert "2 particles smaller than --min-area left out in 1 image" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "clean" / "annotations.json").read_text())["annotations"]) == 20


def test_a_unit_that_is_not_understood_is_told_and_ångström_is(folder, tmp_path, capsys):
    for number, unit in enumerate(("\\u00C5", "furlong", "furlong")):
        pixels = np.random.default_rng(number).integers(0, 9000, (40, 50)).astype(np.uint16)
        path = tmp_path / "tiffs" / f"p{number}.tif"
        path.parent.mkdir(exist_ok=True)
        tifffile.imwrite(path, pixels, imagej=True, resolution=(0.2, 0.2), metadata={"unit": unit})
        shape = {"label": "cube", "points": [[5, 5], [30, 5], [30, 30]], "shape_type": "polygon"}
        document = {"shapes": [shape], "imagePath": path.name, "imageData": None}
        path.with_suffix(".json").write_text(json.dumps(document))
    assert run(tmp_path / "tiffs", tmp_path / "out", "--to", "coco") == 0
    assert "warning: 2 images without a scale, since its unit is not understood: 'furlong' (the first is p1)" in (
        capsys.readouterr().out
    )
    assert (tmp_path / "out" / "scales.csv").read_text() == "name,nm_per_px\np0,0.5\n"


def test_the_destination_may_lie_in_no_input(tmp_path, capsys):
    source = black_on_white(tmp_path / "in")
    (tmp_path / "link").symlink_to(source / "images", target_is_directory=True)
    options = ["--to", "coco", "--invert", "--from", "masks", "--image-folder", source / "images"]
    for out in (source / "images" / "out", tmp_path / "link" / "out", source / "masks" / "out", source / "images"):
        assert run(source / "masks", out, *options) == 2
        assert "lies inside" in capsys.readouterr().err
    assert run(source / "masks", source, *options) == 2
    assert "holds" in capsys.readouterr().err
    assert sorted(path.name for path in source.rglob("*")) == ["a.png", "a.png", "images", "masks"]


@pytest.mark.parametrize("to", ["coco", "yolo", "masks"])
def test_scales_and_groups_survive(to, tmp_path):
    source = tmp_path / "mine"
    source.mkdir()
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 9000, (40, 50)).astype(np.uint16)
        tifffile.imwrite(source / f"p{number}.tif", pixels, imagej=True, resolution=(4.0, 4.0), metadata={"unit": "nm"})
        shape = {"label": "cube", "points": [[5, 5], [30, 5], [30, 30]], "shape_type": "polygon"}
        extras = {"source_group": f"specimen {number // 2}"} if number < 2 else {}
        document = {"shapes": [shape], "imagePath": f"p{number}.tif", "nanoseg": extras}
        (source / f"p{number}.json").write_text(json.dumps(document))
    out = tmp_path / "out"
    assert main(["convert", str(source), str(out), "--to", to]) == 0
    command = ["prepare", "--annotations", str(out), "--out", str(tmp_path / "set"), "--size", "64", "--workers", "1"]
    command += ["--augment-copies", "0", "--scale-csv", str(out / "scales.csv")]
    assert main([*command, "--group-by", f"csv:{out / 'groups.csv'}:source_group"]) == 0
    images = PreparedSet(tmp_path / "set").all_images
    assert {image.nm_per_px for image in images} == {0.25}
    assert sorted(image.source_group for image in images) == ["p2", "p3", "specimen 0", "specimen 0"]


def test_a_scale_of_the_image_goes_into_labelme(tmp_path):
    source = tmp_path / "mine"
    source.mkdir()
    pixels = np.random.default_rng(0).integers(0, 9000, (40, 50)).astype(np.uint16)
    tifffile.imwrite(source / "p.tif", pixels, imagej=True, resolution=(4.0, 4.0), metadata={"unit": "nm"})
    (source / "p.json").write_text(json.dumps({"shapes": [], "imagePath": "p.tif"}))
    assert main(["convert", str(source), str(tmp_path / "out"), "--to", "labelme", "--from", "labelme"]) == 0
    assert json.loads((tmp_path / "out" / "p.json").read_text())["nanoseg"]["nm_per_px"] == 0.25


def test_classes_survive_instance_maps(tmp_path):
    source = tmp_path / "mine"
    source.mkdir()
    for name, labels in (("a", ("cube", "rod")), ("b", ("rod",))):
        Image.new("L", (60, 40), 90).save(source / f"{name}.png")
        shapes = [
            {"label": label, "points": [[5 + 25 * k, 5], [20 + 25 * k, 5], [20 + 25 * k, 30]], "shape_type": "polygon"}
            for k, label in enumerate(labels)
        ]
        (source / f"{name}.json").write_text(json.dumps({"shapes": shapes, "imagePath": f"{name}.png"}))
    assert main(["convert", str(source), str(tmp_path / "maps"), "--to", "masks"]) == 0
    assert main(["convert", str(tmp_path / "maps"), str(tmp_path / "back"), "--to", "labelme"]) == 0
    shown = {
        name: [shape["label"] for shape in json.loads((tmp_path / "back" / f"{name}.json").read_text())["shapes"]]
        for name in ("a", "b")
    }
    assert shown == {"a": ["cube", "rod"], "b": ["rod"]}
    (tmp_path / "maps" / "instances.csv").write_text("name,value,label\na,one,cube\n")
    assert main(["convert", str(tmp_path / "maps"), str(tmp_path / "again"), "--to", "labelme"]) == 1


def test_warnings_and_what_is_not_carried_over_are_shown_once(folder, tmp_path, capsys):
    document = json.loads((folder / "b.json").read_text())
    line = {"label": "cube", "points": [[5, 5], [9, 9]], "shape_type": "line"}
    document["shapes"] = [{**document["shapes"][0], "label": "Cube"}, line]
    (folder / "b.json").write_text(json.dumps({**document, "flags": {"blurred": True}}))
    assert run(folder, tmp_path / "out", "--to", "yolo") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[5:7]] == ["shapes without area", "not carried over"]
    assert lines[5].endswith("1 line, left out; draw what outlines a particle as a polygon")
    assert lines[6].endswith("  flags (1 image)")
    (warning,) = [line for line in lines if line.startswith("warning")]
    assert warning.startswith("warning: labels 'Cube' (1 particle), 'cube' (1 particle): each is a class of its own")


def test_exact_is_for_labelme_and_polygons_are_told(tmp_path, capsys):
    y, x = np.mgrid[:40, :60]
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    Image.new("L", (60, 40), 90).save(tmp_path / "images" / "a.png")
    discs = 1 * (np.hypot(y - 20, x - 18) < 12.4) + 2 * (np.hypot(y - 20, x - 45) < 9.1)
    Image.fromarray(discs.astype(np.uint8)).save(tmp_path / "masks" / "a.png")
    masks = (tmp_path / "masks", "--image-folder", tmp_path / "images", "--from", "masks", "--label", "cube")
    (source, *options) = masks
    assert run(source, tmp_path / "out", "--to", "labelme", *options) == 0
    told = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("masks to polygons"))
    shapes = json.loads((tmp_path / "out" / "a.json").read_text())["shapes"]
    kept = sum(len(shape["points"]) for shape in shapes)
    assert [shape["shape_type"] for shape in shapes] == ["polygon"] * 2
    assert f"2; {kept} of " in told and "--exact" in told
    assert run(source, tmp_path / "exact", "--to", "labelme", "--exact", *options) == 0
    assert "masks to polygons" not in capsys.readouterr().out
    assert run(tmp_path / "exact", tmp_path / "back", "--to", "masks") == 0
    assert (np.asarray(Image.open(tmp_path / "back" / "masks" / "a.png")) == discs).all()
    assert run(source, tmp_path / "coco", "--to", "coco", "--exact", *options) == 2
    assert "--exact: only with --to labelme" in capsys.readouterr().err
