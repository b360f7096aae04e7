"""Every format that is written × every oddity of a particle: written, read by its door, compared pixel by pixel."""

import json
from dataclasses import replace

import numpy as np
import pytest
from annotation_files import write_instance_map, write_yolo
from PIL import Image

from nanoseg_bench.annotations.coco.writing import CocoWriter
from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Micrograph, Polygon
from nanoseg_bench.annotations.labelme.reading import read_labelme
from nanoseg_bench.annotations.labelme.writing import write_labelme
from nanoseg_bench.annotations.masks.options import MaskOptions
from nanoseg_bench.annotations.raster import iou_matrix, mask_to_rle, to_mask, to_rle
from nanoseg_bench.annotations.readers import open_source

WIDTH, HEIGHT = 60, 40
CLASSES = ("cube", "rod")


def box(left, top, right, bottom):
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], dtype=float)


def round_outline(x, y, radius, points=90):
    angles = 2 * np.pi * np.arange(points) / points
    return np.stack((x + radius * np.cos(angles), y + radius * np.sin(angles)), axis=1)


def noise():
    mask = np.random.default_rng(3).random((HEIGHT, WIDTH)) > 0.7
    mask[0, 0] = mask[-1, -1] = True
    return mask


def pixel():
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[7, 9] = True
    return mask


ODDITIES = {
    "plain": [Instance("cube", (Polygon(box(3, 4, 20, 15)),)), Instance("rod", (Polygon(round_outline(40, 20, 9.3)),))],
    "holes": [
        Instance("cube", (Polygon(box(2, 2, 30, 30), (box(6, 6, 12, 12), box(16, 16, 22, 25))),)),
        Instance("rod", (Polygon(round_outline(45, 20, 9)),)),
    ],
    "parts": [
        Instance("rod", (Polygon(box(2, 2, 10, 10)), Polygon(round_outline(30, 20, 6)), Polygon(box(50, 30, 55, 38))))
    ],
    "part-in-a-hole": [
        Instance("cube", (Polygon(box(2, 2, 30, 30), (box(6, 6, 24, 24),)), Polygon(round_outline(15, 15, 4))))
    ],
    "circle": [Instance("cube", (Polygon(round_outline(30, 20, 12.5, 720)),))],
    "mask": [Instance("cube", mask_to_rle(noise()))],
    "one-pixel": [Instance("cube", mask_to_rle(pixel()))],
    "crowd": [
        Instance("rod", (Polygon(box(3, 4, 20, 15)),), crowd=True),
        Instance("cube", (Polygon(box(30, 4, 50, 15)),)),
    ],
    "ignore": [
        Instance(IGNORE_LABEL, (Polygon(box(0, 30, 60, 40)),)),
        Instance("cube", (Polygon(box(30, 4, 50, 15)),)),
    ],
    "clipped-points": [
        Instance("cube", (Polygon(box(-8, -9, 20, 15)),)),
        Instance("rod", (Polygon(np.array([(70, 20), (40, 5), (40, 60)], dtype=float)),)),
    ],
    "overlapping": [
        Instance("cube", (Polygon(box(3, 4, 20, 15)),)),
        Instance("rod", (Polygon(box(10, 10, 30, 20)),)),
    ],
    "background": [],
}


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "images" / "a.png"
    path.parent.mkdir()
    Image.new("L", (WIDTH, HEIGHT), 90).save(path)
    return path


def micrograph_of(oddity, image):
    return Micrograph("a", image, WIDTH, HEIGHT, tuple(ODDITIES[oddity]))


def read_only(path, format_, **options):
    source = open_source(path, format_, **options)
    (entry,) = source.entries
    micrograph = entry.read()
    assert (micrograph.width, micrograph.height) == (WIDTH, HEIGHT)
    return micrograph


def through_coco(micrograph, folder):
    with CocoWriter(folder / "coco.json", CLASSES) as writer:
        writer.add(micrograph.name, (micrograph.width, micrograph.height), micrograph.instances)
    # That a crowd is all there is must be said, or it may be a particle by another tool's habit.
    return read_only(folder / "coco.json", "coco", image_folder=micrograph.image_path.parent, iscrowd="ignore")


def through_labelme(micrograph, folder):
    path = folder / "labelme" / "a.json"
    path.parent.mkdir(exist_ok=True)
    (path.parent / "a.png").write_bytes(micrograph.image_path.read_bytes())
    write_labelme(path, micrograph, "a.png")
    return read_only(path.parent, "labelme")


