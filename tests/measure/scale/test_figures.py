"""Real micrographs whose files are named by what their bars say."""

import re
from pathlib import Path

import pytest

from nanoseg_bench.measure.scale import find_scale
from nanoseg_bench.measure.scale.text import read_lengths

FIGURES = Path(__file__).parents[3].parent / "shared" / "data" / "scalebars" / "figures"
LIST = FIGURES.parents[1] / "list"


@pytest.mark.slow
@pytest.mark.skipif(not FIGURES.is_dir(), reason="needs shared/data/scalebars")
def test_what_the_bars_of_real_figures_say():
    pytest.importorskip("rapidocr", reason="text of bars is read with RapidOCR, extra 'app'")
    said, wrong = 0, []
    for path in sorted(FIGURES.glob("*.png")):
        [truth] = read_lengths(re.sub(r"\(\d\)$", "", path.stem))
        found = find_scale(path)
        said += found.value_nm == truth.nm
        if found.is_sure and found.value_nm != truth.nm:
            wrong.append((path.name, found.text))
    assert wrong == []
    assert said >= 14


@pytest.mark.slow
@pytest.mark.skipif(not LIST.is_dir(), reason="needs shared/data/list")
def test_a_jeol_information_bar():
    pytest.importorskip("rapidocr", reason="text of bars is read with RapidOCR, extra 'app'")
    found = find_scale(LIST / "image_c_01.png")
    assert found.is_sure and found.value_nm == 100
    # Counted by hand: columns 1116 to 1254.
    assert found.bar[2] - found.bar[0] == pytest.approx(139, abs=0.5)
