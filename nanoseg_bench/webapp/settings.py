"""What a server is started with."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.user_folders import home

DEFAULT_PORT = 8000
DEFAULT_HOST = "127.0.0.1"
SECONDS_PER_DAY = 86_400
DEFAULT_KEEP_DAYS = 30.0
DEFAULT_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """What ``open_predictor`` is given, and how micrographs are analysed with it.

    Attributes:
        path: A run's folder or a file, or the name of shipped weights; None for the default ones.
        engine: ``auto``, ``onnx`` or ``torch``.
        device: ``cpu``, ``cuda:N`` or ``auto``.
        trust_pickle: Read a ``.pt``.
        read_text: Whether texts of scale bars are read; None where RapidOCR is installed.
        views: Sides that each micrograph is looked at from; None for those of the model's recipe.
    """

    path: Path | None = None
    engine: str = "auto"
    device: str = "cpu"
    trust_pickle: bool = False
    read_text: bool | None = None
    views: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is taken; beyond it a file or a request is refused with a reason.

    Attributes:
        file_bytes: Of one file.
        files: In one request.
        request_bytes: Of one request with files.
        body_bytes: Of one request without files: edits of a micrograph.
        pixels: Of one micrograph; 8192 × 8192, the largest cameras.
        pages: Of a TIFF.
        queue: Micrographs that wait.
        free_bytes: Of the disk, that an upload must leave.
        seconds: That the analysis of one micrograph may take.
        attempts: How often a micrograph is begun whose worker or server was killed.
    """

    file_bytes: int = 256 * 2**20
    files: int = 200
    request_bytes: int = 2**30
    body_bytes: int = 16 * 2**20
    pixels: int = 8192 * 8192
    pages: int = 1000
    queue: int = 2000
    free_bytes: int = 2**29
    seconds: float = DEFAULT_SECONDS
    attempts: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A server.

    Attributes:
        data_dir: Where uploads and results are kept.
        model: That finds the particles.
        keep_days: After which uploads and their results are deleted.
        host: Address that it listens at.
        names: Further names that browsers may call it by.
        limits: Of what is taken.
    """

    data_dir: Path
    model: ModelChoice = ModelChoice()
    keep_days: float = DEFAULT_KEEP_DAYS
    host: str = DEFAULT_HOST
    names: tuple[str, ...] = ()
    limits: Limits = Limits()


def default_data_dir() -> Path:
    """The user's folder for data of programs, by the rules of the system; it need not exist.

    Raises:
        UsageError: The user has no home.
    """
    way_out = "say with --data-dir where the page keeps what it is given"
    if sys.platform == "win32":
        given = os.environ.get("LOCALAPPDATA")
        base = Path(given) if given else home(way_out) / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = home(way_out) / "Library" / "Application Support"
    else:
        given = os.environ.get("XDG_DATA_HOME")
        base = Path(given) if given else home(way_out) / ".local" / "share"
    return base / "nanoseg-bench" / "page"
