"""Runs and records in a storage that several machines share; what computes works on folders of this machine.

A run's folder is fetched before the run begins, and carried up while it goes on and when it ends. It has one writer at
a time (``stored_writer``). A record is written once, as ``records/<set>/<run>-<eval set>.<number>.json``: of two who
write the same number one is refused. A later record of a run that had failed, or is scored anew, has the next number,
and the tables are made of the highest ones; an empty one takes a record back.
"""

import json
import logging
import re
import shutil
import stat
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nanoseg_bench.errors import StorageError
from nanoseg_bench.files import parse_json, read_json, sha256_json, write_bytes, write_json
from nanoseg_bench.locks import hold
from nanoseg_bench.models.run_files import FIT_FILE, RUN_FILE
from nanoseg_bench.runs.failure import Outcome
from nanoseg_bench.runs.folder import LOG_FILE, OPERATING_POINT_FILE, OUTCOME_FILE, REPLACED
from nanoseg_bench.runs.plan import RunSpec
from nanoseg_bench.runs.record import WRITTEN_BY
from nanoseg_bench.runs.stored_writer import BEAT, Writer, is_writer, last_writer
from nanoseg_bench.seals import unsealed
from nanoseg_bench.storage import StoredFolder, cache_folder, named, this_machine

_LOG = logging.getLogger(__name__)

_NUMBERED = re.compile(r"(?P<name>.+?)(?:\.(?P<number>\d+))?\.json")
_NOTES = ".stored.json"
_OF_THIS_MACHINE = ("job.json",)  # names its folders
_SEALS = (".made-from.json", FIT_FILE, OPERATING_POINT_FILE, OUTCOME_FILE)
"""Files that say what others are: gone before these change, there when these are."""

_NONE = -1
"""The number of a record that is not there; 0 is that of one without a number, put there by hand."""

_Stamp = tuple[int, int]  # size and time of change


class Shared:
    """The shared places of a benchmark, as ``runs.runner.Sharing`` says.

    Args:
        set_name: Of the prepared set.
        runs: URL of the runs; None where they are this machine's.
        leaderboards: URL of the records; None where they are this machine's.

    Attributes:
        problems: What could not be shared, in sentences.
    """

    def __init__(self, set_name: str, runs: str | None, leaderboards: str | None) -> None:
        self._runs = None if runs is None else StoredRuns(runs)
        self._records = None if leaderboards is None else StoredRecords(leaderboards, set_name)
        self.problems: list[str] = []
        self._taken_over: dict[str, str] = {}

    @property
    def runs(self) -> Path | None:
        """The folder of this machine that stands for that of the runs."""
        return None if self._runs is None else self._runs.local

    @property
    def leaderboards(self) -> Path | None:
        """The same of the leaderboards."""
        return None if self._records is None else self._records.local

    @contextmanager
    def open(self, specs: Sequence[RunSpec], *, only_look: bool = False) -> Iterator[None]:
        """Fetch what is there; while the context lasts, carry up what is written.

        Args:
            specs: What is to be run.
            only_look: For a forecast: become the writer of nothing.
        """
        if self._records is not None:
            self._records.sync(publish=not only_look, taken_over=())
        if self._runs is None:
            yield
            return
        finals = {spec.row_id for spec in specs if spec.final}
        self._runs.look({spec.run_id for spec in specs} if only_look else set(), finals)
        if only_look:
            yield
            return
        with self._runs.at_work():
            yield

    def begin(self, spec: RunSpec) -> str:
        """Fetch a run's folder and become its writer; says who is, where somebody else is at work on it."""
        return "" if self._runs is None else self._runs.begin(spec.run_id)

    def end(self, spec: RunSpec, outcome: Outcome) -> Outcome:
        """Carry up what a run has written; where another machine has taken it over, that is how it ended."""
        if self._runs is None:
            return outcome
        try:
            who = self._runs.end(spec.run_id)
        except StorageError as error:
            self._tell(f"{error}; its files are kept in {self._runs.local / spec.run_id}, repeat the command")
            return outcome
        if not who:
            return outcome
        self._taken_over[spec.row_id] = who
        return Outcome("skipped", f"taken over by {who}; what this machine made is not shared")

    def publish(self) -> None:
        """Write the records that are new here, and fetch those that are new there."""
        if self._records is not None:
            try:
                for sentence in self._records.sync(publish=True, taken_over=self._taken_over):
                    self._tell(sentence)
            except StorageError as error:
                self._tell(f"{error}; the records are kept in {self._records.local}, repeat the command")

    def share_tables(self, paths: Sequence[Path]) -> None:
        """Write the CSV files that are made of the records, over earlier ones."""
        if self._records is not None:
            try:
                self._records.share_tables(paths)
            except StorageError as error:
                self._tell(str(error))

    def _tell(self, sentence: str) -> None:
        self.problems.append(sentence)
        _LOG.warning("%s", sentence)


