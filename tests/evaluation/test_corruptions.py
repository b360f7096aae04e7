"""What every corruption has in common, and the truth that moves along."""

import cv2
import numpy as np
import pytest
from contact_sheet import contact_sheet
from processor_time import cpu_seconds

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Polygon, Rle
from nanoseg_bench.annotations.raster import area, mask_to_rle, rle_to_mask
from nanoseg_bench.errors import UsageError
from nanoseg_bench.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt, corrupt_truth, field_rows

NAMES = [corruption.name for corruption in CORRUPTIONS]
HEIGHT, WIDTH = 80, 640


def draw_scene(height=HEIGHT, width=WIDTH, spacing=40, bright=True):
    """Discs on a grid, all of one grey, on a support with some grain."""
    y, x = np.mgrid[:height, :width] + 0.5
    discs = np.hypot((x % spacing) - spacing / 2, (y % spacing) - spacing / 2) < 0.33 * spacing
    grain = np.random.default_rng(0).normal(0, 4, (height, width))
    levels = np.where(discs, 170, 70) if bright else np.where(discs, 60, 170)
    return np.clip(levels + grain, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def scene():
    return draw_scene()


def distance(first, second):
    return float(np.sqrt(np.mean((first.astype(float) - second) ** 2)))


def test_the_eight_that_the_protocol_names():
    assert NAMES == [
        "blur",
        "defocus",
        "charging",
        "shot-noise",
        "low-contrast",
        "drift",
        "contamination",
        "down-sampling",
    ]
    for corruption in CORRUPTIONS:
        assert all(len(values) == len(SEVERITIES) for values in corruption.parameters.values())


@pytest.mark.parametrize("modality", [None, "BF-TEM", "SE-SEM"])
@pytest.mark.parametrize("name", NAMES)
def test_each_severity_is_further_from_the_clean_image(name, modality):
    clean = draw_scene(bright=modality != "BF-TEM")
    away = [0.0]
    for severity in SEVERITIES:
        images = [corrupt(clean, name, severity, seed, "a", modality=modality) for seed in range(6)]
        assert all(image.shape == clean.shape and image.dtype == np.uint8 for image in images)
        away.append(np.mean([distance(clean, image) for image in images]))
    assert np.all(np.diff(away) > 0), away


@pytest.mark.parametrize("name", NAMES)
def test_same_names_same_pixels(scene, name):
    first = corrupt(scene, name, 3, 0, "a")
    for other in reversed(NAMES):
        corrupt(scene, other, 5, 1, "b")
    assert np.array_equal(corrupt(scene, name, 3, 0, "a"), first)


@pytest.mark.parametrize("name", ["charging", "shot-noise", "drift", "contamination"])
def test_chance_depends_on_seed_and_image_and_severity(scene, name):
    first = corrupt(scene, name, 3, 0, "a")
    assert not np.array_equal(corrupt(scene, name, 3, 1, "a"), first)
    assert not np.array_equal(corrupt(scene, name, 3, 0, "b"), first)
    # The noise of two severities is not the same noise twice.
    noise = [corrupt(np.full((16, 640), 128, np.uint8), "shot-noise", severity, 0, "a") for severity in (1, 2)]
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.1


@pytest.mark.parametrize("name", NAMES)
def test_the_input_is_not_changed(scene, name):
    before = scene.copy()
    corrupt(scene, name, 5, 0, "a")
    assert np.array_equal(scene, before)


@pytest.mark.parametrize("name", NAMES)
def test_grey_stays_grey_and_colour_goes_channel_by_channel(scene, name):
    grey = corrupt(scene, name, 4, 0, "a")
    stacked = corrupt(np.repeat(scene[:, :, None], 3, axis=2), name, 4, 0, "a")
    assert stacked.shape == (HEIGHT, WIDTH, 3)
    assert np.array_equal(stacked, np.repeat(grey[:, :, None], 3, axis=2))
    coloured = np.stack([scene, scene // 2, 255 - scene], axis=2)
    changed = corrupt(coloured, name, 4, 0, "a")
    for channel in range(3):
        assert np.array_equal(changed[:, :, channel], corrupt(coloured[:, :, channel], name, 4, 0, "a"))


@pytest.mark.parametrize("modality", [None, "BF-TEM"])
@pytest.mark.parametrize("shape", [(1, 1), (300, 8), (8, 300), (1, 64), (0, 10), (7, 5, 3)])
@pytest.mark.parametrize("name", NAMES)
def test_odd_sizes(name, shape, modality):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    for severity in (1, 5):
        changed = corrupt(pixels, name, severity, 0, "a", modality=modality)
        assert changed.shape == shape and changed.dtype == np.uint8


@pytest.mark.parametrize("modality", [None, "BF-TEM", "SE-SEM"])
@pytest.mark.parametrize("grey", [0, 128, 255])
@pytest.mark.parametrize("name", NAMES)
def test_an_image_of_one_grey(name, grey, modality):
    pixels = np.full((16, 640), grey, np.uint8)
    changed = corrupt(pixels, name, 5, 0, "a", modality=modality)
    if name == "shot-noise":
        assert (changed == 0).all() if grey == 0 else changed.std() > 20
    elif name == "contamination":
        assert (changed <= pixels).all()
    else:
        assert np.abs(changed.astype(int) - grey).max() <= 1


def test_what_cannot_be_corrupted(scene):
    with pytest.raises(UsageError, match="no corruption 'bluur'; did you mean 'blur'"):
        corrupt(scene, "bluur", 1, 0, "a")
    with pytest.raises(UsageError, match="severity 6 of 'blur': there are 1 to 5"):
        corrupt(scene, "blur", 6, 0, "a")
    with pytest.raises(UsageError, match="severity 0"):
        corrupt_truth([], (10, 10), "drift", 0, 0, "a")
    with pytest.raises(ValueError, match="float64 pixels"):
        corrupt(scene / 255, "blur", 1, 0, "a")
    with pytest.raises(ValueError, match=r"\(80, 640, 4\)"):
        corrupt(np.zeros((80, 640, 4), np.uint8), "blur", 1, 0, "a")


@pytest.mark.parametrize("name", NAMES)
def test_info_bar_stays_and_does_not_reach_into_the_field(scene, name):
    bars = [np.full((20, WIDTH), 0, np.uint8), np.random.default_rng(1).integers(0, 256, (20, WIDTH)).astype(np.uint8)]
    field = slice(0, HEIGHT)
    changed = [corrupt(np.vstack([scene, bar]), name, 4, 0, "a", field=field) for bar in bars]
    for bar, image in zip(bars, changed, strict=True):
        assert np.array_equal(image[HEIGHT:], bar)
    assert np.array_equal(changed[0][:HEIGHT], changed[1][:HEIGHT])
    assert not np.array_equal(changed[0][:HEIGHT], scene)


def box(left, top, right, bottom, label=IGNORE_LABEL):
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=float)
    return Instance(label, (Polygon(corners),))


@pytest.mark.parametrize(
    ("regions", "rows"),
    [
        ([], (0, 100)),
        ([box(0, 90, 120, 100)], (0, 90)),
        ([box(0, 0, 120, 8), box(0, 90, 120, 100)], (8, 90)),
        ([box(0, 90, 60, 100)], (0, 100)),
        ([box(0, 40, 120, 60)], (0, 100)),
        ([box(0, 90, 120, 100, "cube")], (0, 100)),
        ([box(0, 0, 120, 100)], (0, 0)),
    ],
)
def test_field_is_what_no_info_bar_takes(regions, rows):
    assert field_rows(regions, (120, 100)) == slice(*rows)


def test_diagonal_ignore_region_is_no_info_bar():
    triangle = Instance(IGNORE_LABEL, (Polygon(np.array([[0.0, 100], [120, 100], [120, 80]])),))
    assert field_rows([triangle], (120, 100)) == slice(0, 100)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "drift"])
