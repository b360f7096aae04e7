"""A sample that is as awkward as users' are: names that run or break, particles that do not count, two classes."""

import datetime
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import mask_to_rle
from nanoseg_bench.files import sha256_file
from nanoseg_bench.images import Acquisition
from nanoseg_bench.measure.particles import Rules, measure_particles
from nanoseg_bench.report.report_input import Method, ReportedImage, ReportInput
from nanoseg_bench.report.sample_statistics import compute_sample

HEIGHT, WIDTH = 300, 420
CONFIDENCE = 0.5
SAMPLE = '=cmd|"/c calc"!A1 <Größe & \x0b µ>'
MADE = datetime.datetime(2026, 3, 4, 5, 6, 7, tzinfo=datetime.UTC)


def draw_particles(rng, classes=("disc", "square")):
    """Discs and squares of 12 to 30 px on a grid; some cut by the border, some of low confidence, one on a mark."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    pixels = rng.normal(70, 8, (HEIGHT, WIDTH))
    instances = []
    for number, (x, y) in enumerate((x, y) for y in range(20, HEIGHT, 52) for x in range(8, WIDTH, 50)):
        half = rng.uniform(6, 15)
        label = classes[number % len(classes)]
        round_one = label == classes[0]
        inside = (
            (columns - x) ** 2 + (rows - y) ** 2 < half**2
            if round_one
            else np.maximum(abs(columns - x), abs(rows - y)) < half
        )
        pixels[inside] = rng.normal(180, 8, int(inside.sum()))
        score = round(float(rng.uniform(0.3, 1)), 4)
        instances.append(Instance(label, mask_to_rle(inside), score, on_mark=number == 7))
    return pixels.clip(0, 255).astype(np.uint8), tuple(instances)


def reported(folder, name, seed, nm_per_px, classes=("disc", "square")):
    """A micrograph and its table."""
    pixels, instances = draw_particles(np.random.default_rng(seed), classes)
    path = folder / f"{name}.png"
    Image.fromarray(pixels).save(path)
    table = measure_particles(
        instances, HEIGHT, WIDTH, image=name, nm_per_px=nm_per_px, rules=Rules(confidence=CONFIDENCE)
    )
    image = ReportedImage(
        name=name,
        path=path,
        sha256=sha256_file(path),
        width=WIDTH,
        height=HEIGHT,
        instances=instances,
        nm_per_px=nm_per_px,
        scale_source="typed" if nm_per_px else "",
        acquisition=Acquisition(instrument="Scope 1", voltage_kv=200, taken="2026-03-01"),
    )
    return image, table


def report_of(parts, sample=SAMPLE, **more):
    """The report on several micrographs."""
    particles = pd.concat([table for _, table in parts], ignore_index=True)
    return ReportInput(
        sample=sample,
        images=tuple(image for image, _ in parts),
        particles=particles,
        statistics=compute_sample(particles, border_weighted=True, confidence=CONFIDENCE, resamples=100),
        method=Method(
            model="Otsu (from no file)",
            model_id="otsu",
            weights_sha256="0123456789abcdef" * 4,
            confidence=CONFIDENCE,
            confidence_source="as given",
            quality=("Precision 0.9 on 7 images.",),
            versions={"nanoseg-bench": "1.2.3"},
        ),
        filters=(Rules(confidence=CONFIDENCE).describe(),),
        made=MADE,
        operator="-O. Perator",
        classes=("disc", "square"),
        **more,
    )


@pytest.fixture
def parts(tmp_path):
    """Two micrographs of one scale."""
    return [reported(tmp_path, "first", 0, 0.5), reported(tmp_path, "@second", 1, 0.5)]


@pytest.fixture
def report(parts):
    """On both of them."""
    return report_of(parts, warnings=("Too few images.",))


@pytest.fixture
def single(parts):
    """On one of them."""
    return report_of(parts[:1])


@pytest.fixture
def unscaled(tmp_path):
    """On one without a scale, with one class."""
    image, table = reported(tmp_path, "no scale", 2, None, classes=("disc",))
    return replace(report_of([(image, table)], sample="plain"), classes=())


@pytest.fixture
def make_image():
    """``reported``, for tests that need other samples."""
    return reported


@pytest.fixture
def make_report():
    """``report_of``, likewise."""
    return report_of