class StoredRuns:
    """Folders of runs at a URL.

    Args:
        url: Where.

    Attributes:
        local: The folder of this machine that stands for it.
    """

    def __init__(self, url: str) -> None:
        self._root = StoredFolder(url)
        self.local = cache_folder("runs", self._root.url)
        self._writers: dict[str, Writer] = {}
        self._active: dict[str, _Active] = {}
        self._carrying = threading.Lock()

    def look(self, run_ids: set[str], rows: set[str]) -> None:
        """Fetch runs without becoming their writer.

        Args:
            run_ids: Those.
            rows: And all folds of these rows.
        """
        if rows:
            folders = {name.partition("/")[0] for name in self._root.list()}
            folds = re.compile(f"({'|'.join(map(re.escape, rows))})-fold[0-9]+")
            run_ids = run_ids | {folder for folder in folders if folds.fullmatch(folder)}
        for run_id in sorted(run_ids):
            _, holder = last_writer(self._root.below(run_id))
            if self._is_newer_there(run_id, str(holder.get("token", ""))):
                self._replace(run_id)

    def begin(self, run_id: str) -> str:
        """Become the writer of a run and fetch it; empty, or who is its writer.

        What lies here stays where this machine was the last one that wrote there.
        """
        folder = self._root.below(run_id)
        writer = Writer(folder)
        who = writer.take()
        if who:
            return f"{folder.url}: is being run by {who}; when that has stopped, the same command goes on from there"
        self._writers[run_id] = writer
        newer = self._is_newer_there(run_id, writer.before)
        if newer:
            self._replace(run_id)
        there = self._names(run_id)
        replaced = [name for name in there if name.startswith(f"{REPLACED}/")]
        self._root.download([name for name in replaced if not (self.local / name).is_file()], self.local)
        known = self._scan(run_id, last=True) if newer else self._noted(run_id)[1]
        active = _Active(writer, set(there), {name: stamp for name, stamp in known.items() if name in there})
        self._keep_note(run_id, active)
        with self._carrying:
            self._active[run_id] = active
        return ""

    def end(self, run_id: str) -> str:
        """Carry up the rest of a run and let others write it; empty, or who has taken it over.

        Raises:
            StorageError: It cannot be carried up.
        """
        with self._carrying:
            active = self._active.pop(run_id)
            try:
                self._push(run_id, active, last=True)
            finally:
                self._writers.pop(run_id, None)
            if not active.lost:
                active.writer.release()
            return active.lost

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Give signs of life of the runs that have begun, and carry up their checkpoints."""
        stop = threading.Event()
        # Two, for carrying may take longer than one may be silent.
        threads = [threading.Thread(target=each, args=(stop,), daemon=True) for each in (self._beat, self._carry)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            try:
                for run_id in list(self._active):  # interrupted
                    self._end_quietly(run_id)
            finally:
                stop.set()
                for thread in threads:
                    thread.join()

    def _end_quietly(self, run_id: str) -> None:
        try:
            self.end(run_id)
        except StorageError as error:
            _LOG.warning("%s; its files are kept in %s", error, self.local / run_id)

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(BEAT):
            for writer in list(self._writers.values()):
                try:
                    writer.beat()
                except StorageError as error:  # the next turn may reach it
                    _LOG.debug("%s", error)

    def _carry(self, stop: threading.Event) -> None:
        while not stop.wait(BEAT):
            for run_id in list(self._active):
                with self._carrying:
                    active = self._active.get(run_id)
                    if active is None or active.lost:
                        continue
                    try:
                        self._push(run_id, active, last=False)
                    except (StorageError, OSError) as error:
                        _LOG.debug("%s", error)

    def _push(self, run_id: str, active: "_Active", *, last: bool) -> None:
        """Carry up what has changed; a kill in between leaves files that do not claim what is not there."""
        found = self._scan(run_id, last)
        gone = {name for name in active.there - set(found) if last or not name.endswith(LOG_FILE)}
        changed = [name for name, stamp in found.items() if active.known.get(name) != stamp]
        active.lost = active.lost or active.writer.is_mine()
        if active.lost:
            _LOG.warning("%s: taken over by %s; nothing more is carried there", run_id, active.lost)
            return
        if not gone and not changed:
            return
        seals = [name for name in changed if name.endswith(_SEALS)]
        self._root.delete([*gone, *(name for name in seals if name in active.there)])
        active.there -= {*gone, *seals}
        for names in ([name for name in changed if name not in seals], seals):
            self._root.upload(self.local, names)
            active.there |= set(names)
            active.known |= {name: found[name] for name in names}
        self._keep_note(run_id, active)

    def _scan(self, run_id: str, last: bool) -> dict[str, _Stamp]:
        """Files of a run, and of those that it has replaced, below ``local``; in the order of their writing."""
        found: dict[str, _Stamp] = {}
        replaced = [each for each in (self.local / REPLACED).glob("*") if _is_replaced(each.name, run_id)]
        for folder in (self.local / run_id, *replaced):
            for path in folder.rglob("*"):
                name = path.relative_to(self.local).as_posix()
                hidden = any(part.startswith(".") for part in name.split("/"))
                if hidden or path.name in _OF_THIS_MACHINE or (path.name == LOG_FILE and not last):
                    continue
                with suppress(FileNotFoundError):  # it has gone meanwhile
                    status = path.stat()
                    if stat.S_ISREG(status.st_mode):
                        found[name] = (status.st_size, status.st_mtime_ns)
        return dict(sorted(found.items(), key=lambda each: each[1][1]))

    def _names(self, run_id: str) -> list[str]:
        """What lies there of a run and of those that it has replaced."""
        own = [f"{run_id}/{name}" for name in self._root.below(run_id).list() if not is_writer(name)]
        replaced = self._root.below(REPLACED).list()
        return own + [f"{REPLACED}/{name}" for name in replaced if _is_replaced(name.partition("/")[0], run_id)]

    def _is_newer_there(self, run_id: str, writer: str) -> bool:
        """Whether somebody else has written since this machine did; what came there by hand only where none is here."""
        if not writer:
            return not (self.local / run_id / RUN_FILE).is_file()
        return writer != self._noted(run_id)[0]

    def _replace(self, run_id: str) -> None:
        """Put what lies there in the place of what lies here."""
        names = [name for name in self._names(run_id) if name.startswith(f"{run_id}/")]
        if not names:
            return
        target, incomplete = self.local / run_id, self.local / f".{run_id}.incomplete"
        with hold(target, wait=False):
            shutil.rmtree(incomplete, ignore_errors=True)
            self._root.download(names, incomplete)
            shutil.rmtree(target, ignore_errors=True)
            (incomplete / run_id).rename(target)
            shutil.rmtree(incomplete, ignore_errors=True)
        _LOG.info("%s: goes on from what lies at %s", run_id, self._root.url)

    def _note(self, run_id: str) -> Path:
        return self.local / f".{run_id}{_NOTES}"

    def _keep_note(self, run_id: str, active: "_Active") -> None:
        write_json(self._note(run_id), {"token": active.writer.token, "stamps": active.known})

    def _noted(self, run_id: str) -> tuple[str, dict[str, _Stamp]]:
        """Token of this machine's last writer, and the stamps of what it has carried up."""
        try:
            note = read_json(self._note(run_id))
            return str(note["token"]), {name: (size, time) for name, (size, time) in note["stamps"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return "", {}


class _Active:
    """A run that this process writes: its writer, the names that lie there, and the stamps of what was carried up."""

    def __init__(self, writer: Writer, there: set[str], known: dict[str, _Stamp]) -> None:
        self.writer = writer
        self.there = there
        self.known = known
        self.lost = ""


def _is_replaced(folder: str, run_id: str) -> bool:
    return re.fullmatch(rf"{re.escape(run_id)}-([0-9a-f]{{8}}|unknown)(-\d+)?", folder) is not None


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
        """Write tables over earlier ones; those that there are no more stay out of ``paths`` and are deleted."""
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
