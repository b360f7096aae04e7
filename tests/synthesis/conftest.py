"""A small nanosynth, rendered once."""

import pytest

from nanoseg_bench.annotations.labelme.reading import read_labelme
from nanoseg_bench.synthesis.nanosynth import write_nanosynth


@pytest.fixture(scope="session")
def small_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nanosynth")
    write_nanosynth(folder, images=14, seed=3, ood_images=6)
    return folder


@pytest.fixture(scope="session")
def small_micrographs(small_set):
    return [read_labelme(path) for path in sorted(small_set.rglob("*.json"))]
