"""Networks that look trained, and a micrograph for them to look at."""

from functools import cache

import numpy as np
import pytest
import torch
from one_thread import one_thread
from torch import nn

from nanoseg_bench.models.trained import open_trained
from nanoseg_bench.nsyolo import build_network
from nanoseg_bench.nsyolo.badsconv import DSConv
from nanoseg_bench.nsyolo.weights import save_weights

__all__ = ["one_thread"]

CANVAS = 192
HEIGHT, WIDTH = 150, 240  # letterboxed: 120 rows of content between 36 rows of grey


@pytest.fixture(scope="session")
def open_scheme(tmp_path_factory):
    """A scheme as a model with unsettled weights, so that no map is flat: written to a file and opened from it."""
    folder = tmp_path_factory.mktemp("weights")

    @cache
    def open_(scheme="nsyolo", classes=("cube", "粒子 $x$"), canvas=CANVAS, **options):
        torch.manual_seed(0)
        network = build_network(scheme, len(classes), **options)
        wake(network)
        about = {"model": scheme, "classes": list(classes), "canvas": canvas, "max_instances": 20}
        path = folder / f"{scheme}.safetensors"
        save_weights(path, network.state_dict(), {**about, "options": {"scheme": scheme, **options}})
        return open_trained(path)

    return open_


def wake(network):
    """Let the network's random weights answer to what they see: with varied scores, small boxes and bent snakes."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, DSConv):
                module.offset_conv.weight.normal_(std=0.1)
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        network.train()(torch.rand(4, 3, CANVAS, CANVAS))
        head = network.model[-1]
        for boxes, scores in zip(head.cv2, head.cv3, strict=True):
            scores[-1].weight.mul_(0.2)
            scores[-1].bias.zero_()
            boxes[-1].bias.copy_(-2.0 * torch.arange(head.reg_max).repeat(4))  # most weight on the nearest bins


@pytest.fixture(scope="session")
def pixels():
    """(150, 240) uint8: bright discs on a dark, noisy ground."""
    rng = np.random.default_rng(5)
    image = rng.normal(60, 8, (HEIGHT, WIDTH))
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    for x, y, radius in ((60, 50, 22), (150, 90, 30), (205, 40, 18), (30, 125, 12)):
        image[(xs - x) ** 2 + (ys - y) ** 2 < radius**2] += 110
    return image.clip(0, 255).astype(np.uint8)
