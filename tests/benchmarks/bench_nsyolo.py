"""How fast NSYOLO is beside the networks that it is to replace: ratios of the same run.

    python tests/benchmarks/bench_nsyolo.py                                     groups eager, training, onnx
    python tests/benchmarks/bench_nsyolo.py --groups eager --pairs 300
    python tests/benchmarks/bench_nsyolo.py --groups predict --nsyolo RUN --yolo11n RUN --images FOLDER
    python tests/benchmarks/bench_nsyolo.py --device cuda                       all groups of a GPU

In each round every network of a group is timed once, in turning order; ratios are formed in each round, and told as
the median of all rounds with a bootstrap interval of 95 %. One network is built twice: the ratio of the two is the
noise. A goal is met when the median is at or under it, and resolved only where the interval of the noise is narrower
than +-1 %. On a CPU the clock is the process's CPU time on one thread.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from figure_list import add_json_option, figure, hand_over
from numpy.typing import NDArray
from torch import nn

from nanoseg_bench.nsyolo.network import build_network

SIZE = 640
CLASSES = 3
RESAMPLES = 2000
NOISE_LIMIT = 0.01

DUPLICATE = "yolo11n again"

Task = Callable[[], object]
Interval = tuple[float, float, float]
"""Median, and the ends of its interval of 95 %."""


@dataclass(frozen=True)
class Row:
    """One comparison: the ratio of two networks, and the ratio that is wanted."""

    name: str
    title: str
    goal: float
    candidate: str = "nsyolo"
    baseline: str = "yolo11n"


@dataclass(frozen=True)
class Group:
    """Networks that are timed in the same rounds."""

    device: str
    build: Callable[[argparse.Namespace], dict[str, Task]]
    """By name; ``DUPLICATE`` is ``yolo11n`` once more."""
    rows: tuple[Row, ...]
    higher_is_better: bool = False
    """The ratio is of throughputs, not of times."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--groups", nargs="+", choices=tuple(GROUPS), help="default: all of the device without files")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--nsyolo", type=Path, help="a run's folder, for predict")
    parser.add_argument("--yolo11n", type=Path, help="a run's folder, for predict")
    parser.add_argument("--images", type=Path, help="a folder of micrographs, for predict")
    add_json_option(parser)
    arguments = parser.parse_args()
    if arguments.device == "cpu":
        torch.set_num_threads(1)
    elif not torch.cuda.is_available():
        raise SystemExit("no CUDA device here: these rows are not measured")
    chosen = arguments.groups or [
        name for name, group in GROUPS.items() if group.device == arguments.device and name != "predict"
    ]
    lines, figures = [], []
    for name in chosen:
        group = GROUPS[name]
        if group.device != arguments.device:
            raise SystemExit(f"--groups {name} is for --device {group.device}")
        seconds = measure(group, arguments)
        for row in group.rows:
            ratio, noise = compare(row, group, seconds)
            lines.append(line(row, group, ratio, noise, arguments.pairs))
            figures.append(figure(row.name, *ratio, n=arguments.pairs))
            print(lines[-1], flush=True)
        figures.append(figure(f"noise-{name}", *noise, n=arguments.pairs))  # of a group, whichever the row
    print("\n| row | ratio [95 %] | noise [95 %] | goal | |\n|---|---|---|---|---|")
    print("\n".join(lines))
    hand_over(arguments.json, figures)


def measure(group: Group, arguments: argparse.Namespace) -> dict[str, NDArray[np.float64]]:
    """Seconds of each network of a group, round by round."""
    tasks = group.build(arguments)
    for task in tasks.values():
        for _ in range(3):
            task()
    names = list(tasks)
    seconds = {name: np.empty(arguments.pairs) for name in names}
    for number in range(arguments.pairs):
        for place in np.roll(range(len(names)), number):
            seconds[names[place]][number] = clock(tasks[names[place]], arguments.device)
    return seconds


def compare(row: Row, group: Group, seconds: dict[str, NDArray[np.float64]]) -> tuple[Interval, Interval]:
    """A row's ratio, and that of the same network twice, each with its interval."""
    candidate = seconds[row.candidate] / seconds[row.baseline]
    duplicate = seconds[DUPLICATE] / seconds["yolo11n"]
    if group.higher_is_better:
        candidate, duplicate = 1 / candidate, 1 / duplicate
    return with_interval(candidate), with_interval(duplicate)


def line(row: Row, group: Group, ratio: Interval, same: Interval, rounds: int) -> str:
    """What a row's ratios say of its goal."""
    (median, low, high), (noise, noise_low, noise_high) = ratio, same
    if max(abs(noise_low - noise), abs(noise_high - noise)) >= NOISE_LIMIT:
        verdict = "not resolved"
    else:
        verdict = "met" if (median >= row.goal if group.higher_is_better else median <= row.goal) else "not met"
    sign = "≥" if group.higher_is_better else "≤"
    return (
        f"| {row.title} | {median:.3f} [{low:.3f}, {high:.3f}] | {noise:.3f} [{noise_low:.3f}, {noise_high:.3f}] "
        f"| {sign} {row.goal:.2f} | {verdict} ({rounds} rounds) |"
    )


