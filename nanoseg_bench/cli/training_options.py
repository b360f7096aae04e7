"""Options of the verbs that train, ``run`` and ``campaign``: where, how many side by side, and for how long."""

import argparse
import re
import time
from typing import TYPE_CHECKING

from nanoseg_bench.cli.executor_options import add_executor
from nanoseg_bench.errors import UsageError

if TYPE_CHECKING:
    from nanoseg_bench.cluster import Cluster
    from nanoseg_bench.runs.side_by_side import Executor


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``, for every verb that runs a network; ``models.device.resolve_device`` understands it."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``, ``--jobs``, ``--executor``, ``--address``, ``--time-limit`` and ``--dry-run``."""
    parser.add_argument(
        "--device",
        default="auto",
        help="auto, cpu, cuda or cuda:N; 0,1 trains each model on both GPUs, which share every batch (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="runs side by side; they share the cores, or the GPU. Latency is measured when all are done (default: 1; "
        "with --executor ray, as many as it has room for)",
    )
    add_executor(parser)
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
    if arguments.jobs is not None and arguments.jobs < 1:
        raise UsageError(f"--jobs {arguments.jobs}: give at least 1")
    text: str | None = arguments.time_limit
    if text is None:
        return None, ""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)", text)
    if not match:
        raise UsageError(f"--time-limit {text}: write a number with s, m or h, such as 90s, 9m or 2h")
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
    return time.monotonic() + seconds, text


def executor_of(arguments: argparse.Namespace, cluster: "Cluster | None") -> "Executor | None":
    """Where several runs are carried out at a time; None for one after the other on this machine.

    Args:
        arguments: With ``--jobs``.
        cluster: From ``open_cluster``.
    """
    if cluster is not None:
        from nanoseg_bench.runs.on_cluster import OnCluster

        return OnCluster(cluster, arguments.jobs)
    from nanoseg_bench.runs.executors import OnThisMachine

    return OnThisMachine(arguments.jobs) if (arguments.jobs or 1) > 1 else None


def devices_of(arguments: argparse.Namespace, cluster: "Cluster | None") -> tuple[str, ...]:
    """The torch devices that ``--device`` means, usually one: on this machine, or as a task on the cluster sees it.

    Args:
        arguments: With ``--device``.
        cluster: From ``open_cluster``.

    Raises:
        UsageError: There is no such device.
    """
    if cluster is not None:
        return (cluster.resolve_device(arguments.device),)
    from nanoseg_bench.models.device import resolve_devices

    return resolve_devices(arguments.device)
