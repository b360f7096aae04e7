"""Folders of masks whose values are no instances; each was read as 1, 2, 6 or 255 particles without a word."""

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from nanoseg_bench.annotations.instance import IGNORE_LABEL
from nanoseg_bench.annotations.masks.options import MaskOptions, mask_options
from nanoseg_bench.annotations.masks.patterns import _Look
from nanoseg_bench.annotations.masks.reading import open_masks
from nanoseg_bench.annotations.masks.specks import warn_of_specks
from nanoseg_bench.annotations.raster import area, to_mask
from nanoseg_bench.errors import AnnotationError, UsageError

PARTICLES = 320


def numbered(side=11):
    """320 squares in 16 rows of 20, numbered row by row, on 400 x 500 px."""
    values = np.zeros((400, 500), np.uint16)
    for number in range(PARTICLES):
        row, column = divmod(number, 20)
        values[row * 25 + 4 :][:side, column * 25 + 4 :][:, :side] = number + 1
    return values


def classes(side=11):
    values = numbered(side)
    return np.where(values > 0, 1 + values % 2, 0).astype(np.uint8)


def white(side=11):
    return np.where(numbered(side) > 0, 255, 0).astype(np.uint8)


def smoothed(side=11):
    """Half of the largest value still is the edge."""
    return ndimage.gaussian_filter(white(side).astype(float), 0.6).round().astype(np.uint8)


def noisy(side=11):
    """What JPEG leaves around edges, saved as PNG."""
    ripple = np.random.default_rng(side).integers(0, 9, (400, 500))
    near = ndimage.binary_dilation(white(side) > 0, iterations=3)
    return np.where(white(side) > 0, 255 - ripple, ripple * near).astype(np.uint8)


def write(folder, make, sides=(11, 13, 15), suffix=".png"):
    for number, side in enumerate(sides):
        save(folder / "images" / f"im{number}.png", np.full((400, 500), 90, np.uint8))
        save(folder / "masks" / f"im{number}{suffix}", make(side))
    return folder


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, values)
    else:
        Image.fromarray(values).save(path)


def counts(source):
    return [sum(not each.ignored for each in entry.read().instances) for entry in source.entries]


def disjoint_union(source, number):
    micrograph = source.entries[number].read()
    masks = [to_mask(each, micrograph.height, micrograph.width) for each in micrograph.instances]
    return np.sum(masks, axis=0)


@pytest.mark.parametrize(
    ("make", "looks_like", "options"),
    [
        (classes, r"class map: 2 values \(1, 2\) in 960 separate pieces.*--mask-kind classes", {"kind": "classes"}),
        (classes, "--mask-kind binary", {"kind": "binary"}),
        (smoothed, "grey levels.*Give --threshold 128,", {"threshold": 128}),
        (noisy, "grey levels.*Give --threshold 128,", {"threshold": 128}),
        (lambda side: 255 - smoothed(side), "Give --threshold 128 --invert", {"threshold": 128, "invert": True}),
        (lambda side: 255 - white(side), "black particles on white.*Give --invert", {"invert": True}),
        (
            lambda side: (1 + (white(side) == 0)).astype(np.uint8),
            "the values are 1 and 2.*never 0.*Give --threshold 2 --invert",
            {"threshold": 2, "invert": True},
        ),
        (lambda side: (1 + (white(side) > 0)).astype(np.uint8), "Give --threshold 2 if", {"threshold": 2}),
    ],
)
def test_what_looks_like_no_instances_is_refused_with_the_options_that_read_it(tmp_path, make, looks_like, options):
    folder = write(tmp_path, make)
    with pytest.raises(AnnotationError, match=looks_like):
        open_masks(folder)
    source = open_masks(folder, options=mask_options(**options))
    assert counts(source) == [PARTICLES] * 3
    for number, side in enumerate((11, 13, 15)):
        found = disjoint_union(source, number)
        assert found.max() == 1
        assert ((found > 0) == (numbered(side) > 0)).all()


def test_probabilities_are_cut(tmp_path):
    folder = write(tmp_path, lambda side: (smoothed(side) / 255).astype(np.float32), suffix=".tif")
    with pytest.raises(AnnotationError, match=r"broken values, such as 0\.\d+.*--threshold 0\.5"):
        open_masks(folder).entries[0].read()
    assert counts(open_masks(folder, options=mask_options(threshold=0.5))) == [PARTICLES] * 3


def test_masks_saved_as_jpeg_can_be_cut(tmp_path):
    folder = write(tmp_path, white, suffix=".jpg")
    with pytest.raises(AnnotationError, match=r"JPEG changes the values of a mask.*--threshold 128"):
        open_masks(folder).entries[0].read()
    assert counts(open_masks(folder, options=mask_options(threshold=128))) == [PARTICLES] * 3


def test_white_of_one_bit_is_cut_as_that_of_eight(tmp_path):
    folder = write(tmp_path, lambda side: white(side) > 0)
    assert counts(open_masks(folder, options=mask_options(threshold=128))) == [PARTICLES] * 3


