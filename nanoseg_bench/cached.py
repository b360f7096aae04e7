"""Copies that this machine keeps of stored folders: what is in use stays, what was not used for long makes room.

Windows has no locks that are held together, so nothing is removed there.
"""

import logging
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from nanoseg_bench.errors import UsageError

if sys.platform != "win32":
    import fcntl

    from nanoseg_bench.locks import is_at

_LOG = logging.getLogger(__name__)

LIMIT = "NANOSEG_BENCH_STORAGE_GB"
_DEFAULT_GB = 20.0

_in_use: dict[Path, int] = {}
"""Locks by folder; they end with this process, however it ends."""


def limit() -> int:
    """Bytes that all copies together should keep to, as the environment variable says.

    Raises:
        UsageError: It is no size.
    """
    text = os.environ.get(LIMIT) or str(_DEFAULT_GB)
    try:
        return int(float(text) * 1e9)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{LIMIT}={text}: give a number of gigabytes, such as 50") from error


if sys.platform == "win32":

    def use(folder: Path) -> None:
        """Nothing is removed, so nobody need be told."""

    def give_up(folder: Path) -> None:
        """Nothing is left of a copy that did not come."""

    def make_room(folder: Path, size: int) -> None:
        """Nothing is removed."""

else:

    def use(folder: Path) -> None:
        """Let no process remove a copy as long as this process lives, and note that it was used now.

        Waits for one that is removing it; the copy need not exist. Where no lock can be had, none is removed either.
        """
        with suppress(OSError):
            folder.parent.mkdir(parents=True, exist_ok=True)
            while folder not in _in_use:
                descriptor = _open(folder)
                fcntl.flock(descriptor, fcntl.LOCK_SH)
                if is_at(descriptor, _lock(folder)):
                    _in_use[folder] = descriptor
                else:  # the copy was removed, and its lock with it
                    os.close(descriptor)
            os.utime(_lock(folder))

    def give_up(folder: Path) -> None:
        """Use a copy no longer that did not come: nothing is left of it."""
        if folder in _in_use:
            os.close(_in_use.pop(folder))
            if not folder.exists():
                _remove(folder)

    def make_room(folder: Path, size: int) -> None:
        """Remove copies beside one that is to come, the longest unused first, until all together keep to the limit.

        Args:
            folder: The copy that is to come.
            size: Bytes of it.

        Raises:
            UsageError: The limit is no size.
        """
        for left in folder.parent.glob(".*.removed"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        others = [each for each in folder.parent.glob("[!.]*") if each.is_dir() and each != folder]
        sizes = {each: _size(each) for each in others}
        over = sum(sizes.values()) + size - limit()
        for each in sorted(others, key=_last_use):
            if over > 0 and _remove(each):
                over -= sizes[each]
                _LOG.info("%s: removed to make room, the copy that was not used for longest (%s)", each, LIMIT)

    def _size(folder: Path) -> int:
        """Bytes of a copy; of one that another process removes meanwhile, those that are still there."""
        size = 0
        for top, _, names in os.walk(folder):  # passes over what is gone
            for name in names:
                with suppress(OSError):
                    size += Path(top, name).stat().st_size
        return size

    def _remove(folder: Path) -> bool:
        """Whether nothing is left of it: nobody uses it."""
        try:
            descriptor = _open(folder)
        except OSError:  # another user's
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not is_at(descriptor, _lock(folder)):
                return False
            removed = folder.with_name(f".{folder.name}.removed")
            with suppress(FileNotFoundError):
                folder.rename(removed)  # a half is taken for a whole nowhere
            shutil.rmtree(removed, ignore_errors=True)
            _lock(folder).unlink()
        except OSError:  # it is in use, there are no locks, or it is gone already
            return False
        finally:
            os.close(descriptor)
        return True

    def _open(folder: Path) -> int:
        return os.open(_lock(folder), os.O_RDWR | os.O_CREAT, 0o600)

    def _last_use(folder: Path) -> float:
        with suppress(OSError):
            return _lock(folder).stat().st_mtime
        return 0.0  # somebody removed the lock


def _lock(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.used")
