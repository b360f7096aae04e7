"""How the web page's server bears load: python tests/benchmarks/bench_web.py [--jobs 500] [--images FOLDER] [--only X].

Not a test. One line per number: time to the first page, 50 uploads at once, 200 in the queue, the time of answers while
the worker is busy (median, 95 %), memory after so many micrographs, and what becomes of uploads when server and worker
are killed. Micrographs are rendered, of 512 px with some sixty particles, or those of a folder.
"""

import argparse
import io
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import psutil
import requests
from figure_list import add_json_option, figure, hand_over
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent / "helpers"))

from page_kills import kill_at_random
from page_server import Process, Script

SIDE, PER_ROW = 512, 8
FIGURES: list[dict] = []
"""What --json hands over."""
PARTS = ("start", "uploads", "queue", "answers", "memory", "kills")


@dataclass(frozen=True)
class Serve:
    """Starts the server in a folder.

    Attributes:
        model: That finds the particles; None for the shipped weights.
        options: Further ones of serve.
    """

    model: str | None
    options: tuple[str, ...]

    def __call__(self, folder: Path) -> Process:
        return Process(folder, self.model, 0, *self.options)


def render(seed: int) -> bytes:
    """A PNG of dark discs on a bright ground."""
    rng = np.random.default_rng(seed)
    pixels = np.full((SIDE, SIDE), 190, np.uint8)
    for row in range(PER_ROW):
        for column in range(PER_ROW):
            centre = (36 + 63 * column, 36 + 63 * row)
            cv2.circle(pixels, centre, int(rng.integers(12, 24)), int(rng.integers(50, 90)), -1, cv2.LINE_AA)
    noise = rng.normal(0, 9, pixels.shape)
    file = io.BytesIO()
    Image.fromarray(np.clip(cv2.GaussianBlur(pixels, (0, 0), 1.2) + noise, 0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def say(name: str, value: str) -> None:
    """One line."""
    print(f"{name:58s} {value}", flush=True)


def spread(times: list[float]) -> str:
    """Median and 95 % of seconds."""
    ordered = sorted(times)
    return f"median {1000 * statistics.median(ordered):5.0f} ms, p95 {1000 * ordered[int(0.95 * len(ordered))]:5.0f} ms"


def measure_start(folder: Path, serve: Serve) -> None:
    """From the command to the first page, three times."""
    times, ready, work = [], [], []
    for number in range(3):
        with serve(folder / f"start-{number}") as server:
            page = requests.get(server.address, timeout=30)
            times.append(time.perf_counter() - server.began)
            page.raise_for_status()
            work.append(sum(psutil.Process(server.process.pid).cpu_times()[:2]))
            script = Script(server.address)
            while script.get("/about").json()["model"] is None:
                time.sleep(0.05)
            ready.append(time.perf_counter() - server.began)
    FIGURES.extend(
        figure(name, statistics.median(each), unit="s", digits=2, n=3)
        for name, each in (("start", times), ("start-cpu", work), ("start-with-model", ready))
    )
    say("start to first page", ", ".join(f"{each:.2f} s" for each in times))
    say("start to first page, processor time", ", ".join(f"{each:.2f} s" for each in work))
    say("start to open model", ", ".join(f"{each:.2f} s" for each in ready))


def measure_uploads(folder: Path, serve: Serve, pictures: list[bytes]) -> None:
    """50 sessions that upload at the same moment, then 150 more from one: 200 wait."""
    with serve(folder / "uploads") as server:
        scripts = [Script(server.address) for _ in range(50)]
        gate = threading.Barrier(50)

        def upload(number: int) -> float:
            gate.wait()
            began = time.perf_counter()
            (taken,) = scripts[number].upload((f"{number}.png", pictures[number % len(pictures)]))["micrographs"]
            assert taken["status"] in ("queued", "running", "done")
            return time.perf_counter() - began

        began = time.perf_counter()
        with ThreadPoolExecutor(50) as threads:
            times = list(threads.map(upload, range(50)))
        say("50 uploads at once", f"all answered after {time.perf_counter() - began:.2f} s; {spread(times)}")
        ends = Counter(each["status"] for script in scripts for each in script.wait(1200))
        say("50 uploads at once, ended as", str(dict(ends)))


def measure_queue(folder: Path, serve: Serve, pictures: list[bytes]) -> None:
    """200 of one session in the queue; whether they are begun in order."""
    with serve(folder / "queue") as server:
        script = Script(server.address)
        for first in range(0, 200, 20):
            script.upload(*[(f"{n}.png", pictures[n % len(pictures)]) for n in range(first, first + 20)])
        found = script.micrographs()
        say("200 in the queue, of which wait or run", str(sum(each["position"] is not None for each in found)))
        began, ordered = time.perf_counter(), True
        while any(each["position"] is not None for each in found):
            states = [each["status"] in ("done", "failed") for each in found]
            ordered &= states == sorted(states, reverse=True)
            time.sleep(0.2)
            found = script.micrographs()
        seconds = time.perf_counter() - began
        say("200 in the queue, ended as", f"{dict(Counter(each['status'] for each in found))}, in order: {ordered}")
        say("200 in the queue, each", f"{seconds / 200:.2f} s")
        FIGURES.append(figure("each-in-queue", seconds / 200, unit="s", digits=2, n=200))


def measure_answers(folder: Path, serve: Serve, pictures: list[bytes], asks: int) -> None:
    """Calls of page and slider, one after the other, while the worker is busy all the time."""
    with serve(folder / "answers") as server:
        script = Script(server.address)
        ids = [
            each["id"]
            for each in script.upload(*[(f"{n}.png", pictures[n % len(pictures)]) for n in range(4)])["micrographs"]
        ]
        script.wait(600)
        details = [script.get(f"/micrographs/{each}").json() for each in ids]
        say("particles of the sample", str(sum(each["particles"] for each in details)))
        calls = {
            "page": lambda: script.session.get(server.address, timeout=60),
            "list": lambda: script.get("/micrographs"),
            "one micrograph": lambda: script.get(f"/micrographs/{ids[0]}"),
            "picture": lambda: script.get(f"/micrographs/{ids[0]}/image.png"),
            "slider (statistics of one)": lambda: script.post(
                "/sample/statistics", json={"micrographs": ids[:1], "filters": {"confidence": rng.uniform(0.3, 0.7)}}
            ),
            "slider (statistics of four)": lambda: script.post(
                "/sample/statistics", json={"micrographs": ids, "filters": {"confidence": rng.uniform(0.3, 0.7)}}
            ),
            "edit": lambda: edit(script, ids[0]),
        }
        rng = np.random.default_rng(0)
        script.upload(*[(f"busy-{n}.png", pictures[n % len(pictures)]) for n in range(200)])
        every = []
        for name, call in calls.items():
            times = []
            for _ in range(asks):
                began = time.perf_counter()
                answer = call()
                times.append(time.perf_counter() - began)
                assert answer.status_code == 200, answer.text
            every += times
            say(f"while the worker is busy: {name}", spread(times))
        busy = any(each["status"] == "running" for each in script.micrographs())
        for name, at in (("answer-median", 0.5), ("answer-p95", 0.95)):
            value = 1000 * float(np.quantile(every, at))
            FIGURES.append(figure(name, value, unit="ms", digits=0, n=len(every)))
        say("while the worker is busy: all", f"{spread(every)}; busy to the end: {busy}")


def edit(script: Script, id_: str) -> requests.Response:
    """Take a particle out."""
    revision = script.get(f"/micrographs/{id_}").json()["revision"]
    body = {"revision": revision, "edits": {"removed": [1 + revision % 5]}}
    return script.session.put(f"{script.api}/micrographs/{id_}/edits", json=body, timeout=60)


def measure_memory(folder: Path, serve: Serve, pictures: list[bytes], jobs: int) -> None:
    """Of server and worker, after each tenth of the jobs; each result is looked at, as a page does."""
    with serve(folder / "memory") as server:
        script = Script(server.address)
        web = psutil.Process(server.process.pid)
        for done in range(0, jobs, jobs // 10):
            names = [(f"{done + n}.png", pictures[n % len(pictures)]) for n in range(jobs // 10)]
            script.upload(*names)
            found = script.wait(3600)
            for each in found[done:]:
                script.get(f"/micrographs/{each['id']}")
                script.post("/sample/statistics", json={"micrographs": [each["id"]], "filters": {}})
            worker = server.worker()
            say(
                f"memory after {done + jobs // 10} micrographs",
                f"server {web.memory_info().rss / 2**20:.0f} MB, worker {worker.memory_info().rss / 2**20:.0f} MB",
            )
        say("ended as", str(dict(Counter(each["status"] for each in found))))


def measure_kills(folder: Path, serve: Serve, picture: bytes, kills: int) -> None:
    """SIGKILL of server and worker at random moments while uploads come."""
    outcome = kill_at_random(
        folder / "kills", serve.model, picture, kills=kills, seed=1, longest=4.0, more=serve.options
    )
    ends = Counter(outcome.states.get(each, "lost") for each in outcome.accepted)
    say("SIGKILL", f"{dict(outcome.kills)}; {len(outcome.accepted)} uploads accepted, ended as {dict(ends)}")


def main() -> None:
    """Print one line per number."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="default: the shipped weights")
    parser.add_argument("--images", type=Path, help="a folder of PNG files in place of rendered ones")
    parser.add_argument("--jobs", type=int, default=500, help="for the memory (default: %(default)s)")
    parser.add_argument("--asks", type=int, default=40, help="calls of each kind (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=20, help="moments (default: %(default)s)")
    parser.add_argument(
        "--no-ocr", action="store_true", help="read no text in the images, which takes most of the time"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    add_json_option(parser)
    given = parser.parse_args()
    if given.images:
        pictures = [path.read_bytes() for path in sorted(given.images.glob("*.png"))[:50]]
    else:
        pictures = [render(seed) for seed in range(10)]
    serve = Serve(given.model, ("--no-ocr",) if given.no_ocr else ())
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        parts = {
            "start": lambda: measure_start(root, serve),
            "uploads": lambda: measure_uploads(root, serve, pictures),
            "queue": lambda: measure_queue(root, serve, pictures),
            "answers": lambda: measure_answers(root, serve, pictures, given.asks),
            "memory": lambda: measure_memory(root, serve, pictures, given.jobs),
            "kills": lambda: measure_kills(root, serve, pictures[0], given.kills),
        }
        for name in given.only:
            parts[name]()
    hand_over(given.json, FIGURES)


if __name__ == "__main__":
    main()