@pytest.mark.parametrize("cut", [lambda values: values.astype(np.uint8), lambda values: np.minimum(values, 255)])
def test_numbers_cut_to_8_bits(tmp_path, cut):
    folder = write(tmp_path, lambda side: cut(numbered(side)).astype(np.uint8))
    with pytest.raises(AnnotationError, match=r"more particles than 8 bits can number.*with 16 bits"):
        open_masks(folder)
    assert counts(open_masks(folder, options=MaskOptions("instance"))) == [255] * 3


def test_one_dense_mask_among_many_that_was_cut_to_8_bits(tmp_path):
    for number in range(40):
        save(tmp_path / "images" / f"{number:02}.png", np.full((400, 500), 90, np.uint8))
        few = np.where(numbered() <= 9, numbered(), 0)
        save(tmp_path / "masks" / f"{number:02}.png", (numbered() if number == 1 else few).astype(np.uint8))
    entries = open_masks(tmp_path).entries
    assert len(entries[0].read().instances) == 9
    with pytest.raises(AnnotationError, match=r"01\.png holds all 255 values.*more particles than 8 bits can number"):
        entries[1].read()


def test_instance_maps_are_never_suspected(tmp_path):
    """Also those with parts, slips of the brush, neighbours that touch, and no background at all."""
    rng = np.random.default_rng(0)
    several_parts = np.where(numbered() <= 90, (numbered() * 2 + 2) // 3, 0)
    assert len(np.unique(several_parts)) == 61
    specks = np.where((numbered() == 0) & (rng.random((400, 500)) < 0.01), 7, np.where(numbered() <= 60, numbered(), 0))
    touching = 1 + np.arange(400)[:, None] // 25 * 20 + np.arange(500)[None] // 25
    for name, values in (("parts", several_parts), ("specks", specks), ("grains", touching)):
        folder = write(tmp_path / name, lambda side, values=values: values.astype(np.uint16))
        assert counts(open_masks(folder)) == [len(np.unique(values[values > 0]))] * 3


def test_black_and_white_is_not_suspected_where_white_is_joined(tmp_path):
    """White particles that touch in chains, and one at the border, are white particles all the same."""
    chains = white(15)
    chains[10:13, :300] = 255
    assert counts(open_masks(write(tmp_path, lambda side: chains))) == [PARTICLES - 11] * 3


def test_real_instance_maps_are_not_suspected_and_what_tools_make_of_them_is(shared_data, tmp_path):
    paths = sorted((shared_data / "emps" / "segmaps").glob("*.png"))[::20]
    (tmp_path / "images").mkdir()
    for path in paths:
        with Image.open(path) as image:
            save(tmp_path / "images" / path.name, np.zeros(image.size[::-1], np.uint8))
    assert open_masks(tmp_path / "images", shared_data / "emps" / "segmaps").entries[0].options.kind == "instance"
    for change, looks_like in (
        (lambda values: np.where(values > 0, 0, 255), "black particles on white"),
        (lambda values: np.where(values > 0, 1 + values % 3, 0), "class map"),
    ):
        for path in paths:
            with Image.open(path) as image:
                save(tmp_path / "masks" / path.name, change(np.asarray(image)).astype(np.uint8))
        with pytest.raises(AnnotationError, match=looks_like):
            open_masks(tmp_path)


# Classes


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, {"particle-1", "particle-2"}),
        ({"label": "1=cube,2=rod"}, {"cube", "rod"}),
        ({"label": "2=ignore, 1=rod"}, {"rod", IGNORE_LABEL}),
        ({"classes": ("cube", "rod")}, {"cube", "rod"}),
    ],
)
def test_names_of_classes(tmp_path, options, names):
    source = open_masks(write(tmp_path, classes), options=mask_options("classes", **options))
    instances = source.entries[0].read().instances
    assert {each.label for each in instances} == names
    assert len(instances) == PARTICLES and sum(each.label == min(names) for each in instances) == PARTICLES // 2
    if IGNORE_LABEL in names:
        assert source.classes == ("rod",) and counts(source)[0] == PARTICLES // 2


def test_a_value_without_a_name_is_told(tmp_path):
    source = open_masks(write(tmp_path, classes), options=mask_options("classes", label="1=cube"))
    with pytest.raises(AnnotationError, match=r"im0\.png: the value 2 has no name \(1=cube\)"):
        source.entries[0].read()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "instance", "invert": True}, "--invert: .* not instance"),
        ({"kind": "classes", "threshold": 3}, "--threshold: .* not classes"),
        ({"threshold": 0}, "--threshold 0: "),
        ({"min_area": 0}, "--min-area 0: "),
        ({"label": " "}, "--label: is empty"),
        ({"kind": "classes", "label": "1=cube,1=rod"}, "'1=rod' names no value"),
        ({"kind": "classes", "label": "cube=1"}, "'cube=1' names no value"),
    ],
)
def test_options_that_mean_nothing_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        mask_options(**arguments)


