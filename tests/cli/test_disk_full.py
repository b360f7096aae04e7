"""A disk that is full: each verb says so by the place, leaves nothing half-written, and does it once there is room."""

import logging
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest
import torch
from kept_records import read_records

from nanoseg_bench.cli import main
from nanoseg_bench.models.checkpoint import load_state, save_state
from nanoseg_bench.preparation.prepared_set import PreparedSet

pytestmark = [
    pytest.mark.faults,
    pytest.mark.usefixtures("runs_in_this_process"),
    pytest.mark.skipif(sys.platform != "linux", reason="mounts a file system in memory"),
]

RUN = "otsu-smoke-seed0"
ROOM = "64m"


class Disk:
    """A file system of its own, whose size can be changed."""

    def __init__(self, root):
        self.root = root

    def mount(self, size):
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(self.root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"only root may mount a small disk here: {done.stderr.strip()}")

    def resize(self, size):
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.root)], check=True)

    def unmount(self):
        subprocess.run(["umount", str(self.root)], check=True)

    def files(self):
        """What lies on it, temporary files included; the log of a run and empty folders say nothing."""
        return {path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()}


@contextmanager
def disk_of(root, size):
    root.mkdir()
    disk = Disk(root)
    disk.mount(size)
    try:
        yield disk
    finally:
        disk.unmount()


@pytest.fixture(scope="module")
def made(rendered_set, tmp_path_factory):
    """A run of Otsu with its records, and two micrographs."""
    root = tmp_path_factory.mktemp("made")
    places = ["--runs", str(root / "runs"), "--leaderboards", str(root / "boards")]
    assert main(["run", str(rendered_set.root), "--models", "otsu", "--preset", "smoke", *places]) == 0
    (root / "micrographs").mkdir()
    for image in PreparedSet(rendered_set.root).images("test")[:2]:
        shutil.copy(image.image_path, root / "micrographs")
    return root


def commands(made, data, disk):
    """By verb, what writes onto the disk."""
    runs, boards = ["--runs", made / "runs"], ["--leaderboards", made / "boards"]
    images, model = made / "micrographs", ["--model", made / "runs" / RUN]
    name = PreparedSet(data).name
    return {
        "score": ["score", data, *runs, "--leaderboards", disk / "boards"],
        "run": ["run", data, "--models", "otsu", "--preset", "smoke", "--runs", disk / "runs", *boards],
        "leaderboard": ["leaderboard", name, *boards, "--html", disk / "page.html"],
        "predict": [
            "predict",
            images,
            *model,
            "--out",
            disk / "found",
            "--to",
            "coco,overlay",
            "--overwrite",
            "missing",
        ],
        "analyze": ["analyze", images, *model, "--no-ocr", "--out", disk / "sizes"],
        "convert": ["convert", data.parent / "data-source" / "main", disk / "converted", "--to", "coco"],
        "prepare": ["prepare", "--easy", "--images", "6", "--size", "64", "--workers", "1", "--out", disk / "set"],
        "figures": ["figures", data, *runs, *boards, "--out", disk / "figures"],
    }


@pytest.mark.parametrize("verb", ["score", "run", "leaderboard", "predict", "analyze", "convert", "prepare", "figures"])
@pytest.mark.parametrize("size", ["4k", "16k"])
def test_a_full_disk(verb, size, made, rendered_set, tmp_path, capsys, caplog):
    with disk_of(tmp_path / "disk", size) as disk:
        command = list(map(str, commands(made, rendered_set.root, disk.root)[verb]))
        capsys.readouterr()
        caplog.clear()
        code = main(command)
        # Tracebacks go to the log of a run, at the level debug.
        logged = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        told = "".join([*capsys.readouterr(), *logged])
        assert code == 1, told
        assert "Traceback" not in told
        assert str(disk.root) in told and "No space left on device" in told, told
        assert "make room" in told, told
        half = [path for path in disk.files() if any(part.startswith(".") for part in path.split("/"))]
        assert half == [], told
        disk.resize(ROOM)
        assert main(command) == 0, "".join(capsys.readouterr())


@pytest.mark.parametrize("size", ["4k", "64k"])
def test_a_checkpoint_that_does_not_fit_leaves_the_one_before(size, tmp_path):
    with disk_of(tmp_path / "disk", size) as disk:
        path = disk.root / "state.pt"
        save_state(path, {"step": 1})
        with pytest.raises(OSError, match="No space left on device") as caught:
            save_state(path, {"step": 2, "weights": torch.ones(100_000)})
        assert caught.value.filename == str(path)
        assert load_state(path) == {"step": 1}
        assert disk.files() == {"state.pt"}


def test_the_row_of_a_training_says_that_the_disk_is_full(rendered_set, tmp_path):
    """The checkpoint of a network does not fit, but the outcome does."""
    with disk_of(tmp_path / "disk", "128k") as disk:
        boards = tmp_path / "boards"
        words = ["run", str(rendered_set.root), "--models", "yolo11n", "--preset", "smoke", "--device", "cpu"]
        assert main([*words, "--runs", str(disk.root / "runs"), "--leaderboards", str(boards)]) == 1
        reasons = {record.reason for record in read_records(boards, PreparedSet(rendered_set.root).name)}
        state = disk.root / "runs" / "yolo11n-smoke-seed0" / "state.pt"
        way_out = "make room, or give another --runs; the same command goes on"
        assert reasons == {f"{state}: cannot be written (No space left on device); {way_out}"}
