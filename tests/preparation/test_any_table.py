"""Whatever stands in a user's CSV of scales, or in the manifest of a set of an earlier version."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_documents import FEW, MANY, damaged, mutated, odd_numbers, odd_texts

from nanoseg_bench.errors import NanosegError
from nanoseg_bench.files import read_json
from nanoseg_bench.preparation.prepared_set import FILES, PreparedSet
from nanoseg_bench.preparation.scales import read_scale_table
from nanoseg_bench.seals import SEAL

LIMITS = pytest.mark.parametrize("limits", [FEW, pytest.param(MANY, marks=pytest.mark.faults)], ids=["few", "many"])
SCALES = "name,nm_per_px,note\nfolder/a,0.5,\nb.tif,1.25,x\n"


@dataclass(frozen=True)
class Named:
    name: str
    image_path: Path


cells = st.one_of(odd_texts, odd_numbers.map(str), st.sampled_from(["folder/a", "a.png", "0.5", '"', "1,5", "a;b"]))
tables = st.lists(st.lists(cells, max_size=4).map(",".join), max_size=5).map(
    lambda rows: "\n".join(["name,nm_per_px", *rows]).encode("utf-8", "surrogatepass")
)


@LIMITS
def test_any_scales(tmp_path, limits):
    path = tmp_path / "scales.csv"
    micrographs = [Named("folder/a", tmp_path / "a.tif"), Named("b", tmp_path / "b.tif")]

    @limits
    @given(st.one_of(tables, damaged(SCALES.encode()), st.binary(max_size=60)))
    def run(data):
        path.write_bytes(data)
        try:
            table = read_scale_table(path)
            assert all(isinstance(sentence, str) for sentence in table.check(micrographs))
            assert all((scale := table.lookup(each)) is None or 0 < scale < 1e9 for each in micrographs)
        except NanosegError as error:
            assert str(error)

    run()


@LIMITS
def test_any_prepared_set_of_an_earlier_version(prepared_set, tmp_path, limits):
    """Without hashes, a parser is all there is."""
    summary = {key: value for key, value in prepared_set.summary.items() if key not in (SEAL, FILES)}
    manifest = (prepared_set.root / "manifest.csv").read_bytes()
    assert {SEAL, FILES} <= read_json(prepared_set.root / "prepared.json").keys()

    @limits
    @given(mutated(summary) | st.none(), damaged(manifest))
    def run(document, table):
        # One of the two at a time.
        (tmp_path / "prepared.json").write_bytes(document or json.dumps(summary).encode())
        (tmp_path / "manifest.csv").write_bytes(manifest if document else table)
        try:
            prepared = PreparedSet(tmp_path)
            assert all(image.split for image in prepared.all_images)
            facts = (prepared.name, prepared.dataset, prepared.classes, prepared.canvas, prepared.max_instances)
            assert None not in facts
        except NanosegError as error:
            assert str(error)

    run()
