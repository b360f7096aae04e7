"""One image is no "1 images": what the verbs print and write about the smallest folders there are."""

import html
import json
import re

import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.cli import main

# At most one word between the number and its noun; "1 of 3 images" is right.
ONE_OF_MANY = re.compile(
    r"(?<![\d.,–/])\b1 (?:(?!of\b)[A-Za-z-]+ )?(?:images|files|particles|groups|shapes|points|parts|holes|pixels|"
    r"pieces|regions|labels|classes|errors|warnings|faults|findings|pairs|copies|names|rows|splits|micrographs|others)\b"
)


@pytest.fixture
def folder(tmp_path):
    """folder(n, *more shapes of the first file): n micrographs with one particle each."""

    def make(number, *more):
        root = tmp_path / f"own{len(list(tmp_path.glob('own*')))}"
        root.mkdir()
        for k in range(number):
            # Coarse: in finer noise each pixel is a feature, and comparing takes most of the time.
            coarse = Image.fromarray(np.random.default_rng(k).integers(0, 255, (12, 16)).astype(np.uint8))
            coarse.resize((80, 60)).save(root / f"a{k}.png")
            shape = {"label": "cube", "points": [[5, 5], [45, 5], [25, 45]], "shape_type": "polygon"}
            document = {"shapes": [shape, *(more if k == 0 else ())], "imagePath": f"a{k}.png"}
            (root / f"a{k}.json").write_text(json.dumps(document))
        return root

    return make


@pytest.fixture
def said(capsys, tmp_path):
    """Everything that was printed and every report and page that was written, as plain text."""

    def read():
        captured = capsys.readouterr()
        texts = [captured.out, captured.err]
        written = [*tmp_path.rglob("*report.json"), *tmp_path.rglob("*audit.json")]
        texts += [path.read_text(encoding="utf-8") for path in written]
        for path in tmp_path.rglob("*.html"):
            page = re.sub(r"<(style|svg).*?</\1>|<[^>]*>", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL)
            texts.append(html.unescape(page))
        return "\n".join(" ".join(line.split()) for line in "\n".join(texts).splitlines())

    return read


def wrong(text):
    return [text[max(match.start() - 30, 0) : match.end() + 30] for match in ONE_OF_MANY.finditer(text)]


def run(*arguments):
    return main([str(each) for each in arguments])


POINT = {"label": "cube", "points": [[5, 5]], "shape_type": "point"}
LINE = {"label": "cube", "points": [[5, 5], [9, 9]], "shape_type": "line"}
OPEN = {"label": "cube", "points": [[5, 5], [9, 9]], "shape_type": "polygon"}
UPPER = {"label": "Cube", "points": [[50, 5], [70, 5], [60, 45]], "shape_type": "polygon"}
OVER = {"label": "cube", "points": [[50, 20], [90, 30], [50, 45]], "shape_type": "polygon"}


def test_the_pattern_finds_what_it_is_for():
    assert wrong("there are 1 images") and wrong("1 LabelMe files,") and wrong("1 source groups (a)")
    assert not wrong("1 image, 11 images, 1 of 3 images, 0.1 images, 21 files, 1 source group")


@pytest.mark.parametrize("to", ["labelme", "coco", "yolo", "masks"])
def test_convert(folder, said, tmp_path, to):
    assert run("convert", folder(1, LINE, UPPER, OVER), tmp_path / "out", "--to", to) == 0
    text = said()
    assert "(1 particle)" in text
    assert wrong(text) == []
    for number in (1, 2):
        own = folder(number, OPEN)
        assert run("convert", own, tmp_path / "no", "--to", to) == 1
        run("convert", own, tmp_path / f"skip{number}", "--to", to, "--on-error", "skip")
    text = said()
    assert "1 faulty shape left out of 1 image" in text
    assert wrong(text) == []


def test_annotate(folder, said):
    for more in ([], [POINT], [OPEN], [LINE, UPPER], [OPEN, OPEN, OPEN]):
        run("annotate", folder(1, *more), "--check")
    run("annotate", folder(2), "--check", "--classes", "rod")
    text = said()
    assert "1 LabelMe file, 1 to be mended: 1 error, 0 warnings. Particles: none" in text
    assert wrong(text) == []


def test_prepare_and_audit(folder, said, tmp_path):
    options = ["--size", "64", "--augment-copies", "1", "--workers", "1", "--preview"]
    assert run("prepare", "--labelme", folder(1), "--out", tmp_path / "one", *options) == 1
    assert "1 image in 1 source group (a0) cannot be split" in (text := said())
    assert wrong(text) == []
    own = folder(4, LINE, UPPER, OVER)
    (own / "a3.json").write_text(json.dumps({"shapes": [OPEN], "imagePath": "a3.png"}))
    Image.new("L", (60, 40)).save(own / "bare.png")
    assert run("prepare", "--labelme", own, "--out", tmp_path / "set", "--on-error", "skip", *options) == 0
    assert run("audit", tmp_path / "set", "--workers", "1") == 0
    text = said()
    assert "1 image that cannot be used, left out" in text and "1 particle" in text
    assert wrong(text) == []
    (tmp_path / "split.csv").write_text("name,split\na0,train\na1,val\nghost,train\n")
    for more in (["--split-file", tmp_path / "split.csv"], ["--images", "9"], ["--split", "1:1:1"]):
        run("prepare", "--labelme", folder(2), "--out", tmp_path / f"no-{more[0]}", *more, *options)
    text = said()
    assert "the split names 1 image that the data set does not hold: ghost" in text
    assert wrong(text) == []
