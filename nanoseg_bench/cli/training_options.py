"""Options of the verbs that train, ``run`` and ``campaign``: where, how many side by side, and for how long."""

import argparse
import re
import time

from nanoseg_bench.errors import UsageError


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``, for every verb that runs a network; ``models.device.resolve_device`` understands it."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``, ``--jobs``, ``--time-limit`` and ``--dry-run``."""
    add_device(parser)
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="runs side by side; they share the cores, or the GPU. Latency is measured when all are done (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--time-limit",
        metavar="T",
        help="stop with a checkpoint after this time (90s, 9m, 2h), within an epoch, too; what a kill or Ctrl-C ends "
        "loses a minute at most",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be done and how long that takes; write nothing"
    )


def read_time_limit(arguments: argparse.Namespace) -> tuple[float | None, str]:
    """Check ``--jobs``, and start the clock of ``--time-limit``.

    Returns:
        The end as a value of ``time.monotonic()``, None for never; and the limit as it was written.

    Raises:
        UsageError: Either is not understood.
    """
    if arguments.jobs < 1:
        raise UsageError(f"--jobs {arguments.jobs}: give at least 1")
    text: str | None = arguments.time_limit
    if text is None:
        return None, ""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)", text)
    if not match:
        raise UsageError(f"--time-limit {text}: write a number with s, m or h, such as 90s, 9m or 2h")
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
    return time.monotonic() + seconds, text
