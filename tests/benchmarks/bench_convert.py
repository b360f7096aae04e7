"""``nanoseg-bench convert`` against the Rust tool ``labelme2yolo``: the same folder, by turns, whole processes.

    python tests/benchmarks/bench_convert.py FOLDER --emps /path/to/emps --copies 20

Writes EMPS as LabelMe JSON (outlines traced from its instance maps) ``--copies`` times into FOLDER/labelme, unless it
is there already, then runs both tools on it. The Rust tool writes into that folder; what it wrote is deleted between
the runs. Its images are copies, ours are hard links; ``--copy`` makes ours copies as well.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import orjson

ROOT = Path(__file__).parents[2]
EMPS = ROOT.parent / "shared" / "data" / "emps"


def make_folder(folder, emps, copies):
    from nanoseg_bench.annotations.masks.reading import read_instance_map
    from nanoseg_bench.annotations.tracing import trace
    from nanoseg_bench.images import image_size

    folder.mkdir(parents=True)
    for image in sorted((emps / "images").glob("*.png")):
        width, height = image_size(image)
        shapes = [
            {
                "label": "particle",
                "points": part.exterior.tolist(),
                "group_id": number if len(parts) > 1 else None,
                "description": "",
                "shape_type": "polygon",
                "flags": {},
                "mask": None,
            }
            for number, instance in enumerate(read_instance_map(emps / "segmaps" / image.name, "particle"))
            for parts in [trace(instance.region)]
            for part in parts
        ]
        for copy in range(copies):
            name = f"{image.stem}_{copy:02}"
            shutil.copyfile(image, folder / f"{name}.png")
            document = {
                "version": "5.5.0",
                "flags": {},
                "shapes": shapes,
                "imagePath": f"{name}.png",
                "imageData": None,
                "imageHeight": height,
                "imageWidth": width,
            }
            (folder / f"{name}.json").write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def timed(command):
    """Wall time (s), processor time of the process and the children it waited for (s), its largest size (MB)."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"{' '.join(map(str, command))}: failed\n{process.stderr.read().decode()}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def count(folder):
    labels = list(folder.rglob("*.txt"))
    images = sum(path.suffix == ".png" for path in folder.rglob("*"))
    return len(labels), images, sum(path.read_bytes().count(b"\n") for path in labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--emps", type=Path, default=EMPS)
    parser.add_argument("--copies", type=int, default=20)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--copy", action="store_true", help="let ours copy images, too")
    arguments = parser.parse_args()
    source, out = arguments.folder / "labelme", arguments.folder / "ours"
    if not source.is_dir():
        make_folder(source, arguments.emps, arguments.copies)
    bin_folder = Path(sys.executable).parent
    rust = [bin_folder / "labelme2yolo", "--json_dir", source, "--val_size", "0.1", "--test_size", "0.1"]
    rust += ["--output_format", "polygon"]
    ours = [bin_folder / "nanoseg-bench", "convert", source, out, "--to", "yolo"]
    ours += ["--copy"] if arguments.copy else []
    results = {"labelme2yolo": [], "nanoseg-bench": []}
    for run in range(arguments.runs + 1):  # the first one fills the file cache and does not count
        for name, command, written in (
            ("labelme2yolo", rust, source / "YOLODataset"),
            ("nanoseg-bench", ours, out),
        ):
            shutil.rmtree(written, ignore_errors=True)
            os.sync()
            measured = timed(command)
            if run:
                results[name].append(measured)
            else:
                print(f"{name}: {{}} labels, {{}} images, {{}} lines".format(*count(written)))
            shutil.rmtree(written)
    for name, measured in results.items():
        walls, cpu, memory = zip(*measured, strict=True)
        shown = " ".join(f"{wall:.2f}" for wall in walls)
        print(
            f"{name}: median {statistics.median(walls):.2f} s of [{shown}], processor {statistics.median(cpu):.2f} s,"
        )
        print(f"  largest process {max(memory):.0f} MB")
    medians = [statistics.median(wall for wall, *_ in results[name]) for name in ("nanoseg-bench", "labelme2yolo")]
    print(f"ratio {medians[0] / medians[1]:.2f}")


if __name__ == "__main__":
    main()
