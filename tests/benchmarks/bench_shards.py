"""Training from shards against training from memory and from single files: speed, memory, disk.

    python tests/benchmarks/bench_shards.py                               speed on 60 rendered micrographs of 640 px
    python tests/benchmarks/bench_shards.py --images 20000 --work /big    as it is meant
    python tests/benchmarks/bench_shards.py --memory 500 2000 --size 128  peak memory over the number of images

Speed: for the recipe's plain views and for its augmented ones, the time of making a batch, and the time of a training
step of the network with it, from each source. Sources take turns at every batch, with the same draws, so whatever else
the machine does hits all alike; "memory" holds the images before the clock starts. Both wall time and processor time
are given: on a machine that has other work only the second says anything. A step is timed as where no core is free; a
training that has one reads the next batch while the network computes, and waits for less, or for nothing.

Memory: peak of the proportional set size (PSS) of ``prepare --shards`` and its workers, sampled ten times a second; and
peak resident memory of a process that trains the network from the shards, for as many images each time. Linux only.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from figure_list import add_json_option, figure, hand_over

sys.path.insert(0, str(Path(__file__).parent.parent / "helpers"))

from process_memory import tree_memory

AUGMENTED = {"mosaic": 0.3, "scale": [0.35, 1.25]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=60, help="micrographs of nanosynth")
    parser.add_argument("--easy", action="store_true", help="easy scenes, which are rendered quicker")
    parser.add_argument("--size", type=int, default=640, help="side of the canvas and of the network's input, px")
    parser.add_argument("--shards", default="64M", help="their size")
    parser.add_argument("--model", default="yolo11n")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--batches", type=int, default=12, help="of each source")
    parser.add_argument("--crop", type=int, help="side of the augmented views, px (default: half the size)")
    parser.add_argument("--memory", type=int, nargs="+", metavar="N")
    parser.add_argument("--train-images", type=int, default=64, help="with --memory: images that each training sees")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--work", type=Path, help="folder for the sets, which stay there (default: a temporary one)")
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)  # in the process whose memory is looked at
    add_json_option(parser)
    arguments = parser.parse_args()
    if arguments.train:
        train(arguments)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.work or Path(temporary)
        if arguments.memory:
            figures = list(measure_memory(folder, arguments))
        else:
            figures = list(measure_speed(folder, arguments))
    hand_over(arguments.json, figures)


def measure_memory(folder: Path, arguments: argparse.Namespace) -> Iterator[dict]:
    for images in arguments.memory:
        rendered = render(folder, images, arguments)
        out = folder / f"shards-{images}"
        command = [sys.executable, "-m", "nanoseg_bench", *of_prepare(rendered, out, arguments, shards=True)]
        preparing, seconds = peak_of(command)
        trained = folder / f"train-{images}"
        more = ["--model", arguments.model, "--batch", str(arguments.batch), "--size", str(arguments.size)]
        more += ["--train-images", str(arguments.train_images), "--work", str(trained)]
        command = [sys.executable, __file__, "--train", str(out), *more]
        training = int(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        print(
            f"{images} images: prepare --shards peak {preparing / 2**20:.0f} MiB, {seconds:.0f} s; training from them "
            f"peak {training / 2**20:.0f} MiB; {sum(1 for path in out.rglob('*') if path.is_file())} files",
            flush=True,
        )
        yield figure(f"prepare-peak-{images}", preparing / 2**20, unit="MiB", digits=0, n=images)
        yield figure(f"training-peak-{images}", training / 2**20, unit="MiB", digits=0, n=images)


def train(arguments: argparse.Namespace) -> None:
    from nanoseg_bench.models.base import FitContext
    from nanoseg_bench.models.registry import build
    from nanoseg_bench.preparation.prepared_set import PreparedSet

    prepared = PreparedSet(arguments.train)
    recipe = recipe_of(arguments, None)
    build(recipe, prepared.classes, prepared.max_instances).fit(prepared, FitContext(arguments.work, 0, "cpu"))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def recipe_of(arguments: argparse.Namespace, augmentation: dict | None):
    from nanoseg_bench.models.recipe import load_recipe

    changes = {"canvas": arguments.size, "batch": arguments.batch, "epochs": None, "crop": None, "loader": "stock"}
    changes |= {"images_seen": arguments.train_images, "images_per_epoch": arguments.train_images}
    if augmentation is not None:
        changes |= {"augmentation": augmentation, "crop": arguments.crop or arguments.size // 2}
    found = load_recipe(arguments.model, "smoke")
    return type(found).model_validate({**found.model_dump(), "augmentation": None, **changes})


def measure_speed(folder: Path, arguments: argparse.Namespace) -> Iterator[dict]:
    from nanoseg_bench.environment import isolate_libraries
    from nanoseg_bench.models import training_batches
    from nanoseg_bench.models.registry import build
    from nanoseg_bench.preparation.prepared_set import PreparedSet

    isolate_libraries()
    rendered = render(folder, arguments.images, arguments)
    sets = {}
    for name, shards in (("single", False), ("shards", True)):
        out = folder / f"{name}-{arguments.images}"
        command = [sys.executable, "-m", "nanoseg_bench", *of_prepare(rendered, out, arguments, shards=shards)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        sets[name] = PreparedSet(out)
        files = [path for path in out.rglob("*") if path.is_file()]
        print(f"{name}: {len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB", flush=True)
    assert sets["single"].content_hash == sets["shards"].content_hash
    for views, augmentation in (("plain", None), ("augmented", AUGMENTED)):
        recipe = recipe_of(arguments, augmentation)
        model = build(recipe, sets["single"].classes, sets["single"].max_instances)
        sources = {"memory": source_of(sets["single"], model)}
        share, training_batches.MEMORY_SHARE = training_batches.MEMORY_SHARE, 0.0
        sources["single files"] = source_of(sets["single"], model)
        training_batches.MEMORY_SHARE = share
        sources["shards"] = source_of(sets["shards"], model)
        yield from report(views, sources, model, arguments)


def source_of(prepared, model):
    from nanoseg_bench.models.training_batches import TrainingBatches

    source = TrainingBatches(prepared, model.recipe, 0, model.targets, ignored=model.uses_ignored)
    source.load(range(len(source)), "cpu")
    return source


def report(views: str, sources: dict, model, arguments: argparse.Namespace) -> Iterator[dict]:
    from nanoseg_bench.models.augmentation import Draw

    recipe, step = model.recipe, step_of(model)
    order = np.random.default_rng(0)
    names = list(sources)
    making, stepping = {name: [] for name in names}, {name: [] for name in names}
    total = len(sources["memory"])
    for number in range(arguments.batches + 1):
        draw = Draw(order.integers(0, total, arguments.batch).tolist(), number * arguments.batch, 10**6)
        for name in names[number % 3 :] + names[: number % 3]:  # no source is always the first
            batch, made = clocked(lambda source=sources[name], draw=draw: source[draw])
            _, stepped = clocked(lambda batch=batch: step(batch))
            if number:  # the first one warms up
                making[name].append(made)
                stepping[name].append(np.add(made, stepped))
    side = recipe.crop or recipe.canvas
    print(f"\n{views} views of {side} px, {recipe.model}, batches of {arguments.batch}, ms per image (median)")
    print(f"{'source':14} {'batch wall':>10} {'batch cpu':>10} {'step wall':>10} {'step cpu':>9}   cpu to memory's")
    for name in names:
        made, stepped = (1e3 * np.array(each[name]) / arguments.batch for each in (making, stepping))
        ratio, low, high = ratio_of([each[1] for each in stepping[name]], [each[1] for each in stepping["memory"]])
        print(
            f"{name:14} {statistics.median(made[:, 0]):10.2f} {statistics.median(made[:, 1]):10.2f} "
            f"{statistics.median(stepped[:, 0]):10.1f} {statistics.median(stepped[:, 1]):9.1f}   "
            f"{ratio:.3f} [{low:.3f}, {high:.3f}]",
            flush=True,
        )
        if name != "memory":
            yield figure(f"{views}-{name.replace(' ', '-')}-to-memory", ratio, low, high, n=arguments.batches)


def step_of(model):
    """A training step of the model's network: forward, loss, backward."""
    network = model.build_network().train()

    def step(batch) -> None:
        sum(model.losses(network, batch).values()).backward()
        network.zero_grad(set_to_none=True)

    return step


