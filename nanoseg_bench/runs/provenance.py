"""Where a number comes from: versions, commit of this package, device."""

import os
import platform
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import nanoseg_bench
from nanoseg_bench.environment import available_cores
from nanoseg_bench.wording import counted

_THREADS = re.compile(r" \(\d+ threads?\)$")
_OTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
"""Variables by which git asks another repository than that of the folder; a hook of the user's has them."""
_PACKAGES = (
    "torch",
    "torchvision",
    "ultralytics",
    "segmentation-models-pytorch",
    "albumentations",
    "pycocotools",
    "numpy",
    "opencv-python-headless",
    "scikit-image",
)


def package_versions() -> dict[str, str]:
    """Versions of Python, this package and the libraries that a number may depend on."""
    return {"python": platform.python_version(), **versions_of(_PACKAGES)}


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Versions of this package and of those of others that are installed."""
    versions = {"nanoseg-bench": nanoseg_bench.__version__}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def package_commit() -> str | None:
    """Git commit of *this* package's checkout, ``+dirty`` when files differ; None when installed without one.

    The user's current folder is never asked: its commit says nothing about the evaluator.
    """
    root = Path(nanoseg_bench.__file__).resolve().parent.parent
    if not (root / ".git").exists() or not (root / "pyproject.toml").is_file():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return f"{commit}+dirty" if _git(root, "status", "--porcelain", "--", "nanoseg_bench", "baselines") else commit
    except (OSError, subprocess.CalledProcessError):
        return None


def device_name(device: str) -> str:
    """Name of the processor or GPU behind a torch device, with the number of CPU threads."""
    if device.startswith("cuda"):
        import torch

        if not torch.cuda.is_available():
            return device  # of another machine, which cannot be asked any more
        return str(torch.cuda.get_device_name(torch.device(device)))
    return f"{_cpu_name()} ({counted(_threads(), 'thread')})"


def devices_name(devices: Sequence[str]) -> str:
    """Names of the devices that train together: ``2 x NVIDIA H200``."""
    names = Counter(map(device_name, devices))
    return " + ".join(name if number == 1 else f"{number} x {name}" for name, number in names.items())


def processor_of(name: str) -> str:
    """A name from ``device_name`` without the number of threads, which is another one where runs share the cores."""
    return _THREADS.sub("", name)


def _threads() -> int:
    """Threads of torch; where no model has imported it, which takes a second, those that it would have."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())
    given = os.environ.get("OMP_NUM_THREADS", "")
    cores = available_cores()
    return min(int(given), cores) if given.isdecimal() and int(given) else cores


def _git(root: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in _OTHER_REPOSITORY}
    # Our own words to the git that the user has; the folder is this package's.
    done = subprocess.run(  # noqa: S603
        ["git", "-C", str(root), *arguments],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return done.stdout.strip()


def _cpu_name() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
