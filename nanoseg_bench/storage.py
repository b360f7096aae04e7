"""Folders that several machines share: in a bucket (``s3://``, ``gs://``), or at any other URL that fsspec opens.

Everything else works on folders of this machine; what is here carries files to and fro. Credentials and addresses are
those of the library that opens the URL: for S3 ``AWS_ACCESS_KEY_ID``, ``AWS_PROFILE``, ``AWS_ENDPOINT_URL`` and so on.
"""

import hashlib
import logging
import os
import posixpath
import random
import secrets
import socket
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import orjson

from nanoseg_bench.errors import NanosegError, StorageError, UsageError
from nanoseg_bench.extras import require_packages
from nanoseg_bench.files import FULL, parse_json, require_path
from nanoseg_bench.user_folders import user_caches

_CONDITIONAL = {"s3", "s3a", "gs", "gcs"}
"""Protocols whose fsspec implementation hands "only if it is not there" to the server. Whether the server obeys is
tried out: some that speak S3 do not."""

_LIBRARIES = {"s3": "s3fs", "s3a": "s3fs"}
"""What an extra brings beside fsspec."""

_OBEYS: dict[str, bool] = {}
"""Whether a bucket's server obeys, as it was found out."""

_TALKATIVE = ("aiobotocore", "botocore")
"""Loggers that tell at each start where credentials were found."""

_DIGITS = 8  # of a hash in a folder's name
_AT_ONCE = 500  # files that one call of fsspec carries
_TURNS = 12  # of one who finds the claims of others beside its own


@dataclass(frozen=True, slots=True)
class Entry:
    """An object as it is listed: its size in bytes, and what changes when it is written again (``ETag``, or a time)."""

    size: int
    tag: str


def is_url(given: object) -> bool:
    """Whether a path on the command line is a URL, and no path of this machine."""
    return isinstance(given, str) and "://" in given


def path_or_url(given: str) -> Path | str:
    """What an option for a folder holds: a URL as it is, without the slash at its end; anything else as a path."""
    if not is_url(given):
        return Path(given)
    url = given.rstrip("/")
    return url if is_url(url) else given  # a scheme alone stays one, for ``StoredFolder`` to refuse


def require_folder(given: object, option: str) -> None:
    """Refuse what is no path where only a folder of this machine will do; a URL would become one of a strange name.

    Args:
        given: A path.
        option: What it is given as, for the message.

    Raises:
        UsageError: It is a URL, or something else.
    """
    require_path(given, option)
    if is_url(given):
        raise UsageError(
            f"{option} {given}: takes a folder of this machine; URLs are what the verbs prepare, run and leaderboard "
            "of the command line take"
        )


def cache_folder(kind: str, url: str) -> Path:
    """The folder of this machine that stands for a URL, by the XDG rules; it need not exist.

    Args:
        kind: ``sets``, ``runs``, ``leaderboards``, or ``staging``.
        url: Two URLs have two folders.
    """
    digest = hashlib.sha256(url.encode("utf-8")).hexdigest()[:_DIGITS]
    return user_caches() / "storage" / kind / f"{name_of(url)}-{digest}"


def name_of(url: str) -> str:
    """The last part of a URL."""
    return posixpath.basename(url.rstrip("/")) or "root"


def this_machine() -> dict[str, Any]:
    """Who writes, for others to read: name of the machine, number of the process, time."""
    return {"machine": socket.gethostname(), "process": os.getpid(), "at": _now()}


def named(who: object) -> str:
    """``lab-3 (process 4711), at 2026-11-29T07:00:00+00:00``, of what ``this_machine`` gave there."""
    if not isinstance(who, dict) or "machine" not in who:
        return "another machine"
    return f"{who['machine']} (process {who.get('process')}), at {who.get('at')}"


