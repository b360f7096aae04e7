"""URLs on the command line: the folders of this machine that stand for them while a verb works."""

import argparse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.errors import NanosegError, UsageError
from nanoseg_bench.storage import is_url

if TYPE_CHECKING:
    from nanoseg_bench.runs.stored import Shared


def fetch_set(url: str) -> Path:
    """The folder of this machine that holds the prepared set at a URL, carried here if need be, and checked.

    Raises:
        StorageError: There is none, a file of it is missing or damaged, or it cannot be read.
        DatasetError: It was put there by hand, and a file of it is not as ``prepare`` wrote it.
    """
    from nanoseg_bench.preparation.auditing import require_intact
    from nanoseg_bench.preparation.prepared_set import PreparedSet
    from nanoseg_bench.preparation.set_names import MARKER
    from nanoseg_bench.storage import StoredFolder
    from nanoseg_bench.stored_copies import fetch_folder

    def check(folder: Path) -> None:
        with told_as(folder, url):
            require_intact(PreparedSet(folder))

    return fetch_folder(StoredFolder(url), "sets", MARKER, check)


def refuse_other_urls(arguments: argparse.Namespace) -> None:
    """Refuse a URL where a path of this machine is meant, which would become a folder of a strange name.

    Raises:
        UsageError: Names it, and what takes URLs.
    """
    paths = {str(each) for value in vars(arguments).values() for each in _listed(value) if isinstance(each, Path)}
    for given in arguments.given:
        url = given.partition("=")[2] if given.startswith("--") else given
        if is_url(url) and str(Path(url)) in paths:
            raise UsageError(
                f"{url}: a folder or file of this machine is meant here; URLs are what `prepare --out`, `run SET`, and "
                "--runs and --leaderboards of `run` and `leaderboard` take"
            )


def _listed(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else [value]


@contextmanager
def told_as(folder: Path, url: object) -> Iterator[None]:
    """Errors about a folder of this machine as those of the URL that it stands for, if it stands for one."""
    if not is_url(url):
        yield
        return
    try:
        yield
    except NanosegError as error:
        text = str(error)
        if str(folder) not in text:
            raise
        raise type(error)(text.replace(str(folder), str(url))) from error


def set_name_at(url: str) -> str:
    """The name of the prepared set at a URL; empty where there is none."""
    from nanoseg_bench.files import parse_json
    from nanoseg_bench.preparation.set_names import MARKER
    from nanoseg_bench.storage import StoredFolder

    try:
        return str(parse_json(StoredFolder(url).read(MARKER) or b"{}").get("name", ""))
    except (ValueError, AttributeError) as error:
        raise UsageError(f"{url}/{MARKER}: damaged ({error}); prepare the set again") from error


def open_shared(arguments: argparse.Namespace, set_name: str) -> "Shared | None":
    """The shared places that ``--runs`` and ``--leaderboards`` name; None where both are folders of this machine.

    Raises:
        UsageError: ``--executor ray`` goes with folders that all its machines see.
    """
    urls = {name: getattr(arguments, name) for name in ("runs", "leaderboards") if is_url(getattr(arguments, name))}
    if arguments.executor == "ray" and (urls or is_url(arguments.set)):
        raise UsageError(
            "--executor ray: the machines of the cluster share folders, and a URL is none; mount it, or run the same "
            "command on each machine with --models of its own"
        )
    if not urls:
        return None
    from nanoseg_bench.runs.stored import Shared

    return Shared(set_name, urls.get("runs"), urls.get("leaderboards"))
