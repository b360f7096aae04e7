"""How long an analysis takes, step by step, with the model loaded: python tests/benchmarks/bench_analyze.py.

Not a test. The micrograph is rendered: 1024 px, about a hundred particles. Wall time on this machine, and CPU time of
this process, which other programs disturb less; the shorter of the repeats.
"""

import argparse
import datetime
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from figure_list import add_json_option, figure, hand_over
from PIL import Image

from nanoseg_bench.environment import isolate_libraries
from nanoseg_bench.inference import open_predictor
from nanoseg_bench.measure.scale import find_scale
from nanoseg_bench.report.analysis.finder import ByModel
from nanoseg_bench.report.analysis.micrograph import Choices, analyse_micrograph, rule_sentences
from nanoseg_bench.report.report_input import ReportInput
from nanoseg_bench.report.sample_statistics import compute_sample
from nanoseg_bench.report.word.report import word_report
from nanoseg_bench.report.workbook import particle_workbook

SIDE, PER_ROW = 1024, 10
FIGURES: list[dict] = []
"""What was timed."""


def render() -> np.ndarray:
    """(1024, 1024) uint8 with a hundred discs of 40 to 76 px."""
    rng = np.random.default_rng(0)
    pixels = np.full((SIDE, SIDE), 190, np.uint8)
    for row in range(PER_ROW):
        for column in range(PER_ROW):
            centre = (52 + 102 * column, 52 + 102 * row)
            cv2.circle(pixels, centre, int(rng.integers(20, 38)), int(rng.integers(50, 90)), -1, cv2.LINE_AA)
    noise = rng.normal(0, 9, pixels.shape)
    return np.clip(cv2.GaussianBlur(pixels, (0, 0), 1.2) + noise, 0, 255).astype(np.uint8)


def timed(name: str, step: Callable[[], object], repeats: int) -> object:
    """Run a step, print and keep its times, give back what it made."""
    best = (np.inf, np.inf)
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        made = step()
        best = min(best, (time.perf_counter() - wall, time.process_time() - cpu))
    print(f"{name:42s} {best[0]:7.3f} s wall {best[1]:7.3f} s CPU")
    label = name.lower().replace(",", "").replace(" ", "-")
    FIGURES.append(figure(f"{label}", best[0], unit="s", digits=2, n=repeats))
    FIGURES.append(figure(f"{label}-cpu", best[1], unit="s", digits=2, n=repeats))
    return made


def main() -> None:
    """Print one line per step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    add_json_option(parser)
    arguments = parser.parse_args()
    repeats = arguments.repeats
    isolate_libraries()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rendered.png")
        pixels = render()
        Image.fromarray(pixels).save(path)
        finder = ByModel(open_predictor())
        typed = Choices(nm_per_px=0.5, read_text=False)
        finder.find(pixels, path, path.stem, typed)  # the first call of an engine is slower
        timed("find particles", lambda: finder.find(pixels, path, path.stem, typed), repeats)
        timed("find the scale, without OCR", lambda: find_scale(pixels, read_text=False), repeats)
        timed("find the scale", lambda: find_scale(pixels), repeats)
        analysed = timed("analyse, scale typed", lambda: analyse_micrograph(path, finder, typed), repeats)
        without = replace(typed, nm_per_px=None, read_text=False)
        timed("analyse, without OCR", lambda: analyse_micrograph(path, finder, without), repeats)
        timed("analyse", lambda: analyse_micrograph(path, finder, replace(without, read_text=None)), repeats)
        table, method = analysed.table, finder.method()
        statistics = timed(
            "statistics with intervals",
            lambda: compute_sample(table, border_weighted=True, confidence=method.confidence),
            repeats,
        )
        report = ReportInput(
            sample="rendered", images=(analysed.image,), particles=table, statistics=statistics, method=method,
            filters=rule_sentences(finder.rules(typed), typed.border),
            made=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        )  # fmt: skip
        timed("Word", lambda: word_report(report), repeats)
        timed("Excel", lambda: particle_workbook(table, [], [], report.made), repeats)
        print(f"{statistics.size.count} particles count, of {len(table)} outlines")
    hand_over(arguments.json, FIGURES)


if __name__ == "__main__":
    main()
