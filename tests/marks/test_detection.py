from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.annotations.raster import mask_to_rle, to_mask
from nanoseg_bench.images import read_image
from nanoseg_bench.marks import BANNER, BAR, BOX, TEXT, Mark
from nanoseg_bench.marks.coverage import lies_on_marks
from nanoseg_bench.marks.detection import MAX_SIDE, find_banners, find_marks
from nanoseg_bench.marks.mark import marks_as_json, marks_from_json
from nanoseg_bench.synthesis.nanosynth import write_nanosynth

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def iou(mark, left, top, right, bottom):
    across = min(mark.right, right) - max(mark.left, left)
    along = min(mark.bottom, bottom) - max(mark.top, top)
    common = max(across, 0) * max(along, 0)
    areas = (mark.right - mark.left) * (mark.bottom - mark.top) + (right - left) * (bottom - top)
    return common / (areas - common)


@pytest.mark.parametrize("grey", [0, 255])
def test_a_scale_bar_and_its_text_are_found_where_they_are(field, write, grey):
    image = field()
    text = write(image, "200 nm", (480, 430), grey, 34)
    image[480:490, 470:600] = grey
    marks = find_marks(image)
    assert {mark.kind for mark in marks.found} == {BAR, TEXT}
    [bar] = marks.of(BAR)
    assert (bar.left, bar.top, bar.right, bar.bottom) == (470, 480, 600, 490)
    [line] = marks.of(TEXT)
    assert iou(line, *text) > 0.8


def test_coloured_lettering_is_found(field, write):
    image = np.repeat(field()[..., None], 3, axis=2)
    plain = field()
    write(plain, "50 nm", (480, 430), 255, 34)
    image[plain == 255] = (230, 200, 20)
    image[480:490, 470:600] = (230, 200, 20)
    assert {mark.kind for mark in find_marks(image).found} == {BAR, TEXT}


@pytest.mark.parametrize("letter", ["(b)", "a", "e"])
def test_a_panel_letter_in_a_corner_is_found_and_in_the_middle_is_not(field, write, letter):
    image = field()
    place = write(image, letter, (12, 8), 255, 60)
    [mark] = find_marks(image).found
    assert mark.kind == TEXT
    assert iou(mark, *place) > 0.6
    image = field()
    write(image, letter, (300, 220), 255, 60)
    assert not find_marks(image).found


@pytest.mark.parametrize("ink", [0, 255])
def test_a_box_counts_where_it_is_written_on(field, write, ink):
    image = field()
    image[420:500, 470:620] = 255 - ink
    assert not find_marks(image).of(BOX)
    write(image, "20 nm", (490, 426), ink, 34)
    image[475:483, 490:600] = ink
    [box] = find_marks(image).of(BOX)
    assert (box.left, box.top, box.right, box.bottom) == (470, 420, 620, 500)


@pytest.mark.parametrize("ground", [0, 128, 255])
@pytest.mark.parametrize("on_top", [False, True])
def test_an_information_bar_is_found_to_the_row(field, write, ground, on_top):
    image = field()
    bar = np.full((40, 640), ground, dtype=np.uint8)
    write(bar, "SU8020 15.0kV 8.2mm x100k SE(U)", (8, 8), 0 if ground == 255 else 255, 22)
    rows = slice(0, 40) if on_top else slice(472, 512)
    image[rows] = bar
    expected = Mark(BANNER, 0, rows.start, 640, rows.stop)
    assert find_banners(image) == [expected]
    assert find_marks(image).of(BANNER) == [expected]


@pytest.mark.parametrize("on_top", [False, True])
@pytest.mark.parametrize("grey", [0, 255])
def test_a_row_of_words_on_the_specimen_is_lettering_and_no_information_bar(field, write, grey, on_top):
    """As microscopes write it that put no bar under it."""
    image = field(960, 1280)
    top = 12 if on_top else 920
    words = [
        (24, "LLNL"),
        (280, "SE"),
        (370, "SEM"),
        (520, "LEI"),
        (640, "30.0kV"),
        (800, "X90,000"),
        (960, "WD 7.7mm"),
    ]
    places = [write(image, word, (left, top), grey, 30) for left, word in [*words, (1160, "100nm")]]
    marks = find_marks(image, rows=True).found
    assert {mark.kind for mark in marks} == {TEXT}
    for place in places:
        assert max(iou(mark, *place) for mark in marks) > 0.6, place
    assert not find_banners(image)
    assert len(find_marks(image).found) < len(words), "prepared sets stay what they were"


def test_rings_in_rows_are_no_lettering(field):
    image = field(960, 1280)
    for row in range(40, 960, 80):
        for column in range(40, 1280, 60):
            cv2.circle(image, (column, row), 14, 255, 4)
    assert not find_marks(image, rows=True).found


def test_a_flat_strip_without_print_is_no_information_bar(field):
    image = field()
    image[472:] = 0
    assert not find_banners(image)


