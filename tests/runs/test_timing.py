"""The protocol of latency and energy, with Otsu and counters whose readings are known."""

import time

import pytest
import torch

from nanoseg_bench.models.base import CanvasImage
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.registry import build
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.energy import energy_per_image, joule_counter
from nanoseg_bench.runs.timing import LEAST_MEASUREMENTS, WARM_UP, measure_alone


@pytest.fixture
def prepared(tiny_set):
    return PreparedSet(tiny_set)


@pytest.fixture
def otsu(prepared):
    return build(load_recipe("otsu", "smoke"), prepared.classes, prepared.max_instances)


def test_few_images_are_gone_through_until_there_are_enough_measurements(otsu, prepared):
    timing = measure_alone(otsu, prepared.images("test"), "cpu", "test", measurements=7, seconds=600.0)
    assert len(timing.total_ms) == 7
    assert min(timing.total_ms) > 0
    assert timing.energy_j_per_image is None, "a CPU has no counter that we read"


def test_others_wait_for_few_measurements_only(otsu, prepared):
    timing = measure_alone(otsu, prepared.images("test"), "cpu", "test", measurements=10**6, seconds=0.0)
    assert len(timing.total_ms) == LEAST_MEASUREMENTS


def measured_places(otsu, images, **how):
    seen = []
    original = otsu.predict
    otsu.predict = lambda batch: seen.extend(image.name for image in batch) or original(batch)
    measure_alone(otsu, images, "cpu", "test", **how)
    names = [image.name for image in images]
    return [names.index(name) for name in seen[WARM_UP:]]


def test_the_images_are_spread_over_the_eval_set(otsu, prepared):
    images = prepared.images("train")
    assert len(images) > 12
    places = measured_places(otsu, images, measurements=3, seconds=600.0)
    assert sorted(places) == [0, len(images) // 3, 2 * len(images) // 3]


def test_so_are_the_few_of_a_slow_model(otsu, prepared):
    images = prepared.images("train")
    places = measured_places(otsu, images, measurements=10**6, seconds=0.0)
    assert len(set(places)) == LEAST_MEASUREMENTS
    assert min(places) < len(images) // 3 and max(places) >= 2 * len(images) // 3


def test_energy_is_shared_among_the_predictions(otsu, prepared):
    images = [CanvasImage.read(image) for image in prepared.images("test")]
    readings = iter([100.0, 112.0])
    predicted = []
    original = otsu.predict
    otsu.predict = lambda batch: predicted.extend(batch) or original(batch)
    joules = energy_per_image(otsu, images, lambda: next(readings), lambda: None, seconds=0.05)
    assert joules == pytest.approx(12.0 / len(predicted))


def test_a_cpu_has_no_counter():
    assert joule_counter("cpu") is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_machine_without_a_gpu_has_no_counter():
    assert joule_counter("cuda:0") is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_the_counter_of_a_gpu_runs():
    counter = joule_counter("cuda:0")
    if counter is None:
        pytest.skip("this GPU does not count its energy")
    before, start = counter(), time.perf_counter()
    time.sleep(2)
    watts = (counter() - before) / (time.perf_counter() - start)
    assert 1 < watts < 2000, "joules, of a GPU that is switched on"
