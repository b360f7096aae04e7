"""When nothing else of ours is at work on this machine: only then is latency measured.

Commands that compute hold a lock together with others (``at_work``); a measurement holds it alone (``alone``) for its
half minute, or does not take place. Who wants to start to work meanwhile waits for its end. The lock is one user's on
one machine and ends with the process that holds it, however it ends. What other programs do, it does not know.

The lock's file lies in the user's cache folder, else in the folder for temporary files; the environment variable
``NANOSEG_BENCH_LOCKS`` names another. On Windows, which has no locks that are held together, only two measurements
keep clear of each other.
"""

import getpass
import logging
import os
import platform
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nanoseg_bench.errors import UsageError
from nanoseg_bench.user_folders import user_caches

if sys.platform != "win32":
    import fcntl

_LOG = logging.getLogger(__name__)

OTHERS = "another nanoseg-bench command is at work on this machine"
NO_LOCK = "this machine has no place for the lock that tells; name one with NANOSEG_BENCH_LOCKS"
"""Why nothing is measured."""

_LOCKS = "NANOSEG_BENCH_LOCKS"


class _Work:
    """What this process holds: a descriptor, and how often it was taken."""

    descriptor: int | None = None
    depth = 0


if sys.platform == "win32":

    @contextmanager
    def at_work() -> Iterator[None]:
        """Windows has no locks that are held together: nobody is told."""
        yield

    @contextmanager
    def alone() -> Iterator[str]:
        """Keep another measurement from starting; a reason where one is under way (see the other ``alone``)."""
        from filelock import FileLock, Timeout

        for path in _places():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                held = FileLock(path, timeout=0).acquire()
            except Timeout:
                yield OTHERS
                return
            except OSError:
                continue
            with held:
                yield ""
            return
        yield NO_LOCK

else:

    @contextmanager
    def at_work() -> Iterator[None]:
        """Tell our other processes that this one trains, predicts or computes; calls may be nested.

        Where another one measures, its end is waited for. Without a place for the lock nobody is told.
        """
        if _Work.depth == 0:
            _Work.descriptor = _open()
            if _Work.descriptor is not None:
                _join(_Work.descriptor)
        _Work.depth += 1
        try:
            yield
        finally:
            _Work.depth -= 1
            if _Work.depth == 0 and _Work.descriptor is not None:
                os.close(_Work.descriptor)
                _Work.descriptor = None

    @contextmanager
    def alone() -> Iterator[str]:
        """Keep our other processes from starting to work, if none is at work now.

        Yields:
            Nothing (``""``) where this process is the only one; else the reason why it cannot know, or is not.
        """
        own = _Work.descriptor is None
        descriptor = _open() if own else _Work.descriptor
        if descriptor is None:
            yield NO_LOCK
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            reason = ""
        except BlockingIOError:
            reason = OTHERS
        except OSError:
            reason = NO_LOCK
        try:
            # A lock that could not be changed may be gone. While it is away another may measure: this waits until then.
            if reason and not own:
                _join(descriptor)
            yield reason
        finally:
            if own:
                os.close(descriptor)
            elif not reason:
                _join(descriptor)

    def _open() -> int | None:
        for path in _places():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError:
                continue
            return descriptor
        return None

    def _join(descriptor: int) -> None:
        """Hold the lock together with others."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            _LOG.info("waiting for another nanoseg-bench command that measures latency; half a minute at most")
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        except OSError:  # the file system knows no locks
            return


def is_quiet() -> bool:
    """Whether a measurement could take place now."""
    with alone() as reason:
        return not reason


def _places() -> list[Path]:
    """Where the lock's file may lie; the first that can be written is taken."""
    if os.environ.get(_LOCKS):
        folders = [Path(os.environ[_LOCKS])]
    else:
        folders = [Path(tempfile.gettempdir()) / f"nanoseg-bench-{_user()}"]
        with suppress(UsageError):  # a user without a home, as in containers
            folders.insert(0, user_caches())
    # The home folder may be that of many machines.
    machine = re.sub(r"[^\w.-]", "_", platform.node()) or "machine"
    return [folder / f"at-work-{machine}.lock" for folder in folders]


def _user() -> str:
    try:
        return re.sub(r"[^\w.-]", "_", getpass.getuser())
    except (OSError, KeyError):  # a user without a name, as in containers
        return str(os.getuid()) if hasattr(os, "getuid") else "user"
