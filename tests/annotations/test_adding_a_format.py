"""A format is added as a contributor would: a package, and a line in the registry. Nothing else is changed."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_process import command_process
from PIL import Image

import nanoseg_bench

FORMAT = '''
"""Discs: a text for each image, a line for each particle."""

from nanoseg_bench.annotations.format import Format


class Discs(Format):
    """``LABEL X Y DIAMETER [SCORE]`` in pixels."""

    name = "discs"
    title = "discs"
    writes = True
    reads_predictions = True

    def find_evidence(self, folder, files):
        return next((path.name for path in files if path.suffix == ".discs"), "")

    def open(self, path, options):
        from nanoseg_bench.annotations.discs.files import DiscsRef
        from nanoseg_bench.annotations.source import Source

        found = sorted(path.rglob("*.discs"))
        return Source("discs", tuple(DiscsRef(each.stem, each) for each in found))

    def writer(self):
        from nanoseg_bench.annotations.discs.files import DiscsWriter

        return DiscsWriter()

    def predictions(self):
        from nanoseg_bench.annotations.discs.files import DiscsPredictions

        return DiscsPredictions()
'''

FILES = '''
"""Reading and writing discs."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nanoseg_bench.annotations.instance import Instance, Micrograph, Polygon
from nanoseg_bench.annotations.loss import ImageLoss, iou_as_read, worst_and_mean
from nanoseg_bench.annotations.predictions import PredictionReader, Regions, RegionsRef, name_below
from nanoseg_bench.annotations.raster import area, polygons_to_rle, rle_to_mask, to_rle
from nanoseg_bench.annotations.writer import Encoded, Writer, particles_of
from nanoseg_bench.errors import AnnotationError
from nanoseg_bench.images import image_size

ANGLES = 2 * np.pi * np.arange(180) / 180


def disc(x, y, diameter):
    return Polygon(np.stack((x + diameter / 2 * np.cos(ANGLES), y + diameter / 2 * np.sin(ANGLES)), axis=1))


def read_lines(path):
    instances = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        label, *words = line.split()
        try:
            x, y, diameter, *score = map(float, words)
        except ValueError as error:
            raise AnnotationError(f"{path}: line {number}: {error}; a disc is LABEL X Y DIAMETER") from error
        instances.append(Instance(label, (disc(x, y, diameter),), score[0] if score else None))
    return instances


@dataclass(frozen=True)
class DiscsRef:
    name: str
    path: Path

    def read(self):
        image = self.path.with_suffix(".png")
        return Micrograph(self.name, image, *image_size(image), tuple(read_lines(self.path)))


class DiscsWriter(Writer):
    def encode(self, micrograph, stem, source, options):
        height, width = micrograph.height, micrograph.width
        lines, ious = [], []
        for each in particles_of(micrograph.instances):
            truth = to_rle(each, height, width)
            ys, xs = np.nonzero(rle_to_mask(truth))
            x, y, diameter = xs.mean() + 0.5, ys.mean() + 0.5, 2 * (area(truth) / np.pi) ** 0.5
            lines.append(f"{each.label} {x:.3f} {y:.3f} {diameter:.3f}\\n")
            ious.append(iou_as_read(polygons_to_rle([disc(x, y, diameter)], height, width), truth))
        worst, mean = worst_and_mean(ious)
        loss = ImageLoss(len(lines), compared=len(lines), worst_iou=worst, mean_iou=mean)
        return Encoded(loss, f"{stem}.discs", lambda image: "".join(lines).encode())


class DiscsPredictions(PredictionReader):
    words = "discs (.discs)"
    no_particle = "An image without particles has an empty file"

    def is_file(self, path):
        return path.suffix == ".discs"

    def open(self, files, root, options):
        return [RegionsRef((name_below(path, root),), path, partial(read_regions, path)) for path in files]


def read_regions(path, size):
    return Regions(read_lines(path))
