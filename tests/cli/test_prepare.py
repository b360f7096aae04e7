import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.cli import main
from nanoseg_bench.preparation.prepared_set import PreparedSet

EMPS = Path(__file__).parents[2].parent / "shared" / "data" / "emps"


def annotate(folder, name, seed=0, labels=("cube", "sphere"), group=None, points=None):
    """A LabelMe JSON as LabelMe writes it, and its image."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 255, (60, 80)).astype(np.uint8)).save(folder / f"{name}.png")
    shapes = []
    for label in labels:
        x, y = rng.uniform(5, 50), rng.uniform(5, 30)
        corners = points or [[x, y], [x + 20, y], [x + 20, y + 20], [x, y + 20]]
        shapes.append({"label": label, "points": corners, "group_id": None, "shape_type": "polygon", "flags": {}})
    document = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{name}.png", "imageData": None}
    document |= {"imageHeight": 60, "imageWidth": 80}
    if group:
        document["nanoseg"] = {"source_group": group}
    (folder / f"{name}.json").write_text(json.dumps(document))


@pytest.fixture
def own(tmp_path):
    """A user's folder: five specimens, two views each."""
    folder = tmp_path / "my images"
    for specimen in range(5):
        for view in range(2):
            annotate(folder, f"s{specimen}_v{view}", seed=10 * specimen + view)
    return folder


def run(own, out, *more):
    command = ["prepare", "--labelme", own, "--out", out, "--size", "64", "--augment-copies", "1", "--workers", "1"]
    return main([str(each) for each in (*command, *more)])


def test_a_users_folder(own, tmp_path, capsys):
    assert run(own, tmp_path / "set", "--group-by", "regex:^(s[0-9])_") == 0
    prepared = PreparedSet(tmp_path / "set")
    assert prepared.classes == ("cube", "sphere")
    assert prepared.name == "my-images"
    assert {image.source_group for image in prepared.all_images} == {"s0", "s1", "s2", "s3", "s4"}
    shown = capsys.readouterr().out
    assert "found no shared source" in shown
    assert f"nanoseg-bench run --data {tmp_path / 'set'}" in shown
    assert "leak-free" not in shown
    assert run(own, tmp_path / "set", "--group-by", "regex:^(s[0-9])_") == 0


def test_names_of_sets_carry_the_size(own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["prepare", "--labelme", str(own), "--size", "64", "--augment-copies", "0", "--workers", "1"]
    assert main([*command, "--name", "mine", "--images", "6"]) == 0
    prepared = PreparedSet(Path("data/mine-6"))
    assert prepared.name == "mine-6"
    assert len(prepared.all_images) == 6


def test_nanosynth_is_rendered_once(tmp_path, capsys):
    out = tmp_path / "set"
    command = ["prepare", "--easy", "--images", "6", "--size", "64", "--augment-copies", "0", "--workers", "1"]
    command += ["--out", str(out)]
    assert main(command) == 0
    prepared = PreparedSet(out)
    assert prepared.name == "nanosynth-easy-6"
    assert prepared.has("ood")
    assert {image.attributes["ood_shape"] for image in prepared.images("ood")} == {"triangle", "pentagon"}
    assert all(image.nm_per_px for image in prepared.all_images)
    source = tmp_path / "set-source"
    stamps = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    assert main(command) == 0
    assert {path: path.stat().st_mtime_ns for path in source.rglob("*")} == stamps
    assert main([*command, "--seed", "1"]) == 1
    assert "--overwrite always" in capsys.readouterr().err
    assert main([*command, "--seed", "1", "--overwrite", "always"]) == 0
    assert PreparedSet(out).summary["seed"] == 1


def test_split_file(own, tmp_path, capsys):
    names = [path.stem for path in sorted(own.glob("*.json"))]
    parts = ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    table = tmp_path / "split.csv"
    table.write_text("name,split\n" + "".join(f"{n},{p}\n" for n, p in zip(names, parts, strict=True)))
    assert run(own, tmp_path / "set", "--split-file", table) == 0
    split = {image.micrograph: image.split for image in PreparedSet(tmp_path / "set").all_images}
    assert split == dict(zip(names, parts, strict=True))
    table.write_text("name,split\n" + "".join(f"{n},{p}\n" for n, p in zip(names[1:], parts[1:], strict=True)))
    assert run(own, tmp_path / "other", "--split-file", table) == 1
    assert "s0_v0" in capsys.readouterr().err


def test_usage_errors(own, tmp_path, capsys):
    for more, message in [
        (["--split", "8:1"], "8:1:1"),
        (["--group-by", "magic"], "magic"),
        (["--easy"], "--easy"),
        (["--source", "x"], "--source"),
        (["--images", "0"], "--images 0"),
        (["--name", "a/b"], "--name 'a/b'"),
    ]:
        assert run(own, tmp_path / "set", *more) == 2
        assert message in capsys.readouterr().err
    assert main(["prepare", "--dataset", "emps"]) == 2
    assert "--source DIR" in capsys.readouterr().err
    assert main(["prepare", "--dataset", "emsp", "--source", str(own)]) == 2
    assert "did you mean 'emps'" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def break_empty(folder):
    for path in folder.iterdir():
        path.unlink()
    return [], "no LabelMe JSON"


def break_image_missing(folder):
    (folder / "s1_v0.png").unlink()
    return [], "s1_v0.json"


def break_image_truncated(folder):
    path = folder / "s1_v0.png"
    path.write_bytes(path.read_bytes()[:700])
    return [], "s1_v0.png"


def break_label(folder):
    annotate(folder, "s1_v0", labels=("cube", "sphre"))
    return ["--classes", "cube,sphere"], "'sphre'"


def break_polygon(folder):
    annotate(folder, "s1_v0", points=[[1, 1], [9, 9]])
    return [], "s1_v0.json"


def break_groups(folder):
    return ["--group-by", "regex:^(s)"], "1 source groups"


@pytest.mark.parametrize(
    "damage",
    [break_empty, break_image_missing, break_image_truncated, break_label, break_polygon, break_groups],
    ids=lambda damage: damage.__name__,
)
def test_bad_input_is_named_and_nothing_is_half_written(own, tmp_path, capsys, damage):
    more, message = damage(own)
    assert run(own, tmp_path / "out" / "set", *more) == 1
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_unwritable_folder(own, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run(own, tmp_path / "file" / "set") == 1
    assert f"{tmp_path / 'file' / 'set'}: cannot be written" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not EMPS.is_dir(), reason="EMPS is not on this machine")
def test_emps_keeps_its_official_test_set(tmp_path):
    command = ["prepare", "--dataset", "emps", "--source", str(EMPS), "--out", str(tmp_path / "set"), "--size", "96"]
    assert main([*command, "--augment-copies", "0"]) == 0
    prepared = PreparedSet(tmp_path / "set")
    official = {line for line in (EMPS / "test.csv").read_text().split() if line}
    assert {image.micrograph for image in prepared.images("test")} == official
    assert sum(counts["images"] for counts in prepared.summary["counts"].values()) == 465
    assert sum(counts["instances"] for counts in prepared.summary["counts"].values()) == 11535
    assert prepared.max_instances == 497
    prepared.require_audit()
