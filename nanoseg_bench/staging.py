"""Replacing a whole folder: written beside, renamed when complete, by one process at a time."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nanoseg_bench.errors import FolderError
from nanoseg_bench.locks import hold


@contextmanager
def hold_folder(target: Path, *, wait: bool = True) -> Iterator[None]:
    """Let no other process of ours write ``target`` or beside it meanwhile; calls may be nested.

    Whoever decides by what lies there whether and how to write holds the folder from the look to the end.

    Args:
        target: The folder; it need not exist.
        wait: Wait for another process that writes it; else refuse.

    Raises:
        BusyError: Another process writes it, and ``wait`` is false.
        FolderError: The folder cannot be written.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(hold(target, wait=wait))
        except OSError as error:
            raise _unwritable(target, error) from error
        yield


@contextmanager
def staged_folder(target: Path, marker: str) -> Iterator[Path]:
    """Yield an empty folder beside ``target``; on success it takes the place of ``target``.

    A kill leaves the old folder or the new one. (Between the two renames of a replacement the old one is called
    ``.<name>.old``; ``recover_folder`` puts it back.) On an exception nothing is left behind.

    Args:
        target: The folder to write.
        marker: A file that says that an existing ``target`` is ours to replace.

    Raises:
        FolderError: ``target`` is something else's, or cannot be written.
    """
    with hold_folder(target):
        recover_folder(target)
        check_replaceable(target, marker)
        incomplete, old, place = _fresh(target, "incomplete"), _beside(target, "old"), _place(target)
        try:
            yield incomplete
            if place.exists():
                place.rename(old)
            incomplete.rename(place)
            _remove(old)
        except OSError as error:
            raise _unwritable(target, error) from error
        finally:
            recover_folder(target)
            shutil.rmtree(incomplete, ignore_errors=True)


@contextmanager
def scratch_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``target`` for files that nobody needs afterwards; what a kill left goes first.

    Raises:
        FolderError: The folder cannot be written.
    """
    with hold_folder(target):
        scratch = _fresh(target, "scratch")
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def recover_folder(target: Path) -> None:
    """Finish what a kill interrupted between the two renames of ``staged_folder``.

    Raises:
        FolderError: The folder cannot be written.
    """
    old, place = _beside(target, "old"), _place(target)
    if not old.is_dir():
        return
    with hold_folder(target):
        try:
            if not old.is_dir():
                return  # it was no kill: another process has finished meanwhile
            if place.exists():
                _remove(old)
            else:
                old.rename(place)
        except OSError as error:
            raise _unwritable(target, error) from error


def check_replaceable(target: Path, marker: str) -> None:
    """Refuse to replace a folder that this package has not written, or that this process works in.

    Raises:
        FolderError: ``target`` is a file, or a folder with other things in it, or holds the current folder.
    """
    try:
        if Path.cwd().is_relative_to(_place(target)):
            raise _around_us(target)
        if target.is_dir() and any(target.iterdir()) and not (target / marker).is_file():
            raise FolderError(f"{target}: holds other files (no {marker}); choose another folder")
        if target.exists() and not target.is_dir():
            raise FolderError(f"{target}: is a file; choose another folder")
    except OSError as error:
        raise _unwritable(target, error) from error


def beside(target: Path, pattern: str) -> Path:
    """A path beside a folder that is to be replaced.

    Args:
        target: The folder.
        pattern: Of its name: ``{}-images``.

    Raises:
        FolderError: The folder is given as the current one or one above it, and cannot be replaced from inside.
    """
    if target.name in ("", ".."):
        raise _around_us(target)
    return target.with_name(pattern.format(target.name))


def _place(target: Path) -> Path:
    """Where the folder is, also where ``target`` is a link to it."""
    return Path(os.path.realpath(target))


def _beside(target: Path, what: str) -> Path:
    place = _place(target)
    return place.with_name(f".{place.name}.{what}")


def _fresh(target: Path, what: str) -> Path:
    """An empty folder beside ``target``, which is held; what killed processes left there goes first.

    It has a name of its own: the workers of a process that was killed a moment ago may still write into its folder.
    """
    stem = _beside(target, what)
    folder = stem.with_name(f"{stem.name}-{secrets.token_hex(4)}")
    ours = re.compile(re.escape(stem.name) + "(-[0-9a-f]{8})?")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for leftover in folder.parent.iterdir():
            if ours.fullmatch(leftover.name):
                shutil.rmtree(leftover, ignore_errors=True)
        folder.mkdir()
    except OSError as error:
        raise _unwritable(target, error) from error
    return folder


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _around_us(target: Path) -> FolderError:
    return FolderError(
        f"{target}: is the current folder, or holds it, and cannot be replaced from inside; choose another folder, or "
        "give the command from outside"
    )


def _unwritable(target: Path, error: OSError) -> FolderError:
    return FolderError(f"{target}: cannot be written ({error.strerror or error}); choose another folder, or make room")
