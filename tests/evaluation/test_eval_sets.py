import csv
import json

import numpy as np
import pytest
from annotation_files import write_coco

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance
from nanoseg_bench.annotations.raster import mask_to_rle
from nanoseg_bench.errors import DatasetError
from nanoseg_bench.evaluation.eval_sets import load_eval_set
from nanoseg_bench.preparation.prepared_set import FORMAT, MANIFEST_COLUMNS, PreparedSet


def rectangle(left, top, right, bottom):
    mask = np.zeros((60, 80))
    mask[top:bottom, left:right] = 1
    return mask_to_rle(mask)


@pytest.fixture
def prepared(tmp_path):
    summary = {
        "format": FORMAT,
        "name": "toy",
        "dataset": "toy",
        "classes": ["cube", "rod"],
        "canvas": 64,
        "content_hash": "abc",
        "max_instances": 130,
    }
    (tmp_path / "prepared.json").write_text(json.dumps(summary))
    rows = []
    for name, split, scale in (("b", "test", "0.5"), ("a", "test", ""), ("c", "val", "")):
        rows.append(
            {
                "name": name,
                "split": split,
                "micrograph": name,
                "source_group": f"paper-{name}",
                "width": 80,
                "height": 60,
                "nm_per_px": scale,
                "attributes": '{"modality": "SE-SEM"}',
            }
        )
    with (tmp_path / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, MANIFEST_COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    truth = {
        "a": [],
        "b": [Instance("rod", rectangle(5, 5, 20, 20)), Instance(IGNORE_LABEL, rectangle(0, 50, 80, 60), crowd=True)],
    }
    write_coco(tmp_path / "truth" / "test.json", dict.fromkeys(("a", "b"), (80, 60)), truth, ["cube", "rod"])
    write_coco(tmp_path / "truth" / "val.json", {}, {}, ["cube", "rod"])
    return PreparedSet(tmp_path)


def test_everything_follows_the_manifest(prepared):
    eval_set = load_eval_set(prepared, "test")
    assert eval_set.name == "test"
    assert eval_set.set_hash == "abc"
    assert eval_set.classes == ("cube", "rod")
    assert eval_set.images == ("b", "a")
    assert eval_set.sizes == {"b": (80, 60), "a": (80, 60)}
    assert eval_set.source_groups == {"b": "paper-b", "a": "paper-a"}
    assert eval_set.nm_per_px == {"b": 0.5, "a": None}
    assert eval_set.attributes["a"] == {"modality": "SE-SEM"}
    assert eval_set.max_detections == 260
    assert eval_set.truth["a"] == []
    particle, region = eval_set.truth["b"]
    assert (particle.label, particle.region) == ("rod", rectangle(5, 5, 20, 20))
    assert region.ignored


def test_particle_without_a_pixel_is_left_out(prepared):
    path = prepared.root / "truth" / "test.json"
    document = json.loads(path.read_text())
    empty = mask_to_rle(np.zeros((60, 80))).counts.decode()
    document["annotations"].append(
        {"id": 3, "image_id": 1, "category_id": 1, "segmentation": {"size": [60, 80], "counts": empty}, "area": 0}
    )
    path.write_text(json.dumps(document))
    assert load_eval_set(prepared, "test").truth["a"] == []


def test_set_without_the_part(prepared):
    with pytest.raises(DatasetError, match="no images to evaluate in 'ood'; the set has val, test"):
        load_eval_set(prepared, "ood")


def test_lattice_images_have_the_truth_of_the_classes(prepared):
    path = prepared.root / "manifest.csv"
    rows = path.read_text().splitlines()
    path.write_text("\n".join([*rows, rows[1].replace("b,test,b", "d,hrtem,d")]) + "\n")
    particle = Instance("cube", rectangle(5, 5, 20, 20))
    write_coco(prepared.root / "truth" / "hrtem.json", {"d": (80, 60)}, {"d": [particle]}, ["cube", "rod"])
    eval_set = load_eval_set(PreparedSet(prepared.root), "hrtem")
    assert eval_set.name == "hrtem"
    assert eval_set.images == ("d",)
    assert [instance.label for instance in eval_set.truth["d"]] == ["cube"]
    assert load_eval_set(PreparedSet(prepared.root), "test").images == ("b", "a")


def test_training_images_are_no_eval_set(prepared):
    with pytest.raises(DatasetError, match="'train'"):
        load_eval_set(prepared, "train")


def test_truth_that_lacks_an_image(prepared):
    with pytest.raises(DatasetError, match=r"lacks 1 image of the manifest \(c\)"):
        load_eval_set(prepared, "val")
