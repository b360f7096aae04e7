"""Large annotated micrographs in tiles: nothing is lost, learnt twice, or split from its other tiles."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Micrograph, Polygon
from nanoseg_bench.annotations.raster import area, to_mask, to_rle
from nanoseg_bench.annotations.source import LoadedMicrograph
from nanoseg_bench.cli import main
from nanoseg_bench.images import read_image, read_with_notes
from nanoseg_bench.preparation import banners, tiling
from nanoseg_bench.preparation.hashing import pixels_sha256
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.preparation.tiling import lay_tiles

pytestmark = pytest.mark.usefixtures("runs_in_this_process")

HEIGHT, WIDTH, SIDE = 300, 400, 128


def square(x, y, side):
    return [[x, y], [x + side, y], [x + side, y + side], [x, y + side]]


SQUARES = [square(10, 10, 30), square(120, 20, 30), square(60, 130, 60), square(371, 200, 20), square(131, 200, 30)]
"""Inside of a tile, across one seam, across two, inside, and across a seam with hardly anything on one side."""


def annotate(folder, name, seed, height=HEIGHT, width=WIDTH, squares=SQUARES):
    folder.mkdir(parents=True, exist_ok=True)
    # Coarse: in finer noise each pixel is a feature, and comparing takes most of the time.
    coarse = np.random.default_rng(seed).integers(0, 255, (height // 6, width // 6), dtype=np.uint8)
    Image.fromarray(coarse).resize((width, height)).save(folder / f"{name}.png")
    shapes = [
        {"label": "cube", "points": points, "group_id": None, "shape_type": "polygon", "flags": {}}
        for points in squares
    ]
    document = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{name}.png", "imageData": None}
    document |= {"imageHeight": height, "imageWidth": width}
    (folder / f"{name}.json").write_text(json.dumps(document))


@pytest.fixture
def own(tmp_path):
    """Three large micrographs, and one that is no larger than a tile."""
    folder = tmp_path / "fields"
    for number in range(3):
        annotate(folder, f"f{number}_a", number)
    annotate(folder, "small_a", 9, 100, 120, [square(10, 10, 30)])
    return folder


def prepare(own, out, *more):
    command = ["prepare", own, "--out", out, "--size", "128", "--augment-copies", "0", "--workers", "1"]
    return main([str(each) for each in (*command, *more)])


def whole(instances):
    return LoadedMicrograph(Micrograph("a", Path("a.png"), WIDTH, HEIGHT, instances))


def test_tiles_adjoin_and_cover():
    tiles = lay_tiles(whole(()), WIDTH, HEIGHT, SIDE)
    covered = np.zeros((HEIGHT, WIDTH), int)
    for tile in tiles:
        covered[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width] += 1
        assert min(tile.width, tile.height) >= SIDE / 1.5 and max(tile.width, tile.height) <= 1.5 * SIDE
    assert (covered == 1).all() and len(tiles) == 6
    entry = whole(())
    assert list(lay_tiles(entry, 150, 150, SIDE)) == [entry]


@pytest.mark.parametrize("as_mask", [False, True])
def test_what_a_tile_shows_is_what_lies_in_it(as_mask):
    drawn = [Instance("cube", (Polygon(np.array(points, dtype=float)),)) for points in SQUARES]
    drawn.append(
        Instance(IGNORE_LABEL, (Polygon(np.array([[0, 280], [400, 280], [400, 300], [0, 300]], dtype=float)),))
    )
    drawn.append(Instance("cube", (Polygon(np.array(square(-50, -50, 20), dtype=float)),)))
    if as_mask:
        drawn = [Instance(each.label, to_rle(each, HEIGHT, WIDTH)) for each in drawn]
    every = sum(to_mask(each, HEIGHT, WIDTH).astype(int) for each in drawn)
    shown, particles, divided = np.zeros((HEIGHT, WIDTH), int), [], 0
    for tile in lay_tiles(whole(tuple(drawn)), WIDTH, HEIGHT, SIDE):
        micrograph = tile.read()
        assert (micrograph.width, micrograph.height) == (tile.width, tile.height)
        for each in micrograph.instances:
            box = np.s_[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width]
            shown[box] += to_mask(each, tile.height, tile.width)
            if not each.ignored:
                particles.append(area(to_rle(each, tile.height, tile.width)))
        divided += micrograph.cutout.divided
    assert (shown == every).all()
    assert divided == 3 and sorted(particles) == sorted(expected_areas())


def expected_areas():
    """Areas of the pieces that count, by cutting along the seams of three columns and two rows."""
    xs, ys = [0, 133, 267, 400], [0, 150, 300]
    areas = [0]  # the one that lies outside of the image
    for points in SQUARES:
        (x0, y0), (x1, y1) = points[0], points[2]
        for left, right in pairwise(xs):
            for top, bottom in pairwise(ys):
                piece = max(min(x1, right) - max(x0, left), 0) * max(min(y1, bottom) - max(y0, top), 0)
                if piece >= 0.1 * (x1 - x0) * (y1 - y0):
                    areas.append(piece)
    return areas


def test_a_set_of_tiles(own, tmp_path, capsys):
    out = tmp_path / "set"
    assert prepare(own, out, "--tile", SIDE, "--split", "2:1:1") == 0
    prepared = PreparedSet(out)
    (said,) = (text for text in prepared.summary["warnings"] if "cut into" in text)
    assert "3 micrographs cut into 18 tiles" in said and "their seams cut 9 particles" in said
    assert prepared.name == "fields-tile128" and prepared.summary["parameters"]["tile"] == SIDE
    assert prepared.audit["passed"]
    images = {image.micrograph: image for image in prepared.all_images}
    assert len(images) == 3 * 6 + 1 and "small_a" in images
    for number in range(3):
        tiles = [image for name, image in images.items() if name.startswith(f"f{number}_a~")]
        assert len(tiles) == 6
        assert len({image.split for image in tiles}) == len({image.source_group for image in tiles}) == 1
    first = images["f0_a~1-2"]
    assert (first.letterbox.width, first.letterbox.height) == (134, 150)
    assert first.pixels_sha256 == pixels_sha256(read_image(own / "f0_a.png")[:150, 133:267]), "not resampled"
    assert prepare(own, out, "--tile", SIDE, "--split", "2:1:1") == 0, "the same again is kept"
    assert prepare(own, out, "--tile", 200, "--split", "2:1:1") == 1
    assert "tile 128 -> 200" in capsys.readouterr().err


@pytest.mark.parametrize("more", [(), ("--ignore-banners",)])
def test_a_micrograph_is_decoded_once_for_all_of_its_tiles(own, tmp_path, monkeypatch, more):
    """In each of the two passes: a hundred megapixels take seconds, and may be hundreds of tiles.

    Who looks for information bars decodes it, too: in each pass, and before, where the tiles are laid.
    """
    decoded, looked_at = [], []

    def read(path):
        decoded.append(path.stem)
        return read_with_notes(path)

    def look(path):
        looked_at.append(path.stem)
        return read_image(path)

    monkeypatch.setattr(tiling, "read_with_notes", read)
    monkeypatch.setattr(banners, "read_image", look)
    assert prepare(own, tmp_path / "set", "--tile", SIDE, "--split", "2:1:1", *more) == 0
    assert {path.stem for path in own.glob("f*.png")} <= set(decoded)
    assert max(Counter(decoded).values()) <= 2 and max(Counter(looked_at).values(), default=0) <= 3
    assert not tiling._last, "nor do the pixels of the last one stay in memory"


def test_black_corners_of_unrelated_fields_join_nothing(own, tmp_path, capsys):
    """Identical images are of one source; the empty corners of stitched fields are not."""
    for number in range(3):
        path = own / f"f{number}_a.png"
        pixels = np.array(Image.open(path))
        pixels[:150, :133] = pixels[150:, 267:] = 0
        Image.fromarray(pixels).save(path)
        document = json.loads((own / f"f{number}_a.json").read_text())
        # Nothing is drawn on the first corner; on the last of one field, something is.
        document["shapes"] = [{**document["shapes"][0], "points": square(150, 200, 30)}]
        if number == 2:
            document["shapes"].append({**document["shapes"][0], "points": square(300, 200, 30)})
        document["shapes"].append({**document["shapes"][0], "label": "_background_"})
        (own / f"f{number}_a.json").write_text(json.dumps(document))
    assert prepare(own, tmp_path / "set", "--tile", SIDE, "--split", "2:1:1", "--preview") == 0
    assert "5 images of one grey value on which nothing is drawn, left out" in capsys.readouterr().out
    prepared = PreparedSet(tmp_path / "set")
    tiles = [image for image in prepared.all_images if image.micrograph != "small_a"]
    assert len(tiles) == 3 * 6 - 5 and len({image.source_group for image in tiles}) == 3
    report = json.loads((tmp_path / "set/prepare_report.json").read_text())
    left_out = [f"f{number}_a~{place}" for number in range(3) for place in ("1-1", "2-3")]
    assert report["blank"] == left_out[:-1]
    assert len(report["notes"]) == 3, "what was noted of a field is told once, whichever tile is the first"
    assert "Images of one grey value, left out: 5" in (tmp_path / "set/preview.html").read_text()


def test_tables_and_rules_name_whole_micrographs(own, tmp_path):
    (tmp_path / "scales.csv").write_text("name,nm_per_px\n" + "".join(f"f{number}_a,0.5\n" for number in range(3)))
    parts = ["train", "val", "test"]
    split = "name,split\nsmall_a,train\n" + "".join(f"f{number}_a,{part}\n" for number, part in enumerate(parts))
    (tmp_path / "split.csv").write_text(split)
    more = ("--group-by", "regex:^(.+)_a$", "--scale-csv", tmp_path / "scales.csv")
    assert prepare(own, tmp_path / "set", "--tile", SIDE, "--split-file", tmp_path / "split.csv", *more) == 0
    for image in PreparedSet(tmp_path / "set").all_images:
        if image.micrograph != "small_a":
            number = int(image.micrograph[1])
            assert (image.split, image.source_group, image.nm_per_px) == (parts[number], f"f{number}", 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--tile", "10"], "at least 64"), (["--tile", "128", "--images", "4"], "leave --images out")],
)
def test_usage(own, tmp_path, capsys, arguments, message):
    assert prepare(own, tmp_path / "set", *arguments) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    "option", ["--tile 300", "--iscrowd particle", "--drop-duplicates", "--label-attribute kind", "--min-area 5"]
)
def test_only_of_the_users_own(tmp_path, capsys, option):
    assert main(["prepare", "--dataset", "nanosynth", *option.split(), "--out", str(tmp_path / "set")]) == 2
    named = option.removesuffix(" 5")
    assert f"{named}: goes with your own annotations" in capsys.readouterr().err


def test_a_split_may_name_a_micrograph_that_is_left_out(own, tmp_path):
    """What is wrong with it is told of each of its tiles."""
    annotate(own, "f1_a", 1, squares=[square(x, y, 30) for x in (50, 180, 310) for y in (50, 200)])
    document = (own / "f1_a.json").read_text()
    (own / "f1_a.json").write_text(document.replace('"cube"', '"wire"'))
    (tmp_path / "split.csv").write_text("name,split\nsmall_a,train\nf0_a,train\nf1_a,val\nf2_a,test\n")
    more = ("--split-file", tmp_path / "split.csv", "--classes", "cube", "--on-error", "skip")
    assert prepare(own, tmp_path / "set", "--tile", SIDE, *more) == 0
    split = {image.micrograph.split("~")[0]: image.split for image in PreparedSet(tmp_path / "set").all_images}
    assert split == {"small_a": "train", "f0_a": "train", "f2_a": "test"}
    annotate(own, "f1_a", 1, squares=[])
    Image.new("L", (WIDTH, HEIGHT)).save(own / "f1_a.png")  # all of its tiles are blank
    assert prepare(own, tmp_path / "set", "--tile", SIDE, *more) == 0, "the same set"
