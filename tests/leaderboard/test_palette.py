from itertools import combinations

import numpy as np
import pytest
from skimage.color import rgb2lab

from nanoseg_bench.leaderboard.grids import contrast
from nanoseg_bench.leaderboard.palette import model_looks

PAPER = (
    "nsyolo", "yolo11n", "yolo11n-c3ds", "yolo11n-c3bads", "yolo11n-c2psa-bra", "mask-rcnn", "unet", "deeplabv3plus",
    "otsu",
)  # fmt: skip
OTHERS = ("a", "b", "c", "d", "e")

# Machado, Oliveira and Fernandes, IEEE Trans. Vis. Comput. Graph. 15, 1291 (2009), severity 1; on linear RGB.
VISION = {
    "full": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def seen(colour, vision):
    """CIE L*a*b* of a colour as this vision has it."""
    rgb = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(VISION[vision]) @ linear, 0, 1)
    return rgb2lab(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize("vision", VISION)
def test_models_with_the_same_dashes_are_told_apart(vision):
    looks = model_looks((*PAPER, *OTHERS)).values()
    pairs = [pair for pair in combinations(looks, 2) if pair[0].dashes == pair[1].dashes]
    assert len(pairs) > 10
    for one, other in pairs:  # 2.3 is just noticeable
        assert np.linalg.norm(seen(one.colour, vision) - seen(other.colour, vision)) > 9, (one, other)


def test_lines_are_seen_on_white():
    for look in model_looks((*PAPER, *OTHERS)).values():
        assert contrast(look.colour, "#ffffff") >= 3, look


def test_a_model_keeps_its_look_whoever_else_is_there():
    assert model_looks(["mine", "unet"])["unet"] == model_looks(PAPER)["unet"]
    looks = model_looks(["mine", "unet", "mine", "yours"])
    assert list(looks) == ["mine", "unet", "yours"] and looks["mine"] != looks["yours"]
    assert len(model_looks(f"model {number}" for number in range(40))) == 40
