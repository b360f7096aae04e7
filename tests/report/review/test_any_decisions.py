"""Random decisions about random micrographs: all numbers belong together, and every file is written."""

import numpy as np
import orjson
import pytest

from nanoseg_bench.errors import NanosegError
from nanoseg_bench.measure.length import Length
from nanoseg_bench.report.review.edits import Drawn, Edits, apply_edits
from nanoseg_bench.report.review.export import export
from nanoseg_bench.report.review.filters import Filters
from nanoseg_bench.report.review.scale import ScaleChoice, rescale
from nanoseg_bench.report.review.view import detail_of, statistics_of

SCALES = (ScaleChoice(pixels=True), ScaleChoice(accept=True), ScaleChoice(nm_per_px=0.9), ScaleChoice())


def random_outline(rng):
    """Stars, some outside of the micrograph, some smaller than a pixel; with holes and parts."""
    corners = rng.choice([3, 4, 7, 30])
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    middle, radius = rng.uniform((-40, -40), (440, 320)), rng.uniform(0.2, 60, (corners, 1))
    ring = middle + radius * np.column_stack([np.cos(angles), np.sin(angles)])
    outline = [[ring.tolist()]]
    if rng.random() < 0.2:
        outline[0].append(((ring + middle) / 2).tolist())
    if rng.random() < 0.2:
        outline.append([(ring + 30).tolist()])
    return outline


def random_edits(rng, outlines):
    drawn = int(rng.integers(4))

    def some(most):
        total = outlines + drawn
        return [int(number) for number in rng.choice(total, min(total, int(rng.integers(most + 1))), False) + 1]

    return Edits(
        removed=frozenset(some(6)),
        counted=frozenset(some(6)),
        changed={number: random_outline(rng) for number in some(3)},
        labels={number: str(rng.choice(["disc", "rod", "ignore", "=1+1", "Würfel"])) for number in some(3)},
        drawn=tuple(Drawn(outline=random_outline(rng), made_from=tuple(some(2))) for _ in range(drawn)),
    )


def random_filters(rng):
    def one(*values):
        return values[rng.integers(len(values))]

    return Filters(
        confidence=one(None, 0.0, 0.4, 0.9, 1.0),
        min_diameter=one(None, Length(8, "px"), Length(5, "nm")),
        max_diameter=one(None, Length(40, "px"), Length(15, "nm")),
        border=one("weight", "keep", "exclude"),
        classes=one(None, (), ("disc",), ("rod", "particle"), ("sphere",)),
        keep_marks=bool(rng.random() < 0.4),
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_all_numbers_belong_together_and_every_file_is_written(analyse, report, seed):
    rng = np.random.default_rng(seed)
    micrographs = [analyse("a", 0), analyse("b", 1, 0.5, ("disc",)), analyse("c", 2, None), analyse("d", 3, 2.0)]
    for _ in range(6):
        sample = {}
        for number in rng.choice(4, int(rng.integers(1, 5)), replace=False).tolist():
            edited = apply_edits(micrographs[number], random_edits(rng, len(micrographs[number].image.instances)))
            choice = SCALES[rng.integers(len(SCALES))]
            sample[str(number)] = edited if choice.accept and number == 2 else rescale(edited, choice)
        filters = random_filters(rng)
        try:
            statistics = statistics_of(sample, filters, intervals=bool(rng.random() < 0.2))
        except NanosegError as error:
            assert "needs the scale" in str(error)
            continue
        outlines = sum(len(each.table) for each in sample.values())
        assert outlines - sum(map(len, statistics["exclusions"].values())) == statistics["count"]
        assert sum(each["count"] for each in statistics["groups"][1:]) == statistics["count"]
        for each in (statistics["histogram"], statistics["aspect_ratios"]):
            if each is not None:
                assert sum(sum(group["counts"]) for group in each["groups"]) == sum(map(len, each["particles"]))
        shown = [detail_of(each) for each in sample.values()]
        assert b"NaN" not in orjson.dumps([statistics, shown], option=orjson.OPT_NON_STR_KEYS)
        file = export(sample, filters, "zip", method=report.method, made=report.made, classes=("disc", "square"))
        assert file.data
