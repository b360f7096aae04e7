"""Nothing phones home from a test either: set before anything imports LabelMe, Ultralytics or albumentations.

Tests compute with one thread: their networks are tiny, and two threads are many times slower where another program
keeps a core busy (``models.threads``). A number that the user sets counts.

What tests write lies in memory where there is room: a small prepared set alone is dozens of files, and each of them is
synced, for which a disk takes longer than the test. A folder that the user names by ``PYTEST_DEBUG_TEMPROOT`` or
``--basetemp`` counts.
"""

import gc
import os
import shutil
import signal
import threading
import uuid
from pathlib import Path

import hypothesis
import numpy as np
import psutil
import pytest
from PIL import Image

from nanoseg_bench.cli import main
from nanoseg_bench.environment import isolate_libraries

os.environ.setdefault("OMP_NUM_THREADS", "1")
# What is read here is what a pipe gets: a table as wide as its text, without colours. xdist gives its workers COLUMNS,
# and the runners of some services set the others.
for name in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(name, None)
isolate_libraries()

# What a shell starts in the background ignores Ctrl-C, and so would all that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Hypothesis' limits are times of the clock, which runs on while other programs have the processor.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

MEMORY = Path("/dev/shm")
ROOM, LEFT_TO_OTHERS = 4 * 2**30, 8 * 2**30  # bytes; a whole run left 3.5 GB when nothing was tidied up


def has_room_in_memory():
    if not (MEMORY.is_dir() and os.access(MEMORY, os.W_OK)) or os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        return False
    return shutil.disk_usage(MEMORY).free > ROOM and psutil.virtual_memory().available > ROOM + LEFT_TO_OTHERS


if has_room_in_memory():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

CLASSES = ("disc", "square")
HEIGHT, WIDTH = 96, 120


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What collection makes lives to the end, thousands of tests and all libraries: no garbage is looked for in it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before -m is looked at
def pytest_collection_modifyitems(items):
    """``faults`` are slow, too: ``-m "not slow"`` leaves them out."""
    for item in items:
        if item.get_closest_marker("faults"):
            item.add_marker("slow")


