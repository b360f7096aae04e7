"""How long scoring and resampling take, against pycocotools and, where it can be imported, faster-coco-eval.

    python tests/benchmarks/bench_scoring.py --emps /path/to/emps --repeats 3

Scoring: the 99 test images of EMPS (without ``--emps``: as many rendered ones) with 1,000 candidate masks each, half of
them near a particle, the others anywhere. Every program starts from its own files and ends with AP over the ten IoU
thresholds, for all sizes and for three size strata: the four area ranges of pycocotools. They take turns. The time is
that of the process (``time.process_time``), which other work on the machine disturbs least; wall time is printed too.
Then the complete row of a leaderboard from the same predictions: masks and boxes, outlines, counts, sizes, curves, and
1,000 resamples of four metrics.

Resampling: ten models, 99 images of as many source groups, 1,000 candidates and 26 particles each; 1,000 resamples of
mAP, paired differences to the first model, ranks, and the two variances of five seeds.
"""

import argparse
import contextlib
import importlib
import io
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from nanoseg_bench.annotations.instance import Instance, Rle
from nanoseg_bench.annotations.masks.reading import read_instance_map
from nanoseg_bench.annotations.raster import area, bounding_box, rle_to_window, window_to_rle
from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.predictions import Predictions, compare, read_predictions, write_predictions
from nanoseg_bench.evaluation.scoring import evaluate
from nanoseg_bench.metrics.average_precision import (
    SIZE_STRATA,
    average_precision,
    average_precision_by_size,
    match_detections,
    resampled_map,
)
from nanoseg_bench.metrics.bootstrap import draw_weights, paired_difference, percentile_interval
from nanoseg_bench.metrics.matching import ImageOverlap
from nanoseg_bench.metrics.ranking import rank_ranges
from nanoseg_bench.metrics.seeds import seed_effects

IMAGES, CANDIDATES, PARTICLES = 99, 1000, 26
MODELS, SEEDS, RESAMPLES = 10, 5, 1000
CONFIDENCE = 0.6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emps", type=Path, help="a copy of the EMPS repository")
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--work", type=Path, help="folder for the files (default: a temporary one)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.work) as name:
        measure_scoring(Path(name), arguments.emps, arguments.images, arguments.repeats)
    measure_resampling(arguments.images)


def measure_scoring(folder, emps, images, repeats):
    truth, sizes = emps_truth(emps, images) if emps else rendered_truth(images)
    predicted = {name: candidates(truth[name], *sizes[name], np.random.default_rng(7)) for name in truth}
    eval_set = EvalSet("test", "hash", ("particle",), tuple(truth), truth, sizes, {n: n for n in truth}, CANDIDATES)
    write_predictions(folder / "ours.json.gz", Predictions("m", "test", "hash", True, ("particle",), predicted, sizes))
    write_coco(folder, truth, predicted, sizes)
    particles = sum(len(instances) for instances in truth.values())
    print(f"{len(truth)} images, {particles} particles, {CANDIDATES} candidates per image", flush=True)

    programs = {"nanoseg-bench": lambda: ours(folder / "ours.json.gz", eval_set)}
    for module, evaluator in (("pycocotools", "cocoeval.COCOeval"), ("faster_coco_eval", "COCOeval_faster")):
        with contextlib.suppress(ImportError):
            programs[module] = coco_program(folder, module, evaluator)
    times = {name: [] for name in programs}
    for _ in range(repeats):
        for name, program in programs.items():
            started, wall = time.process_time(), time.perf_counter()
            result = program()
            times[name].append(time.process_time() - started)
            shown = ", ".join(f"{value:.6f}" for value in result)
            print(f"{name}: {times[name][-1]:.2f} s ({time.perf_counter() - wall:.2f} s wall), AP {shown}", flush=True)
    fastest = statistics.median(times["nanoseg-bench"])
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name}: median {median:.2f} s, {median / fastest:.1f} times ours")
    predictions = read_predictions(folder / "ours.json.gz")
    started, wall = time.process_time(), time.perf_counter()
    evaluate(eval_set, predictions, CONFIDENCE, resamples=RESAMPLES)
    print(
        f"a complete row: {time.process_time() - started:.2f} s ({time.perf_counter() - wall:.2f} s wall)", flush=True
    )


