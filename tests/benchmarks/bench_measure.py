"""How long the particles of a micrograph take to measure, and their sample to be summarised.

    python tests/benchmarks/bench_measure.py --particles 500

Discs and rods at random places of a micrograph of 1024 × 1024 px, half of them rods. The time is that of the process
(``time.process_time``), which other work on the machine disturbs least; wall time is printed too. The best of the
repeats counts.
"""

import argparse
import math
import time

import numpy as np

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import window_to_rle
from nanoseg_bench.measure.particles import measure_particles
from nanoseg_bench.measure.sample import summarise, summary_table

SIDE = 1024


def draw(rng, number):
    width = rng.lognormal(math.log(26), 0.3)
    length = width * (rng.uniform(2, 4) if number % 2 else 1)
    size = int(length) + 4
    rows, columns = np.mgrid[:size, :size] + 0.5 - size / 2
    angle = rng.uniform(0, math.pi)
    along = np.abs(columns * math.cos(angle) + rows * math.sin(angle)) - (length - width) / 2
    across = columns * math.sin(angle) - rows * math.cos(angle)
    mask = np.hypot(np.maximum(along, 0), across) < width / 2
    left, top = rng.integers(0, SIDE - size, 2)
    return Instance("rod" if number % 2 else "sphere", window_to_rle(mask, int(left), int(top), SIDE, SIDE), 0.9)


def best(function, repeats):
    times = []
    for _ in range(repeats):
        wall, process = time.perf_counter(), time.process_time()
        function()
        times.append((time.process_time() - process, time.perf_counter() - wall))
    return min(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--particles", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    instances = [draw(rng, number) for number in range(arguments.particles)]
    table = measure_particles(instances, SIDE, SIDE, nm_per_px=0.5)
    for what, function in (
        ("table of particles", lambda: measure_particles(instances, SIDE, SIDE, nm_per_px=0.5)),
        ("one summary, 2000 resamples", lambda: summarise(table, "diameter_nm")),
        ("table of all classes", lambda: summary_table(table)),
    ):
        process, wall = best(function, arguments.repeats)
        print(f"{arguments.particles} particles, {what}: {process:.3f} s of the process, {wall:.3f} s wall")


if __name__ == "__main__":
    main()
