"""What the environment of this package's processes is, looked at in processes of their own."""

import os
import platform
import subprocess
import sys

import pytest

from nanoseg_bench import environment
from nanoseg_bench.environment import (
    available_cores,
    available_memory,
    cores_of_task,
    kept_memory,
    processor_seconds,
)

TELL = "from nanoseg_bench.environment import threads_are_given; "
TELL += "print(threads_are_given(), os.environ.get('OMP_NUM_THREADS'), flush=True)"
LOOK = f"""
import os, subprocess, sys
from nanoseg_bench.environment import isolate_libraries
isolate_libraries()
import ultralytics.utils
import torch
print(torch.get_num_threads(), end=" ")
{TELL}
subprocess.run([sys.executable, "-c", "import os; " + {TELL!r}], check=True)
"""


def look(**variables: str) -> list[str]:
    """What the process says, and its child, for which the variable is the number of threads."""
    others = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NANOSEG_BENCH_FREE_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in others}
    done = subprocess.run(
        [sys.executable, "-c", LOOK], capture_output=True, text=True, check=True, env={**environment, **variables}
    )
    return done.stdout.split("\n")[:2]


def test_ultralytics_takes_no_threads_away():
    """Its import alone sets OMP_NUM_THREADS to 1, and this process and its children would compute on one core."""
    assert look() == [f"{available_cores()} False {available_cores()}", f"False {available_cores()}"]


def test_the_variable_of_openmp_is_the_users_word():
    assert look(OMP_NUM_THREADS="1") == ["1 True 1", "True 1"]


def test_a_task_has_its_cores_and_the_users_number_of_threads_stays(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    own = {"NANOSEG_BENCH_CORES": "3", "OMP_NUM_THREADS": "3", "NANOSEG_BENCH_FREE_THREADS": "1"}
    assert cores_of_task(3) == own
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert cores_of_task(3) == {**own, "OMP_NUM_THREADS": "2", "NANOSEG_BENCH_FREE_THREADS": ""}
    assert cores_of_task(1)["NANOSEG_BENCH_CORES"] == "2"


TAKE_AND_FREE = """
import ctypes, resource
library, size = ctypes.CDLL(None), 64 * 2**20
library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
library.free.argtypes = [ctypes.c_void_p]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    block = library.malloc(size)
    ctypes.memset(block, 1, size)
    library.free(block)
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults * resource.getpagesize() / size)
"""


def blocks_fetched(**variables: str) -> float:
    """Of 20 blocks of 64 MB, one after the other, how many come from the kernel in pages of the usual size."""
    command = [sys.executable, "-c", TAKE_AND_FREE]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **variables})
    return float(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc reads these variables")
def test_freed_memory_stays_with_a_process_that_trains(monkeypatch):
    if blocks_fetched() < 19:
        pytest.skip("the kernel hands out huge pages: page faults say nothing")
    assert blocks_fetched(**kept_memory()) < 1.1
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "7")
    assert kept_memory()["MALLOC_MMAP_MAX_"] == "7"


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "250000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu.max": "6400000 100000\n"}, 8),
        ({}, 8),
    ],
)
def test_a_container_has_the_cores_that_its_quota_pays_for(tmp_path, monkeypatch, files, cores):
    monkeypatch.setattr("nanoseg_bench.environment.psutil.cpu_count", lambda logical: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.delenv("NANOSEG_BENCH_CORES", raising=False)
    monkeypatch.setattr(environment, "_CONTROL_GROUP", tmp_path)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_cores() == cores


VERSION_2, VERSION_1 = "memory.max memory.current memory.stat", "limit_in_bytes usage_in_bytes stat"


@pytest.mark.parametrize(
    ("version", "texts", "left"),
    [
        (VERSION_2, ("8000", "5000", "anon 3500\ninactive_file 1000\nactive_file 500"), 4500),
        (VERSION_2, ("8000", "8100", "anon 8100\ninactive_file 0\nactive_file 0"), 0),
        (VERSION_2, ("90000", "5000", "anon 5000\ninactive_file 0\nactive_file 0"), 9000),
        (VERSION_2, ("max", "5000", "anon 5000\ninactive_file 0\nactive_file 0"), 9000),
        (VERSION_1, ("8000", "5000", "inactive_file 7\ntotal_inactive_file 1000\ntotal_active_file 500"), 4500),
        (VERSION_1, ("9223372036854771712", "5000", "total_inactive_file 0\ntotal_active_file 0"), 9000),
        (VERSION_2, ("8000", "5000", ""), 9000),
        ("", (), 9000),
    ],
)
def test_a_container_has_the_memory_that_its_limit_leaves(tmp_path, monkeypatch, version, texts, left):
    """Of a small container on a large machine half of the machine's was taken for free, and the training was killed."""
    free = environment.psutil.virtual_memory()._replace(available=9000)
    monkeypatch.setattr("nanoseg_bench.environment.psutil.virtual_memory", lambda: free)
    monkeypatch.setattr(environment, "_CONTROL_GROUP", tmp_path)
    (tmp_path / "memory").mkdir()
    for name, text in zip(version.split(), texts, strict=True):
        (tmp_path / (name if version == VERSION_2 else f"memory/memory.{name}")).write_text(f"{text}\n")
    assert available_memory() == left


BUSY = """
import subprocess, sys, time
if len(sys.argv) > 1:
    subprocess.run([sys.executable, "-c", sys.argv[1]], stdin=subprocess.DEVNULL, check=True)
while time.process_time() < 0.3:
    pass
print(flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is known of processes that ended")
def test_the_processor_time_of_child_processes_counts_while_they_live_and_when_they_ended():
    before = processor_seconds()
    # It has a child that has ended when it answers.
    with subprocess.Popen([sys.executable, "-c", BUSY, BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as busy:
        for _ in range(2):
            busy.stdout.readline()
        alive = processor_seconds()
        busy.stdin.close()
    assert alive - before > 0.55
    assert processor_seconds() >= alive - 0.05, "it is waited for, and nothing of it is lost"
