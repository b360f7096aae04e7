"""Micrographs as an analysis leaves them, made without a model: discs and squares whose masks are known."""

from dataclasses import replace

import pandas as pd
import pytest

from nanoseg_bench.measure.particles import Rules
from nanoseg_bench.measure.scale import SCALE_BAR, FoundScale
from nanoseg_bench.report.analysis.micrograph import AnalysedMicrograph, judged, scale_sentence

CONFIDENCE = 0.5


@pytest.fixture
def analyse(tmp_path, make_image):
    """A function: name, seed, nm per px, classes -> AnalysedMicrograph."""

    def make(name="first", seed=0, nm_per_px=0.5, classes=("disc", "square"), scale=None):
        image, _ = make_image(tmp_path, name, seed, nm_per_px, classes)
        bar = (10.0, 290.0, 110.0, 290.0)
        found = scale or (
            FoundScale(None, "none", 0.0)
            if nm_per_px is None
            else FoundScale(nm_per_px, SCALE_BAR, 0.9, bar, f"{100 * nm_per_px:g} nm", 100 * nm_per_px, 0.005)
        )
        image = replace(
            image,
            instances=tuple(replace(each, origin="model") for each in image.instances),
            nm_per_px=found.nm_per_px if found.is_sure else None,
            scale_source=scale_sentence(found),
        )
        return judged(
            AnalysedMicrograph(
                image=image, table=pd.DataFrame(), scale=found, rules=Rules(confidence=CONFIDENCE), border="weight"
            )
        )

    return make


@pytest.fixture
def analysed(analyse):
    """One of them."""
    return analyse()


def square(left, top, side):
    """A square as an outline in JSON."""
    return [[[[left, top], [left + side, top], [left + side, top + side], [left, top + side]]]]


@pytest.fixture(name="square")
def make_square():
    return square