def clock(task: Task, device: str) -> float:
    """Seconds that a task takes: CPU time of the process, or wall time up to the end of the device's work."""
    if device == "cpu":
        start = time.process_time()
        task()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    task()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def with_interval(ratios: NDArray[np.float64]) -> Interval:
    """Median, and the 95 % bootstrap interval of it."""
    drawn = np.random.default_rng(0).integers(0, len(ratios), (RESAMPLES, len(ratios)))
    low, high = np.quantile(np.median(ratios[drawn], axis=1), (0.025, 0.975))
    return float(np.median(ratios)), float(low), float(high)


def built(scheme: str) -> nn.Module:
    torch.manual_seed(0)
    return build_network(scheme, CLASSES)


def eager(arguments: argparse.Namespace) -> dict[str, Task]:
    """Inference of one image, norms folded, in the default memory format."""
    return _three(lambda scheme: _inference(built(scheme).eval().fuse(verbose=False), 1, arguments.device))


def training(arguments: argparse.Namespace) -> dict[str, Task]:
    """Forward and backward of the sum of all outputs, batch 4; also as ``run`` trains, in channels_last."""
    from published_nsyolo import build_published

    def step(network: nn.Module, layout: torch.memory_format = torch.contiguous_format) -> Task:
        return _training_step(network.to(memory_format=layout), 4, arguments.device, layout)

    return {
        **_three(lambda scheme: step(built(scheme))),
        "published": step(build_published(built("yolo11n"))),
        "nsyolo as trained": step(built("nsyolo"), torch.channels_last),
        "yolo11n as trained": step(built("yolo11n"), torch.channels_last),
    }


def onnx(arguments: argparse.Namespace) -> dict[str, Task]:
    """ONNX Runtime on one thread, one image."""
    import onnxruntime

    from nanoseg_bench.nsyolo.export import INPUT, export_onnx

    def session(scheme: str) -> Task:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        with tempfile.TemporaryDirectory() as folder:
            export_onnx(built(scheme), Path(folder) / "network.onnx", size=SIZE)
            opened = onnxruntime.InferenceSession(str(Path(folder) / "network.onnx"), options)
        image = np.random.default_rng(0).random((1, 3, SIZE, SIZE), dtype=np.float32)
        return lambda: opened.run(None, {INPUT: image})

    return _three(session)


def predict(arguments: argparse.Namespace) -> dict[str, Task]:
    """From image in memory to masks: Ultralytics' own predict of YOLO11n-seg against this package's of NSYOLO."""
    if not (arguments.nsyolo and arguments.yolo11n and arguments.images):
        raise SystemExit("--groups predict needs --nsyolo, --yolo11n and --images")
    from ultralytics import YOLO

    from nanoseg_bench.images import IMAGE_SUFFIXES, as_rgb, read_image
    from nanoseg_bench.inference.predictor import open_predictor
    from nanoseg_bench.models.trained import open_trained

    paths = sorted(path for path in arguments.images.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)[:8]
    images = [as_rgb(read_image(path)) for path in paths]
    ours = open_predictor(arguments.nsyolo)

    def stock() -> Task:
        trained = open_trained(arguments.yolo11n)
        model = YOLO("yolo11n-seg.yaml")
        model.model = trained.network.float()
        size = trained.recipe.canvas
        blue_first = [np.ascontiguousarray(image[:, :, ::-1]) for image in images]
        return lambda: [model.predict(image, imgsz=size, verbose=False, device="cpu") for image in blue_first]

    return {
        "yolo11n": stock(),
        DUPLICATE: stock(),
        "nsyolo": lambda: [ours.predict(image, 0.25) for image in images],
    }


def graph(arguments: argparse.Namespace) -> dict[str, Task]:
    """One image, compiled, captured as one CUDA graph."""
    images = _images(1, arguments.device)

    def replayed(scheme: str) -> Task:
        network = _for_inference(scheme, arguments.device)
        with torch.no_grad():
            network(images)  # the head keeps its anchors from here on: nothing is allocated for them in the graph
            compiled = torch.compile(network, dynamic=False)
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(3):
                    compiled(images)
            torch.cuda.current_stream().wait_stream(aside)
            captured = torch.cuda.CUDAGraph()
            with torch.cuda.graph(captured):
                compiled(images)

        def replay(kept: object = (network, images)) -> None:
            # The graph reads their memory, but does not keep it.
            captured.replay()

        return replay

    return _three(replayed)


