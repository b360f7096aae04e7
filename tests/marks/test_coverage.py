import cv2
import numpy as np
import pytest

from nanoseg_bench.annotations.raster import mask_to_rle
from nanoseg_bench.marks import coverage
from nanoseg_bench.marks.detection import find_marks


def lies_on_marks(masks, marks, image):
    return coverage.lies_on_marks(map(mask_to_rle, masks), marks, image)


@pytest.fixture
def scene(field, write):
    """(pixels, marks, box of the text): a scale bar with its text, both white."""
    image = field(spread=4)
    text = write(image, "200 nm", (480, 430), 255, 34)
    image[480:490, 470:600] = 255
    return image, find_marks(image), text


def box(shape, left, top, right, bottom):
    mask = np.zeros(shape, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def test_the_bar_the_whole_text_its_letters_and_pieces_of_them_are_marks(scene):
    image, marks, text = scene
    ink = (image >= 235) & box(image.shape, *text)
    _, letters = cv2.connectedComponents(ink.astype(np.uint8))
    blob = cv2.morphologyEx(ink.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8)) > 0
    piece = (letters == 1) & box(image.shape, 0, 0, 640, (text[1] + text[3]) // 2)
    assert piece.sum() > 20
    answers = lies_on_marks(
        [
            box(image.shape, 470, 480, 600, 490),
            blob,
            box(image.shape, *text),
            *(letters == n for n in range(1, letters.max() + 1)),
            piece,
        ],
        marks,
        image,
    )
    assert all(answers)


def test_half_is_not_mostly(scene):
    image, marks, _ = scene
    assert lies_on_marks([box(image.shape, 470, 470, 600, 490)], marks, image) == [False]
    assert lies_on_marks([box(image.shape, 470, 471, 600, 490)], marks, image) == [True]


@pytest.mark.parametrize("particle", [20, 60, 255])
def test_a_particle_that_shows_behind_letters_stays(field, write, particle):
    image = field(spread=4)
    disc = np.zeros(image.shape, np.uint8)
    cv2.circle(disc, (520, 450), 14, 1, -1)
    image[disc > 0] = particle
    write(image, "200 nm", (480, 430), 255 if particle < 100 else 0, 34)
    image[480:490, 470:600] = 255 if particle < 100 else 0
    marks = find_marks(image)
    assert marks.of("text")
    assert lies_on_marks([disc > 0], marks, image) == [False]


def test_a_particle_that_shows_from_behind_the_bar_stays(scene):
    image, marks, _ = scene
    image[470:492, 500:530] = 40  # six tenths of it lie behind the bar
    image[480:490, 470:600] = 255
    behind = box(image.shape, 500, 474, 530, 492)
    assert lies_on_marks([behind], marks, image) == [False]


def test_a_large_particle_under_the_bar_stays_and_one_elsewhere(scene):
    image, marks, _ = scene
    assert lies_on_marks(
        [box(image.shape, 450, 380, 630, 505), box(image.shape, 100, 100, 150, 150)], marks, image
    ) == [False, False]


def test_nothing_lies_on_no_marks(field):
    image = field()
    marks = find_marks(image)
    assert lies_on_marks([box(image.shape, 1, 1, 9, 9), np.zeros(image.shape, bool)], marks, image) == [False, False]