def masks_of(micrograph):
    return [to_rle(instance, HEIGHT, WIDTH) for instance in micrograph.instances]


def roles_of(micrograph):
    """Class of each particle, or that it is ignored, whatever the ignore region's class was."""
    return [IGNORE_LABEL if instance.ignored else instance.label for instance in micrograph.instances]


@pytest.mark.parametrize("oddity", ODDITIES)
def test_coco_keeps(oddity, image, tmp_path):
    before = micrograph_of(oddity, image)
    after = through_coco(before, tmp_path)
    assert masks_of(after) == masks_of(before)
    assert roles_of(after) == roles_of(before)


@pytest.mark.parametrize("oddity", ODDITIES)
def test_labelme_keeps(oddity, image, tmp_path):
    before = micrograph_of(oddity, image)
    after = through_labelme(before, tmp_path)
    assert masks_of(after) == masks_of(before)
    assert roles_of(after) == roles_of(before)
    assert [instance.label for instance in after.instances] == [instance.label for instance in before.instances]


@pytest.mark.parametrize("through", [through_coco, through_labelme])
def test_what_a_person_outlined_is_told(through, image, tmp_path):
    drawn = [replace(each, origin=origin) for origin, each in zip(("drawn", "changed"), ODDITIES["plain"], strict=True)]
    before = replace(micrograph_of("plain", image), instances=tuple(drawn))
    after = through(before, tmp_path)
    assert [each.origin for each in after.instances] == ["drawn", "changed"]
    assert after.not_carried == ()


@pytest.mark.parametrize("through", [through_coco, through_labelme])
def test_what_a_model_outlined_is_written_as_ever(through, image, tmp_path):
    written = []
    for origin in (None, "model"):
        folder = tmp_path / str(origin)
        folder.mkdir()
        instances = tuple(replace(each, origin=origin) for each in ODDITIES["plain"])
        after = through(replace(micrograph_of("plain", image), instances=instances), folder)
        assert {each.origin for each in after.instances} == {None}
        written.append([path.read_bytes() for path in sorted(folder.rglob("*.json"))])
    assert written[0] == written[1] != []


@pytest.mark.parametrize("oddity", ODDITIES)
def test_labelme_to_coco_to_labelme_to_coco_keeps(oddity, image, tmp_path):
    first = through_labelme(micrograph_of(oddity, image), tmp_path)
    second = through_coco(first, tmp_path)
    third = through_coco(through_labelme(second, tmp_path), tmp_path)
    assert masks_of(first) == masks_of(second) == masks_of(third)
    assert roles_of(first) == roles_of(second) == roles_of(third)


@pytest.mark.parametrize("oddity", ODDITIES)
def test_instance_map_keeps_or_counts(oddity, image, tmp_path):
    before = micrograph_of(oddity, image)
    _, drawn = write_instance_map(tmp_path / "masks" / "a.png", before.instances, HEIGHT, WIDTH)
    loss = drawn.loss()
    after = read_only(tmp_path, "masks", masks=MaskOptions("instance"))
    particles = [to_mask(instance, HEIGHT, WIDTH) for instance in before.instances if not instance.ignored]
    # A map has one particle per pixel, the later one, and neither classes nor ignore regions.
    visible = [mask & ~np.any(particles[number:] or [mask & False], axis=0) for number, mask in enumerate(particles, 1)]
    assert masks_of(after) == [mask_to_rle(mask) for mask in visible]
    assert loss.instances == len(particles)
    assert loss.overlapped_pixels == (np.sum(particles, axis=0) > 1).sum() == (50 if oddity == "overlapping" else 0)
    assert {instance.label for instance in after.instances} <= {"particle"}


YOLO_LOSSES = {
    "holes": {"holes_lost": 2},
    "parts": {"parts_joined": 2},
    "part-in-a-hole": {"holes_lost": 1, "parts_joined": 1},
    "crowd": {"ignored_lost": 1},
    "ignore": {"ignored_lost": 1},
    "clipped-points": {"points_clipped": 5},
}


