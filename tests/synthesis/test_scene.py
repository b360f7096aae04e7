from dataclasses import replace

import numpy as np
import pytest

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Rle
from nanoseg_bench.annotations.raster import to_mask
from nanoseg_bench.synthesis.layout import ARRANGEMENTS
from nanoseg_bench.synthesis.scene import clip_to_field, polygon_area, render_micrograph
from nanoseg_bench.synthesis.specimen import CLASSES, draw_optics, draw_specimen


def specimen_of(modality, arrangement="clusters", labels=("nanosphere",), seed=0, **changes):
    rng = np.random.default_rng(seed)
    specimen = draw_specimen("s", labels, rng)
    layout = replace(specimen.layout, arrangement=arrangement, overlap_share=0.8, gap=0.0)
    optics = draw_optics(modality, rng)
    changed = {"canvas": (400, 300), "coverage": 0.4, "diameter_px": 50.0, "layout": layout, "optics": optics} | changes
    return replace(specimen, **changed)


def masks_of(rendered):
    height, width = rendered.pixels.shape
    return [to_mask(instance, height, width) for instance in rendered.instances if not instance.ignored]


def test_particles_hide_each_other_in_sem_but_not_in_tem():
    opaque = render_micrograph(specimen_of("SE-SEM"), ["nanosphere"], np.random.default_rng(1))
    clear = render_micrograph(specimen_of("BF-TEM"), ["nanosphere"], np.random.default_rng(1))
    assert np.sum(masks_of(opaque), axis=0).max() == 1
    assert any(isinstance(instance.region, Rle) for instance in opaque.instances)
    assert (np.sum(masks_of(clear), axis=0) > 1).sum() > 100


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("label", CLASSES)
def test_every_arrangement_fills_the_field(arrangement, label):
    specimen = specimen_of("HAADF-STEM", arrangement, (label,), seed=2, diameter_px=30.0, coverage=0.3)
    rendered = render_micrograph(specimen, [label], np.random.default_rng(0))
    particles = [instance for instance in rendered.instances if instance.label == label]
    assert len(particles) >= 15
    share = np.logical_or.reduce(masks_of(rendered)).mean()
    assert 0.08 < share < 0.6


def test_truth_leaves_out_what_is_hardly_visible():
    specimen = specimen_of("SE-SEM", "jammed", coverage=0.9)
    rendered = render_micrograph(specimen, ["nanosphere"], np.random.default_rng(4))
    assert min(int(mask.sum()) for mask in masks_of(rendered)) >= 20


def test_opaque_boxes_and_info_bar_are_not_particle():
    specimen = specimen_of("SE-SEM", "packed", coverage=0.75, info_style="zeiss", bar_style=None, panel_letter=True)
    rendered = render_micrograph(specimen, ["nanosphere"], np.random.default_rng(0))
    ignored = [instance for instance in rendered.instances if instance.label == IGNORE_LABEL]
    assert len(ignored) == 1
    assert rendered.pixels.shape[0] > 300
    bar_rows = to_mask(ignored[0], *rendered.pixels.shape)
    assert bar_rows[300:].all() and not bar_rows[:300].any()
    assert not any(mask[300:].any() for mask in masks_of(rendered))
    boxed = replace(specimen, info_style=None, bar_style="white-box", panel_letter=False)
    rendered = render_micrograph(boxed, ["nanosphere"], np.random.default_rng(0))
    x0, y0, x1, y1 = rendered.bar
    assert not any(mask[y0:y1, x0:x1].any() for mask in masks_of(rendered))


def test_asking_for_a_class_that_the_specimen_lacks_fails():
    with pytest.raises(KeyError):
        render_micrograph(specimen_of("BF-TEM"), ["nanocube"], np.random.default_rng(0))


def test_clipping_a_square_at_a_corner():
    square = np.array([[-5.0, -5.0], [5.0, -5.0], [5.0, 5.0], [-5.0, 5.0]])
    clipped = clip_to_field(square, 100, 100)
    assert polygon_area(clipped) == 25
    assert clipped.min() == 0
    assert len(clip_to_field(square - 50, 100, 100)) == 0
    assert polygon_area(clip_to_field(square + 95.004, 100, 100)) == pytest.approx(100, abs=0.1)