def ours(path, eval_set):
    """AP of all sizes and of each stratum, from the file."""
    started = time.process_time()
    predictions = read_predictions(path)
    read = time.process_time()
    overlaps = compare(eval_set, predictions)
    compared = time.process_time()
    every = average_precision(match_detections(overlaps, None, CANDIDATES))
    strata = average_precision_by_size(overlaps, CANDIDATES)
    done = time.process_time()
    print(f"    read {read - started:.2f} s, overlaps {compared - read:.2f} s, AP {done - compared:.2f} s")
    return [every.map_50_95, *(result.map_50_95 for result in strata.values())]


def coco_program(folder, module, evaluator):
    """AP as pycocotools, or a package with its interface, computes it from JSON."""
    coco = importlib.import_module(f"{module}.coco" if module == "pycocotools" else module).COCO
    *inner, name = evaluator.split(".")
    evaluation_class = getattr(importlib.import_module(".".join([module, *inner])), name)

    def program():
        with contextlib.redirect_stdout(io.StringIO()):
            truth = coco(str(folder / "truth.json"))
            evaluation = evaluation_class(truth, truth.loadRes(str(folder / "candidates.json")), "segm")
            evaluation.params.maxDets = [CANDIDATES]
            ranges = [[0, 1e10]]
            ranges += [[np.pi / 4 * least**2, min(np.pi / 4 * most**2, 1e10)] for least, most in SIZE_STRATA.values()]
            evaluation.params.areaRng = ranges
            evaluation.params.areaRngLbl = ["all", *SIZE_STRATA]
            evaluation.evaluate()
            evaluation.accumulate()
        precision = evaluation.eval["precision"][:, :, :, :, -1]
        return [float(precision[:, :, :, index].mean()) for index in range(len(ranges))]

    return program


def measure_resampling(images):
    rng = np.random.default_rng(0)
    models = [match_detections(random_overlaps(rng, images), None, CANDIDATES) for _ in range(MODELS)]
    started, wall = time.process_time(), time.perf_counter()
    groups, weights = np.arange(images), draw_weights(images, RESAMPLES, np.random.default_rng(0))
    samples = [resampled_map(matches, groups, weights).map_50_95 for matches in models]
    intervals = [percentile_interval(values) for values in samples]
    differences = [paired_difference(values, samples[0]) for values in samples]
    ranks = rank_ranges(samples)
    scores = np.array([average_precision(matches).map_50_95 for matches in models[:SEEDS]])
    effects = seed_effects(scores, np.array(samples[:SEEDS]))
    print(
        f"resampling: {MODELS} models x {RESAMPLES} resamples in {time.process_time() - started:.1f} s "
        f"({time.perf_counter() - wall:.1f} s wall)"
    )
    for interval, difference, rank in zip(intervals, differences, ranks, strict=True):
        print(f"    [{interval[0]:.4f}, {interval[1]:.4f}]  [{difference[0]:+.4f}, {difference[1]:+.4f}]  {rank}")
    print(f"    {effects}")


def emps_truth(emps, images):
    names = [line.strip() for line in (emps / "test.csv").read_text().splitlines() if line.strip()][:images]
    truth = {name: read_instance_map(emps / "segmaps" / f"{name}.png", "particle") for name in names}
    return truth, {name: (one[0].region.width, one[0].region.height) for name, one in truth.items()}


