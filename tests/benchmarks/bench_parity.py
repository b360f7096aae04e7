"""How far a run's network in ONNX Runtime is from the same network in PyTorch, on micrographs.

    python tests/benchmarks/bench_parity.py --run runs/emps/nsyolo-quick-seed0 --images data/emps/images/test

Every micrograph is letterboxed, and goes through both engines at the size the network was trained at and at 640 px.
Boxes and scores are compared at all anchors; the goal is 1e-4 of the input's side, as ``export`` demands it. Masks are
compared particle by particle, in pixels of the micrograph: each that PyTorch finds with the one in ONNX Runtime that
overlaps it most; the goal is an IoU of 0.999.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import iou_matrix
from nanoseg_bench.environment import isolate_libraries
from nanoseg_bench.images import IMAGE_SUFFIXES, read_image
from nanoseg_bench.models.base import MIN_SCORE
from nanoseg_bench.models.engine import Engine, TorchEngine
from nanoseg_bench.models.onnx_engine import OnnxEngine
from nanoseg_bench.models.options import YoloOptions
from nanoseg_bench.models.parity import MAX_BOX, MIN_MASK_IOU
from nanoseg_bench.models.torch_model import STRIDE
from nanoseg_bench.models.yolo_decode import decode_instances, select_detections
from nanoseg_bench.preparation.letterbox import Letterbox

PARTICLES = 100  # of a micrograph, the most confident ones


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a run's folder, or its weights")
    parser.add_argument("--images", type=Path, required=True, help="a folder of micrographs")
    parser.add_argument("--count", type=int, default=30, help="micrographs (default: %(default)s)")
    arguments = parser.parse_args()
    isolate_libraries()
    torch.set_num_threads(1)
    from nanoseg_bench.models.trained import open_trained
    from nanoseg_bench.nsyolo.export import export_onnx

    paths = [path for path in sorted(arguments.images.iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES]
    model = open_trained(arguments.run)
    with tempfile.TemporaryDirectory() as folder:
        export_onnx(model.network, Path(folder) / "network.onnx", size=model.recipe.canvas)
        engines = TorchEngine(model.network, "cpu"), OnnxEngine(Path(folder) / "network.onnx")
        for side in dict.fromkeys((model.recipe.canvas, 640)):
            compare_at(side, paths[: arguments.count], engines, model.classes)


def compare_at(side: int, paths: list[Path], engines: tuple[Engine, Engine], classes: tuple[str, ...]) -> None:
    boxes, scores, ious = [], [], []
    for path in paths:
        pixels = read_image(path)
        letterbox = Letterbox(pixels.shape[1], pixels.shape[0], side, STRIDE)
        outputs, particles = [], []
        for engine in engines:
            output, prototypes = engine.run(letterbox.apply(pixels))
            detections = select_detections(output, len(classes), MIN_SCORE, output.shape[1], YoloOptions().nms_iou)
            outputs.append(output)
            particles.append(decode_instances(detections.numpy(), prototypes.numpy(), letterbox, classes))
        difference = (outputs[0] - outputs[1]).abs()
        boxes.append(difference[:4].max().item())
        scores.append(difference[4 : 4 + len(classes)].max().item())
        ious += best_overlaps(*particles)
    found = np.array(ious)
    print(f"{len(paths)} micrographs at {side} px, {len(found)} particles")
    print(f"  boxes: at most {max(boxes):.1e} px, {max(boxes) / side:.1e} of the side (goal {MAX_BOX:g})")
    print(f"  scores: at most {max(scores):.1e}")
    below = int((found < MIN_MASK_IOU).sum())
    print(f"  mask IoU: least {found.min():.5f}, median {np.median(found):.5f}; below {MIN_MASK_IOU}: {below}")


def best_overlaps(here: list[Instance], there: list[Instance]) -> list[float]:
    """Highest IoU of each of the most confident particles in ``here`` with any in ``there``."""
    if not here or not there:
        return [0.0] * len(here[:PARTICLES])
    regions = [[each.region for each in particles] for particles in (here[:PARTICLES], there)]
    return iou_matrix(*regions).max(axis=1).tolist()


if __name__ == "__main__":
    main()
