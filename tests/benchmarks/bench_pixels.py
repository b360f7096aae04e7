"""How particles are best made of what U-Net or DeepLabv3+ says of pixels, on validation images alone.

    python tests/benchmarks/bench_pixels.py --data data/emps --run runs/emps/deeplabv3plus-cpu-seed0

The first rows are ways to cut and rate particles; the last are ceilings, with the true foreground, the true depth or
both in place of the learnt ones: what is missing there is lost between pixels and particles, whatever the network.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np

from nanoseg_bench.environment import isolate_libraries

COLUMNS = ("map_50_95_agnostic", "map_50_agnostic", "map_75_agnostic", "precision", "recall", "f1")
BEFORE = {"middle": 0.5, "neck": 0.75, "min_area": 100 / 640**2, "score": "foreground"}
"""As the first rows were made."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a prepared set with validation images")
    parser.add_argument("--run", type=Path, required=True, help="a finished run of a model with the option `distance`")
    arguments = parser.parse_args()
    isolate_libraries()
    import torch

    from nanoseg_bench.evaluation.eval_sets import load_eval_set
    from nanoseg_bench.models.base import CanvasImage
    from nanoseg_bench.models.trained import open_trained
    from nanoseg_bench.preparation.prepared_set import PreparedSet

    torch.set_num_threads(1)
    prepared = PreparedSet(arguments.data)
    val, images = load_eval_set(prepared, "val"), prepared.images("val")
    canvases = {image.name: CanvasImage.read(image) for image in images}
    model = open_trained(arguments.run)
    maps = {name: maps_of(model, canvas) for name, canvas in canvases.items()}
    truths = true_maps(prepared, val)
    show = partial(score, model, val, canvases)
    print(f"{len(images)} validation images\n{'':34}" + "".join(f"{name[-12:]:>14}" for name in COLUMNS))
    smaller = {**BEFORE, "middle": 0.3, "min_area": 25 / 640**2}
    rated = {**smaller, "score": "fit"}
    for words, changes in (
        ("as before", BEFORE),
        ("smaller particles, lower middles", smaller),
        ("rated by the fit, too", rated),
        *((f"neck {neck}", {**rated, "neck": neck}) for neck in (0.6, 0.7, 0.8, 0.9)),
    ):
        show(words, maps, changes)
    show("true foreground", {name: (truths[name][0], maps[name][1]) for name in maps}, rated)
    show("true depth", {name: (maps[name][0], truths[name][1]) for name in maps}, rated)
    show("both true", truths, rated)
    show("both true, as before", truths, BEFORE)


def maps_of(model, canvas):
    """Foreground probability and depth, (S, S) each, that the network sees."""
    kept = []
    instances, model._instances = model._instances, lambda *parts: kept.append(parts) or []
    model.predict([canvas])
    model._instances = instances
    probabilities, depth, seen, letterbox = kept[0]
    from nanoseg_bench.models.semantic import _on_canvas

    return _on_canvas(1 - probabilities[0], seen, letterbox), _on_canvas(depth, seen, letterbox)


def true_maps(prepared, val):
    """The same from the truth; where particles overlap, the later one is seen."""
    import torch

    from nanoseg_bench.annotations.raster import to_mask
    from nanoseg_bench.models.depth import depth_map

    found = {}
    for name, instances in prepared.canvas_instances("val").items():
        owner = np.zeros((prepared.canvas, prepared.canvas), dtype=np.int64)
        for number, instance in enumerate(instances, start=1):
            owner[to_mask(instance, prepared.canvas, prepared.canvas)] = number
        depth = depth_map(torch.from_numpy(owner)[None])[0].numpy()
        found[name] = ((owner > 0).astype(np.float32), depth)
    return {name: found[name] for name in val.sizes}


def score(model, val, canvases, words, maps, changes):
    from nanoseg_bench.evaluation.operating_point import choose_operating_point
    from nanoseg_bench.evaluation.predictions import Predictions
    from nanoseg_bench.evaluation.scoring import evaluate
    from nanoseg_bench.models.mask_cleaning import clean_masks

    model.options = model.options.model_copy(update=changes)
    found = {}
    for name, (foreground, depth) in maps.items():
        letterbox = canvases[name].letterbox
        instances = model._instances(np.stack([1 - foreground, foreground]), depth, letterbox, letterbox)
        found[name] = clean_masks(instances, model.recipe.mask_cleaning, letterbox.height, letterbox.width)
    answer = Predictions(model.recipe.model, "val", val.set_hash, True, model.classes, found, val.sizes)
    scores = evaluate(val, answer, choose_operating_point(val, answer).confidence, resamples=0).scores
    print(f"{words:34}" + "".join(f"{scores[name]:14.3f}" for name in COLUMNS), flush=True)


if __name__ == "__main__":
    main()