def test_truth_stays_where_nothing_moves(name):
    truth = [box(5, 5, 20, 20, "cube")]
    assert corrupt_truth(truth, (WIDTH, HEIGHT), name, 5, 0, "a") == truth


@pytest.mark.parametrize(("severity", "field"), [(1, None), (3, slice(20, 360)), (5, None), (5, slice(0, 370))])
def test_truth_moves_with_the_pixels(severity, field):
    """The image shows the masks themselves: after the corruption it shows the corrupted masks."""
    height, width = 400, 512
    y, x = np.mgrid[:height, :width] + 0.5
    masks = [np.hypot(x - cx, y - cy) < 35 for cx, cy in ((10, 200), (60, 10), (430, 190), (300, 390), (500, 80))]
    masks.append((np.abs(x - 150) < 50) & (np.abs(y - 200) < 40) & (np.hypot(x - 150, y - 200) > 15))

    def moved(mask):
        truth = [Instance("cube", mask_to_rle(mask), crowd=True)]
        (one,) = corrupt_truth(truth, (width, height), "drift", severity, 0, "a", field=field)
        assert one.crowd and one.label == "cube"
        return rle_to_mask(one.region)

    for mask in masks:
        shown = corrupt(mask.astype(np.uint8) * 255, "drift", severity, 0, "a", field=field) > 127
        after = moved(mask)
        # The mask takes the nearest pixel, the image interpolates: they differ along the outline only.
        outline = moved(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3))))
        assert (shown == after)[~outline].all()
        assert (shown != after).sum() < 0.3 * outline.sum()
        if field is not None:
            assert np.array_equal(after[: field.start], mask[: field.start])
            assert np.array_equal(after[field.stop :], mask[field.stop :])


