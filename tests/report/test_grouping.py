"""Groups, and the order that gives them their colours."""

import pandas as pd
import pytest

from nanoseg_bench.report.grouping import UNNAMED, groups_in_order


def table_of(classes, shapes):
    return pd.DataFrame({"class": classes, "shape": shapes})


@pytest.mark.parametrize("name", ["rod", "other"])
def test_a_shape_has_its_colour_in_each_micrograph_and_in_the_sample(name):
    alone = groups_in_order(table_of(["particle"] * 2, [name, None]))
    among = groups_in_order(table_of(["particle"] * 6, ["sphere", "sphere", "cube", "cube", name, None]))
    assert alone.index(name) == among.index(name)
    assert alone[-1] == among[-1] == UNNAMED


def test_a_class_has_its_colour_whichever_others_are_found():
    classes = ("cube", "rod", "sphere")
    one = groups_in_order(table_of(["rod", "sphere"], [None, None]), classes)
    all_ = groups_in_order(table_of(["sphere", "cube", "rod"], [None] * 3), classes)
    assert one == all_ == list(classes)


def test_classes_that_no_model_knows_come_by_their_number():
    assert groups_in_order(table_of(["b", "c", "a", "b"], [None] * 4)) == ["b", "a", "c"]
    assert groups_in_order(table_of(["mine", "rod", "mine"], [None] * 3), ("rod",)) == ["rod", "mine"]
