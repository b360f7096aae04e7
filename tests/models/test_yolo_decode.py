import cv2
import numpy as np
import pytest
import torch
from processor_time import cpu_seconds

from nanoseg_bench.annotations.raster import area, iou_matrix, mask_to_rle, rle_to_mask
from nanoseg_bench.models.yolo_decode import decode_instances, select_detections
from nanoseg_bench.preparation.letterbox import Letterbox

CLASSES = ("disc", "square")


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    overlap = max(width, 0) * max(height, 0)
    return overlap / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap)


def test_suppression_agrees_with_a_literal_loop():
    rng = np.random.default_rng(0)
    count = 200
    centres, sides = rng.uniform(20, 60, (count, 2)), rng.uniform(10, 30, (count, 2))
    scores = rng.uniform(0, 1, (count, 2)) * (rng.random((count, 1)) < 0.8)
    coefficients = rng.normal(size=(count, 3))
    output = torch.from_numpy(np.hstack([centres, sides, scores, coefficients]).T.astype(np.float32))
    kept: list[int] = []
    boxes = np.hstack([centres - sides / 2, centres + sides / 2])
    for index in np.argsort(-scores.max(axis=1)):
        if scores[index].max() >= 0.001 and all(iou(boxes[index], boxes[other]) <= 0.7 for other in kept):
            kept.append(int(index))
    found = select_detections(output, 2, min_score=0.001, limit=count, iou=0.7).numpy()
    np.testing.assert_allclose(found[:, :4], boxes[kept], rtol=1e-4)
    np.testing.assert_allclose(found[:, 4], scores[kept].max(axis=1), rtol=1e-5)
    assert found[:, 5].tolist() == scores[kept].argmax(axis=1).tolist()
    np.testing.assert_allclose(found[:, 6:], coefficients[kept], rtol=1e-5)
    assert len(select_detections(output, 2, min_score=0.001, limit=7, iou=0.7)) == 7


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_anchors_that_hold_no_numbers_are_left_out(value):
    whole = torch.tensor([30.0, 40.0, 8.0, 9.0, 0.7, 0.2, 1.0, -1.0])
    output = whole[:, None].repeat(1, 9)
    for row in range(8):
        output[row, row + 1] = value
    found = select_detections(output, 2, min_score=0.001, limit=9, iou=0.7)
    assert found.tolist() == [pytest.approx([26, 35.5, 34, 44.5, 0.7, 0, 1, -1])]


def disc_prototypes(shape: tuple[int, int], discs) -> np.ndarray:
    """One signed distance map per disc (x, y, radius), in prototype pixels: positive inside."""
    ys, xs = np.mgrid[: shape[0], : shape[1]] + 0.5
    return np.stack([r - np.hypot(xs - x, ys - y) for x, y, r in discs]).astype(np.float32)


