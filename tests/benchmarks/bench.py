"""Every number that README and docs claim, measured anew by what a user or this folder has, in one table.

    make bench                                 the parts whose figures stand in documents, some hours
    make bench PARTS=records                   numbers from the published tables: seconds, computes nothing
    make bench PARTS=commands,speed
    make bench BENCH=--list                    the parts, how long they take, what they measure
    make bench BENCH=--write                   the documents from figures.json, without measuring
    make bench BENCH=--adopt PARTS=scale       figures.json from the documents, where a number was changed by hand

Figures lie in ``figures.json`` beside this file, each with its command, date and processor. A document shows one as
``<!--NAME-->0.955<!--/-->``, and what stands between is written from the figure. A marked number without a figure is
taken as it stands, with the origin "document, DATE", until its part is measured.

Parts that take times refuse a machine of which others use more than a tenth. ``--busy`` measures all the same, and
``--tiny`` tries whether a part works; what comes out then goes to runs/bench/figures-busy.json, and into no document.
"""

import argparse
import csv
import datetime
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from figure_list import FIGURES, MARKED, Figure, adopt, documents, figure, read_figures, write_documents, write_figures
from published_figures import published_figures
from rich.console import Console
from rich.table import Table

from nanoseg_bench.files import read_json

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUSY_FIGURES = ROOT / "runs" / "bench" / "figures-busy.json"
EMPS = ROOT.parent / "shared" / "data" / "emps"
OWN = "Gold März"
"""README's folder of micrographs."""

MOST_BUSY = 0.1
"""Share of all cores that others may use where times are taken."""


@dataclass(frozen=True)
class Bench:
    """What a part has to work with.

    Attributes:
        folder: That goes at the end.
        emps: A copy of the EMPS repository.
        tiny: Only whether it works.
    """

    folder: Path
    emps: Path
    tiny: bool

    def script(self, name: str, words: str = "", tiny: str = "", *paths: object) -> list[dict]:
        """Figures of a script of this folder, called with its words, and with ``tiny`` where that is asked for."""
        command = ["python", f"tests/benchmarks/{name}.py", *words.split(), *map(str, paths)]
        command += tiny.split() if self.tiny else []
        shown = shlex.join(command).replace(str(self.emps), "EMPS")
        out = self.folder / f"{name}.json"
        self.call([sys.executable, *command[1:], "--json", str(out)], ROOT)
        return [{**each, "command": shown} for each in read_json(out)]

    def command(self, words: list[str]) -> float:
        """Seconds of a command of ours in the folder."""
        return self.call([sys.executable, "-m", "nanoseg_bench", *words], self.folder)

    def call(self, command: list[str], cwd: Path) -> float:
        """Seconds that it takes; what it prints is shown only where it fails."""
        began = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))}
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
        if done.returncode:
            said = (done.stdout + done.stderr)[-3000:]
            raise SystemExit(f"{shlex.join(command)}: exit code {done.returncode}\n{said}")
        return time.perf_counter() - began

    def own_micrographs(self) -> int:
        """Render some into a folder as a lab has them; how many."""
        sys.path.insert(0, str(ROOT / "docs" / "images"))
        from strip import render

        images = 12 if self.tiny else 30
        render(self.folder / OWN, images)
        return images


def records(_: Bench | None = None) -> list[dict]:
    """Numbers of README's prose that are in the published tables."""
    return published_figures()


