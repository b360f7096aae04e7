"""What a reader meets on the walk of a micrograph from its LabelMe file to a CSV cell: python tests/benchmarks/walk.py.

Not a test. ``prepare`` of twelve micrographs, ``run --models yolo11n --preset smoke`` and ``leaderboard`` in this
process; every function of the package that is entered is counted, and every class whose instances are made, passed or
returned. Which of them stand for a micrograph, and which say what run they are of, their fields tell. Latency is not
measured: whether it can be hangs on what else is at work.
"""

import argparse
import inspect
import json
import os
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

import numpy as np
from PIL import Image, ImageDraw

import nanoseg_bench
from nanoseg_bench.cli import main as command
from nanoseg_bench.environment import isolate_libraries

PACKAGE = Path(nanoseg_bench.__file__).parent
MICROGRAPHS, WIDTH, HEIGHT = 12, 128, 96
HOLDERS = {"entry", "ref", "micrograph", "canvases"}
NAMES = {"name", "stem", "path", "image_path", "file_name"}
FACTS = {"width", "height", "size", "instances", "instances_truth", "letterbox", "split", "pixels_sha256", "extract_to"}
"""A class stands for a micrograph if it holds one, or names one and says of it what its name does not."""
RUN = {"spec", "inputs", "recipe", "model", "title", "preset", "seed", "weights", "initial_weights", "set_hash", "fold"}
"""A class says which run it is of if it holds ``spec`` or ``inputs``, or three of the others."""
_SMALL = ("--size", "128", "--augment-copies", "1", "--workers", "1")


class Walk:
    """What was entered and met."""

    def __init__(self) -> None:
        self.functions: set[CodeType] = set()
        self.classes: set[type] = set()

    def watch(self, frame: FrameType, event: str, argument: object) -> None:
        """For ``sys.setprofile``."""
        code = frame.f_code
        if event == "call":
            if code.co_filename.startswith(str(PACKAGE)):
                of_python = code.co_filename.endswith(".py")  # the macros of templates are functions, too
                if of_python and code.co_flags & inspect.CO_OPTIMIZED and not code.co_name.startswith("<"):
                    self.functions.add(code)
                for value in list(frame.f_locals.values()):
                    self._meet(value)
            elif code.co_name == "__init__" and "self" in frame.f_locals:  # written by dataclasses or pydantic
                self._meet(frame.f_locals["self"])
        elif event == "return" and code.co_filename.startswith(str(PACKAGE)):
            self._meet(argument)

    def _meet(self, value: object) -> None:
        if type(value) in (list, tuple) and value:
            value = value[0]  # type: ignore[index]
        elif type(value) is dict and value:
            value = next(iter(value.values()))
        if type(value).__module__.startswith("nanoseg_bench"):
            self.classes.add(type(value))


def draw(folder: Path) -> None:
    """Micrographs with discs and their LabelMe files."""
    rng = np.random.default_rng(7)
    for number in range(MICROGRAPHS):
        image = Image.fromarray(rng.normal(60, 6, (HEIGHT, WIDTH)).clip(0, 255).astype(np.uint8))
        shapes = []
        for x in (24, 64, 104):
            y, radius = float(rng.uniform(24, 72)), float(rng.uniform(8, 16))
            ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), fill=180)
            angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
            points = np.column_stack([x + radius * np.cos(angles), y + radius * np.sin(angles)]).tolist()
            shapes.append({"label": "disc", "points": points, "group_id": None, "shape_type": "polygon", "flags": {}})
        name = f"specimen{number}"
        image.save(folder / f"{name}.png")
        size = {"imageWidth": WIDTH, "imageHeight": HEIGHT}
        document = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{name}.png", "imageData": None}
        (folder / f"{name}.json").write_text(json.dumps({**document, **size}))


def take(root: Path) -> Walk:
    """The walk, below a folder."""
    from nanoseg_bench.runs import executors, job

    (root / "micrographs").mkdir()
    draw(root / "micrographs")
    (root / "no locks").write_text("no folder")
    os.environ["NANOSEG_BENCH_LOCKS"] = str(root / "no locks")
    executors._run_alone = job.carry_out
    data, runs, tables = str(root / "set"), str(root / "runs"), str(root / "leaderboards")
    walk = Walk()
    commands = [
        ["prepare", "--labelme", str(root / "micrographs"), "--name", "walk", "--out", data, *_SMALL],
        ["run", data, "--models", "yolo11n", "--preset", "smoke", "--runs", runs, "--leaderboards", tables],
        ["leaderboard", "walk", "--leaderboards", tables],
    ]
    threading.setprofile(walk.watch)
    sys.setprofile(walk.watch)
    try:
        codes = [command(each) for each in commands]
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    if any(codes) or not list((root / "leaderboards").glob("*.csv")):
        raise SystemExit(f"the commands ended with {codes}, in {root}")
    return walk


def fields_of(each: type) -> set[str]:
    """Names of what its instances hold."""
    return {name for base in each.__mro__ for name in vars(base).get("__annotations__", {})}


def is_of_micrograph(fields: set[str]) -> bool:
    """Whether instances with these fields stand for a micrograph."""
    return bool(fields & HOLDERS) or bool(fields & NAMES and fields & FACTS)


def is_of_run(fields: set[str]) -> bool:
    """Whether instances with these fields say which run they are of."""
    return bool(fields & {"spec", "inputs"}) or len(fields & RUN) >= 3


def describe(walk: Walk) -> dict[str, list[str]]:
    """Names, as lists."""
    where = {code: str(Path(code.co_filename).relative_to(PACKAGE)) for code in walk.functions}
    named = {f"{each.__module__}.{each.__qualname__}": each for each in walk.classes}
    return {
        "functions": sorted(f"{where[code]}:{code.co_firstlineno} {code.co_qualname}" for code in walk.functions),
        "modules": sorted(set(where.values())),
        "classes": sorted(named),
        "types of a micrograph": sorted(name for name in named if is_of_micrograph(fields_of(named[name]))),
        "types of a run": sorted(name for name in named if is_of_run(fields_of(named[name]))),
        "types that declare a run's fields": sorted(
            name for name in named if len(vars(named[name]).get("__annotations__", {}).keys() & RUN) >= 3
        ),
    }


def lines_per_room() -> Counter[str]:
    """Lines of Python in each room; what lies in none, under ``.``."""
    return Counter(
        {
            room: sum(len(path.read_bytes().splitlines()) for path in files)
            for room, files in (
                (".", list(PACKAGE.glob("*.py"))),
                *((each.name, list(each.rglob("*.py"))) for each in sorted(PACKAGE.iterdir()) if each.is_dir()),
            )
            if files and room != "_data"
        }
    )


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", type=Path, metavar="FILE", help="write what was met there, as JSON")
    arguments = parser.parse_args()
    isolate_libraries()
    with tempfile.TemporaryDirectory() as folder:
        met = describe(take(Path(folder)))
    if arguments.list:
        arguments.list.write_text(json.dumps(met, indent=1))
    for what, found in met.items():
        print(f"{len(found):6,d}  {what}")
    for room, lines in lines_per_room().items():
        print(f"{lines:6,d}  lines in {room}")


if __name__ == "__main__":
    main()