@pytest.mark.parametrize(("width", "height"), [(300, 200), (123, 640), (64, 64)])
@pytest.mark.parametrize("stride", [None, 32])
def test_masks_come_back_in_original_pixels(width, height, stride):
    letterbox = Letterbox(width, height, 256, stride)
    columns, rows = letterbox.canvas_size
    radius = 0.3 * min(width, height)
    centre = np.array([[width / 2 + 3, height / 2 - 2]])
    x, y = letterbox.to_canvas(centre)[0] / 4
    r = radius * letterbox.ratio / 4
    prototypes = disc_prototypes((rows // 4, columns // 4), [(x, y, r)])
    box = np.array([x - r, y - r, x + r, y + r]) * 4
    detection = np.array([[*box, 0.8, 1, 1.0]], dtype=np.float32)
    (instance,) = decode_instances(detection, prototypes, letterbox, CLASSES)
    rows, columns = np.mgrid[:height, :width] + 0.5
    truth = mask_to_rle(np.hypot(columns - centre[0, 0], rows - centre[0, 1]) < radius)
    assert (instance.label, instance.score) == ("square", pytest.approx(0.8))
    assert iou_matrix([instance.region], [truth])[0, 0] > 0.96


@pytest.mark.parametrize("cell", [2, 4])
@pytest.mark.parametrize("size", [(300, 200), (123, 640), (256, 256), (1000, 707)])
def test_masks_are_drawn_where_the_prototypes_say(size, cell):
    """On no side by more than on the other: less than 0.02 px of the canvas over many places of the grid."""
    rng, (width, height) = np.random.default_rng(0), size
    letterbox = Letterbox(width, height, 256, 32)
    columns, rows = letterbox.canvas_size
    off = []
    for _ in range(40):
        radius = 0.2 * min(size) * rng.uniform(0.8, 1.2)
        place = rng.uniform([radius + 2] * 2, np.array(size) - radius - 2)
        (x, y), r = letterbox.to_canvas(place[None])[0] / cell, radius * letterbox.ratio / cell
        prototypes = disc_prototypes((rows // cell, columns // cell), [(x, y, r)])
        box = np.array([x - r, y - r, x + r, y + r]) * cell
        (found,) = decode_instances(np.array([[*box, 0.8, 1, 1.0]], np.float32), prototypes, letterbox, CLASSES)
        ys, xs = np.nonzero(rle_to_mask(found.region))
        off.append((np.array([xs.mean(), ys.mean()]) + 0.5 - place) * letterbox.scale)
    assert np.abs(np.mean(off, axis=0)).max() < 0.02


def test_a_mask_ends_at_its_box():
    letterbox = Letterbox(128, 128, canvas=128)
    prototypes = np.ones((1, 32, 32), dtype=np.float32)
    detection = np.array([[10, 20, 50, 70, 0.5, 0, 1.0]], dtype=np.float32)
    (instance,) = decode_instances(detection, prototypes, letterbox, CLASSES)
    expected = np.zeros((128, 128), dtype=bool)
    expected[20:70, 10:50] = True
    assert np.array_equal(rle_to_mask(instance.region), expected)


def test_a_mask_reaches_the_border_of_the_image():
    letterbox = Letterbox(128, 128, canvas=128)
    detection = np.array([[-3, -3, 131, 131, 0.5, 0, 1.0]], dtype=np.float32)
    (instance,) = decode_instances(detection, np.ones((1, 32, 32), dtype=np.float32), letterbox, CLASSES)
    assert area(instance.region) == 128 * 128


def test_empty_masks_are_dropped():
    letterbox = Letterbox(128, 64, canvas=128)
    rows = [
        [10, 40, 50, 70, 0.9, 0, -1.0],  # nothing above the threshold
        [10, 2, 50, 20, 0.8, 0, 1.0],  # on the padding above the image
        [200, 200, 230, 230, 0.7, 0, 1.0],  # outside the canvas
        [10, 40, 50, 70, 0.6, 0, 1.0],
    ]
    prototypes = np.ones((1, 32, 32), dtype=np.float32)
    kept = decode_instances(np.array(rows, dtype=np.float32), prototypes, letterbox, CLASSES)
    assert [instance.score for instance in kept] == [pytest.approx(0.6)]


def test_three_hundred_candidates_take_no_longer_than_their_masks_on_whole_canvases():
    rng = np.random.default_rng(0)
    letterbox = Letterbox(1280, 960, canvas=640)
    corners, sides = rng.uniform(0, 560, (300, 2)), rng.uniform(10, 80, (300, 2))
    scores = np.sort(rng.random((300, 1)))[::-1]
    rest = [scores, np.zeros((300, 1)), rng.normal(size=(300, 32))]
    detections = np.hstack([corners, corners + sides, *rest]).astype(np.float32)
    prototypes = rng.normal(size=(32, 160, 160)).astype(np.float32)
    assert len(decode_instances(detections, prototypes, letterbox, CLASSES)) > 200

    def on_whole_canvases():
        for row in detections[::10]:
            mask = (row[6:] @ prototypes.reshape(32, -1)).reshape(160, 160)
            assert (cv2.resize(mask, (1280, 1280), interpolation=cv2.INTER_LINEAR)[160:1120] > 0).any()

    # Half of it, where this was written: a twelfth of a second. To encode whole canvases, too, takes ten times as long.
    assert cpu_seconds(lambda: decode_instances(detections, prototypes, letterbox, CLASSES)) < 3 * 10 * cpu_seconds(
        on_whole_canvases
    )


def test_pixels_that_two_masks_claim_go_to_the_surer_one_where_that_is_asked_for():
    letterbox = Letterbox(128, 128, canvas=128)
    prototypes = disc_prototypes((32, 32), [(10, 16, 6), (20, 16, 6)])
    # The left particle's mask runs on into the right one as far as its box reaches.
    rows = [[16, 40, 76, 88, 0.9, 0, 1.0, 0.5], [56, 40, 104, 88, 0.8, 1, 0.0, 1.0]]
    detections = np.array(rows, dtype=np.float32)
    both = decode_instances(detections, prototypes, letterbox, CLASSES)
    surer = decode_instances(detections, prototypes, letterbox, CLASSES, "surer")
    shared = lambda found: np.logical_and(*(rle_to_mask(each.region) for each in found)).sum()  # noqa: E731
    assert shared(both) > 20
    assert shared(surer) == 0
    assert [(each.label, each.score) for each in surer] == [(each.label, each.score) for each in both]
