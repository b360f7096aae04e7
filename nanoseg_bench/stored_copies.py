"""Whole folders that are carried to a URL and back, each file held against a list of contents."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from nanoseg_bench import cached
from nanoseg_bench.errors import StorageError
from nanoseg_bench.files import parse_json, sha256_file, sha256_json
from nanoseg_bench.seals import SEAL, sealed, unsealed
from nanoseg_bench.staging import staged_folder
from nanoseg_bench.storage import Entry, StoredFolder, cache_folder

CONTENTS = "contents.json"
"""Of an uploaded folder: the size and SHA-256 of each of its files, sealed. It is written first, the marker last."""

_FORMAT = "nanoseg-contents/1"
_DIGITS = 8  # of a hash in a folder's name


def upload_folder(folder: Path, target: StoredFolder, marker: str, *, replace: bool = False) -> None:
    """Carry a whole folder to a URL; until all of it is there, nobody takes what is there for it.

    The list of contents goes first, ``marker`` last. Where one is replaced, its marker is deleted before all, and then
    what its list names and the new folder has not. What no list names stays: somebody may keep runs below a set.

    Args:
        folder: On this machine, with ``marker`` in it. Hidden files stay here.
        target: Where to.
        marker: The file that says what the folder is.
        replace: Put it in the place of one that is there.

    Raises:
        StorageError: One is there already, or something else; another machine writes there meanwhile; or it cannot be
            written.
    """
    there = target.list()
    if marker in there and not replace:
        raise StorageError(f"{target.url}: exists already; use --overwrite always to replace it, or another URL")
    # A trial of whether one may write stays where one may not delete.
    if not all(map(_is_hidden, there)) and not {marker, CONTENTS} & set(there):
        raise StorageError(f"{target.url}: holds other files (no {marker}); choose another URL")
    contents = orjson.dumps(contents_of(folder))
    names = [name for name in _files(folder) if name != marker]
    earlier = _listed(target)
    target.delete([marker] if marker in there else [])
    # Before the list that names them is another one: a kill in between leaves nothing that no list knows.
    target.delete(sorted(earlier & (there.keys() - {*names, marker, CONTENTS})))
    target.write(CONTENTS, contents)
    target.upload(folder, names)
    if target.read(CONTENTS) != contents:
        raise StorageError(f"{target.url}: another machine writes it at the same time; look which one is wanted")
    if not target.put_if_absent(marker, (folder / marker).read_bytes()):
        raise StorageError(f"{target.url}: another machine has written it at the same time; that one stays")


def is_uploaded(folder: Path, target: StoredFolder) -> bool:
    """Whether a folder of this machine lies at a URL as it is, by the list of contents there; a damaged one says no."""
    try:
        return bool(read_contents(target) == contents_of(folder)["files"])
    except StorageError:
        return False


def contents_of(folder: Path) -> dict[str, Any]:
    """The list of contents of a folder of this machine: size and SHA-256 of each file, sealed."""
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)} for name in _files(folder)
    }
    return sealed({"format": _FORMAT, "files": files})


def read_contents(source: StoredFolder) -> Mapping[str, Mapping[str, Any]] | None:
    """Size and SHA-256 of each file of an uploaded folder; None where it came there in another way.

    Raises:
        StorageError: The list is damaged.
    """
    data = source.read(CONTENTS)
    if data is None:
        return None
    try:
        found = parse_json(data)
        found[SEAL]  # one without is none of ours
        document = unsealed(found)
        if document["format"] != _FORMAT:
            raise ValueError(f"its format is {document['format']!r}")
        files: Mapping[str, Mapping[str, Any]] = document["files"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StorageError(f"{source.url_of(CONTENTS)}: damaged ({error}); upload the folder again") from error
    return files


def fetch_folder(
    source: StoredFolder, kind: str, marker: str, check: Callable[[Path], object] = lambda folder: None
) -> Path:
    """The folder of this machine that holds what lies at a URL now; it is carried here unless it was before.

    Every file is held against the list of contents. A folder that was changed there has another place here, so what
    reads the earlier one is not disturbed. It stays as long as this process lives; what nobody uses may go for it.

    Args:
        source: Where from.
        kind: As of ``cache_folder``.
        marker: The file that says what the folder is.
        check: Looks at a folder that came there without a list of contents, and raises what is wrong.

    Raises:
        StorageError: There is no such folder, a file of it is missing or damaged, or it cannot be read.
        UsageError: The limit of all copies together, an environment variable, is no size.
    """
    listing = source.list()
    if marker not in listing:
        raise StorageError(f"{source.url}: nothing to read there (no {marker}); look at the URL, or write it first")
    contents = read_contents(source)
    # Runs that somebody keeps below a set change all the time, and are none of it.
    names = [name for name in listing if not _is_hidden(name)] if contents is None else [*contents, CONTENTS]
    entries = {name: listing[name] for name in names if name in listing}
    place = cache_folder(kind, source.url)
    digest = sha256_json({name: [entry.size, entry.tag] for name, entry in entries.items()})[:_DIGITS]
    target = place.with_name(f"{place.name}-{digest}")
    cached.use(target)
    if not (target / marker).is_file():
        try:
            _fetch(source, listing, contents, target, marker, check)
        except BaseException:
            cached.give_up(target)
            raise
    return target


def _fetch(
    source: StoredFolder,
    listing: Mapping[str, Entry],
    contents: Mapping[str, Mapping[str, Any]] | None,
    target: Path,
    marker: str,
    check: Callable[[Path], object],
) -> None:
    names = sorted(contents) if contents is not None else [name for name in listing if not _is_hidden(name)]
    for name in names:
        if name not in listing:
            raise StorageError(f"{source.url_of(name)}: is missing; upload the folder again")
    cached.make_room(target, sum(listing[name].size for name in names))
    with staged_folder(target, marker) as folder:
        source.download(names, folder)
        for name, about in (contents or {}).items():
            path = folder / name
            if path.stat().st_size != about["bytes"] or sha256_file(path) != about["sha256"]:
                raise StorageError(
                    f"{source.url_of(name)}: damaged: not as it was uploaded (its SHA-256 is not that in {CONTENTS}); "
                    "upload the folder again"
                )
        if contents is None:
            check(folder)


def _listed(target: StoredFolder) -> set[str]:
    """What the list of contents names; nothing where there is none, or it is damaged."""
    try:
        return set(read_contents(target) or ())
    except StorageError:
        return set()


def _files(folder: Path) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if not _is_hidden(name))


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))
