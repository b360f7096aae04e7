import pytest

from nanoseg_bench.errors import MeasurementError
from nanoseg_bench.measure.columns import COLUMNS, column_of
from nanoseg_bench.measure.morphology import Morphology

COLUMN = {column.name: column for column in COLUMNS}


def test_each_name_stands_once():
    assert len(COLUMN) == len(COLUMNS)
    assert all(column.meaning and column.heading for column in COLUMNS)


def test_what_is_measured_has_a_column_in_both_units():
    for quantity in Morphology.__dataclass_fields__:
        found = [column for column in COLUMNS if column.quantity == quantity]
        assert len({column.dimension for column in found}) == 1, quantity
        assert len(found) == (2 if found[0].dimension else 1), quantity


def test_a_column_by_its_quantity():
    assert column_of("diameter", "nm") is COLUMN["diameter_nm"]
    assert column_of("area", "px") is COLUMN["area_px2"]
    assert column_of("circularity", "nm") is COLUMN["circularity"]
    assert COLUMN["area_nm2"].title == "Area (nm²)"
    with pytest.raises(MeasurementError, match=r"^no quantity 'diametre'; did you mean 'diameter'"):
        column_of("diametre", "nm")
