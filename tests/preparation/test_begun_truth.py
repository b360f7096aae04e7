import csv
import json

import pytest

from nanoseg_bench.annotations.begun_by import BegunBy
from nanoseg_bench.files import write_json
from nanoseg_bench.preparation.begun_truth import began_truth, begun_truth
from nanoseg_bench.preparation.prepared_set import FORMAT, MANIFEST_COLUMNS, PreparedSet

DIGEST = "0123456789abcdef" * 4
NSYOLO = BegunBy("nsyolo", "nsyolo-paper-seed0", DIGEST)
OTSU = BegunBy("otsu")


def prepared_set(root, rows, columns=MANIFEST_COLUMNS):
    """A set of 100x100 px images: (split, what began it) each."""
    root.mkdir(exist_ok=True)
    summary = {"name": "s", "dataset": "d", "classes": ["a"], "canvas": 64, "content_hash": "h", "max_instances": 7}
    write_json(root / "prepared.json", {"format": FORMAT, **summary})
    with (root / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore")
        writer.writeheader()
        for number, (split, begun_by) in enumerate(rows):
            row = dict.fromkeys(MANIFEST_COLUMNS, "") | {"name": f"i{number}", "split": split, "width": "100"}
            row |= {"height": "100", "begun_by": json.dumps(begun_by.as_json()) if begun_by else ""}
            writer.writerow(row)
    return PreparedSet(root)


@pytest.fixture
def prepared(tmp_path):
    rows = [("train", NSYOLO), ("train", None), ("val", NSYOLO), ("val", OTSU), ("val", None)]
    rows += [("test", NSYOLO), ("test", NSYOLO), ("test", None), ("ood", OTSU)]
    return prepared_set(tmp_path / "set", rows)


def test_who_began_what(prepared):
    first, second = begun_truth(prepared)
    assert (first.begun_by, first.words) == (NSYOLO, "1 of 3 val images, 2 of 3 test images")
    assert (second.begun_by, second.words) == (OTSU, "1 of 3 val images, 1 of 1 ood image")
    assert str(NSYOLO) == "nsyolo (run nsyolo-paper-seed0, weights 0123456789ab)"
    assert str(OTSU) == "otsu"


def test_a_model_is_known_by_its_id_or_by_the_weights_it_started_from(prepared):
    assert began_truth(prepared, "test", "nsyolo", None) == "1 of 3 val images, 2 of 3 test images"
    assert began_truth(prepared, "test", "unet", f"w.safetensors sha256:{DIGEST}") == (
        "1 of 3 val images, 2 of 3 test images"
    )
    assert began_truth(prepared, "test", "unet", f"w.safetensors sha256:{'0' * 64}") == ""
    assert began_truth(prepared, "test", "unet", None) == ""
    assert began_truth(prepared, "ood", "otsu", None) == "1 of 3 val images, 1 of 1 ood image"
    assert began_truth(prepared, "test", "otsu", None) == "1 of 3 val images"


def test_several_trainings_of_a_model_count_together(tmp_path):
    rows = [("test", NSYOLO), ("test", BegunBy("nsyolo", "nsyolo-paper-seed1")), ("test", None)]
    prepared = prepared_set(tmp_path / "set", rows)
    assert [each.words for each in begun_truth(prepared)] == ["1 of 3 test images"] * 2
    assert began_truth(prepared, "test", "nsyolo", f"w.safetensors sha256:{DIGEST}") == "2 of 3 test images"


def test_a_set_of_an_earlier_version_has_no_such_column(tmp_path):
    earlier = [column for column in MANIFEST_COLUMNS if column != "begun_by"]
    prepared = prepared_set(tmp_path / "set", [("test", NSYOLO)], earlier)
    assert begun_truth(prepared) == []
    assert began_truth(prepared, "test", "nsyolo", None) == ""
