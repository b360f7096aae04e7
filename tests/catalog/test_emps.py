import csv
import pickle

import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.annotations.raster import rle_to_mask
from nanoseg_bench.catalog.emps import open_emps
from nanoseg_bench.catalog.registry import load_card, open_dataset, verify_dataset
from nanoseg_bench.errors import DatasetError


def test_micrographs_and_truth(emps_folder):
    limit = csv.field_size_limit()
    first, second, third = (
        pickle.loads(pickle.dumps(entry)).read() for entry in open_emps(emps_folder, "particle").entries
    )
    assert csv.field_size_limit() == limit
    assert [first.name, second.name, third.name] == ["a", "b", "c"]
    assert [first.source_group, second.source_group, third.source_group] == ["10.1/x", "10.1/x", "10.1/y"]
    assert third.attributes == {"doi": "10.1/y", "figure": "gr1"}
    assert (third.width, third.height) == (30, 20)
    values = np.asarray(Image.open(emps_folder / "segmaps" / "c.png"))
    for number, instance in enumerate(third.instances, start=1):
        assert instance.label == "particle"
        assert (rle_to_mask(instance.region) == (values == number)).all()


def test_missing_files_are_named(emps_folder):
    (emps_folder / "segmaps" / "b.png").unlink()
    (emps_folder / "images" / "a.png").unlink()
    with pytest.raises(DatasetError, match=r"2 files are missing: images/a\.png, segmaps/b\.png"):
        open_emps(emps_folder, "particle")
    (emps_folder / "metadata.csv").write_text("filename,regions\na.png,1\n")
    with pytest.raises(DatasetError, match=r"metadata\.csv: no column doi, locator"):
        open_emps(emps_folder, "particle")
    head = "filename,doi,locator\n"
    for content, message in (
        (f"{head}a.png,10.1/x,gr1\nb.png,10", "row 2 ends too early"),
        (f"{head}a.png,10.1/x,\udcff", "is no table in UTF-8"),
    ):
        (emps_folder / "metadata.csv").write_bytes(content.encode("utf-8", "surrogateescape"))
        with pytest.raises(DatasetError, match=rf"metadata\.csv: {message}.*copy the file again"):
            open_emps(emps_folder, "particle")
    (emps_folder / "metadata.csv").unlink()
    with pytest.raises(DatasetError, match=r"metadata\.csv: missing"):
        open_emps(emps_folder, "particle")


def test_map_of_another_size(emps_folder):
    Image.fromarray(np.ones((20, 31), dtype=np.uint16)).save(emps_folder / "segmaps" / "a.png")
    with pytest.raises(DatasetError, match=r"a\.png: 31x20 px, its image 30x20 px"):
        open_emps(emps_folder, "particle").entries[0].read()


@pytest.mark.slow
def test_the_real_data_are_what_the_card_says(real_emps):
    card = load_card("emps")
    micrographs = [entry.read() for entry in open_dataset(card, real_emps).entries]
    verify_dataset(card, real_emps, [{"particle": len(micrograph.instances)} for micrograph in micrographs])
    assert len({micrograph.source_group for micrograph in micrographs}) == 322
    assert max(len(micrograph.instances) for micrograph in micrographs) == 497
