"""Stages of a prediction: against sleeps of known length, and of the models themselves."""

import time

import pytest
from torch import nn

from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.registry import build
from nanoseg_bench.models.stopwatch import Stopwatch

PAUSE = 0.02


def test_stages_add_up_to_the_whole():
    stopwatch, synchronised = Stopwatch(), []

    def predict():
        time.sleep(PAUSE)
        for _ in range(2):
            with stopwatch.network():
                time.sleep(2 * PAUSE)
        time.sleep(3 * PAUSE)
        return "found"

    found, lap = stopwatch.time(predict, lambda: synchronised.append(1))
    stages = lap.stages
    assert found == "found"
    assert stages.pre_ms + stages.network_ms + stages.post_ms == pytest.approx(lap.total_ms)
    assert stages.pre_ms >= PAUSE * 1000
    assert stages.network_ms >= 4 * PAUSE * 1000
    assert stages.post_ms >= 3 * PAUSE * 1000
    assert len(synchronised) == 6, "before and after the whole and each pass through the network"


def test_a_model_that_marks_no_network_has_a_total_only():
    _, lap = Stopwatch().time(lambda: time.sleep(PAUSE), lambda: None)
    assert lap.stages is None
    assert lap.total_ms >= PAUSE * 1000


def test_a_failed_prediction_leaves_the_stopwatch_usable():
    stopwatch, synchronised = Stopwatch(), []

    def fail():
        raise ValueError("no particles")

    with pytest.raises(ValueError, match="no particles"):
        stopwatch.time(fail, lambda: synchronised.append(1))
    before = len(synchronised)
    with stopwatch.network():
        pass
    assert len(synchronised) == before, "nobody times any more, so nothing waits"


class Slow(nn.Module):
    """A network that takes a known time longer."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, *inputs):
        time.sleep(5 * PAUSE)
        return self.network(*inputs)


@pytest.mark.parametrize("name", ["unet", "mask-rcnn", "yolo11n"])
def test_models_mark_their_network_and_nothing_less(name, prepared_set, test_images):
    model = build(load_recipe(name, "smoke"), prepared_set.classes, prepared_set.max_instances)
    model.adopt(Slow(model.build_network()), "cpu")
    _, lap = model.stopwatch.time(lambda: model.predict(test_images[:1]), lambda: None)
    stages = lap.stages
    assert stages.network_ms >= 5 * PAUSE * 1000
    assert stages.pre_ms > 0
    assert stages.post_ms > 0
    assert stages.pre_ms + stages.network_ms + stages.post_ms == pytest.approx(lap.total_ms)
