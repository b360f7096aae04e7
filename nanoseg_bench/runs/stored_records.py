"""Records of a set in a storage that several machines share, and the tables that are made of them.

A record is written once, as ``records/<set>/<run>-<eval set>.<number>.json``: of two who write the same number one is
refused. A later record of a run that had failed, or is scored anew, has the next number, and the tables are made of the
highest ones; an empty one takes a record back.
"""

import json
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from nanoseg_bench.errors import StorageError
from nanoseg_bench.files import parse_json, read_json, sha256_json, write_bytes, write_json
from nanoseg_bench.locks import hold
from nanoseg_bench.runs.record import WRITTEN_BY
from nanoseg_bench.seals import unsealed
from nanoseg_bench.storage import StoredFolder, cache_folder, named, this_machine

_NUMBERED = re.compile(r"(?P<name>.+?)(?:\.(?P<number>\d+))?\.json")
_NOTES = ".stored.json"

_NONE = -1
"""The number of a record that is not there; 0 is that of one without a number, put there by hand."""


class StoredRecords:
    """The records of a set at a URL, and the tables that are made of them.

    Args:
        url: Of the leaderboards.
        set_name: Whose records.

    Attributes:
        local: The folder of this machine that stands for it.
    """

    def __init__(self, url: str, set_name: str) -> None:
        self._root = StoredFolder(url)
        self._folder = self._root.below("records", set_name)
        self.local = cache_folder("leaderboards", self._root.url)
        self._here = self.local / "records" / set_name
        self._shared: dict[str, bytes] = {}
        if not any(self._here.glob("[!.]*.json")):
            # Whoever makes room by ``rm *`` leaves what is hidden, and by these notes would take every record back.
            (self._here / _NOTES).unlink(missing_ok=True)

    def sync(self, *, publish: bool, taken_over: Collection[str] = ()) -> list[str]:
        """Write what is new here, fetch what is new there.

        Args:
            publish: Whether to write.
            taken_over: Names of rows that another machine has taken over; nothing of them is written.

        Returns:
            Sentences on the records that another machine wrote first.

        Raises:
            StorageError: The place cannot be read or written, or a record there is damaged.
        """
        with hold(self._here, wait=True):
            notes = self._notes()
            numbers = self._numbers()
            told = []
            here = {path.stem for path in self._here.glob("[!.]*.json")}
            for name in sorted({*here, *numbers, *notes}):
                if any(_is_of_row(name, row) for row in taken_over):
                    self._put_aside(name, notes)
                sentence = self._sync_one(name, notes, numbers.get(name, _NONE), publish)
                if sentence:
                    told.append(sentence)
            return told

    def share_tables(self, paths: Sequence[Path]) -> None:
        """Write tables over earlier ones; one of ``paths`` that is not there is deleted."""
        for path in paths:
            data = path.read_bytes() if path.is_file() else b""
            if self._shared.get(path.name) == data:
                continue
            if data:
                self._root.write(path.name, data)
            else:
                self._root.delete([path.name])
            self._shared[path.name] = data

    def fetch_tables(self, names: Sequence[str]) -> None:
        """Put the tables that lie there in the place of those here."""
        for name in names:
            data = self._root.read(name)
            if data is None:
                (self.local / name).unlink(missing_ok=True)
            else:
                write_bytes(self.local / name, data)

    def _sync_one(self, name: str, notes: dict[str, Any], number: int, mine: bool) -> str:
        """Bring one record up to date on both sides; a sentence where another machine wrote it first."""
        path = self._here / f"{name}.json"
        known, digest = notes.get(name, (_NONE, ""))
        while True:
            ours = _read(path)
            if ours is None and path.exists():  # damaged here
                path.unlink()
                known, digest = _NONE, ""
            if not mine or _digest(ours) == digest or (ours or {}).get("status") == "skipped":
                if number > known:
                    self._fetch(name, number, notes)
                return ""
            if number > known:
                theirs, _ = self._read(name, number)
                same = _digest(theirs) == _digest(ours)
                if same or not _replaces(ours, theirs):
                    told = "" if same or not _is_good(ours) else self._keep_aside(path, theirs or {})
                    self._fetch(name, number, notes)
                    return told
            if ours is None and number == _NONE:
                return ""
            following = max(number, 0) + 1
            data = b"" if ours is None else _signed(path.read_text(encoding="utf-8"))
            if self._folder.put_if_absent(_file(name, following), data):
                self._note(name, following, ours, notes)
                return ""
            number = self._numbers().get(name, number)

    def _put_aside(self, name: str, notes: dict[str, Any]) -> None:
        """Take away what is new here, for it is of a run that is somebody else's now."""
        path, ours = self._here / f"{name}.json", _read(self._here / f"{name}.json")
        if ours is not None and _digest(ours) != notes.get(name, (_NONE, ""))[1]:
            self._keep_aside(path, {})
            path.unlink()
            notes.pop(name, None)

    def _keep_aside(self, path: Path, theirs: Mapping[str, Any]) -> str:
        aside = self.local / "lost" / self._here.name / path.name
        aside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, aside)
        return (
            f"{self._folder.url_of(path.stem)}: was written meanwhile by {named(theirs.get(WRITTEN_BY))}; that record "
            f"stays, and this machine's is kept as {aside}"
        )

    def _fetch(self, name: str, number: int, notes: dict[str, Any]) -> None:
        document, data = self._read(name, number)
        path = self._here / f"{name}.json"
        if document is None:
            path.unlink(missing_ok=True)
        else:
            write_bytes(path, data)
        self._note(name, number, document, notes)

    def _read(self, name: str, number: int) -> tuple[dict[str, Any] | None, bytes]:
        """A record as it lies there, and its bytes; None where it was taken back."""
        data = self._folder.read(_file(name, number))
        if not data:
            return None, b""
        try:
            document = parse_json(data)
            if not isinstance(document, dict):
                raise ValueError("it is no object")
            unsealed({key: value for key, value in document.items() if key != WRITTEN_BY})
        except (ValueError, RecursionError) as error:
            raise StorageError(
                f"{self._folder.url_of(_file(name, number))}: damaged ({error}); put an intact copy there, or delete "
                "it, with which the record before it counts, and `nanoseg-bench run` makes it anew"
            ) from error
        return document, data

    def _numbers(self) -> dict[str, int]:
        """The highest number of each record."""
        numbers: dict[str, int] = {}
        for file in self._folder.list():
            match = _NUMBERED.fullmatch(file)
            if match and "/" not in file and not file.startswith("."):
                number = int(match["number"] or 0)
                numbers[match["name"]] = max(number, numbers.get(match["name"], 0))
        return numbers

    def _notes(self) -> dict[str, Any]:
        """Number and digest of each record as this machine last saw it there."""
        try:
            notes = read_json(self._here / _NOTES)
            return dict(notes)
        except (OSError, ValueError, TypeError):
            return {}

    def _note(self, name: str, number: int, document: Mapping[str, Any] | None, notes: dict[str, Any]) -> None:
        notes[name] = [number, _digest(document)]
        write_json(self._here / _NOTES, notes)


