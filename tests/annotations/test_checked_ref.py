import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.annotations.checked_ref import CheckedRef
from nanoseg_bench.annotations.faults import FaultyShapesError
from nanoseg_bench.annotations.instance import Instance, Micrograph, Polygon
from nanoseg_bench.annotations.labelme.reading import LabelmeRef
from nanoseg_bench.annotations.raster import area, to_rle
from nanoseg_bench.annotations.source import LoadedMicrograph
from nanoseg_bench.errors import AnnotationError


@pytest.fixture
def read(tmp_path):
    """read(instances, ...): what a CheckedRef makes of a micrograph of 100x80 px."""

    def make(instances, **options):
        image = tmp_path / "a.png"
        Image.new("L", (100, 80)).save(image)
        return CheckedRef(LoadedMicrograph(Micrograph("a", image, 100, 80, tuple(instances))), **options).read()

    return make


def polygon(label, *points, **more):
    return {"label": label, "shape_type": "polygon", "points": [list(point) for point in points], **more}


def test_shapes_without_a_pixel_are_left_out_and_told_and_thin_ones_stay(read, disc, square):
    kept = [
        Instance("thin", (Polygon(square(10, 10.4, 60, 11.2)),)),
        Instance("pixel", (Polygon(square(30, 30, 31, 31)),)),
        Instance("outside", (Polygon(square(200, 200, 220, 220)),)),
        Instance("bow tie", (Polygon(square(5, 50, 25, 60)[[0, 2, 1, 3]]),)),
        Instance("disc", (disc(70, 40, 8),)),
    ]
    left_out = [
        Instance("collinear", (Polygon(square(5, 40, 25, 40)),)),
        Instance("subpixel", (Polygon(square(10.1, 30.1, 10.4, 30.4)),)),
        Instance("point", (Polygon(square(31, 31, 31, 31)),)),
        Instance("ignore", (Polygon(square(50, 70, 50, 75)),)),
    ]
    micrograph = read([*left_out, *kept])
    assert [each.label for each in micrograph.instances] == [each.label for each in kept]
    assert micrograph.tally.empty == (
        "collinear near (15, 40)",
        "subpixel near (10, 30)",
        "point near (31, 31)",
        "ignore near (50, 72)",
    )
    # The one rasteriser says the same of all of them.
    assert all(area(to_rle(each, 80, 100)) for each in kept if each.label != "outside")
    assert not any(area(to_rle(each, 80, 100)) for each in left_out)


def test_of_three_outlines_of_one_particle_two_are_told_or_dropped(read, disc):
    one, other = disc(30, 30, 10), disc(70, 30, 10)
    instances = [
        Instance("cube", (one,)),
        Instance("cube", (other,)),
        Instance("cube", (one,)),
        Instance("cube", (one,)),
    ]
    told = read(instances)
    assert len(told.instances) == 4
    assert told.tally.twins == ("cube near (30, 30)", "cube near (30, 30)")
    dropped = read(instances, drop_twins=True)
    assert list(dropped.instances) == instances[:2]
    assert dropped.tally.twins == () and dropped.tally.twins_dropped == told.tally.twins


def test_of_two_labels_nobody_knows_which_is_meant(read, disc):
    one = disc(30, 30, 10)
    instances = [Instance("cube", (one,)), Instance("rod", (one,)), Instance("rod", (one,))]
    micrograph = read(instances, drop_twins=True)
    assert list(micrograph.instances) == instances[:2]
    assert micrograph.tally.twins == ("rod near (30, 30), also as cube",)
    assert micrograph.tally.twins_dropped == ("rod near (30, 30)",)
    # An ignore region over a particle is no second particle.
    assert read([Instance("cube", (one,)), Instance("ignore", (one,))]).tally.twins == ()


def test_a_stray_shape_costs_itself_only_where_that_is_asked_for(labelme_file):
    good = [polygon("cube", (x, 5), (x + 4, 5), (x + 4, 9)) for x in range(0, 50, 6)]
    stray = [polygon("cube", (1, 1), (2, 2)), polygon("rod", (1, float("nan")), (2, 2), (3, 9))]
    entry = LabelmeRef("specimen-1/a", labelme_file([*good, *stray]))
    with pytest.raises(FaultyShapesError, match="2 faults"):
        CheckedRef(entry).read()
    micrograph = CheckedRef(entry, skip_faulty=True).read()
    assert micrograph.name == "specimen-1/a"  # source groups, splits and scales are found by it
    assert len(micrograph.instances) == len(good) == 9
    assert [fault.split(":")[0] for fault in micrograph.tally.faulty] == ["shape 10 ('cube')", "shape 11 ('rod')"]
    assert "point 1 is [1, nan]" in micrograph.tally.faulty[1]


def test_an_image_of_faulty_shapes_only_does_not_become_background(labelme_file):
    entry = LabelmeRef("a", labelme_file([polygon("cube", (1, 1), (2, 2))]))
    with pytest.raises(FaultyShapesError, match=r"a\.json: shape 1 \('cube'\): an outline needs"):
        CheckedRef(entry, skip_faulty=True).read()


def test_an_outline_that_would_fill_the_memory_names_its_file(read):
    corners = np.random.default_rng(0).uniform(0, (100, 80), (200_000, 2))
    with pytest.raises(AnnotationError, match=r"a\.png: cube: its 200000 corners .* on an image of 100 x 80 px; that"):
        read([Instance("cube", (Polygon(corners),))])
