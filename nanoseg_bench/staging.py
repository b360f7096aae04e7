"""Replacing a whole folder: written beside, renamed when complete."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nanoseg_bench.errors import PreparationError


@contextmanager
def staged_folder(target: Path, marker: str) -> Iterator[Path]:
    """Yield an empty folder beside ``target``; on success it takes the place of ``target``.

    A kill leaves the old folder or the new one. (Between the two renames of a replacement the old one is called
    ``.<name>.old``; ``recover_folder`` puts it back.) On an exception nothing is left behind.

    Args:
        target: The folder to write.
        marker: A file that says that an existing ``target`` is ours to replace.

    Raises:
        PreparationError: ``target`` is something else's, or cannot be written.
    """
    recover_folder(target)
    check_replaceable(target, marker)
    incomplete, old = _fresh(target, "incomplete"), _beside(target, "old")
    try:
        yield incomplete
        if target.exists():
            target.rename(old)
        incomplete.rename(target)
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
        PreparationError: The folder cannot be written.
    """
    scratch = _fresh(target, "scratch")
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def recover_folder(target: Path) -> None:
    """Finish what a kill interrupted between the two renames of ``staged_folder``.

    Raises:
        PreparationError: The folder cannot be written.
    """
    old = _beside(target, "old")
    try:
        if not old.is_dir():
            return
        if target.exists():
            _remove(old)
        else:
            old.rename(target)
    except OSError as error:
        raise _unwritable(target, error) from error


def check_replaceable(target: Path, marker: str) -> None:
    """Refuse to replace a folder that this package has not written.

    Raises:
        PreparationError: ``target`` is a file, or a folder with other things in it.
    """
    try:
        if target.is_dir() and any(target.iterdir()) and not (target / marker).is_file():
            raise PreparationError(f"{target}: holds other files (no {marker}); choose another folder")
        if target.exists() and not target.is_dir():
            raise PreparationError(f"{target}: is a file; choose another folder")
    except OSError as error:
        raise _unwritable(target, error) from error


def _beside(target: Path, what: str) -> Path:
    return target.parent / f".{target.name}.{what}"


def _fresh(target: Path, what: str) -> Path:
    """An empty folder beside ``target``; what a kill left there goes first."""
    folder = _beside(target, what)
    try:
        _remove(folder)
        folder.mkdir(parents=True)
    except OSError as error:
        raise _unwritable(target, error) from error
    return folder


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _unwritable(target: Path, error: OSError) -> PreparationError:
    return PreparationError(
        f"{target}: cannot be written ({error.strerror or error}); choose another folder, or make room"
    )
