"""What looking from several sides brings: the shipped weights on EMPS' validation images, from 1, 4 and 8 sides.

    python tests/benchmarks/bench_views.py --emps /path/to/emps
    python tests/benchmarks/bench_views.py --emps /path/to/emps --model yolo11n

Validation images chose the operating point, and nothing else is chosen here; test images are not looked at. CPU seconds
are of one thread, reading and decoding included.
"""

import argparse
import tempfile
import time
from pathlib import Path

from figure_list import add_json_option, figure, hand_over

from nanoseg_bench.environment import isolate_libraries

COLUMNS = {
    "ap": ("map_50_95_agnostic", 1, 3, ""),
    "ap75": ("map_75_agnostic", 1, 3, ""),
    "f1": ("f1", 1, 3, ""),
    "diameter-error": ("diameter_median_error_image_typical", 100, 1, "%"),
}
"""Figure: column, factor, digits, unit."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emps", type=Path, required=True, help="a copy of the EMPS repository")
    parser.add_argument("--model", default="nsyolo", help="as for predict (default: %(default)s)")
    parser.add_argument("--limit", type=int, help="prepare so many images only")
    add_json_option(parser)
    arguments = parser.parse_args()
    isolate_libraries()
    with tempfile.TemporaryDirectory() as folder:
        hand_over(arguments.json, compare(prepared(arguments, Path(folder) / "emps"), arguments.model))


def prepared(arguments, out):
    from nanoseg_bench.cli import main as nanoseg_bench
    from nanoseg_bench.preparation.prepared_set import PreparedSet

    limit = [] if arguments.limit is None else ["--images", str(arguments.limit)]
    command = ["prepare", "--dataset", "emps", "--source", str(arguments.emps), "--out", str(out), *limit]
    if nanoseg_bench(command) != 0:
        raise SystemExit("prepare failed")
    return PreparedSet(out)


def compare(prepared_set, model):
    import torch

    from nanoseg_bench.evaluation.eval_sets import load_eval_set
    from nanoseg_bench.evaluation.operating_point import choose_operating_point
    from nanoseg_bench.evaluation.predictions import Predictions
    from nanoseg_bench.evaluation.scoring import evaluate
    from nanoseg_bench.inference import open_predictor
    from nanoseg_bench.models.base import CanvasImage

    torch.set_num_threads(1)
    val, images = load_eval_set(prepared_set, "val"), prepared_set.images("val")
    print(f"{len(images)} validation images\nsides  CPU s/image  confidence  " + "  ".join(COLUMNS))
    figures = [figure("images", len(images), digits=0)]
    for sides in (1, 4, 8):
        network = open_predictor(model, engine="torch", views=sides).model
        began = time.process_time()
        found = {image.name: network.find_particles([CanvasImage.read(image)])[0] for image in images}
        seconds = (time.process_time() - began) / len(images)
        answer = Predictions(model, "val", val.set_hash, network.knows_classes, network.classes, found, val.sizes)
        point = choose_operating_point(val, answer)
        scores = evaluate(val, answer, point.confidence, resamples=0).scores
        values = {name: factor * scores[column] for name, (column, factor, _, _) in COLUMNS.items()}
        print(
            f"{sides:5}  {seconds:11.2f}  {point.confidence:10.2f}  " + "  ".join(f"{v:.3f}" for v in values.values())
        )
        figures += [
            figure(f"{name}-{sides}", value, unit=COLUMNS[name][3], digits=COLUMNS[name][2], n=len(images))
            for name, value in values.items()
        ]
        figures.append(figure(f"confidence-{sides}", point.confidence, digits=2, n=len(images)))
    return figures


if __name__ == "__main__":
    main()