def rendered_truth(images):
    rng = np.random.default_rng(0)
    width, height = 700, 512
    truth = {}
    for number in range(images):
        instances = []
        for _ in range(PARTICLES):
            radius = float(np.clip(rng.lognormal(3.1, 0.6), 2, 120))
            columns, rows = np.meshgrid(*[np.arange(int(2 * radius) + 1) + 0.5] * 2)
            window = (columns - radius) ** 2 + (rows - radius) ** 2 <= radius**2
            x, y = rng.integers(0, width - window.shape[1]), rng.integers(0, height - window.shape[0])
            instances.append(Instance("particle", window_to_rle(window, int(x), int(y), height, width)))
        truth[f"{number:03}"] = instances
    return truth, dict.fromkeys(truth, (width, height))


def candidates(truth, width, height, rng):
    """Particles that were stretched and moved a little, or a lot."""
    windows = [rle_to_window(instance.region) for instance in truth]
    found = []
    for _ in range(CANDIDATES):
        window, x, y = windows[rng.integers(len(windows))]
        near = rng.random() < 0.5
        stretch = 1 + rng.normal(0, 0.12, 2) if near else rng.uniform(0.5, 1.5, 2)
        rows, columns = np.clip(np.round(np.array(window.shape) * stretch), 2, (height, width)).astype(int)
        resized = window[(np.arange(rows) * window.shape[0] // rows)][
            :, np.arange(columns) * window.shape[1] // columns
        ]
        left, top = rng.uniform(0, width - columns), rng.uniform(0, height - rows)
        if near:
            left = x + (window.shape[1] - columns) / 2 + rng.normal(0, 0.06 * columns)
            top = y + (window.shape[0] - rows) / 2 + rng.normal(0, 0.06 * rows)
        left, top = int(np.clip(left, 0, width - columns)), int(np.clip(top, 0, height - rows))
        score = float(np.clip(rng.normal(0.6 if near else 0.25, 0.2), 0.001, 1))
        found.append(Instance("particle", window_to_rle(resized, left, top, height, width), score))
    return found


def write_coco(folder, truth, predicted, sizes):
    images, annotations, results = [], [], []
    for number, name in enumerate(truth, start=1):
        width, height = sizes[name]
        images.append({"id": number, "width": width, "height": height})
        for instance in truth[name]:
            box = {"area": area(instance.region), "bbox": list(bounding_box(instance.region)), "iscrowd": 0}
            annotations.append({**coco_entry(number, instance), **box, "id": len(annotations) + 1})
        results += [{**coco_entry(number, instance), "score": instance.score} for instance in predicted[name]]
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "particle"}]}
    (folder / "truth.json").write_text(json.dumps(document))
    (folder / "candidates.json").write_text(json.dumps(results))


def coco_entry(image, instance):
    region = instance.region
    counts = {"size": [region.height, region.width], "counts": region.counts.decode()}
    return {"image_id": image, "category_id": 1, "segmentation": counts}


def random_overlaps(rng, images):
    """Overlaps without masks: every candidate meets one particle, more or less."""
    dummy = Rle(1, 1, b"01")
    quality = rng.uniform(0.6, 0.7)
    overlaps = []
    for _ in range(images):
        best = np.where(rng.random(CANDIDATES) < 0.3, rng.beta(8 * quality, 8 * (1 - quality), CANDIDATES), 0.0)
        scores = np.clip(best + rng.normal(0, 0.3, CANDIDATES), 0, 1)
        order = np.argsort(-scores, kind="stable")
        iou = np.zeros((CANDIDATES, PARTICLES))
        iou[np.arange(CANDIDATES), rng.integers(0, PARTICLES, CANDIDATES)] = best[order]
        overlaps.append(
            ImageOverlap(
                width=1,
                height=1,
                predicted=(dummy,) * CANDIDATES,
                scores=scores[order],
                labels=("particle",) * CANDIDATES,
                truth=(dummy,) * PARTICLES,
                truth_labels=("particle",) * PARTICLES,
                area=np.ones(CANDIDATES),
                truth_area=np.ones(PARTICLES),
                ignore=(),
                ignore_labels=(),
                iou=iou,
                ignore_share=np.zeros((CANDIDATES, 0)),
                ignored=np.zeros(CANDIDATES, dtype=bool),
            )
        )
    return overlaps


if __name__ == "__main__":
    main()
