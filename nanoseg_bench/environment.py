"""Keep third-party libraries from phoning home, installing things and taking threads away.

Call ``isolate_libraries`` before importing any of them.
"""

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

_THREADS = "OMP_NUM_THREADS"
_FREE_THREADS = "NANOSEG_BENCH_FREE_THREADS"
"""Inherited by child processes: the number of threads is this package's, not the user's."""
_CORES = "NANOSEG_BENCH_CORES"
"""Inherited by child processes: the share of one of several that work side by side."""
_CONTROL_GROUP = Path("/sys/fs/cgroup")
"""Of this process, as containers show it."""
_MEMORY = (
    ("memory.max", "memory.current", "memory.stat", ("inactive_file", "active_file")),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        ("total_inactive_file", "total_active_file"),
    ),
)
"""Its files in both versions: limit, what is taken, what that is made of; and the parts that are given up on demand."""


def isolate_libraries() -> None:
    """Switch off update checks, downloads and telemetry of Ultralytics, albumentations, onnxruntime and Ray.

    A variable that the user has set stays as it is.
    """
    if not os.environ.get(_THREADS):
        # Ultralytics sets it to 1 where it is empty: for PyTorch if that comes later, and for child processes.
        os.environ[_THREADS] = str(available_cores())
        os.environ[_FREE_THREADS] = "1"
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_VERBOSE", "false")
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    # onnxruntime, which LabelMe imports, writes a device id and a queue of usage events otherwise.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    # Ray counts the clusters that are started, and what is used of them.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if "YOLO_CONFIG_DIR" not in os.environ:
        # Ultralytics keeps settings and fonts here; a user's own settings must not change a benchmark.
        folder = Path(tempfile.gettempdir()) / f"nanoseg-bench-{_user()}" / "ultralytics"
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["YOLO_CONFIG_DIR"] = str(folder)


def available_cores(*, logical: bool = False) -> int:
    """Cores that this process may use: its share where several work side by side.

    Args:
        logical: Two threads that share a core count twice, as suits work that waits for the disk.
    """
    cores = psutil.cpu_count(logical=logical) or os.cpu_count() or 1
    with suppress(AttributeError):  # not on macOS and Windows
        cores = min(cores, len(os.sched_getaffinity(0)))
    cores = min(cores, _quota() or cores)
    share = os.environ.get(_CORES, "")
    return min(cores, int(share)) if share.isdigit() and int(share) > 0 else cores


def share_of_cores(processes: int) -> dict[str, str]:
    """Variables for each of several child processes that work side by side: its share of the cores, at least one.

    A number of threads that the user has set stays as it is.

    Args:
        processes: How many there are.
    """
    share = max(1, available_cores() // processes)
    if threads_are_given():
        given = os.environ[_THREADS]
        return {_CORES: str(max(share, int(given)) if given.isdigit() else share)}
    return {_CORES: str(share), _THREADS: str(share), _FREE_THREADS: "1"}


def cores_of_task(number: int) -> dict[str, str]:
    """Variables for a process on any machine that has so many of its cores to itself.

    A number of threads that the user has set stays as it is.

    Args:
        number: Of cores.
    """
    if threads_are_given():
        given = os.environ[_THREADS]
        most = max(number, int(given)) if given.isdigit() else number
        return {_CORES: str(most), _THREADS: given, _FREE_THREADS: ""}
    return {_CORES: str(number), _THREADS: str(number), _FREE_THREADS: "1"}


def all_but_one_core() -> dict[str, str]:
    """Variables for a child process that leaves a core to this one, which must answer meanwhile; at least one core.

    A number of threads that the user has set stays as it is.
    """
    most = max(1, available_cores() - 1)
    return {_CORES: str(most)} | ({} if threads_are_given() else {_THREADS: str(most), _FREE_THREADS: "1"})


def kept_memory() -> dict[str, str]:
    """Variables for a child process that trains: what it frees stays with it, for what it wants next.

    Each step frees and wants many large tensors. glibc gives those above 32 MB, and the free end of its heap, back to
    the kernel, which fills every page of the next one with zeros. Other C libraries do not read these variables
    (https://man7.org/linux/man-pages/man3/mallopt.3.html); those that the user has set stay as they are.
    """
    wanted = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**62)}
    return {name: os.environ.get(name) or value for name, value in wanted.items()}


def available_memory() -> int:
    """Bytes that may still be taken: what is free on this machine, or what the limit of a container leaves of it."""
    free = int(psutil.virtual_memory().available)
    left = _memory_left()
    return free if left is None else min(free, left)


def threads_are_given() -> bool:
    """Whether the user says how many threads there are to be, by the variable that OpenMP reads."""
    return bool(os.environ.get(_THREADS)) and not os.environ.get(_FREE_THREADS)


def processor_seconds() -> float:
    """Time of all cores that this process and those that it started kept busy until now; grows while they work.

    Of a process that ended, only Linux knows it still.
    """
    this = psutil.Process()
    ended = this.cpu_times()
    seconds = time.process_time() + getattr(ended, "children_user", 0.0) + getattr(ended, "children_system", 0.0)
    for child in this.children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            seconds += sum(getattr(child.cpu_times(), name, 0.0) for name in _WORK)
    return seconds


_WORK = ("user", "system", "children_user", "children_system")


def _quota() -> int | None:
    """Whole cores whose time a container may take, at least one (``docker run --cpus``); None without a limit.

    The kernel's two interfaces, version 2 first: https://docs.kernel.org/admin-guide/cgroup-v2.html
    """
    files = [_CONTROL_GROUP / "cpu.max"], [_CONTROL_GROUP / f"cpu/cpu.cfs_{each}_us" for each in ("quota", "period")]
    for version in files:
        with suppress(OSError, ValueError):  # not this version, or "max"
            quota, period = map(int, " ".join(file.read_text() for file in version).split())
            if quota > 0 and period > 0:
                return max(quota // period, 1)
    return None


def _memory_left() -> int | None:
    """Bytes that a container may still take (``docker run --memory``); None without a limit.

    Copies of files that the kernel keeps count as taken, and make room when it is wanted. The two interfaces, version 2
    first: https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
    """
    for limit, used, statistics, given_up in _MEMORY:
        with suppress(OSError, ValueError, KeyError):  # not this version, or "max"
            most, taken = (int((_CONTROL_GROUP / file).read_text()) for file in (limit, used))
            parts = dict(line.split() for line in (_CONTROL_GROUP / statistics).read_text().splitlines())
            return max(most - taken + sum(int(parts[name]) for name in given_up), 0)
    return None


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
