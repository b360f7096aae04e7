"""How long it takes to find shared sources, and how that grows: python tests/benchmarks/bench_audit.py [--counts ...].

Not a test. The images are EMPS's; where more are asked for, crops, turns and magnifications of them follow (so those
collections hold many true pairs, which is the slower case). Times are wall times on this machine.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.images import read_image
from nanoseg_bench.parallel import Workers
from nanoseg_bench.preparation.fingerprint import fingerprint, write_fingerprint
from nanoseg_bench.preparation.letterbox import Letterbox
from nanoseg_bench.preparation.shared_sources import find_shared_sources

ROOT = Path(__file__).parents[2]
EMPS = ROOT.parent / "shared" / "data" / "emps" / "images"
CANVAS = 640


def main() -> None:
    """Print one line per size, and the growth between the first and the last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, default=EMPS, help="folder of PNG files")
    parser.add_argument("--counts", type=int, nargs="+", default=[250, 500, 1000])
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    sources = sorted(arguments.images.glob("*.png"))
    if not sources:
        parser.error(f"no PNG files in {arguments.images}")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        canvases = write_canvases(sources, max(arguments.counts), Path(folder))
        for count in sorted(arguments.counts):
            rows.append(measure(canvases[:count], arguments.workers, Path(folder) / f"{count}"))
            print(
                "images {:5d}  fingerprints {:6.1f} s  comparison {:6.1f} s  pairs {:5d}".format(*rows[-1]), flush=True
            )
    if len(rows) > 1:
        for column, name in ((1, "fingerprints"), (2, "comparison")):
            growth = math.log(rows[-1][column] / rows[0][column]) / math.log(rows[-1][0] / rows[0][0])
            print(f"{name} grow as n^{growth:.2f}")


def write_canvases(sources: list[Path], count: int, folder: Path) -> list[tuple[Path, Letterbox]]:
    """Letterboxed PNG files, as a prepared set holds them."""
    canvases = []
    for number, pixels in zip(range(count), perturbed(sources), strict=False):
        path = folder / f"{number:05d}.png"
        box = Letterbox(pixels.shape[1], pixels.shape[0], CANVAS)
        Image.fromarray(box.apply(pixels)).save(path, compress_level=1)
        canvases.append((path, box))
    return canvases


def perturbed(sources: list[Path]) -> Iterator[NDArray[np.uint8]]:
    """The images as they are, then turned crops of them, without end."""
    rng = np.random.default_rng(0)
    for path in sources:
        yield read_image(path)
    while True:
        for path in sources:
            pixels = read_image(path)
            side = rng.uniform(0.5, 0.9)
            height, width = (max(round(length * side), 1) for length in pixels.shape[:2])
            top, left = rng.integers(0, pixels.shape[0] - height + 1), rng.integers(0, pixels.shape[1] - width + 1)
            part = np.rot90(pixels[top : top + height, left : left + width], int(rng.integers(0, 4)))
            yield np.ascontiguousarray(part)


def measure(canvases: list[tuple[Path, Letterbox]], workers: int, folder: Path) -> tuple[int, float, float, int]:
    """(images, seconds for reading and fingerprints, seconds for the comparison, pairs found)."""
    tasks = [(path, box, folder / f"{path.stem}.npz") for path, box in canvases]
    start = time.perf_counter()
    with Workers(workers) as processes:
        for _ in processes.each(take, tasks, "fingerprints"):
            pass
        taken = time.perf_counter()
        found = find_shared_sources([target for _, _, target in tasks], processes)
    return len(tasks), taken - start, time.perf_counter() - taken, len(found)


def take(task: tuple[Path, Letterbox, Path]) -> None:
    """Read one canvas and write its fingerprint; in a worker process."""
    source, box, target = task
    (x, y), (width, height) = box.padding, box.content_size
    write_fingerprint(target, fingerprint(read_image(source)[y : y + height, x : x + width]))


if __name__ == "__main__":
    main()
