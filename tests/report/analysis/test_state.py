"""What is kept of an analysed micrograph, by this version and by earlier ones."""

from dataclasses import replace

import orjson
import pandas as pd
import pytest

from nanoseg_bench.measure.field import Field
from nanoseg_bench.measure.length import Length
from nanoseg_bench.measure.particles import Decisions, Rules
from nanoseg_bench.measure.scale import SCALE_BAR, FoundScale, LabelledBar
from nanoseg_bench.report.analysis.micrograph import AnalysedMicrograph, judged
from nanoseg_bench.report.analysis.state import read_key, read_state, write_state
from nanoseg_bench.seals import SEAL


@pytest.fixture
def analysed(tmp_path, make_image):
    image, table = make_image(tmp_path, "first", 0, 0.5)
    origins = ["model", "changed", "drawn"]
    instances = tuple(replace(each, origin=origins[n % 3]) for n, each in enumerate(image.instances))
    scale = FoundScale(
        0.5, SCALE_BAR, 0.9, (10.0, 290.0, 110.0, 290.0), "50 nm", 50.0, 0.005,
        (LabelledBar((1.0, 2.0, 30.0, 2.0), "20 nm", 20.0, 0.2),), ("look",),
    )  # fmt: skip
    return judged(
        AnalysedMicrograph(
            image=replace(image, instances=instances, edited=7, file_name="erstes.png"),
            table=table,
            scale=scale,
            warnings=("look",),
            rules=Rules(confidence=0.4, max_diameter=Length(40, "px"), keep_marks=True),
            border="keep",
            field=Field(top=5, right=420, bottom=290, covered=((10, 20, 40, 30), (300, 200, 380, 240))),
            decisions=Decisions(removed=frozenset({3}), counted=frozenset({8, 2})),
        )
    )


def test_all_of_it_is_read_again(analysed, tmp_path):
    path = tmp_path / "state.json"
    write_state(path, analysed, "key")
    again = read_state(path)
    assert read_key(path) == "key"
    pd.testing.assert_frame_equal(again.table, analysed.table, check_exact=True)
    for name in ("scale", "warnings", "rules", "border", "field", "decisions"):
        assert getattr(again, name) == getattr(analysed, name), name
    for name in ("name", "path", "sha256", "width", "height", "nm_per_px", "scale_source", "bottom", "acquisition",
                 "edited", "file_name"):  # fmt: skip
        assert getattr(again.image, name) == getattr(analysed.image, name), name
    about = [(each.label, each.score, each.on_mark, each.origin, each.region) for each in again.image.instances]
    assert about == [
        (each.label, each.score, each.on_mark, each.origin, each.region) for each in analysed.image.instances
    ]
    pd.testing.assert_frame_equal(judged(again).table, analysed.table, check_exact=True)
    assert read_state(path, outlines=False).image.instances == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda kept: kept["instances"][0].update(counts=7), r"state\.json: is not as it was written"),
        (lambda kept: kept["instances"][0].update(counts="/" + kept["instances"][0]["counts"]), "does not add up"),
        (lambda kept: kept["instances"][0].update(counts=kept["instances"][0]["counts"] + "7"), "does not add up"),
        (lambda kept: kept["rules"].update(max_diameter=40), "diameter of its rules"),
    ],
)
def test_what_has_no_seal_and_cannot_be_is_a_fault_that_is_expected(analysed, tmp_path, change, message):
    """Callers take it for damage, and C code never sees run lengths that do not fit."""
    path = tmp_path / "state.json"
    write_state(path, analysed, "key")
    kept = orjson.loads(path.read_bytes())
    del kept[SEAL]
    change(kept)
    path.write_bytes(orjson.dumps(kept))
    with pytest.raises(ValueError, match=message):
        read_state(path)
