import cv2
import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Micrograph, Polygon
from nanoseg_bench.annotations.raster import to_mask
from nanoseg_bench.annotations.source import LoadedMicrograph
from nanoseg_bench.marks import BANNER, TEXT, Mark
from nanoseg_bench.preparation.banners import IgnoringBanners, unlabelled_banners


def rectangle(left, top, right, bottom):
    return (Polygon(np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float64)),)


@pytest.fixture
def micrograph(tmp_path):
    """A micrograph with a 30 px bar below, and a particle that lies half on the bar."""
    noise = cv2.GaussianBlur(np.random.default_rng(0).normal(size=(300, 400)), (0, 0), 2)
    pixels = np.clip(120 + noise / noise.std() * 20, 60, 190).astype(np.uint8)
    pixels[270:] = 0
    cv2.putText(pixels, "SU8020 15.0kV 8.2mm x100k", (6, 290), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    particle = Instance("cube", rectangle(100, 260, 120, 280))
    return Micrograph("a", tmp_path / "a.png", 400, 300, (particle,))


def test_the_bar_becomes_an_ignore_region_and_the_particle_on_it_stays(micrograph):
    entry = IgnoringBanners(LoadedMicrograph(micrograph))
    assert (entry.name, entry.path) == ("a", micrograph.image_path)
    particle, bar = entry.read().instances
    assert particle is micrograph.instances[0]
    assert bar.label == IGNORE_LABEL
    assert bar.ignored
    expected = np.zeros((300, 400), dtype=bool)
    expected[270:] = True
    assert (to_mask(bar, 300, 400) == expected).all()


def test_a_bar_that_somebody_labelled_is_not_labelled_again(micrograph):
    labelled = Instance(IGNORE_LABEL, rectangle(0, 268, 400, 300))
    done = Micrograph("a", micrograph.image_path, 400, 300, (*micrograph.instances, labelled))
    assert IgnoringBanners(LoadedMicrograph(done)).read().instances == done.instances


def test_lettering_is_no_banner_and_half_a_label_is_none(micrograph):
    bar, text = Mark(BANNER, 0, 270, 400, 300), Mark(TEXT, 6, 280, 200, 292)
    assert unlabelled_banners(micrograph, [text, bar]) == [bar]
    half = Instance(IGNORE_LABEL, rectangle(0, 270, 200, 300))
    assert unlabelled_banners(Micrograph("a", micrograph.image_path, 400, 300, (half,)), [bar]) == [bar]
