"""Options of the verbs whose work can be spread: ``--workers`` over processes, ``--executor`` over a cluster."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nanoseg_bench.errors import UsageError

if TYPE_CHECKING:
    from nanoseg_bench.cluster import Cluster
    from nanoseg_bench.parallel import OpenPool


def add_workers(parser: "argparse._ActionsContainer") -> None:
    """Add ``--workers``, which ``workers_of`` reads."""
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: the cores, at most 8)")


def workers_of(arguments: argparse.Namespace) -> int | None:
    """How many processes are asked for; None where nothing is said.

    Raises:
        UsageError: It is none.
    """
    workers: int | None = arguments.workers
    if workers is not None and workers < 1:
        raise UsageError(f"--workers {workers}: give at least 1")
    return workers


def add_executor(parser: argparse.ArgumentParser) -> None:
    """Add ``--executor`` and ``--address``."""
    parser.add_argument(
        "--executor",
        choices=("local", "ray"),
        default="local",
        help="local: this machine; ray: the machines of a Ray cluster, which share the folders that are named "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="of the cluster, or `auto` for the one that this machine belongs to (default: RAY_ADDRESS; without "
        "it, Ray is started on this machine, for this command alone)",
    )


@contextmanager
def open_cluster(arguments: argparse.Namespace) -> "Iterator[Cluster | None]":
    """The cluster that is asked for, for as long as the context lasts; None for this machine alone.

    Raises:
        UsageError: ``--address`` goes with ``--executor ray``, and Ray must be installed.
        ClusterError: There is none at the address.
    """
    if arguments.executor != "ray":
        if arguments.address is not None:
            raise UsageError(f"--address {arguments.address}: goes with --executor ray")
        yield None
        return
    from nanoseg_bench.cluster import Cluster

    with Cluster(arguments.address) as cluster:
        yield cluster


def pool_of(cluster: "Cluster | None", workers: int | None) -> "tuple[int | None, OpenPool]":
    """How many processes a verb takes, and where.

    Args:
        cluster: From ``open_cluster``.
        workers: As ``--workers`` says; None where it says nothing.

    Returns:
        The number, None for the default of this machine; and what ``parallel.Workers`` takes.
    """
    from nanoseg_bench.parallel import open_processes

    if cluster is None:
        return workers, open_processes
    return workers or _TASKS_PER_CORE * cluster.cores, cluster.open_pool


_TASKS_PER_CORE = 2
"""So that the next one is there when one ends."""
