import csv
import json

import pytest
from annotation_files import write_coco

from nanoseg_bench.errors import AuditError, DatasetError, UsageError
from nanoseg_bench.files import write_json
from nanoseg_bench.preparation.letterbox import Letterbox
from nanoseg_bench.preparation.prepared_set import FORMAT, MANIFEST_COLUMNS, PreparedSet


def row(**values):
    return {
        **dict.fromkeys(MANIFEST_COLUMNS, ""),
        "width": "200",
        "height": "100",
        "ratio": "0.32",
        "pad_x": "0",
        "pad_y": "16",
        **values,
    }


@pytest.fixture
def folder(tmp_path, disc):
    """A prepared set written by hand: what the format promises, not what the pipeline happens to write."""
    root = tmp_path / "set"
    root.mkdir()
    summary = {
        "name": "set-2",
        "dataset": "d",
        "classes": ["a", "b"],
        "canvas": 64,
        "content_hash": "h",
        "max_instances": 7,
    }
    write_json(root / "prepared.json", {"format": FORMAT, **summary})
    write_json(root / "split_audit.json", {"content_hash": "h", "passed": True, "checks": []})
    rows = [
        row(name="x", split="train", micrograph="s/x", source_group="s", nm_per_px="0.5", attributes='{"k":"v"}'),
        row(name="x-aug01", split="train", micrograph="s/x", source_group="s", parent="x"),
        row(name="y", split="test", micrograph="t/y", source_group="t"),
    ]
    with (root / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, MANIFEST_COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    write_coco(root / "truth" / "test.json", {"y": (200, 100)}, {"y": [disc(50, 50, 10, "b")]}, ["a", "b"])
    write_coco(root / "canvas" / "test.json", {"y": (64, 64)}, {"y": []}, ["a", "b"])
    return root


def test_what_the_files_say(folder):
    prepared = PreparedSet(folder)
    assert (prepared.name, prepared.dataset, prepared.classes) == ("set-2", "d", ("a", "b"))
    assert (prepared.canvas, prepared.content_hash, prepared.max_instances) == (64, "h", 7)
    original, copy = prepared.images("train")
    assert (original.name, original.parent, original.nm_per_px, original.attributes) == ("x", None, 0.5, {"k": "v"})
    assert (copy.name, copy.parent, copy.nm_per_px, copy.attributes) == ("x-aug01", "x", None, {})
    assert original.letterbox == Letterbox(200, 100, 64)
    assert original.image_path == folder / "images" / "train" / "x.png"
    assert prepared.has("test")
    assert not prepared.has("ood")
    assert [each.label for each in prepared.truth("test")["y"]] == ["b"]
    assert prepared.canvas_instances("test") == {"y": []}
    prepared.require_audit()


@pytest.mark.parametrize("split", ["tset", "Test", "", None])
def test_a_misspelt_split_is_answered_with_those_that_there_are(folder, split):
    prepared = PreparedSet(folder)
    for ask in (
        prepared.images,
        prepared.truth,
        prepared.canvas_instances,
        prepared.truth_ids,
        lambda split: list(prepared.truth_regions(split)),
    ):
        with pytest.raises(DatasetError, match=rf"set: has no split {split!r}; it has train, test$"):
            ask(split)


def test_a_split_without_images_is_empty_and_has_no_truth(folder):
    prepared = PreparedSet(folder)
    assert prepared.images("ood") == []
    with pytest.raises(DatasetError, match="has no split 'ood'; it has train, test"):
        prepared.truth("ood")


def test_a_prepared_image_says_what_it_is_in_a_line(folder):
    for image in PreparedSet(folder).all_images:
        assert "sha256" not in repr(image) and repr(image.name) in repr(image)


def test_other_folders_and_formats_are_refused(folder, tmp_path):
    with pytest.raises(DatasetError, match="not a prepared set"):
        PreparedSet(tmp_path)
    with pytest.raises(UsageError, match=r"^root None: give a path$"):
        PreparedSet(None)
    with pytest.raises(UsageError, match=r"^root s3://bucket/set: takes a folder of this machine"):
        PreparedSet("s3://bucket/set")
    write_json(folder / "prepared.json", {"format": "nanoseg-prepared/0"})
    with pytest.raises(DatasetError, match="nanoseg-prepared/0"):
        PreparedSet(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"content_hash": "other"}, "made for content other, the set is h"),
        ({"passed": False, "checks": [{"name": "source-groups", "passed": False}]}, r"failed \(source-groups\)"),
    ],
)
def test_audit_is_required(folder, change, message):
    path = folder / "split_audit.json"
    write_json(path, {**json.loads(path.read_text()), **change})
    with pytest.raises(AuditError, match=message):
        PreparedSet(folder).require_audit()
    path.unlink()
    with pytest.raises(AuditError, match="no split audit"):
        PreparedSet(folder).require_audit()


def test_no_message_tells_to_prepare_without_the_annotations(folder):
    """`prepare --out SET --overwrite always` alone would put the rendered data set in its place."""
    (folder / "split_audit.json").write_text("[")
    (folder / "manifest.csv").unlink()
    for look in (PreparedSet(folder).require_audit, lambda: PreparedSet(folder).all_images):
        with pytest.raises(
            (AuditError, DatasetError), match="with the same options and `--overwrite always`"
        ) as caught:
            look()
        assert "nanoseg-bench prepare" not in str(caught.value)
