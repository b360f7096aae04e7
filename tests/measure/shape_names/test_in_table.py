"""Names in the table of particles."""

import numpy as np
import pytest

from nanoseg_bench.measure.particles import measure_particles
from nanoseg_bench.measure.shape_names.namer import ShapeNamer, shipped_namer

HEIGHT, WIDTH = 200, 300


@pytest.fixture
def instances(disc, rectangle, rod, placed, rng):
    return [
        placed(disc(60, rng), 20, 20, HEIGHT, WIDTH),
        placed(rectangle(50, 50, 10, rng, 6), 100, 20, HEIGHT, WIDTH, label="nanocube"),
        placed(rod(80, 20, 30, rng), 180, 20, HEIGHT, WIDTH),
        placed(disc(60, rng), -20, 110, HEIGHT, WIDTH),
        placed(disc(18, rng), 100, 130, HEIGHT, WIDTH),
    ]


def test_outlines_are_named_that_are_whole_and_large_enough(instances):
    table = measure_particles(instances, HEIGHT, WIDTH, shapes=shipped_namer())
    assert table["shape"].dropna().to_dict() == {0: "sphere", 1: "cube", 2: "rod"}
    assert table["shape_certainty"].notna().tolist() == [True, True, True, False, False]
    assert (table.loc[:2, "shape_certainty"] > 0.8).all()


def test_the_class_of_a_model_stays_beside_the_name(instances):
    table = measure_particles(instances, HEIGHT, WIDTH, shapes=shipped_namer())
    assert table["class"].tolist() == ["particle", "nanocube", "particle", "particle", "particle"]


def test_names_change_no_measure(instances):
    named = measure_particles(instances, HEIGHT, WIDTH, shapes=shipped_namer())
    plain = measure_particles(instances, HEIGHT, WIDTH)
    by_name = ["shape", "shape_certainty", "edge_length_px", "edge_length_nm"]
    assert named.drop(columns=by_name).equals(plain.drop(columns=by_name))
    assert plain["shape"].isna().all()


def test_names_from_elsewhere_have_no_certainty(instances):
    table = measure_particles(instances, HEIGHT, WIDTH, shapes=["disc", None, "rod", None, None])
    assert table["shape"].dropna().tolist() == ["disc", "rod"]
    assert table["shape_certainty"].isna().all()


def test_an_outline_without_a_sure_name_leaves_the_class_to_say_what_has_an_edge(instances):
    shipped = shipped_namer()
    fields = {name: getattr(shipped, name) for name in ShapeNamer.__dataclass_fields__}
    never_sure = ShapeNamer(**{**fields, "least_certainty": 1.1})
    table = measure_particles(instances, HEIGHT, WIDTH, shapes=never_sure)
    assert set(table["shape"].dropna()) == {"other"}
    assert table["edge_length_px"].notna().tolist() == [False, True, False, False, False]


def test_nothing_is_named_in_an_empty_micrograph():
    table = measure_particles([], HEIGHT, WIDTH, shapes=shipped_namer())
    assert len(table) == 0
    assert table["shape_certainty"].dtype == np.float64
