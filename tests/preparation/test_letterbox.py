import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.annotations.instance import Instance, Rle
from nanoseg_bench.annotations.raster import area, iou_matrix, mask_to_rle, rle_to_mask, to_rle, window_to_rle
from nanoseg_bench.preparation.letterbox import PADDING_GREY, Letterbox

SIZES = [(640, 640), (1024, 768), (768, 1024), (1280, 1024), (333, 1000), (1000, 333), (37, 41), (2048, 7)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_content_keeps_its_aspect_and_is_centred(width, height):
    box = Letterbox(width, height, 640)
    content_width, content_height = box.content_size
    assert max(content_width, content_height) == 640
    assert abs(content_width - width * 640 / max(width, height)) <= 0.5
    assert abs(content_height - height * 640 / max(width, height)) <= 0.5
    pad_x, pad_y = box.padding
    assert 0 <= (640 - content_width) - 2 * pad_x <= 1
    assert 0 <= (640 - content_height) - 2 * pad_y <= 1


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_with_a_stride_only_the_next_multiple_is_padded(width, height):
    square, box = Letterbox(width, height, 640), Letterbox(width, height, 640, stride=32)
    assert box.content_size == square.content_size
    for side, content, padding in zip(box.canvas_size, box.content_size, box.padding, strict=True):
        assert side % 32 == 0 and content <= side < content + 32
        assert padding == (side - content) // 2
    pixels = np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)
    canvas = box.apply(pixels)
    assert canvas.shape == box.canvas_size[::-1]
    np.testing.assert_array_equal(box.content(canvas), square.content(square.apply(pixels)))


def test_half_pixels_are_rounded_up():
    # 1001 x 640 / 1280 = 500.5
    assert Letterbox(1280, 1001, 640).content_size == (640, 501)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_points_come_back_exactly(width, height):
    box = Letterbox(width, height, 640)
    points = np.random.default_rng(0).uniform((0, 0), (width, height), (200, 2))
    there = box.to_canvas(points)
    assert np.abs(box.to_original(there) - points).max() < 1e-9
    assert (there >= 0).all()
    assert (there <= 640).all()


def test_image_corners_are_the_contents_corners():
    box = Letterbox(333, 1000, 640)
    left, right = box.to_canvas(np.array([(0.0, 0.0), (333.0, 1000.0)]))
    assert left == pytest.approx(box.padding)
    assert right == pytest.approx(np.add(box.padding, box.content_size))


@pytest.mark.parametrize("channels", [(), (3,)])
def test_padding_is_grey_and_content_is_the_image(channels):
    box = Letterbox(80, 40, 160)
    canvas = box.apply(np.full((40, 80, *channels), 200, dtype=np.uint8))
    assert canvas.shape == (160, 160, *channels)
    assert (canvas[40:120] == 200).all()
    assert (canvas[:40] == PADDING_GREY).all()
    assert (canvas[120:] == PADDING_GREY).all()


def test_image_and_outline_stay_together(disc):
    rows, columns = np.mgrid[:300, :500] + 0.5
    image = np.where((columns - 170.3) ** 2 + (rows - 120.8) ** 2 < 60**2, 255, 0).astype(np.uint8)
    box = Letterbox(500, 300, 320)
    outline = to_rle(box.instance_to_canvas(disc(170.3, 120.8, 60)), 320, 320)
    canvas = box.apply(image)
    canvas[canvas == PADDING_GREY] = 0
    assert iou_matrix([mask_to_rle(canvas > 127)], [outline])[0, 0] > 0.97


@pytest.mark.parametrize("seed", range(60))
def test_a_mask_is_resampled_as_the_whole_image_would_be(seed):
    rng = np.random.default_rng(seed)
    width, height = (int(value) for value in rng.integers(3, 300, 2))
    box = Letterbox(width, height, int(rng.choice([32, 64, 150, 400])))
    mask = np.zeros((height, width), dtype=bool)
    for _ in range(rng.integers(0, 4)):
        x, y = rng.integers(0, width), rng.integers(0, height)
        mask[y : y + rng.integers(1, 80), x : x + rng.integers(1, 80)] = True
    grey = Image.fromarray(mask.astype(np.uint8) * 255).resize(box.content_size, Image.Resampling.BILINEAR)
    expected = np.zeros((box.canvas, box.canvas), dtype=bool)
    box.content(expected)[:] = np.asarray(grey) > 127
    moved = rle_to_mask(box.instance_to_canvas(Instance("a", mask_to_rle(mask))).region)
    assert (moved == expected).all()


def test_mask_and_outline_agree_on_the_canvas(disc):
    box = Letterbox(500, 300, 320)
    drawn = disc(170.3, 120.8, 60)
    masked = Instance("a", to_rle(drawn, 300, 500), crowd=True)
    moved = box.instance_to_canvas(masked)
    assert isinstance(moved.region, Rle)
    assert (moved.label, moved.crowd) == ("a", True)
    assert iou_matrix([moved.region], [to_rle(box.instance_to_canvas(drawn), 320, 320)])[0, 0] > 0.97


@pytest.mark.parametrize(("width", "height"), [(500, 300), (300, 500), (1600, 900), (100, 90)])
@pytest.mark.parametrize("network_size", [None, 80])
@pytest.mark.parametrize("stride", [None, 32])
def test_restoring_undoes_the_letterbox(disc, width, height, network_size, stride):
    radius = min(width, height) / 4
    truth = to_rle(disc(width * 0.6, height * 0.45, radius), height, width)
    box = Letterbox(width, height, 320, stride)
    columns, rows = box.canvas_size
    canvas = rle_to_mask(to_rle(box.instance_to_canvas(disc(width * 0.6, height * 0.45, radius)), rows, columns))
    values = canvas.astype(np.float32)
    if network_size:
        values = values.reshape(rows // 4, 4, columns // 4, 4).mean(axis=(1, 3))
    window, x, y = box.restore(values, network_size=network_size)
    restored = window_to_rle(window > 0.5, x, y, height, width)
    assert (restored.height, restored.width) == (height, width)
    assert iou_matrix([restored], [truth])[0, 0] > 0.96
    assert area(restored) == pytest.approx(area(truth), rel=0.02)


def test_a_mask_is_moved_onto_a_rectangle_as_its_outline_is(disc):
    box = Letterbox(500, 300, 320, stride=32)
    drawn = disc(300, 140, 50)
    masked = box.instance_to_canvas(Instance("a", to_rle(drawn, 300, 500)))
    assert (masked.region.height, masked.region.width) == (192, 320)
    assert iou_matrix([masked.region], [to_rle(box.instance_to_canvas(drawn), 192, 320)])[0, 0] > 0.97


def test_a_window_is_restored_to_its_place(disc):
    box = Letterbox(500, 300, 320)
    canvas = rle_to_mask(to_rle(box.instance_to_canvas(disc(300, 140, 50)), 320, 320))
    whole = box.restore_mask(canvas)
    window = box.restore_mask(canvas[90:200, 120:260], origin=(120, 90))
    assert iou_matrix([window], [whole])[0, 0] == 1.0


def test_a_map_on_the_padding_restores_to_nothing():
    box = Letterbox(640, 64, 320)
    window, _, _ = box.restore(np.ones((20, 20)), origin=(100, 0))
    assert window.size == 0
    assert area(box.restore_mask(np.ones((20, 20)), origin=(100, 0))) == 0