@pytest.mark.filterwarnings("error")
def test_a_strip_of_two_values_as_many_of_each_has_no_ground():
    """As along the edge of a crop of 23 × 85 px: the median of the strip lies between them."""
    image = np.random.default_rng(0).integers(90, 170, (80, 60), dtype=np.uint8)
    image[:8] = np.where(np.arange(60) % 2, 240, 0)
    assert not find_banners(image)


@pytest.mark.parametrize("grey", [0, 255])
def test_particles_are_no_marks(field, grey):
    image = field()
    rng = np.random.default_rng(1)
    for x in range(40, 620, 60):
        for y in range(40, 500, 60):
            angle = int(rng.integers(180))
            shape = (x + y) // 60 % 3
            if shape == 0:
                cv2.circle(image, (x, y), 18, grey, -1)
            elif shape == 1:  # rods, level and upright ones among them
                angle = (0, 90, angle)[int(rng.integers(3))]
                cv2.fillPoly(image, [cv2.boxPoints(((x, y), (44, 9), angle)).astype(np.int32)], grey)
            else:
                cv2.fillPoly(image, [cv2.boxPoints(((x, y), (28, 28), angle)).astype(np.int32)], grey)
    assert find_marks(image).found == ()


def test_large_micrographs_are_searched_at_a_smaller_size_and_answered_at_their_own(field, write):
    side = 2 * MAX_SIDE
    image = field(side, side)
    text = write(image, "200 nm", (2300, 2780), 255, 150)
    image[2960:3000, 2250:2800] = 255
    marks = find_marks(image)
    assert iou(marks.of(BAR)[0], 2250, 2960, 2800, 3000) > 0.9
    assert iou(marks.of(TEXT)[0], *text) > 0.8
    assert marks.seen_ink.size < image.size, "the map of a large one is made for those who ask for it"
    assert marks.ink.shape == marks.mask().shape == image.shape
    rows, columns = np.nonzero(marks.ink)
    inked = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    assert iou(marks.of(TEXT)[0], *inked) > 0.85, "the letters, with their soft edges"


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3), (1, 1, 3)])
def test_tiny_images_are_answered(shape):
    marks = find_marks(np.zeros(shape, dtype=np.uint8))
    assert marks.found == ()
    assert marks.ink.shape == shape[:2]


def test_marks_go_through_json():
    marks = (Mark(BANNER, 0, 472, 640, 512), Mark(TEXT, 1, 2, 3, 4))
    assert marks_from_json(marks_as_json(marks)) == marks


def rendered(folder, images, seed):
    from nanoseg_bench.annotations.labelme.reading import open_labelme

    write_nanosynth(folder, images, seed, easy=False, workers=1)
    for entry in open_labelme(folder / "main").entries:
        micrograph = entry.read()
        pixels = read_image(micrograph.image_path)
        masks = [to_mask(each, micrograph.height, micrograph.width) for each in micrograph.instances]
        ignored = [each.ignored for each in micrograph.instances]
        particles = [mask for mask, skip in zip(masks, ignored, strict=True) if not skip]
        banners = [mask for mask, skip in zip(masks, ignored, strict=True) if skip]
        yield pixels, particles, banners


@pytest.mark.parametrize(("images", "seed"), [(10, 3), pytest.param(240, 7, marks=pytest.mark.slow)])
def test_no_particle_of_a_rendered_micrograph_is_taken_for_a_mark(tmp_path, images, seed):
    seen = with_marks = 0
    for pixels, particles, banners in rendered(tmp_path, images, seed):
        marks = find_marks(pixels)
        assert not any(lies_on_marks(map(mask_to_rle, particles), marks, pixels))
        assert [mark.box for mark in marks.of(BANNER)] == [
            (slice(int(np.flatnonzero(bar.any(axis=1))[0]), pixels.shape[0]), slice(0, pixels.shape[1]))
            for bar in banners
        ]
        seen += 1
        with_marks += bool(marks.found)
    assert seen == images
    # Each of them has a scale bar; a twentieth may be missed.
    assert with_marks >= 0.9 * seen


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "emps").is_dir(), reason="EMPS is not at hand")
def test_particles_of_emps_are_no_marks():
    """On the training images; the test images are for scores alone."""
    folder = SHARED / "emps"
    covered = total = found = 0
    for name in (folder / "train.csv").read_text().split():
        pixels = read_image(folder / "images" / f"{name}.png")
        numbers = np.asarray(Image.open(folder / "segmaps" / f"{name}.png"))
        masks = [numbers == number for number in np.unique(numbers) if number]
        marks = find_marks(pixels)
        covered += sum(lies_on_marks(map(mask_to_rle, masks), marks, pixels))
        total += len(masks)
        found += bool(marks.found)
    assert total == 8927
    assert covered <= 5
    assert found >= 0.8 * 366  # 295 when it was written
