"""``run`` says what the cleaning of masks takes away from a set whose particles have parts or holes."""

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.draw import disk

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Micrograph
from nanoseg_bench.annotations.raster import mask_to_rle
from nanoseg_bench.annotations.source import LoadedMicrograph
from nanoseg_bench.cli import main
from nanoseg_bench.preparation.config import PrepareConfig
from nanoseg_bench.preparation.pipeline import prepare

pytestmark = pytest.mark.usefixtures("runs_in_this_process")

HEIGHT, WIDTH = 96, 128

TRAINED = 6


def covered(*discs):
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for middle, radius in discs:
        mask[disk(middle, radius)] = True
    return mask


@pytest.fixture
def rings(tmp_path):
    """Of each micrograph the particles are a ring, a pair and a disc; another pair is to be ignored."""
    rng = np.random.default_rng(2)
    micrographs = []
    for number in range(TRAINED + 4):
        quarters = rng.permutation([(24, 32), (24, 96), (72, 32), (72, 96)])  # or the scenes were one field
        middles = [middle + rng.integers(-4, 5, 2) for middle in quarters]
        ring = covered((middles[0], 18)) & ~covered((middles[0], 8))
        pair, other_pair = (covered(((y, x - 9), 7), ((y, x + 9), 5)) for y, x in middles[1:3])
        particles = [ring, pair, covered((middles[3], 14))]
        truth = [Instance("particle", mask_to_rle(mask)) for mask in particles]
        truth.append(Instance(IGNORE_LABEL, mask_to_rle(other_pair)))
        ground = 90 + 400 * gaussian_filter(rng.normal(size=(HEIGHT, WIDTH)), 3)
        pixels = np.where(np.logical_or.reduce(particles), 220, ground)
        path = tmp_path / f"scene{number}.png"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
        micrographs.append(Micrograph(path.stem, path, WIDTH, HEIGHT, tuple(truth), source_group=path.stem))
    splits = ("train",) * TRAINED + ("val", "val", "test", "test")
    prepare(
        [LoadedMicrograph(micrograph) for micrograph in micrographs],
        name="rings",
        dataset="rings",
        classes=("particle",),
        out=tmp_path / "data",
        config=PrepareConfig(
            canvas=96, assignment=dict(zip([m.name for m in micrographs], splits, strict=True)), augment_copies=1
        ),
        workers=1,
    )
    return tmp_path / "data"


def test_one_line_for_each_cleaning(rings, tmp_path, capsys):
    places = ["--runs", str(tmp_path / "runs"), "--leaderboards", str(tmp_path / "boards"), "--device", "cpu"]

    def lines(*more):
        assert main(["run", str(rings), "--models", "otsu", "--preset", "smoke", *places, *more]) == 0
        return [text for text in capsys.readouterr().out.splitlines() if text.startswith("mask_cleaning")]

    assert lines() == []
    (told,) = lines("--recipe", "mask_cleaning=largest-filled")
    assert told.startswith(
        f"mask_cleaning largest-filled (Otsu + watershed): would alter {2 * TRAINED} of {3 * TRAINED} training "
        f"particles: {TRAINED} in several parts, {TRAINED} with holes"
    )
    (told,) = lines("--recipe", "mask_cleaning=largest")
    assert f"would alter {TRAINED} of {3 * TRAINED}" in told
