"""Time of what a page asks while a person reviews a micrograph, on discs and rods that overlap here and there.

python tests/benchmarks/bench_review.py [--particles 500] [--repeats 20]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import window_to_rle
from nanoseg_bench.measure.particles import Rules, measure_particles
from nanoseg_bench.measure.scale import SCALE_BAR, FoundScale
from nanoseg_bench.measure.shape_names.namer import shipped_namer
from nanoseg_bench.report.analysis.micrograph import AnalysedMicrograph, judged
from nanoseg_bench.report.report_input import ReportedImage
from nanoseg_bench.report.review.edits import Drawn, Edits, apply_edits
from nanoseg_bench.report.review.filters import Filters
from nanoseg_bench.report.review.geometry import merge, split
from nanoseg_bench.report.review.scale import ScaleChoice, rescale
from nanoseg_bench.report.review.view import detail_of, outlines_of, statistics_of

SIZE = 1600


def draw(count: int, rng: np.random.Generator) -> tuple[Instance, ...]:
    """Ellipses of 15 to 60 px at random places, with confidences from 0.25 to 1."""
    instances = []
    for _ in range(count):
        length, width = rng.uniform(15, 60), rng.uniform(15, 30)
        half = int(length / 2) + 2
        rows, columns = np.mgrid[-half : half + 1, -half : half + 1]
        angle = rng.uniform(0, np.pi)
        along, across = columns * np.cos(angle) + rows * np.sin(angle), rows * np.cos(angle) - columns * np.sin(angle)
        window = (2 * along / length) ** 2 + (2 * across / min(width, length)) ** 2 < 1
        x, y = rng.integers(0, SIZE - window.shape[1], 2)
        region = window_to_rle(window, int(x), int(y), SIZE, SIZE)
        instances.append(Instance("particle", region, float(rng.uniform(0.25, 1)), origin="model"))
    return tuple(instances)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--particles", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    instances = draw(arguments.particles, rng)
    image = ReportedImage(
        name="bench", path=Path(__file__), sha256="", width=SIZE, height=SIZE, instances=instances, nm_per_px=0.5
    )
    scale = FoundScale(0.5, SCALE_BAR, 0.9, (10, 10, 110, 10), "50 nm", 50, 0.005)
    raw = AnalysedMicrograph(image=image, table=pd.DataFrame(), scale=scale, rules=Rules(confidence=0.25))
    base = judged(raw)

    def timed(what: str, call: Callable[..., object], repeats: int = arguments.repeats) -> None:
        call()
        waited, worked = [], []
        for number in range(repeats):
            start, busy = time.perf_counter(), time.process_time()
            call(number)
            waited.append(1000 * (time.perf_counter() - start))
            worked.append(1000 * (time.process_time() - busy))
        print(f"{what:<36}{statistics.median(waited):9.1f}{max(waited):9.1f}{statistics.median(worked):12.1f}")

    some = [
        [[float(x), float(y)] for x, y in corners] for corners in ([(400, 400), (440, 400), (440, 440), (400, 440)],)
    ]
    edits = Edits(removed=frozenset({5}), changed={7: [some]}, drawn=(Drawn(outline=[some]),))
    few = max(arguments.repeats // 7, 1)
    print(f"{arguments.particles} outlines of {SIZE} x {SIZE} px")
    print(f"{'ms':<36}{'median':>9}{'slowest':>9}{'processor':>12}")
    timed(
        "measure_particles from scratch",
        lambda _=0: measure_particles(
            instances, SIZE, SIZE, nm_per_px=0.5, rules=Rules(confidence=0.25), shapes=shipped_namer()
        ),
        few,
    )
    timed(
        "statistics_of, another confidence", lambda n=0: statistics_of({"m": base}, Filters(confidence=0.3 + n / 100))
    )
    timed("statistics_of, another class", lambda n=0: statistics_of({"m": base}, Filters(classes=("rod",))))
    timed("statistics_of, with intervals", lambda _=0: statistics_of({"m": base}, intervals=True), few)
    timed("apply_edits", lambda _=0: apply_edits(base, edits))
    timed("rescale", lambda n=0: rescale(base, ScaleChoice(nm_per_px=1 + n)))
    timed("outlines_of", lambda _=0: outlines_of(base), few)
    outlines = outlines_of(base)
    timed("detail_of, with these", lambda _=0: detail_of(base, outlines))
    timed("merge of two", lambda _=0: merge(outlines[:2], SIZE, SIZE))
    timed("split", lambda _=0: split([some], [[420, 390], [421, 450]], SIZE, SIZE))


if __name__ == "__main__":
    main()