def clocked(work):
    """What it returns, and (wall, processor) seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, (time.perf_counter() - wall, time.process_time() - cpu)


def ratio_of(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """Ratio of the sums with its 95 % bootstrap interval over paired batches."""
    ours, theirs = np.array(ours), np.array(theirs)
    drawn = np.random.default_rng(0).integers(0, len(ours), (2000, len(ours)))
    low, high = np.percentile(ours[drawn].sum(axis=1) / theirs[drawn].sum(axis=1), (2.5, 97.5))
    return float(ours.sum() / theirs.sum()), float(low), float(high)


def render(folder: Path, images: int, arguments: argparse.Namespace) -> Path:
    """Render nanosynth's main part unless it is there; its folder."""
    from nanoseg_bench.synthesis.nanosynth import write_nanosynth

    out = folder / f"rendered-{images}{'-easy' if arguments.easy else ''}"
    if not (out / "done").is_file():
        write_nanosynth(out, images, 0, 0, easy=arguments.easy, workers=arguments.workers, hrtem_images=0)
        (out / "done").write_text(json.dumps({"images": images}))
    return out / "main"


def of_prepare(source: Path, out: Path, arguments: argparse.Namespace, *, shards: bool) -> list[str]:
    command = ["prepare", "--labelme", str(source), "--out", str(out), "--name", f"bench-{out.name}"]
    command += ["--size", str(arguments.size), "--augment-copies", "0", "--workers", str(arguments.workers)]
    return command + (["--shards", arguments.shards] if shards else [])


def peak_of(command: list[str]) -> tuple[int, float]:
    """Peak memory of a command with its children, and its seconds."""
    began, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None:
        peak = max(peak, tree_memory(process.pid))
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}\n{process.stderr.read().decode()[-2000:]}")
    return peak, time.perf_counter() - began


if __name__ == "__main__":
    main()