def commands(bench: Bench) -> list[dict]:
    """README's four commands, as they stand there; ``annotate`` only checks, as LabelMe would wait for a person."""
    images, found = bench.own_micrographs(), []
    units = {"annotate": ("s", 1), "prepare": ("s", 0), "run": ("minutes", 1), "predict": ("s", 0)}
    lines = re.findall(r"^    (nanoseg-bench .*)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)[:4]
    for line in lines:
        words = shlex.split(MARKED.sub(r"\2", line), comments=True)[1:]
        words += ["--check"] if words[0] == "annotate" else []
        shown = shlex.join(["nanoseg-bench", *words])
        if bench.tiny:
            words = [word.replace("-quick-", "-smoke-") for word in words]
            words += {"prepare": ["--size", "128"], "run": ["--preset", "smoke"]}.get(words[0], [])
        unit, digits = units[words[0]]
        value = bench.command(words) / (60 if unit == "minutes" else 1)
        found.append({**figure(words[0], value, unit=unit, digits=digits, n=images), "command": shown})
    return found


def demo(bench: Bench) -> list[dict]:
    """``make demo`` from an installed package on."""
    places = [f"DEMO_DATA={bench.folder}/data", f"DEMO_RUNS={bench.folder}/runs", f"BIN={Path(sys.executable).parent}"]
    dry = ["--dry-run"] if bench.tiny else []
    seconds = bench.call(["make", "--old-file", ".venv/ready", "demo", *places, *dry], ROOT)
    return [{**figure("time", seconds / 60, unit="minutes", digits=1, n=120), "command": "make demo"}]


def shipped(bench: Bench) -> list[dict]:
    """AP50 (any class) of NSYOLO from scratch and from the shipped weights, and of Otsu: the mean of five folds.

    These micrographs are rendered. Weights that have seen rendered ones before, as today's have, are flattered by them.
    """
    images = bench.own_micrographs()
    preset = "smoke" if bench.tiny else "quick"
    run = ["run", "gold-5fold", "--preset", preset, "--models"]
    calls = [["prepare", OWN, "--name", "gold", "--folds", "5"], [*run, "nsyolo", "otsu"]]
    calls += [[*run, "nsyolo", "--weights", "shipped"]]
    for words in calls:
        bench.command(words + (["--size", "128"] if bench.tiny and words[0] == "prepare" else []))
    found = []
    with (bench.folder / "leaderboards" / "gold-5fold-test.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            start = "otsu" if row["model"] == "otsu" else "scratch" if row["initial_weights"] == "none" else "shipped"
            ends = [float(row[f"map_50_agnostic_fold_mean{end}"]) for end in ("", "_lo", "_hi")]
            command = shlex.join(["nanoseg-bench", *calls[2 if start == "shipped" else 1]])
            found.append({**figure(f"{start}-with-interval", *ends, n=images), "command": command})
            found.append({**figure(start, ends[0], n=images), "command": command})
    return found


def speed(bench: Bench) -> list[dict]:
    """NSYOLO beside YOLO11n-seg on one thread, network by network and in ``predict``."""
    found = bench.script("bench_nsyolo", "--groups eager training onnx", "--pairs 2")
    weights = [f"nanoseg_bench/weights/{name}.safetensors" for name in ("nsyolo", "yolo11n")]
    words = ("--nsyolo", weights[0], "--yolo11n", weights[1], "--images", bench.emps / "images")
    found += bench.script("bench_nsyolo", "--groups predict", "--pairs 2", *words)
    noises = [each for each in found if each["name"].startswith("noise-")]
    largest = max(noises, key=lambda each: abs(each["value"] - 1))
    noise = figure("noise", 100 * abs(largest["value"] - 1), unit="%", digits=1, n=largest["n"])
    return [*found, {**noise, "command": largest["command"]}]


def gpu(bench: Bench) -> list[dict]:
    """The same on a GPU, and an epoch with ``loader: gpu`` beside Ultralytics' trainer."""
    found = bench.script("bench_nsyolo", "--device cuda", "--pairs 2")
    words = "--device cuda --images 400 --copies 4 --size 640 --batch 64"
    return found + bench.script("bench_training", words, "--images 24 --epochs 2")


def of_script(name: str, words: str, tiny: str, *, emps: bool = False) -> Callable[[Bench], list[dict]]:
    """A part that is a script of this folder."""
    return lambda bench: bench.script(name, words, tiny, *(("--emps", bench.emps) if emps else ()))


@dataclass(frozen=True)
class Part:
    """Some figures that are measured together.

    Attributes:
        measure: Gives them, as ``figure_list.figure`` makes them.
        takes: About how long, on two cores.
        about: What it measures.
        default: Its figures stand in a document: ``make bench`` runs it.
        timed: It takes times, so the machine is to be quiet.
        needs: "emps", "cuda" or nothing.
    """

    measure: Callable[[Bench], list[dict]]
    takes: str
    about: str
    default: bool = True
    timed: bool = True
    needs: str = ""


_SCALE = of_script("bench_scale", "--part held_out", "--limit 3", emps=True)
_DIAMETERS = of_script("bench_diameters", "--no-ocr", "--limit 2", emps=True)
_VIEWS = of_script("bench_views", "", "--limit 60", emps=True)
_NAMES = of_script("bench_shape_names", "--split test --model nsyolo --views 1 8", "--per-name 20", emps=True)
_MEMORY = of_script("bench_prepare", "--memory 500 2000 --workers 1 2", "--memory 8 12")

PARTS = {
    "records": Part(records, "1 s", "README's numbers of the published tables; computes nothing", timed=False),
    "commands": Part(commands, "9 min", "README's four commands on 30 rendered micrographs"),
    "demo": Part(demo, "9 min", "make demo"),
    "shipped": Part(shipped, "1 h", "NSYOLO from scratch and from shipped weights, five folds", timed=False),
    "speed": Part(speed, "40 min", "NSYOLO beside YOLO11n-seg on one thread", needs="emps"),
    "scale": Part(_SCALE, "20 min", "how often scale bars are read right, held-out part", timed=False, needs="emps"),
    "diameters": Part(_DIAMETERS, "1 min", "diameters by eye and by analyze", timed=False, needs="emps"),
    "views": Part(_VIEWS, "4 min", "micrographs looked at from several sides", timed=False, needs="emps"),
    "names": Part(_NAMES, "5 min", "how often outlines are named right", timed=False, needs="emps"),
    "analyze": Part(of_script("bench_analyze", "", "--repeats 1"), "2 min", "steps of an analysis", default=False),
    "web": Part(of_script("bench_web", "--only start answers", "--only start"), "15 min", "the page's server",
                default=False),
    "training": Part(of_script("bench_training", "", "--images 16 --size 64 --epochs 2 --rows ours-stock"), "5 min",
                     "training epochs beside Ultralytics', CPU", default=False),
    "jobs": Part(of_script("bench_jobs", "", "--images-seen 16 --pairs 1"), "20 min", "two trainings side by side",
                 default=False),
    "prepare": Part(of_script("bench_prepare", "--images 400 --pairs 5", "--images 12 --pairs 1"), "15 min",
                    "prepare on 1 and 2 workers", default=False),
    "archive": Part(_MEMORY, "15 min", "time and memory of prepare over the number of micrographs", default=False),
    "nanosynth": Part(of_script("bench_prepare", "--nanosynth 2000 20000", "--nanosynth 12 24"), "75 min",
                      "prepare of 20,000 micrographs on 2 workers beside 1, and its memory", default=False),
    "shards": Part(of_script("bench_shards", "", "--images 12 --easy --size 64 --crop 64 --batches 2"), "15 min",
                   "training from shards beside from memory", default=False),
    "gpu": Part(gpu, "20 min", "NSYOLO and training epochs on a GPU", default=False, needs="cuda"),
}  # fmt: skip
"""By what their figures' names begin with."""


def measure(name: str, emps: Path, *, tiny: bool, busy: bool) -> dict[str, Figure]:
    """Figures of a part.

    Raises:
        SystemExit: Others are at work, or a command failed.
    """
    part = PARTS[name]
    shares = [busy_share()] if part.timed else []
    if max(shares, default=0) > MOST_BUSY and not busy:
        raise SystemExit(
            f"{name}: {shares[0]:.0%} of the cores are busy, at most {MOST_BUSY:.0%} may be; wait, or see what comes "
            f"out by --busy, which goes to {BUSY_FIGURES.relative_to(ROOT)} and into no document"
        )
    with tempfile.TemporaryDirectory() as folder:
        found = part.measure(Bench(Path(folder), emps, tiny))
    shares += [busy_share()] if part.timed else []
    quiet = max(shares) <= MOST_BUSY if part.timed else None
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    same = {"command": f"make bench PARTS={name}", "origin": "measured", "date": today, "quiet": quiet}
    if name != "records":
        from nanoseg_bench.runs.provenance import device_name

        same["processor"] = device_name("cuda" if part.needs == "cuda" else "cpu")
    return {f"{name}.{each.pop('name')}": Figure(**same | each) for each in found}


def require(name: str, emps: Path) -> None:
    """SystemExit where a part cannot be measured here."""
    if PARTS[name].needs == "emps" and not (emps / "images").is_dir():
        raise SystemExit(f"{name}: no EMPS in {emps}; give its repository by --emps, or other PARTS")
    if PARTS[name].needs == "cuda" and shutil.which("nvidia-smi") is None:
        raise SystemExit(f"{name}: needs a GPU of NVIDIA, and there is none here; give other PARTS")


def busy_share() -> float:
    """Of all cores, in three seconds in which this process waits: what others use."""
    return psutil.cpu_percent(3.0) / 100


def print_table(figures: dict[str, Figure]) -> None:
    table = Table("figure", "value [95 %]", "unit", "n", "origin", "date", "quiet", "command")
    for name, each in sorted(figures.items()):
        quiet = {None: "", True: "yes", False: "NOT QUIET"}[each.quiet]
        table.add_row(name, str(each), each.unit, str(each.n or ""), each.origin, each.date, quiet, each.command)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    old = sorted({name.split(".")[0] for name, each in figures.items() if each.origin.startswith("document")})
    if old:
        print(f'Origin "document": as a document has it, not measured here; next: make bench PARTS={",".join(old)}')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", help="with commas between them (default: those of the documents, see --list)")
    parser.add_argument("--list", action="store_true", help="print the parts")
    parser.add_argument("--write", action="store_true", help="write the documents from figures.json, measure nothing")
    parser.add_argument(
        "--adopt", action="store_true", help="take the marked numbers of --parts as documents have them"
    )
    parser.add_argument("--busy", action="store_true", help="whatever else is at work; for a look only")
    parser.add_argument("--tiny", action="store_true", help="in seconds, to see whether the parts work; implies --busy")
    parser.add_argument("--emps", type=Path, default=EMPS, help="a copy of the EMPS repository (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.list:
        for name, part in PARTS.items():
            print(f"{name:10} {part.takes:>7}  {part.about}{'' if part.default else ' (not by default)'}")
        return
    chosen = arguments.parts.split(",") if arguments.parts else [name for name, part in PARTS.items() if part.default]
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"{', '.join(sorted(unknown))}: no part; the parts are {', '.join(PARTS)}")
    if arguments.adopt and not arguments.parts:
        parser.error("--adopt: say by --parts of which parts; what was measured of them is forgotten")
    look, emps = arguments.busy or arguments.tiny, arguments.emps.resolve()
    kept = {} if look else read_figures(FIGURES)
    if arguments.adopt:
        kept = {name: each for name, each in kept.items() if name.split(".")[0] not in chosen}
    if arguments.adopt or arguments.write:
        chosen = []
        keep(kept)
    for name in chosen:
        require(name, emps)
    for name in chosen:
        print(f"{name}: {PARTS[name].about}, about {PARTS[name].takes}", flush=True)
        found = measure(name, emps, tiny=arguments.tiny, busy=look)
        if not look and any(each.quiet is False for each in found.values()):
            print(f"{name}: others began to work meanwhile, so its figures are not kept")
            print_table(found)
            continue
        kept |= found
        if look:
            write_figures(BUSY_FIGURES, kept)
        else:
            keep(kept)  # after each part: the next one may fail
    print_table(kept)


def keep(figures: dict[str, Figure]) -> None:
    """Write figures.json and the documents; what is marked there and has no figure yet becomes one."""
    figures |= adopt(figures, documents(), tuple(PARTS))
    write_figures(FIGURES, figures)
    write_documents(figures, documents())


if __name__ == "__main__":
    main()
