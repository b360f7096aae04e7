import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from nanoseg_bench.cli import main
from nanoseg_bench.nsyolo import build_network
from nanoseg_bench.nsyolo.weights import save_weights

HEIGHT, WIDTH = 100, 160


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a micrograph and weights of two schemes, untrained but with scores that vary about one half."""
    folder = tmp_path_factory.mktemp("Über 粒子")
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    Image.fromarray(image).save(folder / "Größe 纳米.png")
    for scheme in ("nsyolo", "yolo11n"):
        torch.manual_seed(0)
        network = build_network(scheme, 1)
        with torch.no_grad():
            for scores in network.model[-1].cv3:
                scores[-1].bias.zero_()
        about = {"model": scheme, "classes": ["particle"], "canvas": 64, "max_instances": 4, "options": {}}
        save_weights(folder / f"{scheme}.safetensors", network.state_dict(), about)
    return folder


@pytest.fixture
def explain(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*more, scheme="nsyolo", image="Größe 纳米.png"):
        command = ["explain", place / image, "--model", place / f"{scheme}.safetensors", "--confidence", "0.4", *more]
        return main([str(each) for each in command])

    return run


def test_picture_and_arrays(explain, tmp_path, capsys):
    assert explain("--arrays", tmp_path / "maps.npz", "--at", "20,30", "150.5,80") == 0
    picture = Image.open(tmp_path / "Größe 纳米-explained.png")
    # Four panels of 3.4 inches and as high as the micrograph asks, at 200 dots per inch.
    width = 2 * 0.2 + 4 * 3.4 + 3 * 0.24
    height = 0.42 + 2 * (0.44 + 3.4 * HEIGHT / WIDTH + 0.46)
    assert picture.size == (int(width * 200), int(height * 200))
    assert np.asarray(picture.convert("L")).std() > 20
    shown = capsys.readouterr().out
    assert "Größe 纳米-explained.png" in shown and "maps.npz" in shown
    arrays = np.load(tmp_path / "maps.npz")
    snake, attention = "model.19.m.0.cv2", "model.10.m.0.attn"
    shapes = {name: arrays[name].shape for name in arrays.files}
    count = shapes.pop("scores")[0]
    assert f"{count} particle" in shown
    assert shapes == {
        "image": (HEIGHT, WIDTH),
        "confidence": (HEIGHT, WIDTH),
        "mask_probability": (HEIGHT, WIDTH),
        "instance_boundary": (HEIGHT, WIDTH),
        f"boundary_attention:{snake}": (HEIGHT, WIDTH),
        f"snakes_along_x:{snake}": (4, 4, 5, 2),
        f"snakes_along_y:{snake}": (4, 4, 5, 2),
        f"regions:{attention}": (16, 4),
        f"routes:{attention}": (16, 4),
    }
    assert 0.4 <= arrays["confidence"].max() <= 1


def test_without_the_blocks_it_says_so(explain, tmp_path, capsys):
    assert explain("--out", tmp_path / "stock.png", scheme="yolo11n") == 0
    out = capsys.readouterr().out
    assert "yolo11n has neither C3BADS nor C3DS" in out and "no C2PSA_BRA" in out
    assert Image.open(tmp_path / "stock.png").size[0] == int((2 * 0.2 + 2 * 3.4 + 0.24) * 200)


@pytest.mark.parametrize("suffix", ["pdf", "svg"])
def test_vector_pictures(explain, tmp_path, suffix):
    assert explain("--out", tmp_path / f"figure.{suffix}", scheme="yolo11n") == 0
    start = (tmp_path / f"figure.{suffix}").read_bytes()[:300]
    assert start.startswith(b"%PDF") or b"<svg" in start or b"DOCTYPE svg" in start


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--at", "500,20"), "500,20 lies outside the image of 160x100 px"),
        (("--out", "picture.gif"), "picture.gif"),
        (("--arrays", "maps.csv"), "maps.csv"),
        (("--confidence", "1.5"), "1.5"),
        (("--confidence", "nan"), "nan"),
    ],
)
def test_usage_errors(explain, tmp_path, capsys, arguments, named):
    assert explain(*arguments) == 2
    assert named in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["nan", "constant", "single", "narrow"])
def test_odd_micrographs(place, explain, tmp_path, name):
    noise = np.random.default_rng(0).normal(100, 20, (40, 50)).astype(np.float32)
    images = {"nan": noise * np.nan, "constant": noise * 0 + 7, "single": noise[:1, :1], "narrow": noise[:, :8]}
    tifffile.imwrite(place / f"{name}.tif", images[name])
    assert explain("--arrays", tmp_path / "maps.npz", image=f"{name}.tif") == 0
    arrays = np.load(tmp_path / "maps.npz")
    assert all(np.isfinite(arrays[each]).all() for each in arrays.files)
    assert np.asarray(Image.open(tmp_path / f"{name}-explained.png").convert("L")).std() > 5


def test_a_point_that_is_none(explain, capsys):
    with pytest.raises(SystemExit) as end:
        explain("--at", "here")
    assert end.value.code == 2
    assert "'here' is no point" in capsys.readouterr().err


def test_the_micrograph_is_not_overwritten(explain, place, capsys):
    before = (place / "Größe 纳米.png").read_bytes()
    assert explain("--out", place / "Größe 纳米.png") == 2
    assert "the micrograph itself" in capsys.readouterr().err
    assert (place / "Größe 纳米.png").read_bytes() == before


def test_missing_files(explain, capsys):
    assert explain(image="none.png") == 2
    assert "none.png" in capsys.readouterr().err
    assert explain(scheme="none") == 2
    assert "none.safetensors" in capsys.readouterr().err