@pytest.mark.parametrize("oddity", [oddity for oddity in ODDITIES if oddity != "mask"])
def test_yolo_keeps_or_counts(oddity, image, tmp_path):
    before = micrograph_of(oddity, image)
    loss = write_yolo(tmp_path / "labels" / "a.txt", before.instances, CLASSES, HEIGHT, WIDTH)
    after = read_only(tmp_path, "yolo", classes=CLASSES)
    particles = [instance for instance in before.instances if not instance.ignored]
    counted = {
        name: getattr(loss, name)
        for name in ("holes_lost", "parts_joined", "ignored_lost", "points_clipped", "vanished")
        if getattr(loss, name)
    }
    assert counted == YOLO_LOSSES.get(oddity, {})
    assert loss.instances == len(particles)
    assert [instance.label for instance in after.instances] == [instance.label for instance in particles]
    # What YOLO can hold: exteriors without their holes.
    expected = [
        instance
        if not isinstance(instance.region, tuple)
        else Instance(instance.label, tuple(Polygon(part.exterior) for part in instance.region))
        for instance in particles
    ]
    if expected:
        truth = [to_rle(instance, HEIGHT, WIDTH) for instance in expected]
        # Six decimals of a share move a point by up to 0.00003 px; a bridge between parts may paint a few pixels.
        bound = {"parts": 0.95}.get(oddity, 0.99)
        assert (np.diag(iou_matrix(masks_of(after), truth)) >= bound).all()


def test_yolo_of_a_mask_of_many_parts_counts_them(image, tmp_path):
    before = micrograph_of("mask", image)
    loss = write_yolo(tmp_path / "labels" / "a.txt", before.instances, CLASSES, HEIGHT, WIDTH)
    assert loss.instances == 1 and loss.parts_joined > 100
    assert len(read_only(tmp_path, "yolo", classes=CLASSES).instances) == 1


VIA_SHAPES = {
    "polygon": {"name": "polygon", "all_points_x": [5, 25, 15.5], "all_points_y": [5, 5, 25]},
    "rect": {"name": "rect", "x": 3, "y": 4, "width": 14, "height": 5},
    "circle": {"name": "circle", "cx": 30, "cy": 20, "r": 12.5},
    "ellipse": {"name": "ellipse", "cx": 30, "cy": 20, "rx": 20, "ry": 6, "theta": 0.5},
    "clipped-points": {"name": "circle", "cx": 58, "cy": 3, "r": 12.5},
}


@pytest.mark.parametrize("shape", VIA_SHAPES)
def test_via_to_coco_and_labelme_keeps(shape, image, tmp_path):
    region = {"shape_attributes": VIA_SHAPES[shape], "region_attributes": {"type": "rod"}}
    path = tmp_path / "via.json"
    path.write_text(json.dumps({"_via_img_metadata": {"a": {"filename": "a.png", "regions": [region]}}}))
    before = read_only(path, "via")
    for through in (through_coco, through_labelme):
        after = through(before, tmp_path)
        assert masks_of(after) == masks_of(before)
        assert roles_of(after) == ["rod"]


LABELME_SHAPES = {
    "polygon": {"points": [[5, 5], [25, 5], [15, 25]]},
    "rectangle-any-corners": {"shape_type": "rectangle", "points": [[20, 15], [3, 4]]},
    "rectangle-4-points": {"shape_type": "rectangle", "points": [[3, 4], [20, 4], [20, 15], [3, 15]]},
    "oriented-rectangle": {"shape_type": "oriented_rectangle", "points": [[10, 5], [20, 15], [15, 20], [5, 10]]},
    "circle": {"shape_type": "circle", "points": [[30, 20], [42.5, 20]]},
    "clipped-points": {"shape_type": "circle", "points": [[58, 3], [70, 3]]},
    "crowd": {"points": [[5, 5], [25, 5], [15, 25]], "flags": {"crowd": True}},
    "ignore": {"label": "ignore", "points": [[5, 5], [25, 5], [15, 25]]},
}


@pytest.mark.parametrize("shape", LABELME_SHAPES)
def test_labelme_shape_to_coco_keeps(shape, labelme_file, tmp_path):
    written = {"label": "cube", "shape_type": "polygon", "group_id": None, "flags": {}, **LABELME_SHAPES[shape]}
    before = read_labelme(labelme_file([written], size=(WIDTH, HEIGHT)))
    after = through_coco(before, tmp_path)
    assert masks_of(after) == masks_of(before)
    assert roles_of(after) == roles_of(before)
