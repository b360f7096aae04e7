"""Images per second of a whole training epoch of YOLO11n-seg: this package's training against stock Ultralytics.

    python tests/benchmarks/bench_training.py                                     small, on the CPU
    python tests/benchmarks/bench_training.py --device cuda --images 400 --copies 4 --size 640 --batch 64
    python tests/benchmarks/bench_training.py --device cuda --data data/nanosynth --size 640 --time-limit 540

Rows, each in a process of its own:

    ultralytics            Ultralytics' trainer as it comes, images in memory (cache="ram")
    ultralytics-compiled   the same with compile=True
    ours-stock             loader: stock
    ours-gpu               loader: gpu
    ours-gpu-compiled      loader: gpu, compile: true (CUDA) or always (CPU)

All train the same network from scratch at the same size and batch, with the same augmentations in kind, on every image:
mosaic, flips, rotation by any angle, scale 0.5 to 1.5, brightness. On CUDA all compute in bfloat16. An epoch is timed
from the end of the one before to its own end, checkpoint included, so the first one, with its start-up and compilation,
does not count; the table gives the median epoch and the quickest and slowest. Training runs without validation.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from figure_list import add_json_option, figure, hand_over

ROWS = ("ultralytics", "ultralytics-compiled", "ours-stock", "ours-gpu", "ours-gpu-compiled")
CPU_ROWS = ("ultralytics", "ours-stock", "ours-gpu")
WORKERS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--data", type=Path, help="prepared set (default: a generated one)")
    parser.add_argument("--images", type=int, default=24, help="micrographs of the generated set")
    parser.add_argument("--copies", type=int, default=1, help="augmented copies of each of its training images")
    parser.add_argument("--size", type=int, default=160, help="side of the network's input in pixels")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=4, help="the first does not count")
    parser.add_argument("--rows", nargs="+", choices=ROWS, help=f"default on the CPU: {' '.join(CPU_ROWS)}; else all")
    parser.add_argument("--time-limit", type=float, default=3600, metavar="SECONDS")
    parser.add_argument("--work", type=Path, help="folder for the set and the runs (default: a temporary one)")
    parser.add_argument("--row", choices=ROWS, help=argparse.SUPPRESS)  # in the process of one row
    add_json_option(parser)
    arguments = parser.parse_args()
    if arguments.row:
        print(json.dumps(measure(arguments)), flush=True)
        return
    ends = time.monotonic() + arguments.time_limit
    with tempfile.TemporaryDirectory(dir=arguments.work) as name:
        folder = Path(name)
        data = arguments.data or generate(folder / "set", arguments)
        results = {row: run_row(row, data, folder, ends) for row in chosen_rows(arguments)}
    report(arguments, results)
    hand_over(arguments.json, list(figures_of(results)))


def figures_of(results: dict[str, dict[str, float] | str]) -> Iterator[dict]:
    """Images per second of each row, and its ratio to Ultralytics'."""
    measured = {row: result for row, result in results.items() if isinstance(result, dict)}
    for row, result in measured.items():
        yield figure(f"{row}-images-per-second", result["median"], digits=1)
        if row != "ultralytics" and "ultralytics" in measured:
            yield figure(f"epoch-{row}", result["median"] / measured["ultralytics"]["median"], unit="times", digits=2)


def chosen_rows(arguments: argparse.Namespace) -> tuple[str, ...]:
    return tuple(arguments.rows or (CPU_ROWS if arguments.device == "cpu" else ROWS))


def generate(out: Path, arguments: argparse.Namespace) -> Path:
    command = [sys.executable, "-m", "nanoseg_bench", "prepare", "--dataset", "nanosynth", "--easy", "--out", str(out)]
    command += ["--images", str(arguments.images), "--size", str(arguments.size)]
    command += ["--augment-copies", str(arguments.copies)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out


def run_row(row: str, data: Path, folder: Path, ends: float) -> dict[str, float] | str:
    """What ``measure`` returns, or why there is nothing."""
    command = [sys.executable, __file__, *sys.argv[1:], "--row", row, "--data", str(data), "--work", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=max(ends - time.monotonic(), 0.001))
    except subprocess.TimeoutExpired:
        return "time is up"
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "Error" in line]
        return (errors or ["no message"])[-1]
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def report(arguments: argparse.Namespace, results: dict[str, dict[str, float] | str]) -> None:
    measured = {row: result for row, result in results.items() if isinstance(result, dict)}
    images = next((int(result["images"]) for result in measured.values()), 0)
    print(
        f"\nYOLO11n-seg, {images} training images of {arguments.size} px, batch {arguments.batch}, {where(arguments)}"
    )
    print(f"{'row':22} {'images/s':>9} {'of epochs':>19} {'to Ultralytics':>15} {'first epoch':>12}")
    baseline = measured.get("ultralytics", {}).get("median")
    for row, result in results.items():
        if isinstance(result, str):
            print(f"{row:22} not measured: {result}")
            continue
        ratio = f"{result['median'] / baseline:.2f}" if baseline else ""
        spread = f"{result['lowest']:.1f} to {result['highest']:.1f}"
        print(f"{row:22} {result['median']:9.1f} {spread:>19} {ratio:>15} {result['first']:10.1f} s")


