import numpy as np
import pytest

from nanoseg_bench.models.data import Particle, Sample
from nanoseg_bench.models.packed_images import TooLargeError, pack

SIZE = 24


def random_sample(rng: np.random.Generator, colour: bool = False) -> Sample:
    def region(label: int) -> Particle:
        height, width = rng.integers(1, 12, 2)
        mask = rng.random((height, width)) < 0.5
        mask[rng.integers(height), rng.integers(width)] = True
        return Particle(label, mask, int(rng.integers(0, SIZE - width + 1)), int(rng.integers(0, SIZE - height + 1)))

    pixels = rng.integers(0, 256, (SIZE, SIZE, 3) if colour else (SIZE, SIZE), dtype=np.uint8)
    particles = tuple(region(label) for label in rng.integers(0, 3, rng.integers(0, 6)))
    return Sample(pixels, particles, tuple(region(-1) for _ in range(rng.integers(0, 3))))


def whole(part: Particle) -> np.ndarray:
    canvas = np.zeros((SIZE, SIZE), dtype=bool)
    canvas[part.y : part.y + part.mask.shape[0], part.x : part.x + part.mask.shape[1]] = part.mask
    return canvas


@pytest.mark.parametrize("ignored", [False, True])
def test_every_region_can_be_read_back(ignored):
    rng = np.random.default_rng(0)
    samples = [random_sample(rng) for _ in range(8)]
    packed = pack(samples, range(8), 8, SIZE, ignored=ignored)
    covered, regions = packed.covered.numpy(), packed.regions
    assert packed.pixels.shape == (8, 1, SIZE, SIZE)
    for number, sample in enumerate(samples):
        assert (packed.pixels[number, 0].numpy() == sample.pixels).all()
        expected = [*(sample.ignored if ignored else ()), *sample.particles]
        rows, counts = packed.rows_of(np.array([number]))
        assert counts.tolist() == [len(rows)] == [len(expected)]
        for row, part in zip(rows, expected, strict=True):
            at = regions.at(np.array([row]))
            label, x, y, width, height, start, area = (int(column[0]) for column in at)
            window = covered[start : start + width * height].reshape(height, width)
            canvas = np.zeros((SIZE, SIZE), dtype=bool)
            canvas[y : y + height, x : x + width] = window
            assert (canvas == whole(part)).all()
            assert (label, area) == (part.class_index, part.mask.sum())
            # The window is the box: it ends where the region ends.
            assert window[0].any() and window[-1].any() and window[:, 0].any() and window[:, -1].any()
    assert packed.bytes == 8 * SIZE**2 + len(covered)


def test_rows_come_image_by_image_in_the_order_asked_for():
    rng = np.random.default_rng(1)
    packed = pack([random_sample(rng) for _ in range(6)], range(6), 6, SIZE, ignored=True)
    rows, counts = packed.rows_of(np.array([4, 0, 4]))
    first = packed.first
    expected = [*range(first[4], first[5]), *range(first[0], first[1]), *range(first[4], first[5])]
    assert rows.tolist() == expected
    assert counts.sum() == len(rows)


def test_a_part_of_the_training_set_keeps_its_numbers():
    rng = np.random.default_rng(2)
    samples = [random_sample(rng) for _ in range(3)]
    packed = pack(samples, [7, 2, 5], 9, SIZE, ignored=False)
    assert packed.slots.tolist() == [-1, -1, 1, -1, -1, 2, -1, 0, -1]


def test_grey_images_take_one_channel_and_a_colour_image_makes_three():
    rng = np.random.default_rng(3)
    grey, colour = random_sample(rng), random_sample(rng, colour=True)
    packed = pack([grey, colour, grey], range(3), 3, SIZE, ignored=False)
    assert packed.pixels.shape == (3, 3, SIZE, SIZE)
    for slot in (0, 2):
        assert (packed.pixels[slot].numpy() == grey.pixels).all()
    assert (packed.pixels[1].numpy() == colour.pixels.transpose(2, 0, 1)).all()


def test_what_needs_too_much_room_is_refused_with_both_sizes():
    rng = np.random.default_rng(4)
    samples = [random_sample(rng) for _ in range(3)]
    assert pack(samples, range(3), 3, SIZE, ignored=False, room=3 * SIZE**2).bytes >= 3 * SIZE**2
    with pytest.raises(TooLargeError, match=r"1.73e-06 GB, more than the 1.73e-06 GB"):
        pack(samples, range(3), 3, SIZE, ignored=False, room=3 * SIZE**2 - 1)
    # Colour shows at the last image only.
    with pytest.raises(TooLargeError):
        pack([*samples[:2], random_sample(rng, colour=True)], range(3), 3, SIZE, ignored=False, room=6 * SIZE**2)


def test_images_without_regions_are_packed():
    blank = Sample(np.zeros((SIZE, SIZE), dtype=np.uint8), (), ())
    packed = pack([blank, blank], range(2), 2, SIZE, ignored=True)
    assert packed.first.tolist() == [0, 0, 0]
    assert packed.rows_of(np.array([1, 0]))[0].tolist() == []


def test_memory_goes_with_the_area_of_the_particles():
    """A 640 px canvas with 30 discs of 30 px radius needs a quarter more than its pixels."""
    rows, columns = np.mgrid[:60, :60] + 0.5
    disc = (rows - 30) ** 2 + (columns - 30) ** 2 < 30**2
    sample = Sample(np.zeros((640, 640), dtype=np.uint8), tuple(Particle(0, disc, 10, 10) for _ in range(30)), ())
    packed = pack([sample], range(1), 1, 640, ignored=False)
    assert packed.covered.nbytes == 30 * 60**2
    assert packed.bytes < 1.27 * 640**2