def test_truth_moves_alike_at_every_resolution():
    y, x = np.mgrid[:480, :640] + 0.5
    mask = np.hypot(x - 200, y - 250) < 90
    size = {1: (640, 480), 2: (1280, 960)}
    moved = {}
    for factor in size:
        large = np.kron(mask, np.ones((factor, factor))) > 0
        (one,) = corrupt_truth([Instance("cube", mask_to_rle(large))], size[factor], "drift", 4, 0, "a")
        moved[factor] = rle_to_mask(one.region)
    halved = moved[2].reshape(480, 2, 640, 2).mean(axis=(1, 3)) > 0.5
    assert (halved & moved[1]).sum() / (halved | moved[1]).sum() > 0.985


def test_particle_that_drifts_out_is_no_longer_there():
    speck = mask_to_rle(np.pad(np.ones((2, 2)), ((0, 78), (0, 638))))
    moved = corrupt_truth([Instance("cube", speck)], (WIDTH, HEIGHT), "drift", 5, 0, "a")
    assert moved == []


def test_polygons_and_empty_masks_may_be_moved():
    empty = Instance("cube", Rle(HEIGHT, WIDTH, mask_to_rle(np.zeros((HEIGHT, WIDTH))).counts))
    (moved,) = corrupt_truth([box(300, 20, 340, 60, "cube"), empty], (WIDTH, HEIGHT), "drift", 1, 0, "a")
    assert area(moved.region) == pytest.approx(1600, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("modality", [None, "BF-TEM"])
@pytest.mark.parametrize("name", NAMES)
def test_time_for_a_megapixel(name, modality):
    pixels, rng = draw_scene(1024, 1024), np.random.default_rng(0)

    # A sixth of a second where this was written; the longest takes half of it.
    noise = cpu_seconds(lambda: rng.normal(size=pixels.shape))
    assert cpu_seconds(lambda: corrupt(pixels, name, 5, 0, "a", modality=modality)) < 15 * noise


def test_contact_sheet_shows_every_corruption_in_every_severity(scene):
    sheet = contact_sheet(scene, [box(10, 10, 40, 40, "cube")], 0, "a", cell_px=60)
    rows, columns = len(CORRUPTIONS), len(SEVERITIES) + 1
    assert sheet.dtype == np.uint8 and sheet.ndim == 3
    height, width = sheet.shape[0] // rows, sheet.shape[1] // columns
    assert sheet.shape[:2] == (rows * height, columns * width)
    cells = {
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width].tobytes()
        for row in range(rows)
        for column in range(columns)
    }
    assert len(cells) == rows * columns
