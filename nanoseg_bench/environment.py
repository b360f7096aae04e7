"""Keep third-party libraries from phoning home, installing things and taking threads away.

Call ``isolate_libraries`` before importing any of them.
"""

import os
import tempfile
from pathlib import Path

import psutil

_THREADS = "OMP_NUM_THREADS"
_FREE_THREADS = "NANOSEG_BENCH_FREE_THREADS"
"""Inherited by child processes: the number of threads is this package's, not the user's."""


def isolate_libraries() -> None:
    """Switch off update checks, downloads and telemetry of Ultralytics, albumentations and onnxruntime.

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
    if "YOLO_CONFIG_DIR" not in os.environ:
        # Ultralytics keeps settings and fonts here; a user's own settings must not change a benchmark.
        folder = Path(tempfile.gettempdir()) / f"nanoseg-bench-{_user()}" / "ultralytics"
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["YOLO_CONFIG_DIR"] = str(folder)


def available_cores() -> int:
    """Cores that this process may use; two threads that share one count once."""
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    try:
        return min(physical, len(os.sched_getaffinity(0)))
    except AttributeError:  # not on macOS and Windows
        return physical


def threads_are_given() -> bool:
    """Whether the user says how many threads there are to be, by the variable that OpenMP reads."""
    return bool(os.environ.get(_THREADS)) and not os.environ.get(_FREE_THREADS)


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
