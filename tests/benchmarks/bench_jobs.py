"""Two trainings side by side (``run --jobs 2``) against the same two one after the other, each with one thread.

    python tests/benchmarks/bench_jobs.py                                  small, a few minutes on two cores
    python tests/benchmarks/bench_jobs.py --images-seen 2000 --pairs 5

Both train YOLO11n-seg with two seeds on a generated set, with views of 320 px as the preset ``cpu`` draws them, from
start to table; latency is not measured, since another process holds the lock. The order changes from pair to pair. Run
it on a machine where nothing else is at work, with two cores or more.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figure_list import add_json_option, figure, hand_over

from nanoseg_bench.runs.quiet import at_work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images-seen", type=int, default=320, help="of each training")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--model", default="yolo11n")
    parser.add_argument("--work", type=Path, help="folder for the set and the runs (default: a temporary one)")
    add_json_option(parser)
    arguments = parser.parse_args()
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory(dir=arguments.work) as name, at_work():
        folder = Path(name)
        prepare = "prepare --dataset nanosynth --easy --images 24 --size 640 --augment-copies 0 --out"
        command([*prepare.split(), str(folder / "set")])
        for pair in range(arguments.pairs):
            for jobs in (1, 2) if pair % 2 else (2, 1):
                spent = train(folder, jobs, arguments)
                seconds[jobs].append(spent)
                print(f"--jobs {jobs}: {spent:.1f} s", flush=True)
    one, two = statistics.median(seconds[1]), statistics.median(seconds[2])
    print(f"two trainings: median {one:.1f} s one after the other, {two:.1f} s side by side: {one / two:.2f} times")
    hand_over(arguments.json, [figure("side-by-side", one / two, unit="times", digits=2, n=arguments.pairs)])


def train(folder: Path, jobs: int, arguments: argparse.Namespace) -> float:
    """Seconds of two trainings with their predictions and scores."""
    places = ["--runs", str(folder / "runs"), "--leaderboards", str(folder / "boards"), "--device", "cpu"]
    budget = [f"images_seen={arguments.images_seen}", f"images_per_epoch={arguments.images_seen}"]
    words = ["run", str(folder / "set"), "--models", arguments.model, "--seeds", "0", "1", "--preset", "cpu"]
    began = time.monotonic()
    command([*words, "--recipe", *budget, "--jobs", str(jobs), *places])
    spent = time.monotonic() - began
    shutil.rmtree(folder / "runs")
    shutil.rmtree(folder / "boards")
    return spent


def command(words: list[str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "nanoseg_bench", *words],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


if __name__ == "__main__":
    main()
