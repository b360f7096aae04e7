"""Files that are either old or new, never half-written; and content hashes."""

import codecs
import errno
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from nanoseg_bench.errors import NanosegError, UsageError

FULL = (errno.ENOSPC, errno.EDQUOT)
"""A disk is full, or what this user may have of it."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success sync it and rename it over ``path``.

    A kill at any moment leaves the old file or the new one. On an exception the temporary file is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: libraries choose the format by it.
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    # Not tempfile: its files are the user's alone, and the umask, by which others may read them, can only be asked
    # for by changing it, for all threads of the process.
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
    except OSError as error:
        if error.filename is None:  # a full disk does not say which file it was
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def require_path(given: object, option: str) -> None:
    """Refuse what is no path, which Python would do without naming it.

    Args:
        given: A path.
        option: What it is given as, for the message.

    Raises:
        UsageError: It is something else.
    """
    if not isinstance(given, str | os.PathLike):
        raise UsageError(f"{option} {given!r}: give a path")


def require_writable(folder: Path, option: str) -> None:
    """Make a folder if it is not there, and refuse one that cannot be written: better known before hours of work.

    Args:
        folder: Where something will be written.
        option: Of the command line, that names another.

    Raises:
        NanosegError: It cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise unwritable(folder, error, option) from error


def unwritable(path: Path, error: OSError, option: str) -> NanosegError:
    """The error of a file or folder that could not be written, with the option that names another."""
    return NanosegError(f"{path}: cannot be written ({error.strerror or error}); make room, or give another {option}")


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write JSON with a stable layout, atomically: same value, same bytes."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file: UTF-8, with or without a byte-order mark, or UTF-16 and UTF-32 as JSON allows them.

    Raises:
        FileNotFoundError: There is no such file.
        UnicodeDecodeError: It is in another encoding.
        ValueError: It is not JSON, or holds half a surrogate pair, which is no text.
        RecursionError: It is nested too deeply.
    """
    return parse_json(path.read_bytes())


def parse_json(data: bytes) -> Any:
    """The value that a JSON file with these bytes holds; raises as ``read_json``."""
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        # NaN and infinite numbers are no JSON, but Python and its users write them; and its messages are better.
        value = json.loads(data)
        if b"\\u" in data or not data.isascii():
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value


def read_yaml(path: Path) -> Any:
    """Read a YAML file in UTF-8, with or without a byte-order mark.

    Raises:
        OSError: It cannot be read.
        ValueError: It is in another encoding, not YAML, or a key stands twice in one mapping.
    """
    return parse_yaml(path.read_text(encoding="utf-8-sig"))


def parse_yaml(text: str) -> Any:
    """The value of a YAML text: of the types that JSON has, and dates; nothing in it is carried out.

    Raises:
        ValueError: It is not YAML, or a key stands twice in one mapping.
    """
    import yaml

    from nanoseg_bench.yaml_loading import load

    try:
        return load(text)
    except yaml.MarkedYAMLError as error:  # its own message has several lines, and a text in them again
        where = error.problem_mark and f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: "
        raise ValueError(f"{where or ''}{error.problem or error}") from error
    except (yaml.YAMLError, RecursionError) as error:  # a date in month 13 is a ValueError
        raise ValueError(str(error)) from error


def visible_files(folder: Path, suffixes: str | tuple[str, ...] = "", but: Path | None = None) -> Iterator[Path]:
    """Files below a folder, those of a folder before those below it, by name; nothing hidden, nor in a hidden folder.

    Links that lead nowhere are among them, and folders that may not be looked into are passed over.

    Args:
        folder: Where to look.
        suffixes: Endings that are wanted, in lower case; all by default.
        but: A folder that is left out where it lies below, however it is spelt.
    """
    left_out = but and os.path.realpath(but)
    for top, inner, names in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        if left_out:
            inner[:] = [name for name in inner if os.path.realpath(os.path.join(top, name)) != left_out]  # noqa: PTH118
        for name in sorted(names):
            if not name.startswith(".") and name.lower().endswith(suffixes):
                yield Path(top, name)


def broken_link(path: Path) -> str:
    """Why a symbolic link leads to no file, and the way out; empty where the path is none, or leads to one."""
    if not os.path.islink(path):  # noqa: PTH114 - Path.is_symlink raises on a name that is too long
        return ""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return (
            f"a link to {os.readlink(path)}, which is not there; fetch the file (git annex get, dvc pull), or delete "  # noqa: PTH115, the text as it stands
            "the link"
        )
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "a link that leads round to itself; delete it, or put the file in its place"
        return (
            f"a link to {os.readlink(path)}, which cannot be reached ({error.strerror}); name a file that you may read"  # noqa: PTH115, as above
        )
    return ""


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """SHA-256 of a JSON value, independent of key order and layout."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
