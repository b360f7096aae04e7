import csv
from dataclasses import replace

import numpy as np

from nanoseg_bench.annotations.instance import Instance, Polygon
from nanoseg_bench.annotations.raster import mask_to_rle
from nanoseg_bench.preparation.manifest import content_hash, manifest_row, truth_sha256, write_manifest
from nanoseg_bench.preparation.prepared_set import MANIFEST_COLUMNS

TRIANGLE = np.array([(0.0, 0.0), (9.0, 0.0), (0.0, 9.0)])


def test_a_row_has_every_column_and_comes_back(micrograph, tmp_path):
    image = replace(
        micrograph("a/b", width=100, height=50), nm_per_px=0.1 + 0.2, attributes={"z": 'a "b", c', "a": "é"}
    )
    row = manifest_row(image, name="b", split="train", source_group="s", canvas=64, pixels_sha256="f00", instances=3)
    write_manifest(tmp_path / "manifest.csv", [row])
    with (tmp_path / "manifest.csv").open(encoding="utf-8", newline="") as stream:
        (read,) = csv.DictReader(stream)
    assert tuple(read) == MANIFEST_COLUMNS
    assert read == row
    assert float(read["nm_per_px"]) == 0.1 + 0.2
    assert (read["ratio"], read["pad_x"], read["pad_y"]) == ("0.64", "0", "16")
    assert read["attributes"] == '{"a":"é","z":"a \\"b\\", c"}'
    assert str(tmp_path) not in (tmp_path / "manifest.csv").read_text(encoding="utf-8")


def test_truth_hash_sees_labels_regions_and_crowds():
    base = Instance("a", (Polygon(TRIANGLE),))
    others = [
        Instance("b", (Polygon(TRIANGLE),)),
        Instance("a", (Polygon(TRIANGLE + 0.01),)),
        Instance("a", (Polygon(TRIANGLE, (TRIANGLE / 3 + 1,)),)),
        Instance("a", (Polygon(TRIANGLE), Polygon(TRIANGLE + 20))),
        Instance("a", (Polygon(TRIANGLE),), crowd=True),
        Instance("a", mask_to_rle(np.eye(9))),
    ]
    hashes = {truth_sha256([each]) for each in (base, *others)}
    assert len(hashes) == 7
    assert truth_sha256([base]) == truth_sha256([Instance("a", (Polygon(TRIANGLE.copy()),))])


def test_content_hash_is_of_the_content_alone():
    one = {"name": "a", "split": "train", "pixels": "1"}
    two = {"name": "b", "split": "test", "pixels": "2"}
    first = content_hash([one, two], {"canvas": 64})
    assert first == content_hash([dict(reversed(two.items())), one], {"canvas": 64})
    assert first != content_hash([one, {**two, "split": "val"}], {"canvas": 64})
    assert first != content_hash([one, {**two, "pixels": "3"}], {"canvas": 64})
    assert first != content_hash([one, two], {"canvas": 65})
