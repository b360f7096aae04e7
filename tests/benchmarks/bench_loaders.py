"""Does ``loader: gpu`` train as well as ``loader: stock``? The same recipe, seeds and images with both, scored on val.

    python tests/benchmarks/bench_loaders.py --data data/nanosynth                         small, on the CPU
    python tests/benchmarks/bench_loaders.py --data data/nanosynth --device cuda --size 640 --batch 64 --images 40000

Both loaders carry out the same draws with the same code, one on the CPU and one on the training device. On a CPU their
networks should be the same; on a GPU they differ by rounding, which a training enlarges. The table gives class-agnostic
AP on val for every seed, the mean difference, and the interval of each seed's difference over source groups (paired
bootstrap). Nothing is read from the test set.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from nanoseg_bench.environment import isolate_libraries
from nanoseg_bench.evaluation.eval_sets import load_eval_set
from nanoseg_bench.evaluation.predictions import compare
from nanoseg_bench.metrics.average_precision import average_precision, match_detections, resampled_map
from nanoseg_bench.metrics.bootstrap import draw_weights, group_indices, paired_difference
from nanoseg_bench.models.base import FitContext
from nanoseg_bench.models.recipe import Augmentation, load_recipe
from nanoseg_bench.models.registry import build
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.inference import predict_eval_set

LOADERS = ("stock", "gpu")
RESAMPLES = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="prepared set")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--model", default="yolo11n")
    parser.add_argument("--size", type=int, default=192, help="side of the network's input in pixels")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--images", type=int, default=1600, help="images that each training sees")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    arguments = parser.parse_args()
    isolate_libraries()
    prepared = PreparedSet(arguments.data)
    print(f"{arguments.model} on {prepared.name}, {arguments.images} images of {arguments.size} px, {arguments.device}")
    print(f"{'seed':>4} {'AP stock':>9} {'AP gpu':>9} {'AP50 stock':>11} {'AP50 gpu':>9}   gpu - stock, AP [95 %]")
    differences = []
    for seed in arguments.seeds:
        stock, gpu = (train_and_match(prepared, loader, seed, arguments) for loader in LOADERS)
        scores = [average_precision(matches) for matches in (stock, gpu)]
        differences.append(scores[1].map_50_95 - scores[0].map_50_95)
        low, high = interval(prepared, stock, gpu)
        print(
            f"{seed:4} {scores[0].map_50_95:9.4f} {scores[1].map_50_95:9.4f} {scores[0].map_50:11.4f} "
            f"{scores[1].map_50:9.4f}   {differences[-1]:+.4f} [{low:+.4f}, {high:+.4f}]",
            flush=True,
        )
    print(f"mean difference in AP over {len(differences)} seeds: {np.mean(differences):+.4f}")


def train_and_match(prepared, loader, seed, arguments):
    """Train with one loader and match the predictions on val with the truth."""
    changes = {
        "canvas": arguments.size,
        "batch": arguments.batch,
        "images_seen": arguments.images,
        "images_per_epoch": max(arguments.images // 4, 1),
        "loader": loader,
        "augmentation": Augmentation(),
    }
    recipe = load_recipe(arguments.model, "quick").model_copy(update=changes)
    model = build(recipe, prepared.classes, prepared.max_instances)
    device = "cuda:0" if arguments.device == "cuda" else "cpu"
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        model.fit(prepared, FitContext(Path(folder), seed, device))
    print(f"    {loader}, seed {seed}: trained in {time.perf_counter() - began:.0f} s", flush=True)
    eval_set = load_eval_set(prepared, "val")
    overlaps = compare(eval_set, predict_eval_set(model, prepared, eval_set, device))
    return match_detections(overlaps, None, eval_set.max_detections)


def interval(prepared, stock, gpu):
    """95 % interval of the difference in AP over source groups, paired."""
    eval_set = load_eval_set(prepared, "val")
    groups, count = group_indices([eval_set.source_groups[name] for name in eval_set.images])
    weights = draw_weights(count, RESAMPLES, np.random.default_rng(0))
    return paired_difference(
        resampled_map(gpu, groups, weights).map_50_95, resampled_map(stock, groups, weights).map_50_95
    )


if __name__ == "__main__":
    main()
