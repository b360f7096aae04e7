"""Class, file and folder names that Rich would take for markup, through the verbs that show them."""

import json

import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.cli import main

pytestmark = pytest.mark.usefixtures("runs_in_this_process")

CLASSES = ("[/b]", "[x]", ":gem:")


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "a [bold] b"
    root.mkdir()
    rng = np.random.default_rng(0)
    for number in range(6):
        pixels = rng.integers(40, 60, (64, 96), dtype=np.uint8)
        shapes = []
        for place, label in enumerate(CLASSES):
            x, y, side = 8 + 30 * place, 10 + 5 * number, 14 + number
            pixels[y : y + side, x : x + side] = 180 + number
            corners = [[x, y], [x + side, y], [x + side, y + side], [x, y + side]]
            shapes.append({"label": label, "points": corners, "shape_type": "polygon", "flags": {}})
        stem = f"[red]{number}[b]"
        Image.fromarray(pixels).save(root / f"{stem}.png")
        document = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": f"{stem}.png", "imageData": None}
        (root / f"{stem}.json").write_text(json.dumps(document | {"imageHeight": 64, "imageWidth": 96}))
    return root


def test_markup_in_names_is_shown_as_it_is(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["prepare", "--labelme", str(folder), "--out", "[s] set", "--size", "64", "--augment-copies", "0"]
    assert main([*command, "--workers", "1", "--split", "2:2:2"]) == 0
    shown = capsys.readouterr().out
    assert "64 px canvas, :gem:, [/b], [x]" in shown
    assert "images that show: :gem: 6, [/b] 6, [x] 6" in shown and "run '[s] set'" in shown
    assert main(["audit", "[s] set", "--workers", "1"]) == 0
    assert main(["annotate", str(folder), "--check", "--classes", "[/b],[x]"]) == 1
    shown = capsys.readouterr().out
    assert "[red]0[b].json" in shown and ":gem: 6, [/b] 6, [x] 6" in shown
    assert main(["convert", str(folder), "[c] out", "--to", "coco"]) == 0
    assert ":gem:, [/b], [x]" in capsys.readouterr().out
    assert main(["run", "[s] set", "--models", "otsu", "--preset", "smoke", "--runs", "[r]"]) == 0
    shown = capsys.readouterr().out
    assert "a-bold-b: test set" in shown
    assert main(["predict", str(folder), "--model", "[r]/otsu-smoke-seed0", "--out", "[f]"]) == 0
    assert "[red]0[b].png" in capsys.readouterr().out