class StoredFolder:
    """A folder at a URL; it need not exist. Names are below it, with forward slashes.

    Args:
        url: As fsspec opens it.

    Raises:
        MissingExtraError: What opens such URLs is not installed.
        StorageError: It names no place, or fsspec knows no such URLs; so do all methods where the place cannot be
            reached, read or written.
    """

    def __init__(self, url: str) -> None:
        if not url.partition("://")[2].strip("/"):
            raise StorageError(f"{url}: names no place; give a bucket and a folder, such as s3://lab/mine")
        self.url = url.rstrip("/")
        protocol = url.partition("://")[0].lower()
        require_packages(self.url, "fsspec", *([_LIBRARIES[protocol]] if protocol in _LIBRARIES else []))
        import fsspec

        for library in _TALKATIVE:
            logging.getLogger(library).setLevel(logging.WARNING)
        with self._told():
            self._fs, root = fsspec.url_to_fs(self.url)
        self._root = root.rstrip("/")
        self._is_local = protocol in ("file", "local")
        self._may_be_conditional = protocol in _CONDITIONAL
        self._bucket = f"{protocol}://{self._root.partition('/')[0]}"
        if self._is_local:
            self._fs.auto_mkdir = True

    def below(self, *parts: str) -> "StoredFolder":
        """A folder in this one."""
        return StoredFolder("/".join((self.url, *parts)))

    def url_of(self, name: str) -> str:
        """The URL of a file, for messages."""
        return f"{self.url}/{name}"

    def list(self) -> dict[str, Entry]:
        """All files by name, those of folders below too; empty where the folder is not there."""
        with self._told():
            self._fs.invalidate_cache()
            found = self._fs.find(self._root, detail=True)
        entries = {}
        for path, about in sorted(found.items()):
            name = path[len(self._root) :].lstrip("/")
            if name and about.get("type") == "file" and not name.endswith("/"):
                keys = ("ETag", "etag", "md5Hash", "mtime", "created", "LastModified")
                tag = next((str(about[key]) for key in keys if about.get(key)), "")
                entries[name] = Entry(int(about.get("size") or 0), tag)
        return entries

    def read(self, name: str) -> bytes | None:
        """The bytes of a file; None where it is not there."""
        with self._told(name):
            try:
                self._fs.invalidate_cache()
                data: bytes = self._fs.cat_file(self._path(name))
            except FileNotFoundError:
                return None
            return data

    def write(self, name: str, data: bytes) -> None:
        """Write a file, over one that is there."""
        with self._told(name):
            self._fs.pipe_file(self._path(name), data)

    def require_writable(self) -> None:
        """Refuse a place where one may not write and delete: better known before hours of work."""
        trial = f".trial-{secrets.token_hex(8)}"
        self.write(trial, b"1")
        self.delete([trial])

    def put_if_absent(self, name: str, data: bytes) -> bool:
        """Write a file unless it is there, so that of several who try exactly one succeeds.

        By a conditional write (``If-None-Match: *``, on Google ``ifGenerationMatch=0``) where the server obeys it,
        which is tried out; by a hard link in a folder of this machine, or one that is mounted. Elsewhere under a claim:
        whoever finds no claim but its own may look and write; with others', it takes its own back and tries again. That
        takes a listing that shows what was written before, as object stores have it today.

        Returns:
            Whether the file is this call's.

        Raises:
            StorageError: Also where a claim stays that somebody left who was killed in between; names it.
        """
        with self._told(name):
            if self._is_local:
                return self._link(name, data)
            if self._obeys_conditions():
                return self._put_conditionally(name, data)
        return self._put_under_claim(name, data)

    def delete(self, names: Collection[str]) -> None:
        """Delete files; those that are not there are passed over."""
        for name in names:
            with self._told(name), suppress(FileNotFoundError):
                self._fs.rm_file(self._path(name))

    def upload(self, folder: Path, names: Sequence[str]) -> None:
        """Carry files of a folder of this machine here, over those that are there; many at once, in no order."""
        for batch in _batches(names):
            with self._told(batch[0] if len(batch) == 1 else ""):
                self._fs.put([str(folder / name) for name in batch], [self._path(name) for name in batch])

    def download(self, names: Sequence[str], folder: Path) -> None:
        """Carry files into a folder of this machine.

        Raises:
            StorageError: One of them is not there, too.
        """
        for name in names:
            target = folder / name
            if not target.resolve().is_relative_to(folder.resolve()):
                raise StorageError(f"{self.url_of(name)}: leads out of its folder; it is not of this package")
            target.parent.mkdir(parents=True, exist_ok=True)
        for batch in _batches(names):
            with self._told(batch[0] if len(batch) == 1 else ""):
                self._fs.get([self._path(name) for name in batch], [str(folder / name) for name in batch])

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _link(self, name: str, data: bytes) -> bool:
        """A link appears whole or not at all, on network file systems too."""
        place = Path(self._path(name))
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
        try:
            temporary.write_bytes(data)
            os.link(temporary, place)
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def _obeys_conditions(self) -> bool:
        """Whether a second conditional write of a name is refused here; tried once for each bucket."""
        if not self._may_be_conditional:
            return False
        if self._bucket not in _OBEYS:
            trial = f".conditional-write-{secrets.token_hex(8)}"
            try:
                self._fs.pipe_file(self._path(trial), b"1", mode="create")
                _OBEYS[self._bucket] = not self._created(trial, b"2")
            except (NotImplementedError, TypeError):
                _OBEYS[self._bucket] = False
            finally:
                self.delete([trial])
        return _OBEYS[self._bucket]

    def _put_conditionally(self, name: str, data: bytes) -> bool:
        # An answer that got lost is asked for again, and then the file is there: our own.
        return self._created(name, data) or self.read(name) == data

    def _created(self, name: str, data: bytes) -> bool:
        try:
            self._fs.pipe_file(self._path(name), data, mode="create")
        except FileExistsError:
            return False
        except OSError:
            # Servers name the refusal in different ways; what counts is that the file is there.
            if self.read(name) is None:
                raise
            return False
        return True

    def _put_under_claim(self, name: str, data: bytes) -> bool:
        folder, _, last = name.rpartition("/")
        prefix = f"{folder}/.claim-{last}-" if folder else f".claim-{last}-"
        for turn in range(_TURNS):
            if self.read(name) is not None:
                return False
            claim = prefix + secrets.token_hex(8)
            self.write(claim, orjson.dumps(this_machine()))
            try:
                others = [each for each in self.list() if each.startswith(prefix) and each != claim]
                if not others:
                    if self.read(name) is not None:
                        return False
                    self.write(name, data)
                    return True
            finally:
                self.delete([claim])
            time.sleep(random.uniform(0, 0.05 * 2 ** min(turn, 5)))  # noqa: S311, only to be out of step
        raise StorageError(
            f"{self.url_of(others[0])}: somebody is writing {name}, or was killed while doing so: "
            f"{named(_document(self.read(others[0])))}; if nobody is, delete that file"
        )

    @contextmanager
    def _told(self, name: str = "") -> Iterator[None]:
        """What libraries raise, which may be anything, as one error with the URL."""
        try:
            yield
        except NanosegError:
            raise
        except Exception as error:
            self._refuse(name, error)

    def _refuse(self, name: str, error: Exception) -> NoReturn:
        url = self.url_of(name) if name else self.url
        cause = str(error.strerror or error) if isinstance(error, OSError) else str(error)
        way = "look at the URL, the rights and the credentials"
        if isinstance(error, OSError) and error.errno in FULL:
            way = f"make room; {cache_folder('sets', url).parent} holds copies, which may be deleted while nothing runs"
        elif url.startswith(("s3:", "s3a:")):
            way += " (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE; AWS_ENDPOINT_URL where it is not Amazon's)"
        raise StorageError(
            f"{url}: cannot be reached, read or written ({cause or type(error).__name__}); {way}"
        ) from error


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _AT_ONCE):
        yield names[start : start + _AT_ONCE]


def _document(data: bytes | None) -> object:
    with suppress(ValueError):
        return parse_json(data or b"")
    return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
