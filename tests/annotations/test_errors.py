"""A program that calls this package can tell why annotations cannot be used."""

import json

import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.annotations import errors
from nanoseg_bench.annotations.conversion import convert
from nanoseg_bench.annotations.instance import Instance, Micrograph, Polygon
from nanoseg_bench.annotations.readers import open_source
from nanoseg_bench.annotations.source import LoadedMicrograph, Source

SQUARE = [[5, 5], [25, 5], [25, 25], [5, 25]]


def labelme(folder, image=(60, 40)):
    shape = {"label": "cube", "points": SQUARE, "shape_type": "polygon"}
    document = {"shapes": [shape], "imagePath": "a.png", "imageWidth": 60, "imageHeight": 40}
    (folder / "a.json").write_text(json.dumps(document))
    if image:
        Image.new("L", image).save(folder / "a.png")


def masks(folder):
    for name, pixels in (("images", np.zeros((40, 60), np.uint8)), ("masks", np.full((40, 60), 255, np.uint8))):
        pixels[10:20, 10:20] = 0
        (folder / name).mkdir()
        Image.fromarray(pixels).save(folder / name / "a.png")


def read(folder, format="auto"):
    (entry,) = open_source(folder, format).entries
    return entry.read()


def with_a_hole(folder):
    ring = Polygon(np.array(SQUARE, float), (np.array(SQUARE, float) * 0.6 + 6,))
    Image.new("L", (60, 40)).save(folder / "a.png")
    micrograph = Micrograph("a", folder / "a.png", 60, 40, (Instance("cube", (ring,)),))
    return Source("labelme", (LoadedMicrograph(micrograph),))


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (lambda folder: read(folder / "none"), errors.NoAnnotationsError),
        (lambda folder: read(folder), errors.NoAnnotationsError),
        (lambda folder: (labelme(folder), masks(folder), read(folder)), errors.UnclearFormatError),
        (lambda folder: (labelme(folder, image=None), read(folder)), errors.MissingImageError),
        (lambda folder: (labelme(folder, image=(40, 60)), read(folder)), errors.ImageMismatchError),
        (lambda folder: (masks(folder), read(folder)), errors.MaskKindError),
        (
            lambda folder: convert(with_a_hole(folder), folder / "out", "yolo", max_loss=0.1, workers=1),
            errors.LossError,
        ),
    ],
)
def test_a_cause_has_its_class(tmp_path, make, cause):
    with pytest.raises(cause) as caught:
        make(tmp_path)
    assert type(caught.value) is cause
