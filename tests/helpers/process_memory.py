"""Memory of a command and its workers, for benchmarks."""

import psutil


def tree_memory(pid: int) -> int:
    """Proportional set size of a process and its children in bytes; Linux only."""
    total = 0
    try:
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            total += process.memory_full_info().pss
    except psutil.NoSuchProcess:
        pass
    return total
