import csv
from dataclasses import replace

from nanoseg_bench.annotations.source import LoadedMicrograph
from nanoseg_bench.preparation.canvases import WrittenCanvas, WrittenMicrograph
from nanoseg_bench.preparation.inspection import Inspection
from nanoseg_bench.preparation.manifest import manifest_rows, manifest_writer
from nanoseg_bench.preparation.plan import PlannedMicrograph
from nanoseg_bench.preparation.prepared_set import MANIFEST_COLUMNS


def test_rows_have_every_column_and_come_back(micrograph, tmp_path):
    image = micrograph("a/b", width=100, height=50)
    seen = Inspection(
        replace(image, instances=(), nm_per_px=0.1 + 0.2, attributes={"z": 'a "b", c', "a": "é"}),
        scale_from="zeiss",
        labels={"a": 3},
        ignored=0,
        reading={"page": 2},
        pixels_sha256="f00",
    )
    planned = PlannedMicrograph(LoadedMicrograph(image), seen, "train", "s", "b", ("b-aug01",))
    canvases = [WrittenCanvas("b", "c0", 3, [], 0), WrittenCanvas("b-aug01", "c1", 2, [], 1, [{"transform": "Flip"}])]
    with manifest_writer(tmp_path / "manifest.csv") as writer:
        writer.writerows(manifest_rows(planned, WrittenMicrograph(canvases, [], {"a": 3}, 0, 0), 64))
    with (tmp_path / "manifest.csv").open(encoding="utf-8", newline="") as stream:
        row, copy = csv.DictReader(stream)
    assert tuple(row) == tuple(copy) == MANIFEST_COLUMNS
    assert float(row["nm_per_px"]) == 0.1 + 0.2
    assert (row["ratio"], row["pad_x"], row["pad_y"], row["scale_from"]) == ("0.64", "0", "16", "zeiss")
    assert row["attributes"] == '{"a":"é","z":"a \\"b\\", c"}'
    assert (row["reading"], row["pixels_sha256"], row["canvas_sha256"]) == ('{"page":2}', "f00", "c0")
    assert (row["name"], row["parent"], row["augmentation"], row["instances"]) == ("b", "", "", "3")
    assert (copy["name"], copy["parent"], copy["instances"], copy["dropped"]) == ("b-aug01", "b", "2", "1")
    assert copy["augmentation"] == '[{"transform":"Flip"}]'
    assert str(tmp_path) not in (tmp_path / "manifest.csv").read_text(encoding="utf-8")
