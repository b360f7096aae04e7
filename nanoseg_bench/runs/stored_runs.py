"""Folders of runs in a storage that several machines share; what computes works on folders of this machine.

A run's folder is fetched before the run begins, and carried up while it goes on and when it ends. It has one writer at
a time (``stored_writer``).
"""

import logging
import re
import shutil
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from nanoseg_bench.errors import StorageError
from nanoseg_bench.files import read_json, write_json
from nanoseg_bench.locks import hold
from nanoseg_bench.models.run_files import FIT_FILE, RUN_FILE
from nanoseg_bench.runs.folder import LOG_FILE, OPERATING_POINT_FILE, OUTCOME_FILE, REPLACED
from nanoseg_bench.runs.stored_writer import BEAT, Writer, is_writer, last_writer
from nanoseg_bench.storage import StoredFolder, cache_folder

_LOG = logging.getLogger(__name__)

_NOTES = ".stored.json"
_OF_THIS_MACHINE = ("job.json",)  # names its folders
_SEALS = (".made-from.json", FIT_FILE, OPERATING_POINT_FILE, OUTCOME_FILE)
"""Files that say what others are: gone before these change, there when these are."""

_Stamp = tuple[int, int]  # size and time of change


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
        try:
            active = self._fetch(run_id, writer)
        except BaseException:
            # Nobody is to wait for one that does not run it; where it cannot say so, its silence does.
            del self._writers[run_id]
            with suppress(StorageError):
                writer.release()
            raise
        with self._carrying:
            self._active[run_id] = active
        return ""

    def _fetch(self, run_id: str, writer: Writer) -> "_Active":
        newer = self._is_newer_there(run_id, writer.before)
        if newer:
            self._replace(run_id)
        else:
            # At once: should the network go now, the next call must not take this writer for somebody else's.
            self._keep_note(run_id, writer, self._noted(run_id)[1])
        there = self._names(run_id)
        replaced = [name for name in there if name.startswith(f"{REPLACED}/")]
        self._root.download([name for name in replaced if not (self.local / name).is_file()], self.local)
        known = self._scan(run_id, last=True) if newer else self._noted(run_id)[1]
        active = _Active(writer, set(there), {name: stamp for name, stamp in known.items() if name in there})
        self._keep_note(run_id, writer, active.known)
        return active

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

    def lost(self) -> list[str]:
        """The runs that have begun here, and that another machine has taken over since.

        Raises:
            StorageError: The place cannot be read.
        """
        return [run_id for run_id, active in list(self._active.items()) if active.lost or active.writer.is_mine()]

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
        if not any(name.startswith(f"{run_id}/") for name in found):
            # No run is without a file for long: its folder is being made anew, or was taken away. What lies there
            # stays.
            gone = {name for name in gone if not name.startswith(f"{run_id}/")}
        if not gone and not changed:
            return
        seals = [name for name in changed if name.endswith(_SEALS)]
        self._root.delete([*gone, *(name for name in seals if name in active.there)])
        active.there -= {*gone, *seals}
        for names in ([name for name in changed if name not in seals], seals):
            self._root.upload(self.local, names)
            active.there |= set(names)
            active.known |= {name: found[name] for name in names}
        self._keep_note(run_id, active.writer, active.known)

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
        # Whoever makes room takes the folder, and leaves the hidden note beside it that says what lay in it.
        is_empty = not any((self.local / run_id).glob("[!.]*"))
        return is_empty or writer != self._noted(run_id)[0]

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

    def _keep_note(self, run_id: str, writer: Writer, stamps: Mapping[str, _Stamp]) -> None:
        write_json(self._note(run_id), {"token": writer.token, "stamps": stamps})

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
