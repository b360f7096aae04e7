"""What is told of micrographs as one sample."""

import datetime

import pytest

from nanoseg_bench.measure.scale import TYPED, FoundScale
from nanoseg_bench.report.analysis.micrograph import AnalysedMicrograph
from nanoseg_bench.report.analysis.pooling import report_on
from nanoseg_bench.report.report_input import Method

MADE = datetime.datetime(2026, 3, 4, tzinfo=datetime.UTC)


@pytest.fixture
def warnings(tmp_path, make_image):
    """A function: border weight of the first particle that counts, what is weighted -> warnings of that one."""

    def make(weight, border_weighted=True):
        image, table = make_image(tmp_path, "first", 0, 0.5)
        table.loc[table.index[table["exclusion"].isna()][0], "border_weight"] = weight
        analysed = AnalysedMicrograph(image=image, table=table, scale=FoundScale(0.5, TYPED, 1.0))
        report = report_on(
            "sample",
            [analysed],
            method=Method(model="by hand"),
            filters=(),
            border_weighted=border_weighted,
            made=MADE,
            resamples=0,
        )
        assert report.statistics.size.count >= 10
        return [each for each in report.warnings if "border weight" in each]

    return make


def test_a_particle_that_the_sizes_hang_on_is_told(warnings):
    """As of a wire from one edge of the field nearly to the other, which hardly has a second place in it."""
    assert warnings(1.2) == []
    (told,) = warnings(1000.0)
    assert told.startswith("one particle, nearly as large as the field, stands for 9")
    assert warnings(1000.0, border_weighted=False) == []