def throughput(arguments: argparse.Namespace) -> dict[str, Task]:
    """Inference of 64 images in bfloat16."""
    return _three(lambda scheme: _inference(_for_inference(scheme, arguments.device), 64, arguments.device))


def throughput_compiled(arguments: argparse.Namespace) -> dict[str, Task]:
    """The same, compiled."""

    def task(scheme: str) -> Task:
        network = _for_inference(scheme, arguments.device)
        with torch.inference_mode():
            network(_images(64, arguments.device))  # as in ``graph``
        return _inference(torch.compile(network, dynamic=False), 64, arguments.device)

    return _three(task)


def training_throughput(arguments: argparse.Namespace) -> dict[str, Task]:
    """Forward and backward of 64 images in bfloat16."""
    return _three(lambda scheme: _training_step(built(scheme), 64, arguments.device))


def training_throughput_compiled(arguments: argparse.Namespace) -> dict[str, Task]:
    """The same, compiled."""
    return _three(lambda scheme: _training_step(built(scheme), 64, arguments.device, compiled=True))


def _for_inference(scheme: str, device: str) -> nn.Module:
    return built(scheme).eval().fuse(verbose=False).to(device, memory_format=torch.channels_last)


def _three(task: Callable[[str], Task]) -> dict[str, Task]:
    return {"yolo11n": task("yolo11n"), DUPLICATE: task("yolo11n"), "nsyolo": task("nsyolo")}


def _images(batch: int, device: str) -> torch.Tensor:
    images = torch.rand(batch, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)).to(device)
    return images.contiguous(memory_format=torch.channels_last) if device == "cuda" else images


def _inference(network: nn.Module, batch: int, device: str) -> Task:
    network, images = network.to(device), _images(batch, device)

    def run() -> None:
        with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16, enabled=device == "cuda" and batch > 1):
            network(images)

    return run


def _training_step(
    network: nn.Module,
    batch: int,
    device: str,
    layout: torch.memory_format = torch.contiguous_format,
    *,
    compiled: bool = False,
) -> Task:
    if device == "cuda":
        layout = torch.channels_last
    network = network.train().to(device, memory_format=layout)
    images = _images(batch, device).contiguous(memory_format=layout)
    if compiled:
        network = torch.compile(network, dynamic=False)

    def run() -> None:
        network.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16, enabled=device == "cuda"):
            outputs = network(images)
        total(outputs).backward()

    return run


def total(outputs: object) -> torch.Tensor:
    """Sum of all tensors in a nesting of lists, tuples and dictionaries."""
    if isinstance(outputs, torch.Tensor):
        return outputs.float().sum()
    parts: Sequence[object] = list(outputs.values()) if isinstance(outputs, dict) else list(outputs)  # type: ignore[call-overload]
    return torch.stack([total(part) for part in parts]).sum()


GROUPS = {
    "eager": Group("cpu", eager, (Row("eager", "PyTorch eager, batch 1, 640 px: NSYOLO / YOLO11n-seg", 1.02),)),
    "training": Group("cpu", training, (
        Row("training", "forward + backward, batch 4: NSYOLO / YOLO11n-seg", 1.03),
        Row("training-as-trained", "the same, both as `run` trains them (channels_last)", 1.03,
            "nsyolo as trained", "yolo11n as trained"),
        Row("published", "forward + backward, batch 4: NSYOLO / published code, same layout", 0.85,
            baseline="published"),
        Row("published-as-trained", "the same, NSYOLO as `run` trains it / published code", 0.85,
            "nsyolo as trained", "published"),
    )),
    "onnx": Group("cpu", onnx, (Row("onnx", "ONNX Runtime: NSYOLO / YOLO11n-seg", 1.04),)),
    "predict": Group("cpu", predict, (
        Row("predict", "`predict` of NSYOLO / Ultralytics' predict of YOLO11n-seg", 0.60),
    )),
    "graph": Group("cuda", graph, (Row("graph", "batch 1, compiled, CUDA graph: NSYOLO / YOLO11n-seg alike", 1.05),)),
    "throughput": Group("cuda", throughput, (
        Row("throughput", "batch 64, inference: NSYOLO / YOLO11n-seg", 0.97),
    ), True),
    "throughput-compiled": Group("cuda", throughput_compiled, (
        Row("throughput-compiled", "batch 64, inference, both compiled", 0.97),
    ), True),
    "training-throughput": Group("cuda", training_throughput, (
        Row("training-throughput", "batch 64, forward + backward: NSYOLO / YOLO11n-seg", 0.97),
    ), True),
    "training-throughput-compiled": Group("cuda", training_throughput_compiled, (
        Row("training-throughput-compiled", "batch 64, forward + backward, both compiled", 0.97),
    ), True),
}  # fmt: skip


if __name__ == "__main__":
    main()