'''

IMPORT = "from nanoseg_bench.annotations.discs.format import Discs\n"
LINE = "    Discs(),\n"

SIDE = 96


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """run(*arguments): the command line of a copy of the package that has one format more; in a folder of its own."""
    folder = tmp_path_factory.mktemp("added")
    package = Path(nanoseg_bench.__file__).parent
    copy = shutil.copytree(package, folder / "nanoseg_bench", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("baselines", "datasets", "pyproject.toml"):
        (folder / name).symlink_to(package.parent / name)
    discs = copy / "annotations" / "discs"
    discs.mkdir()
    (discs / "__init__.py").touch()
    (discs / "format.py").write_text(FORMAT, encoding="utf-8")
    (discs / "files.py").write_text(FILES, encoding="utf-8")
    registry = copy / "annotations" / "registry.py"
    text = registry.read_text(encoding="utf-8")
    for place, added in (
        ("from nanoseg_bench.annotations.format", f"{IMPORT}from nanoseg_bench.annotations.format"),
        ("    Masks(),\n", f"    Masks(),\n{LINE}"),
    ):
        assert text.count(place) == 1
        text = text.replace(place, added)
    registry.write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"}
    with command_process(environment) as carry_out:

        def run(*arguments, code=0):
            end = carry_out(folder, *arguments)
            assert end.code == code, end.out + end.err
            return end.out + end.err

        run.folder = folder
        yield run


@pytest.fixture(scope="module")
def discs(bench):
    """Twelve micrographs, LabelMe's circles and one square, converted to the new format."""
    rng = np.random.default_rng(3)
    for number in range(12):
        shapes = [
            {"label": "cube" if (number + place) % 2 else "sphere", "shape_type": "circle", "points": points}
            for place, points in enumerate(([[24, 24], [34, 24]], [[66, 30], [66, 42]], [[40, 70], [58, 70]]))
        ]
        if not number:
            shapes[0] |= {"shape_type": "rectangle", "points": [[14, 14], [34, 34]]}
        name = f"grid-{number:02d}"
        document = {"shapes": shapes, "imagePath": f"{name}.png", "imageWidth": SIDE, "imageHeight": SIDE}
        (bench.folder / "drawn").mkdir(exist_ok=True)
        (bench.folder / "drawn" / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
        pixels = rng.integers(0, 255, (SIDE, SIDE)).astype(np.uint8)
        Image.fromarray(pixels).save(bench.folder / "drawn" / f"{name}.png")
    bench("convert", "drawn", "discs", "--to", "discs")
    return bench.folder / "discs"


def test_convert_writes_it_and_tells_the_loss(bench, discs):
    lines = [line.split() for line in (discs / "grid-01.discs").read_text(encoding="utf-8").splitlines()]
    assert [line[0] for line in lines] == ["cube", "sphere", "cube"]
    assert np.array(lines)[:, 1:].astype(float) == pytest.approx(
        np.array([(24, 24, 20), (66, 30, 24), (40, 70, 36)]), abs=0.25
    )
    totals = json.loads((discs / "conversion_report.json").read_text(encoding="utf-8"))["totals"]
    # A square and the disc of its area about the same centre share 0.83 of what either covers.
    assert (totals["images"], totals["instances"]) == (12, 36)
    assert totals["worst_iou"] == pytest.approx(0.83, abs=0.02)
    assert "a loss of 0.1" in bench("convert", "drawn", "strict", "--to", "discs", "--max-loss", "0.05", code=1)


def test_convert_reads_it(bench, discs):
    assert "discs -> coco" in bench("convert", discs, "coco", "--to", "coco")
    document = json.loads((bench.folder / "coco" / "annotations.json").read_text(encoding="utf-8"))
    assert (len(document["images"]), len(document["annotations"])) == (12, 36)
    assert [each["name"] for each in document["categories"]] == ["cube", "sphere"]
    areas = sorted({round(each["area"], -1) for each in document["annotations"]})
    assert areas[0] >= 310 and areas[-1] == pytest.approx(np.pi * 18**2, rel=0.02)
    assert "annotations of several formats: labelme" not in bench("convert", discs, "again", "--to", "discs")
    assert (bench.folder / "again" / "grid-01.discs").is_file()


def test_prepare_and_score_read_it(bench, discs):
    bench(
        "prepare", discs, "--name", "toy", "--size", "96", "--augment-copies", "0", "--split", "1:1:1", "--workers", "1"
    )
    with (bench.folder / "data" / "toy" / "split.csv").open(encoding="utf-8") as stream:
        tested = [row["name"] for row in csv.DictReader(stream) if row["split"] == "test"]
    assert len(tested) > 1
    (bench.folder / "found").mkdir()
    for name in tested:
        shutil.copy(discs / f"{name}.discs", bench.folder / "found")
    told = bench("score", "toy", "--predictions", "found", "--as", "a-tool")
    assert f"test: {len(tested)} images, {3 * len(tested)} particles (discs)" in told
    (row,) = csv.DictReader((bench.folder / "leaderboards" / "toy-test.csv").read_text(encoding="utf-8").splitlines())
    assert (row["model"], float(row["map_50_95"])) == ("a-tool", 1.0)
    (bench.folder / "found" / f"{tested[0]}.discs").unlink()
    told = bench("score", "toy", "--predictions", "found", "--as", "b-tool", code=1)
    assert "An image without particles has an empty file" in told


def test_faults_and_help_name_it(bench, discs):
    help_ = bench("convert", "--help")
    assert "{auto,labelme,via,coco,yolo,masks,discs}" in help_ and "{labelme,coco,yolo,masks,discs}" in help_
    (bench.folder / "empty").mkdir()
    assert "no annotations of a known format (labelme, via, coco, yolo, masks, discs)" in bench(
        "convert", "empty", "none", "--to", "coco", code=1
    )
    broken = bench.folder / "broken"
    shutil.copytree(discs, broken)
    (broken / "grid-00.discs").write_text("cube 1 2\n", encoding="utf-8")
    assert "grid-00.discs: line 1:" in bench("convert", broken, "none", "--to", "coco", code=1)