# Specks, and masks that do not cover their image


def specked(share):
    """White squares, and as many single pixels beside them as make up this share of all."""
    values = white()
    for number in range(round(PARTICLES * share / (1 - share))):
        row, column = divmod(number, 20)
        values[row * 25 + 20, column * 25 + 20] = 255
    return values


@pytest.mark.parametrize(("share", "told"), [(0.0, False), (0.03, False), (0.06, True)])
def test_specks_are_told_and_can_be_left_out(tmp_path, share, told):
    folder = write(tmp_path, lambda side: specked(share))
    read = {entry.name: entry.read() for entry in open_masks(folder).entries}
    warnings = warn_of_specks({name: each.pieces for name, each in read.items()})
    specks = round(PARTICLES * share / (1 - share))
    assert bool(warnings) == told
    if told:
        assert f"in 3 images (the first is im0: {specks} of {PARTICLES + specks}); --min-area 4" in warnings[0]
    source = open_masks(folder, options=mask_options(min_area=4))
    assert counts(source) == [PARTICLES] * 3
    after = {entry.name: entry.read().pieces for entry in source.entries}
    assert warn_of_specks(after) == (
        [f"{3 * specks} particles smaller than --min-area left out in 3 images"] if specks else []
    )


def test_the_least_area_counts_for_numbers_too(tmp_path):
    values = np.where(numbered() <= 3, numbered(), 0)
    values[390, 490:495] = 4
    source = open_masks(write(tmp_path, lambda side: values), options=mask_options("instance", min_area=6))
    assert counts(source) == [3] * 3
    assert source.entries[0].read().notes == ("left out 1 particle of less than 6 px",)
    assert len(open_masks(tmp_path, options=mask_options("instance", min_area=5)).entries[0].read().instances) == 4


@pytest.mark.parametrize("anchor", ["top", "bottom"])
def test_a_mask_of_an_image_cropped_above_its_bar(tmp_path, anchor):
    save(tmp_path / "images" / "a.png", np.full((48, 64), 90, np.uint8))
    mask = np.zeros((40, 64), np.uint8)
    mask[10:20, 5:15] = 255
    save(tmp_path / "masks" / "a.png", mask)
    with pytest.raises(AnnotationError, match=r"a\.png: a mask of 64x40 px, but its image has 64x48.*--anchor top"):
        open_masks(tmp_path).entries[0].read()
    micrograph = open_masks(tmp_path, options=mask_options(anchor=anchor)).entries[0].read()
    particle, rest = micrograph.instances
    top = 0 if anchor == "top" else 8
    assert np.argwhere(to_mask(particle, 48, 64)).min(axis=0).tolist() == [10 + top, 5]
    assert not particle.ignored and area(particle.region) == 100
    uncovered = np.ones((48, 64), bool)
    uncovered[top : top + 40] = False
    assert rest.ignored and (to_mask(rest, 48, 64) == uncovered).all()
    assert any("ignore region" in note for note in micrograph.notes)


@pytest.mark.parametrize("kind", ["instance", "binary", "classes"])
def test_every_kind_can_be_anchored(tmp_path, kind):
    for name, rows in (("a", 48), ("b", 40)):
        save(tmp_path / "images" / f"{name}.png", np.full((rows, 64), 90, np.uint8))
        mask = np.zeros((40, 64), np.uint8)
        mask[10:20, 5:15], mask[25:30, 5:15] = 1, 2
        save(tmp_path / "masks" / f"{name}.png", mask)
    cropped, whole = open_masks(tmp_path, options=mask_options(kind, anchor="bottom")).entries
    instances = cropped.read().instances
    assert [each.ignored for each in instances] == [False, False, True]
    assert [each.ignored for each in whole.read().instances] == [False, False], "a mask as large as its image fits it"
    assert np.argwhere(to_mask(instances[0], 48, 64)).min() == 5 and to_mask(instances[0], 48, 64)[18:28, 5:15].all()


def test_a_mask_of_another_width_is_refused_whatever_the_anchor(tmp_path):
    save(tmp_path / "images" / "a.png", np.full((48, 64), 90, np.uint8))
    for shape in ((40, 60), (50, 64)):
        save(tmp_path / "masks" / "a.png", np.ones(shape, np.uint8))
        with pytest.raises(AnnotationError, match="annotated on"):
            open_masks(tmp_path, options=mask_options("instance", anchor="top")).entries[0].read()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32, np.int64])
@pytest.mark.parametrize("least", [0, 1])
def test_places_of_values_are_those_of_a_sorted_copy(kind, least):
    values = np.random.default_rng(0).integers(least, 200, (40, 50)).astype(kind)
    _, places = np.unique(values, return_inverse=True)
    assert (_Look(values)._places() == places.reshape(values.shape) + (0 if (values == 0).any() else 1)).all()
