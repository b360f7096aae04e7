"""Every figure that needs a CUDA GPU, in one go: for a machine that is there for minutes only.

    python tests/benchmarks/on_gpu.py --out figures-gpu --time-limit 540
    python tests/benchmarks/on_gpu.py --out figures-gpu --steps graph epoch
    python tests/benchmarks/on_gpu.py --list

First what the steps need and what needs no quiet machine, all at the same time: a set of micrographs is generated, and
the networks are compiled, whose code torch keeps for the steps to come. Then the steps, one after the other. A step's
output is kept in ``OUT/<step>.txt`` when it ends well, and the step is skipped from then on; one that failed is told
with its last line and tried again by the next call. The end of every output is printed last.
"""

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
DATA = "data/bench-gpu"
_LINES_SHOWN = 12


@dataclass(frozen=True)
class Step:
    """A command, and how long it may take.

    Attributes:
        command: Its words.
        seconds: Before it is ended.
        needs: What is to be made first, of ``FIRST``.
    """

    command: tuple[str, ...]
    seconds: float
    needs: tuple[str, ...] = ()


def script(name: str, words: str) -> tuple[str, ...]:
    return (sys.executable, str(HERE / name), "--device", "cuda", *words.split())


COMPILED = ("graph", "throughput-compiled", "training-throughput-compiled")
PREPARE = f"prepare --easy --images 400 --size 640 --augment-copies 4 --workers 16 --out {DATA}"
FIRST = {
    "data": Step((sys.executable, "-m", "nanoseg_bench", *PREPARE.split()), 240),
    **{f"compile-{group}": Step(script("bench_nsyolo.py", f"--groups {group} --pairs 1"), 240) for group in COMPILED},
}
STEPS = {
    **{
        group: Step(
            script("bench_nsyolo.py", f"--groups {group}"), 150, (f"compile-{group}",) if group in COMPILED else ()
        )
        for group in ("throughput", "training-throughput", *COMPILED)
    },
    "epoch": Step(script("bench_training.py", f"--data {DATA} --size 640 --batch 64 --time-limit 280"), 300, ("data",)),
    "loaders": Step(
        script("bench_loaders.py", f"--data {DATA} --size 640 --batch 16 --images 16000 --seeds 0"),
        400,
        ("data",),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures-gpu"), help="default: %(default)s")
    parser.add_argument("--steps", nargs="+", choices=tuple(STEPS), default=list(STEPS), metavar="STEP")
    parser.add_argument("--time-limit", type=float, default=3600, metavar="SECONDS")
    parser.add_argument("--list", action="store_true", help="print the steps and their commands")
    arguments = parser.parse_args()
    if arguments.list:
        for name, step in {**FIRST, **STEPS}.items():
            print(f"{name:34} {' '.join(step.command)}")
        return
    ends = time.monotonic() + arguments.time_limit
    arguments.out.mkdir(parents=True, exist_ok=True)
    needed = {need for name in arguments.steps for need in STEPS[name].needs}
    started = [Running(name, step, arguments.out, ends) for name, step in FIRST.items() if name in needed]
    for running in started:
        running.wait()
    results = {}
    for name in arguments.steps:
        results[name] = Running(name, STEPS[name], arguments.out, ends).wait()
    for name in arguments.steps:
        print(f"\n== {name}: {results[name]}")
        kept = arguments.out / f"{name}.txt"
        if kept.is_file():
            print("\n".join(kept.read_text(encoding="utf-8").splitlines()[-_LINES_SHOWN:]))


class Running:
    """A step that was started, or is done already.

    Args:
        name: Of the step.
        step: Its command.
        out: Folder of the outputs.
        ends: ``time.monotonic()`` value after which nothing runs.
    """

    def __init__(self, name: str, step: Step, out: Path, ends: float) -> None:
        self._name = name
        self._done = out / f"{name}.txt"
        self._log = out / f"{name}.log"
        self._began = time.monotonic()
        self._ends = min(ends, self._began + step.seconds)
        self._process: subprocess.Popen[bytes] | None = None
        if not self._done.is_file() and self._began < self._ends:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(step.command, stdout=log, stderr=subprocess.STDOUT)

    def wait(self) -> str:
        """Wait for its end; what became of it."""
        result = self._result()
        print(f"{self._name}: {result}", flush=True)
        return result

    def _result(self) -> str:
        if self._process is None:
            return "done before" if self._done.is_file() else "not begun: time is up"
        try:
            code = self._process.wait(max(self._ends - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            self._process.terminate()
            self._process.wait()
            return f"ended after {time.monotonic() - self._began:.0f} s: time is up, see {self._log}"
        if code:
            lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            return f"failed with exit code {code} ({lines[-1] if lines else 'no message'}), see {self._log}"
        self._log.rename(self._done)
        return f"{time.monotonic() - self._began:.0f} s"


if __name__ == "__main__":
    main()
