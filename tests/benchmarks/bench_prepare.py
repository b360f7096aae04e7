"""How ``prepare`` scales: over processes, and in memory over the number of micrographs.

    python tests/benchmarks/bench_prepare.py --images 400 --pairs 5     one process against two, alternating
    python tests/benchmarks/bench_prepare.py --memory 500 2000 10000    peak memory of the whole process tree
    python tests/benchmarks/bench_prepare.py --nanosynth 2000 20000     nanosynth, easy scenes, in shards

The micrographs of the first two are rendered: 1024x1024 px JPEG, each of its own, with 30 outlined discs in LabelMe
JSON. Memory is the proportional set size (PSS) of the command and its workers, sampled ten times a second; pages that
the processes share count once. Linux only.

``--nanosynth SOME MANY`` times SOME on one worker and on two, then MANY on two. One worker would take hours for MANY:
what it takes for SOME, times MANY/SOME, is less than that but for the command's start of 2 s (looking for shared
sources grows faster than the images), so the speed-up that is printed is a lower bound.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from figure_list import add_json_option, figure, hand_over
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent / "helpers"))

from process_memory import tree_memory

SIDE = 1024
DISCS = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--memory", type=int, nargs="+", metavar="N")
    parser.add_argument("--nanosynth", type=int, nargs=2, metavar=("SOME", "MANY"))
    parser.add_argument("--workers", type=int, nargs="+", default=[2], help="with --memory (default: 2)")
    parser.add_argument("--work", type=Path, help="folder for the images (default: a temporary one)")
    add_json_option(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.work) as name:
        folder = Path(name)
        if arguments.memory:
            figures = list(measure_memory(folder, arguments.memory, arguments.workers))
        elif arguments.nanosynth:
            figures = list(measure_nanosynth(folder, *arguments.nanosynth))
        else:
            figures = measure_scaling(folder, arguments.images, arguments.pairs)
    hand_over(arguments.json, figures)


def measure_scaling(folder: Path, images: int, pairs: int) -> list[dict]:
    render_all(folder / "source", images)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(pairs):
        for workers in seconds:
            spent = prepare(folder, workers)
            seconds[workers].append(spent)
            print(f"{workers} worker(s): {spent:.1f} s", flush=True)
    one, two = statistics.median(seconds[1]), statistics.median(seconds[2])
    print(f"{images} images: median {one:.1f} s with one worker, {two:.1f} s with two: {one / two:.2f} times")
    return [
        figure("one-worker", one, unit="s", digits=1, n=images),
        figure("two-workers", two, unit="s", digits=1, n=images),
        figure("speed-up", one / two, unit="times", digits=2, n=pairs),
    ]


def measure_memory(folder: Path, sizes: list[int], workers: list[int]) -> Iterator[dict]:
    for size, number in ((size, number) for size in sorted(sizes) for number in workers):
        render_all(folder / "source", size)
        peak = 0

        def look(pid: int) -> None:
            nonlocal peak
            peak = max(peak, tree_memory(pid))

        spent = prepare(folder, number, look)
        print(f"{size} images, {number} worker(s): peak {peak / 2**20:.0f} MiB, {spent:.0f} s", flush=True)
        yield figure(f"peak-{size}-workers-{number}", peak / 2**20, unit="MiB", digits=0, n=size)
        yield figure(f"seconds-{size}-workers-{number}", spent, unit="s", digits=0, n=size)


def measure_nanosynth(folder: Path, some: int, many: int) -> Iterator[dict]:
    seconds = {}
    for images, workers in ((some, 1), (some, 2), (many, 2)):
        peaks: list[int] = []
        source = ["--dataset", "nanosynth", "--easy", "--images", str(images), "--size", "320", "--shards", "256M"]
        spent = prepare(folder, workers, lambda pid, to=peaks: to.append(tree_memory(pid)), source)
        seconds[images, workers] = spent
        print(f"{images} images, {workers} worker(s): {spent:.0f} s, peak {max(peaks) / 2**20:.0f} MiB", flush=True)
        tenths = [max(part) / 2**20 for part in np.array_split(peaks, 10)]
        print(f"    MiB, peak of each tenth of the time: {' '.join(f'{peak:.0f}' for peak in tenths)}", flush=True)
        yield figure(f"nanosynth-seconds-{images}-workers-{workers}", spent, unit="s", digits=0, n=images)
        yield figure(f"nanosynth-peak-{images}-workers-{workers}", max(peaks) / 2**20, unit="MiB", digits=0, n=images)
    speed_up = seconds[some, 1] * many / some / seconds[many, 2]
    on_some = seconds[some, 1] / seconds[some, 2]
    print(f"as fast on two workers: {some} images {on_some:.2f} times, {many} images at least {speed_up:.2f} times")
    yield figure("nanosynth-speed-up", speed_up, unit="times", digits=2, n=many)


def prepare(
    folder: Path, workers: int, look: Callable[[int], None] | None = None, source: list[str] | None = None
) -> float:
    """Run the command, with ``look`` at it ten times a second where asked for (it costs time); seconds."""
    out = folder / "set"
    command = [sys.executable, "-m", "nanoseg_bench", "prepare", *(source or ["--labelme", str(folder / "source")])]
    command += ["--out", str(out), "--workers", str(workers), "--augment-copies", "0"]
    started = time.perf_counter()
    process = subprocess.Popen([*command, "--quiet"], stdout=subprocess.DEVNULL)
    while look is not None and process.poll() is None:
        look(process.pid)
        time.sleep(0.1)
    process.wait()
    spent = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"prepare ended with {process.returncode}")
    for made in folder.glob("set*"):  # the set, and what was rendered for it
        shutil.rmtree(made)
    return spent


def render_all(folder: Path, images: int) -> None:
    """Render what is not there yet."""
    folder.mkdir(exist_ok=True)
    missing = [number for number in range(images) if not (folder / f"{number:06d}.json").is_file()]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(render, [folder] * len(missing), missing, chunksize=16))


def render(folder: Path, number: int) -> None:
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(40, 110, (48, 48), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)).astype(np.int16)
    pixels = pixels + np.asarray(
        Image.fromarray(rng.integers(0, 24, (SIDE // 2, SIDE // 2), dtype=np.uint8)).resize((SIDE, SIDE))
    )
    rows, columns = np.mgrid[:SIDE, :SIDE]
    shapes = []
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    for _ in range(DISCS):
        x, y, radius = rng.uniform(60, SIDE - 60), rng.uniform(60, SIDE - 60), rng.uniform(12, 50)
        top, left = int(y - radius) - 1, int(x - radius) - 1
        window = (slice(top, int(y + radius) + 2), slice(left, int(x + radius) + 2))
        inside = (rows[window] + 0.5 - y) ** 2 + (columns[window] + 0.5 - x) ** 2 < radius**2
        pixels[window][inside] += int(rng.integers(60, 110))
        points = np.stack((x + radius * np.cos(angles), y + radius * np.sin(angles)), axis=1).tolist()
        shapes.append({"label": "particle", "points": points, "shape_type": "polygon", "group_id": None, "flags": {}})
    name = f"{number:06d}"
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{name}.jpg", quality=80)
    document = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{name}.jpg", "imageData": None}
    document |= {"imageHeight": SIDE, "imageWidth": SIDE}
    # Last, so that a file that is there has its image.
    (folder / f"{name}.json").write_text(json.dumps(document))


if __name__ == "__main__":
    main()
