"""Two Ray nodes on this machine, of one core each, as a cluster of two machines has them."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import psutil
import pytest


@contextlib.contextmanager
def two_nodes():
    """(the cluster, its second node): the first one has what a cluster cannot lose."""
    from ray.cluster_utils import Cluster

    # Ray's processes make way for all others; these are the tests' own, and no more patient than they.
    os.environ.setdefault("RAY_worker_niceness", "0")
    # Not below pytest's folder: the path of a socket has 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    (folder / "ray").mkdir()
    first = {"num_cpus": 1, "include_dashboard": False, "temp_dir": str(folder / "ray")}
    with pytest.MonkeyPatch.context() as patch:
        # Where Ray notes the address of the last cluster: not in the user's folder, which need not be there.
        patch.setenv("RAY_TMPDIR", str(folder))
        cluster = Cluster(initialize_head=True, head_node_args=first)
        try:
            yield cluster, cluster.add_node(num_cpus=1)
        finally:
            cluster.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


def raylet_of(node):
    """The process of a node that starts all others: without it, they end."""
    (started,) = node.all_processes["raylet"]
    return psutil.Process(started.process.pid)