def stored_sets(leaderboards: str) -> list[str]:
    """Names of the sets that have records at a URL, sorted."""
    return sorted(
        {name.partition("/")[0] for name in StoredFolder(leaderboards).below("records").list() if "/" in name}
    )


def _is_of_row(name: str, row: str) -> bool:
    return re.fullmatch(rf"{re.escape(row)}-[a-z]+", name) is not None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = read_json(path)
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _digest(document: Mapping[str, Any] | None) -> str:
    """Of what a record says, whoever wrote it; empty of none."""
    if document is None:
        return ""
    return sha256_json({key: value for key, value in document.items() if key != WRITTEN_BY})


def _file(name: str, number: int) -> str:
    return f"{name}.{number}.json" if number else f"{name}.json"


def _is_good(record: Mapping[str, Any] | None) -> bool:
    return record is not None and record.get("status") == "ok"


def _replaces(ours: Mapping[str, Any] | None, theirs: Mapping[str, Any] | None) -> bool:
    """Whether ours may follow one that somebody else wrote while we were at work."""
    return theirs is None or (_is_good(ours) and not _is_good(theirs))


def _signed(text: str) -> bytes:
    """The text of a record with the machine that writes it."""
    body = text.rstrip().removesuffix("}").rstrip()
    return f"{body},\n {json.dumps(WRITTEN_BY)}: {json.dumps(this_machine())}\n}}\n".encode()
