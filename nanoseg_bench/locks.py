"""Locks between our processes that end with the process that holds them, however it ends: even by ``kill -9``."""

import errno
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nanoseg_bench.errors import BusyError

if sys.platform != "win32":
    import fcntl

_LOG = logging.getLogger(__name__)

_SECONDS_BETWEEN_TRIES = 0.1
# What file systems answer that know no locks: some cluster mounts.
_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)

_Release = Callable[[], None]

_held: dict[tuple[int, Path], int] = {}
"""How often a thread of this process holds a lock: what holds one may call what takes it again."""


@contextmanager
def hold(target: Path, *, wait: bool) -> Iterator[None]:
    """Keep our other processes from writing ``target`` meanwhile; calls may be nested.

    The lock is a hidden file beside the target, which is there only while it is held or when its holder was killed; a
    file that a killed holder left locks nothing.

    Args:
        target: File or folder, which need not exist; its folder is made.
        wait: Wait until another process is done, and say so; else refuse.

    Raises:
        BusyError: Another process holds it, and ``wait`` is false.
        OSError: The folder of ``target`` cannot be written.
    """
    place = Path(os.path.realpath(target))
    key = (threading.get_ident(), place)
    if key in _held:
        _held[key] += 1
        try:
            yield
        finally:
            _held[key] -= 1
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    release = _acquire(place.with_name(f".{place.name}.lock"), target, wait)
    _held[key] = 1
    try:
        yield
    finally:
        del _held[key]
        release()


def _acquire(lock: Path, target: Path, wait: bool) -> _Release:
    told = False
    while True:
        release = _try(lock)
        if release is not None:
            return release
        if not wait:
            raise BusyError(
                f"{target}: another nanoseg-bench command{_holder(lock)} is writing it; wait for its end, or write "
                "somewhere else"
            )
        if not told:
            _LOG.warning(
                "%s: another nanoseg-bench command%s is writing it; waiting for its end (Ctrl-C ends this one)",
                target,
                _holder(lock),
            )
            told = True
        time.sleep(_SECONDS_BETWEEN_TRIES)


def _holder(lock: Path) -> str:
    """`` (process 4711)``, where the lock says so."""
    try:
        text = lock.read_text(encoding="ascii").strip()
    except (OSError, ValueError):  # it is gone, or, on Windows, cannot be read while it is held
        return ""
    return f" ({text})" if text else ""


if sys.platform == "win32":

    def _try(lock: Path) -> _Release | None:
        from filelock import FileLock, Timeout

        held = FileLock(lock)
        try:
            held.acquire(timeout=0)
        except Timeout:
            return None

        def release() -> None:
            held.release()
            # Windows keeps a file that another process has opened meanwhile.
            with suppress(OSError):
                lock.unlink()

        return release

else:

    def _try(lock: Path) -> _Release | None:
        """Take the lock if it is free."""
        while True:
            descriptor = _open(lock)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except OSError as error:
                os.close(descriptor)
                if error.errno not in _NO_LOCKS:
                    raise
                _LOG.warning("%s: this file system has no locks; start one command at a time", lock.parent)
                return lambda: None
            if is_at(descriptor, lock):
                break
            # Its holder took the file away between our opening and our locking it: that lock guards no name, and the
            # name is free.
            os.close(descriptor)
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {os.uname().nodename}".encode("ascii", "replace"))

        def release() -> None:
            # While it is held, so that it is never another's file that goes.
            with suppress(OSError):
                lock.unlink()
            os.close(descriptor)

        return release

    def _open(lock: Path) -> int:
        try:
            return os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except PermissionError:
            # What a killed process of somebody else left in a folder that we share can be locked, if not written.
            if not lock.exists():
                raise
            return os.open(lock, os.O_RDONLY)

    def is_at(descriptor: int, path: Path) -> bool:
        """Whether an open file is the one that a path leads to now."""
        try:
            there = path.stat()
        except FileNotFoundError:
            return False
        mine = os.fstat(descriptor)
        return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)