def where(arguments: argparse.Namespace) -> str:
    import torch

    if arguments.device == "cuda":
        return f"{torch.cuda.get_device_name()}, {os.cpu_count()} CPU cores"
    return f"CPU, {torch.get_num_threads()} threads"


def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """Train one row; images/s of its epochs, and the seconds until the end of the first."""
    from nanoseg_bench.environment import isolate_libraries

    isolate_libraries()
    train = train_ultralytics if arguments.row.startswith("ultralytics") else train_ours
    began = time.perf_counter()
    images, ends = train(arguments)
    speeds = [images / (after - before) for before, after in pairwise(ends)]
    return {
        "images": images,
        "median": statistics.median(speeds),
        "lowest": min(speeds),
        "highest": max(speeds),
        "first": ends[0] - began,
    }


def train_ours(arguments: argparse.Namespace) -> tuple[int, list[float]]:
    """Training images, and when each epoch ended."""
    from nanoseg_bench.models.base import FitContext
    from nanoseg_bench.models.recipe import Augmentation, load_recipe
    from nanoseg_bench.models.registry import build
    from nanoseg_bench.preparation.prepared_set import PreparedSet

    prepared = PreparedSet(arguments.data)
    compiled = arguments.row.endswith("compiled")
    changes = {
        "canvas": arguments.size,
        "batch": arguments.batch,
        "epochs": arguments.epochs,
        "loader": "stock" if arguments.row == "ours-stock" else "gpu",
        "augmentation": Augmentation(mosaic=1, mosaic_until=1, turn=0, rotate=1, contrast=0),
        "compile": ("always" if arguments.device == "cpu" else True) if compiled else False,
    }
    recipe = load_recipe("yolo11n", "best").model_copy(update=changes)
    run_dir = arguments.work / arguments.row
    run_dir.mkdir()
    began = time.perf_counter()
    device = "cuda:0" if arguments.device == "cuda" else "cpu"
    build(recipe, prepared.classes, prepared.max_instances).fit(prepared, FitContext(run_dir, device=device))
    total = time.perf_counter() - began
    with (run_dir / "history.csv").open(newline="") as stream:
        seconds = [float(row["seconds"]) for row in csv.DictReader(stream)]
    # The history counts from the first step; what came before it is the start-up.
    start = began + total - seconds[-1]
    return len(prepared.images("train")), [start + second for second in seconds]


def train_ultralytics(arguments: argparse.Namespace) -> tuple[int, list[float]]:
    """Training images, and when each epoch ended."""
    import torch
    from ultralytics.models.yolo.segment import SegmentationTrainer

    from nanoseg_bench.preparation.prepared_set import PreparedSet

    class Trainer(SegmentationTrainer):
        def read_results_csv(self) -> dict[str, list[str]]:
            """As the original, without polars."""
            with Path(self.csv).open(newline="") as stream:
                rows = list(csv.DictReader(stream))
            return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}

    # With absolute paths: those of the set are relative, and Ultralytics takes them from where it was started.
    described = arguments.work / f"{arguments.row}.yaml"
    root, names = arguments.data.resolve(), dict(enumerate(PreparedSet(arguments.data).classes))
    described.write_text(json.dumps({"path": str(root), "train": "images/train", "val": "images/val", "names": names}))
    ends: list[float] = []

    def note(trainer: SegmentationTrainer) -> None:
        if arguments.device == "cuda":
            torch.cuda.synchronize()
        ends.append(time.perf_counter())

    trainer = Trainer(
        overrides={
            "model": "yolo11n-seg.yaml",
            "data": str(described),
            "imgsz": arguments.size,
            "batch": arguments.batch,
            "nbs": arguments.batch,  # a step per batch, as ours
            "epochs": arguments.epochs,
            "device": 0 if arguments.device == "cuda" else "cpu",
            "workers": WORKERS if arguments.device == "cuda" else 0,
            "amp": "bf16" if arguments.device == "cuda" else False,
            "compile": arguments.row.endswith("compiled"),
            "cache": "ram",
            "deterministic": False,
            "pretrained": False,
            "optimizer": "SGD",
            "val": False,
            "plots": False,
            "close_mosaic": 0,
            "mosaic": 1.0,
            "degrees": 180.0,
            "scale": 0.5,
            "fliplr": 0.5,
            "flipud": 0.5,
            "hsv_h": 0.0,
            "hsv_s": 0.0,
            "hsv_v": 0.2,
            "overlap_mask": False,  # as ours: one mask per particle
            "project": str(arguments.work),
            "name": arguments.row,
        }
    )
    trainer.add_callback("on_fit_epoch_end", note)
    trainer.train()
    # After the last epoch it evaluates the best one, and reports that as one more.
    return len(trainer.train_loader.dataset), ends[: arguments.epochs]


if __name__ == "__main__":
    main()
