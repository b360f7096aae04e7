import json
import shutil

import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.cli import main
from nanoseg_bench.errors import AuditError
from nanoseg_bench.preparation import preparing
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.synthesis.nanosynth import write_nanosynth


@pytest.fixture(scope="module")
def leaky(tmp_path_factory):
    """Rendered micrographs; the test image ``crop`` is a part of a training image, shown at twice the size."""
    folder = tmp_path_factory.mktemp("leaky")
    write_nanosynth(folder / "rendered", images=3, seed=3, ood_images=0)
    own = folder / "own"
    own.mkdir()
    names = []
    for number, path in enumerate(sorted((folder / "rendered" / "main").rglob("*.json"))):
        document = json.loads(path.read_text())
        name = f"field{number}"
        pixels = np.asarray(Image.open(path.with_name(document["imagePath"])))
        write(own, name, pixels)
        names.append(name)
    height, width = pixels.shape[:2]
    part = pixels[: height * 6 // 10, : width * 6 // 10]
    write(own, "crop", np.asarray(Image.fromarray(part).resize((width * 12 // 10, height * 12 // 10))))
    lines = [f"{name},{'val' if name == names[0] else 'train'}" for name in names]
    (folder / "split.csv").write_text("\n".join(["name,split", *lines, "crop,test"]) + "\n")
    return folder, names[-1]


def write(folder, name, pixels):
    Image.fromarray(pixels).save(folder / f"{name}.png")
    shape = {"label": "particle", "points": [[5, 5], [40, 5], [40, 40]], "shape_type": "polygon"}
    (folder / f"{name}.json").write_text(json.dumps({"shapes": [shape], "imagePath": f"{name}.png"}))


def prepare(folder, out, *more):
    command = ["prepare", "--labelme", folder / "own", "--out", out, "--augment-copies", "0", "--workers", "1"]
    return main([str(each) for each in (*command, *more)])


def findings(prepared, name):
    document = json.loads((prepared.root / "split_audit.json").read_text())
    (check,) = [check for check in document["checks"] if check["name"] == name]
    return check


def test_a_shared_field_fails_the_audit_until_a_person_has_looked(leaky, tmp_path, capsys, monkeypatch):
    folder, source = leaky
    assert prepare(folder, tmp_path / "set", "--split-file", folder / "split.csv", "--preview") == 1
    shown = capsys.readouterr().out
    assert "overlapping-fields failed with 1 finding" in shown
    assert "leak-free" not in shown
    prepared = PreparedSet(tmp_path / "set")
    (pair,) = findings(prepared, "overlapping-fields")["details"]
    assert sorted(pair["images"]) == ["crop", source]
    # Both are compared at 640 px, so 60 % of the field appear 1/0.6 times as large.
    assert max(pair["evidence"]["scale"], 1 / pair["evidence"]["scale"]) == pytest.approx(1 / 0.6, rel=0.02)
    with pytest.raises(AuditError, match="overlapping-fields"):
        prepared.require_audit()
    assert main(["run", str(prepared.root), "--models", "otsu", "--runs", str(tmp_path / "runs")]) == 1
    assert "the split audit failed" in capsys.readouterr().err
    # The verb finds the same from the set alone.
    before = (prepared.root / "split_audit.json").read_text()
    assert main(["audit", str(prepared.root), "--workers", "1"]) == 1
    (again,) = findings(prepared, "overlapping-fields")["details"]
    assert sorted(again["images"]) == ["crop", source]
    assert "files" in (prepared.root / "split_audit.json").read_text()
    assert before != (prepared.root / "split_audit.json").read_text()
    looked = tmp_path / "looked.csv"
    unreviewed = (prepared.root / "split_audit.json").read_bytes()
    assert "The audit failed" in (prepared.root / "preview.html").read_text(encoding="utf-8")
    looked.write_text(f"first,second,note\ncrop,{source},a planted pair that this test calls unrelated\n")
    assert main(["audit", str(prepared.root), "--reviewed", str(looked), "--workers", "1"]) == 0
    prepared.require_audit()
    assert "The audit passed" in (prepared.root / "preview.html").read_text(encoding="utf-8")
    assert main(["audit", str(prepared.root), "--workers", "1"]) == 0, "what was reviewed stays reviewed"
    (prepared.root / "split_audit.json").write_bytes(unreviewed)
    assert prepare(folder, tmp_path / "set", "--split-file", folder / "split.csv", "--reviewed", looked) == 0
    prepared.require_audit()
    assert "a person looked at 1 further pair" in capsys.readouterr().out
    monkeypatch.setattr(preparing, "audit_set", lambda *_: pytest.fail("nothing is new to the audit"))
    assert prepare(folder, tmp_path / "set", "--split-file", folder / "split.csv", "--reviewed", looked) == 0


@pytest.fixture(scope="module")
def grouped(leaky, tmp_path_factory):
    """Its set without a given split."""
    out = tmp_path_factory.mktemp("grouped") / "set"
    assert prepare(leaky[0], out) == 0
    return PreparedSet(out)


def test_without_a_given_split_they_share_a_group(leaky, grouped):
    (_, source), prepared = leaky, grouped
    group = {image.micrograph: (image.source_group, image.split) for image in prepared.all_images}
    assert group["crop"] == group[source]
    assert any("crop" in warning and "overlapping-fields" in warning for warning in prepared.summary["warnings"])
    document = json.loads((prepared.root / "split_audit.json").read_text())
    assert [sorted(pair["images"]) for pair in document["related"]] == [["crop", source]]


def test_changed_missing_and_stray_files_are_found(grouped, tmp_path, capsys):
    prepared = PreparedSet(shutil.copytree(grouped.root, tmp_path / "set"))
    first, second, *_ = prepared.all_images
    first.image_path.with_name(".DS_Store").write_bytes(b"as macOS leaves it")
    assert main(["audit", str(prepared.root), "--workers", "1"]) == 0
    pixels = np.asarray(Image.open(first.image_path)).copy()
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(first.image_path)
    stray = first.image_path.with_name("stray.png")
    Image.fromarray(pixels).save(stray)
    second.image_path.unlink()
    assert main(["audit", str(prepared.root), "--workers", "1"]) == 1
    faults = {detail["image"]: detail["fault"] for detail in findings(prepared, "files")["details"]}
    assert faults == {
        first.name: "changed since prepare wrote it",
        second.name: "missing or unreadable",
        "stray.png": "not in the manifest",
    }
    assert "files failed with 3 findings" in capsys.readouterr().out


def test_no_set(tmp_path, capsys):
    assert main(["audit", str(tmp_path)]) == 2
    assert "not a prepared set" in capsys.readouterr().err
