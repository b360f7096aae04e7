import base64
import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.path import Path
from PIL import Image

from nanoseg_bench.annotations.instance import Polygon
from nanoseg_bench.annotations.raster import mask_to_rle
from nanoseg_bench.drawing.outlines import outline_of
from nanoseg_bench.drawing.scale_bar import place_scale_bar
from nanoseg_bench.drawing.svg import outline_paths, path_data, svg_picture

SIZE = WIDTH, HEIGHT = 60, 40
NAME_SPACE = "{http://www.w3.org/2000/svg}"


def scattered_mask():
    """Many parts, some with holes."""
    random = np.random.default_rng(3)
    return np.kron(random.random((10, 15)) < 0.6, np.ones((4, 4), bool))


def rings_of(data):
    return [
        np.array([point.split() for point in ring.split("L")], dtype=float)
        for ring in re.findall(r"M([^MZ]*)Z", data)
    ]  # fmt: skip


def test_a_path_encloses_the_pixels_of_its_mask():
    mask = scattered_mask()
    rings = rings_of(path_data(outline_of(mask_to_rle(mask), SIZE, (0, 0, 0))))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    centres = np.stack([columns.ravel(), rows.ravel()], axis=1)
    # The winding number, which SVG fills by, from areas: +1 within a part, -1 within a hole.
    winding = np.zeros(len(centres))
    for ring in rings:
        x, y = ring.T
        turn = np.sign(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
        winding += turn * Path(np.concatenate((ring, ring[:1])), closed=True).contains_points(centres)
    assert len(rings) > 5
    assert ((winding != 0).reshape(mask.shape) == mask).all()


def test_coordinates_are_written_to_a_hundredth():
    triangle = np.array([(1.23456, 2), (4000.5, 2), (7, 30.999)])
    assert path_data(outline_of((Polygon(triangle),), (5000, 40), (0, 0, 0))) == "M1.23 2L4000.5 2L7 31Z"


def test_lines_lie_over_all_rims():
    region = mask_to_rle(scattered_mask())
    outlines = [
        outline_of(region, SIZE, (255, 0, 0)),
        outline_of(region, SIZE, (0, 0, 255), "tint", thin=True, number=7, title="particle 7: <rod>"),
        outline_of(mask_to_rle(np.zeros((HEIGHT, WIDTH))), SIZE, (0, 255, 0)),
    ]
    paths = list(ElementTree.fromstring(f"<svg>{outline_paths(outlines, line=1.5)}</svg>"))
    rims, lines = paths[:2], paths[2:]
    assert [path.get("fill") for path in rims] == ["none", "#0000ff"]
    assert [path.get("stroke") for path in lines] == ["#ff0000", "#0000ff"]
    assert [path.get("stroke-width") for path in rims] == ["3", "1.5"]
    assert [(path.get("id"), path.get("stroke-width")) for path in lines] == [(None, "1.5"), ("particle-7", "0.75")]
    assert [title.text for path in lines for title in path] == ["particle 7: <rod>"]


def test_a_picture_holds_micrograph_outlines_and_scale_bar():
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT // 2, WIDTH // 2)).astype(np.uint8)
    outline = outline_of(mask_to_rle(scattered_mask()), SIZE, (255, 0, 0))
    bar = place_scale_bar(SIZE, 3.0)
    root = ElementTree.fromstring(svg_picture(pixels, [outline], SIZE, bar))
    assert root.get("viewBox") == "0 0 60 40"
    image = root.find(f"{NAME_SPACE}image")
    kind, data = image.get("href").split(",")
    assert kind == "data:image/png;base64"
    assert (np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) == pixels).all()
    assert (image.get("width"), image.get("height")) == ("60", "40")
    assert len(root.findall(f".//{NAME_SPACE}path")) == 2
    drawn = root.find(f".//{NAME_SPACE}rect")
    assert float(drawn.get("width")) * 3.0 == pytest.approx(50, abs=0.02)
    assert root.find(f".//{NAME_SPACE}text").text == "50 nm"
    assert not root.findall(f".//{NAME_SPACE}g[@class='scale-bar']//{NAME_SPACE}path")
    assert "text" not in svg_picture(pixels, [outline], SIZE)


def test_a_dashed_outline_has_a_whole_rim():
    region = mask_to_rle(scattered_mask())
    plain, dashed = (outline_of(region, SIZE, (255, 0, 0), dashed=each) for each in (False, True))
    rims_and_lines = str(outline_paths([plain, dashed])).splitlines()
    assert ["stroke-dasharray" in path for path in rims_and_lines] == [False, False, False, True]
    assert 'stroke-dasharray="8 6"' in rims_and_lines[-1]
