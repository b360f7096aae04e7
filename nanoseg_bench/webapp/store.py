"""Sessions and micrographs in one SQLite file: what is kept of them, and in which order they are analysed.

Each method is one transaction. SQLite's write-ahead log keeps what was committed when this process is killed.
"""

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanoseg_bench.annotations.file_names import UniqueNames
from nanoseg_bench.errors import NanosegError

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"

_VERSION = 1
"""Of the tables, for versions to come."""

_SECONDS_BETWEEN_NOTES = 3600.0
"""That a session is in use is noted no oftener: a page asks for its list each second."""

_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (owner TEXT PRIMARY KEY, seen REAL NOT NULL);
CREATE TABLE IF NOT EXISTS micrographs (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    stem TEXT NOT NULL,
    suffix TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    turn INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    overview TEXT NOT NULL DEFAULT '{}',
    model TEXT,
    edits TEXT NOT NULL DEFAULT '{}',
    scale TEXT NOT NULL DEFAULT '{}',
    revision INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS by_turn ON micrographs (status, turn);
CREATE INDEX IF NOT EXISTS by_owner ON micrographs (owner, place);
"""

_WITH_POSITION = """
WITH waiting AS (SELECT id AS waiting_id, ROW_NUMBER() OVER (ORDER BY turn) AS position
                 FROM micrographs WHERE status = 'queued')
SELECT * FROM micrographs LEFT JOIN waiting ON waiting_id = id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A micrograph as it is kept.

    Attributes:
        id: 32 hex digits.
        owner: Session, as a hash of its secret.
        name: As it was uploaded, cleaned.
        stem: In tables and of files; unique in its session.
        suffix: Of the file, in lower case.
        status: Of ``schemas.Status``.
        reason: Why it failed, or what became of it.
        position: Among those that wait, from 1; 0 while it runs; None when it ended.
        attempts: How often its analysis was begun.
        created: Seconds since 1970.
        overview: Numbers of ``schemas.Summary``.
        model: What found its particles, as ``worker.Ready`` tells it; None until it is done.
        edits: Of ``schemas.Edits``; empty where there are none.
        scale: What a person decided on the scale; empty where nothing.
        revision: How often edits and scale were changed.
    """

    id: str
    owner: str
    name: str
    stem: str
    suffix: str
    status: str
    reason: str | None
    position: int | None
    attempts: int
    created: float
    overview: Mapping[str, Any]
    model: Mapping[str, Any] | None
    edits: Mapping[str, Any]
    scale: Mapping[str, Any]
    revision: int


class Store:
    """The SQLite file.

    Args:
        path: Of the file; it is made where it is not there.

    Attributes:
        is_new: Whether it was made just now.

    Raises:
        NanosegError: The file is damaged, or of another version.
    """

    def __init__(self, path: Path) -> None:
        # One connection for all threads: no call takes longer than a millisecond or two.
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._lock = threading.RLock()
        try:
            self._open(path)
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise NanosegError(
                f"{path}: cannot be read as the page's list of micrographs ({error}); give another --data-dir, or move "
                "it away: the page then begins with an empty list, and sets aside what was uploaded"
            ) from error
        self.name = str(self._one("SELECT value FROM facts WHERE name = 'name'")["value"])

    def _open(self, path: Path) -> None:
        version = self._one("PRAGMA user_version")[0]
        if version not in (0, _VERSION):
            self._connection.close()
            raise NanosegError(
                f"{path}: written by a newer nanoseg-bench (its tables are of version {version}, known is {_VERSION}); "
                "install that, or give another --data-dir"
            )
        self.is_new = version == 0
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_TABLES)
        self._connection.execute(f"PRAGMA user_version = {_VERSION}")
        with self._transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO facts VALUES ('name', ?)", (secrets.token_hex(4),))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    # Sessions

    def add_session(self, owner: str) -> None:
        """Remember a session that begins."""
        with self._transaction() as connection:
            connection.execute("INSERT INTO sessions VALUES (?, ?)", (owner, time.time()))

    def has_session(self, owner: str) -> bool:
        """Whether a session was given out here; it is in use, then."""
        now = time.time()
        rows = self._all("SELECT seen FROM sessions WHERE owner = ?", owner)
        if rows and now - rows[0]["seen"] > _SECONDS_BETWEEN_NOTES:
            self._change("UPDATE sessions SET seen = ? WHERE owner = ?", now, owner)
        return bool(rows)

    # Micrographs

    def add(self, *, id: str, owner: str, name: str, suffix: str) -> Entry:
        """Queue an upload, last of all."""
        with self._transaction() as connection:
            taken = connection.execute("SELECT stem FROM micrographs WHERE owner = ?", (owner,)).fetchall()
            names = UniqueNames()
            for row in taken:
                names.hold(row["stem"])
            connection.execute(
                "INSERT INTO micrographs (id, owner, name, stem, suffix, status, turn, created) "
                "VALUES (?, ?, ?, ?, ?, 'queued', (SELECT COALESCE(MAX(turn), 0) + 1 FROM micrographs), ?)",
                (id, owner, name, names.take(_without_suffix(name)), suffix, time.time()),
            )
            return self._entry(connection, id)

    def of_owner(self, owner: str) -> list[Entry]:
        """All of a session, in the order of upload."""
        rows = self._all(f"{_WITH_POSITION} WHERE owner = ? ORDER BY place", owner)
        return [_as_entry(row) for row in rows]

    def find(self, id: str, owner: str) -> Entry | None:
        """One of a session; None where it is not there, or another's."""
        rows = self._all(f"{_WITH_POSITION} WHERE id = ? AND owner = ?", id, owner)
        return _as_entry(rows[0]) if rows else None

    def count_waiting(self) -> int:
        """How many wait, of all sessions."""
        return int(self._one("SELECT COUNT(*) AS number FROM micrographs WHERE status = 'queued'")["number"])

    def ids(self) -> set[str]:
        """Of all micrographs."""
        return {row["id"] for row in self._all("SELECT id FROM micrographs")}

    def begin_next(self) -> Entry | None:
        """The one whose turn it is, which runs from now on; None where none waits."""
        with self._transaction() as connection:
            row = connection.execute(
                "UPDATE micrographs SET status = 'running', attempts = attempts + 1, reason = NULL WHERE id = "
                "(SELECT id FROM micrographs WHERE status = 'queued' ORDER BY turn LIMIT 1) RETURNING id"
            ).fetchone()
            return None if row is None else self._entry(connection, row["id"])

    def finish(self, id: str, overview: Mapping[str, Any], model: Mapping[str, Any]) -> bool:
        """A running one is done; False where it was cancelled or deleted meanwhile."""
        return self._change(
            "UPDATE micrographs SET status = 'done', reason = NULL, overview = ?, model = ?, edits = '{}', "
            "scale = '{}', revision = revision + 1 WHERE id = ? AND status = 'running'",
            json.dumps(overview),
            json.dumps(model),
            id,
        )

    def fail(self, id: str, reason: str) -> bool:
        """A running one failed; False where it was cancelled or deleted meanwhile."""
        return self._change(
            "UPDATE micrographs SET status = 'failed', reason = ? WHERE id = ? AND status = 'running'", reason, id
        )

    def release(self, id: str) -> None:
        """A running one waits again, as if it had not been begun: the server ends."""
        self._change(
            "UPDATE micrographs SET status = 'queued', attempts = attempts - 1 WHERE id = ? AND status = 'running'", id
        )

    def put_back(self, most: int, reason: str) -> None:
        """Running ones, whose worker is gone, wait again at their old turn; those begun ``most`` times failed."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE micrographs SET status = 'failed', reason = ? WHERE status = 'running' AND attempts >= ?",
                (reason, most),
            )
            connection.execute("UPDATE micrographs SET status = 'queued' WHERE status = 'running'")

    def cancel(self, id: str) -> bool:
        """A waiting or running one is not analysed; False where it had ended before."""
        return self._change(
            "UPDATE micrographs SET status = 'cancelled', reason = 'cancelled' "
            "WHERE id = ? AND status IN ('queued', 'running')",
            id,
        )

    def queue_again(self, id: str) -> bool:
        """A failed or cancelled one waits again, last of all; False where it is neither."""
        return self._change(
            "UPDATE micrographs SET status = 'queued', reason = NULL, attempts = 0, "
            "turn = (SELECT MAX(turn) + 1 FROM micrographs) WHERE id = ? AND status IN ('failed', 'cancelled')",
            id,
        )

    def delete(self, id: str) -> None:
        """Forget a micrograph."""
        self._change("DELETE FROM micrographs WHERE id = ?", id)

    def revise(
        self,
        id: str,
        revision: int,
        *,
        edits: Mapping[str, Any],
        scale: Mapping[str, Any],
        overview: Mapping[str, Any],
    ) -> bool:
        """Keep what a person changed; False where another change was faster, or it is not done any more."""
        return self._change(
            "UPDATE micrographs SET edits = ?, scale = ?, overview = ?, revision = revision + 1 "
            "WHERE id = ? AND revision = ? AND status = 'done'",
            json.dumps(edits),
            json.dumps(scale),
            json.dumps(overview),
            id,
            revision,
        )

    def delete_before(self, moment: float) -> list[str]:
        """Forget what was uploaded before, but does not run, and the sessions that are left with nothing; their ids."""
        with self._transaction() as connection:
            rows = connection.execute(
                "DELETE FROM micrographs WHERE created < ? AND status != 'running' RETURNING id", (moment,)
            ).fetchall()
            connection.execute(
                "DELETE FROM sessions WHERE seen < ? AND owner NOT IN (SELECT owner FROM micrographs)", (moment,)
            )
            return [row["id"] for row in rows]

    def seconds_since_look(self, now: float) -> float | None:
        """Seconds between the look before, also of an earlier server, and this one, which is noted; None at the first.

        Args:
            now: Seconds since 1970, as the clock has it.
        """
        with self._transaction() as connection:
            row = connection.execute("SELECT value FROM facts WHERE name = 'looked'").fetchone()
            connection.execute("INSERT OR REPLACE INTO facts VALUES ('looked', ?)", (repr(now),))
        return None if row is None else now - float(row["value"])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _entry(self, connection: sqlite3.Connection, id: str) -> Entry:
        return _as_entry(connection.execute(f"{_WITH_POSITION} WHERE id = ?", (id,)).fetchone())

    def _change(self, statement: str, *values: object) -> bool:
        with self._transaction() as connection:
            return connection.execute(statement, values).rowcount == 1

    def _all(self, statement: str, *values: object) -> Sequence[sqlite3.Row]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def _one(self, statement: str) -> sqlite3.Row:
        return self._all(statement)[0]


def _as_entry(row: sqlite3.Row) -> Entry:
    return Entry(
        id=row["id"],
        owner=row["owner"],
        name=row["name"],
        stem=row["stem"],
        suffix=row["suffix"],
        status=row["status"],
        reason=row["reason"],
        position=0 if row["status"] == RUNNING else row["position"],
        attempts=row["attempts"],
        created=row["created"],
        overview=json.loads(row["overview"]),
        model=None if row["model"] is None else json.loads(row["model"]),
        edits=json.loads(row["edits"]),
        scale=json.loads(row["scale"]),
        revision=row["revision"],
    )


def _without_suffix(name: str) -> str:
    return name.rpartition(".")[0] or name