@pytest.fixture(scope="session", autouse=True)
def own_locks(tmp_path_factory):
    """Latency is measured although other tests, or a user, are at work on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NANOSEG_BENCH_LOCKS", str(tmp_path_factory.mktemp("locks")))
        yield


@pytest.fixture(scope="module")
def runs_in_this_process(tmp_path_factory):
    """``run`` carries out its jobs here, for tests that ask what a run does and neither which process does it nor how
    long it takes for an image.

    A process of its own imports everything anew, which takes longer than a tiny run. Runs side by side stay processes,
    and so does what a test starts itself. To measure latency each eval set is predicted some fifty times: there is no
    place for the lock of those who measure, so nothing is measured.
    """
    from nanoseg_bench.runs import executors, job

    no_folder = tmp_path_factory.mktemp("no locks") / "file"
    no_folder.write_text("no folder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executors, "_run_alone", job.carry_out)
        patch.setenv("NANOSEG_BENCH_LOCKS", str(no_folder))
        yield


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory):
    """A tiny nanosynth, prepared once for all end-to-end tests."""
    root = tmp_path_factory.mktemp("tiny Größe")  # a space and an umlaut, as users have them
    arguments = ["prepare", "--dataset", "nanosynth", "--easy", "--images", "24", "--size", "128"]
    arguments += ["--augment-copies", "1", "--workers", "1", "--out", str(root / "data")]
    assert main(arguments) == 0
    return root / "data"


@pytest.fixture(scope="session")
def rendered_set(tmp_path_factory):
    """Twelve rendered micrographs on canvases of 64 px without copies, as ``PreparedSet``; tests change a copy."""
    from nanoseg_bench.preparation.prepared_set import PreparedSet

    root = tmp_path_factory.mktemp("rendered")
    arguments = ["prepare", "--dataset", "nanosynth", "--easy", "--images", "12", "--size", "64", "--workers", "1"]
    assert main([*arguments, "--augment-copies", "0", "--out", str(root / "data")]) == 0
    return PreparedSet(root / "data")


def draw_scene(rng):
    """Bright discs and squares, one per cell of a 2 x 3 grid, on a dark, noisy ground."""
    from nanoseg_bench.annotations.instance import Instance
    from nanoseg_bench.annotations.raster import mask_to_rle

    ys, xs = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    pixels = rng.normal(60, 6, (HEIGHT, WIDTH))
    instances = []
    for row in range(2):
        for column in range(3):
            x, y = 20 + 40 * column + rng.uniform(-3, 3), 24 + 48 * row + rng.uniform(-5, 5)
            half = rng.uniform(8, 14)
            label = CLASSES[int(rng.integers(2))]
            inside = (
                (xs - x) ** 2 + (ys - y) ** 2 < half**2
                if label == "disc"
                else np.maximum(abs(xs - x), abs(ys - y)) < half
            )
            pixels[inside] = rng.normal(180, 6, int(inside.sum()))
            instances.append(Instance(label, mask_to_rle(inside)))
    return pixels.clip(0, 255).astype(np.uint8), instances


@pytest.fixture(scope="session")
def discs(tmp_path_factory):
    """Ten micrographs of 120 x 96 px in ten groups."""
    from nanoseg_bench.annotations.instance import Micrograph

    source = tmp_path_factory.mktemp("discs")
    rng = np.random.default_rng(7)
    micrographs = []
    for number in range(10):
        pixels, instances = draw_scene(rng)
        path = Path(source / f"scene-{number}.png")
        Image.fromarray(pixels).save(path)
        micrographs.append(
            Micrograph(path.stem, path, WIDTH, HEIGHT, tuple(instances), source_group=f"specimen-{number}")
        )
    return micrographs


@pytest.fixture(scope="session")
def prepared_set(discs, tmp_path_factory):
    """The ten on canvases of 128 px: 8 train, 1 val, 1 test."""
    return prepare_discs(discs, tmp_path_factory.mktemp("prepared") / "set")


@pytest.fixture(scope="session")
def sharded_set(discs, tmp_path_factory):
    """The same set in shards of three or four images."""
    return prepare_discs(discs, tmp_path_factory.mktemp("sharded") / "set", shards=50_000)


def prepare_discs(micrographs, out, **choices):
    from nanoseg_bench.annotations.source import LoadedMicrograph
    from nanoseg_bench.preparation.config import PrepareConfig
    from nanoseg_bench.preparation.pipeline import prepare

    assignment = {m.name: ("val" if i == 8 else "test" if i == 9 else "train") for i, m in enumerate(micrographs)}
    return prepare(
        [LoadedMicrograph(micrograph) for micrograph in micrographs],
        name="discs",
        dataset="discs",
        classes=CLASSES,
        out=out,
        config=PrepareConfig(canvas=128, assignment=assignment, augment_copies=0, **choices),
        workers=1,
    )


@pytest.fixture(scope="session")
def test_images(prepared_set):
    """The canvases of the split ``test`` as models take them."""
    from nanoseg_bench.models.base import CanvasImage

    return [CanvasImage.read(image) for image in prepared_set.images("test")]


@pytest.fixture(params=["memory", "file"])
def stored(request, tmp_path, monkeypatch):
    """An empty folder at a URL, whose copies lie in a cache of the test's own, ``tmp_path/cache``: in memory, where no
    write is conditional, and on this machine, where a link is.
    """
    pytest.importorskip("fsspec")
    from nanoseg_bench.storage import StoredFolder

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = f"/{uuid.uuid4().hex}" if request.param == "memory" else str(tmp_path / "shared" / "folder")
    return StoredFolder(f"{request.param}://{path}")
