"""What the functions of the page work with, at hand in every request."""

from dataclasses import dataclass
from pathlib import Path

from flask import current_app

from nanoseg_bench.webapp.errors import unknown_micrograph
from nanoseg_bench.webapp.folders import Folders
from nanoseg_bench.webapp.loaded import Loaded
from nanoseg_bench.webapp.sessions import this_session
from nanoseg_bench.webapp.settings import Settings
from nanoseg_bench.webapp.store import Entry, Store
from nanoseg_bench.webapp.supervisor import Supervisor

STORE_FILE = "page.sqlite"

EXAMPLES = Path(__file__).parent / "example"


@dataclass(frozen=True, slots=True)
class Server:
    """A server's parts.

    Attributes:
        settings: What it was started with.
        store: Sessions and micrographs.
        folders: Their files.
        supervisor: The queue.
        loaded: What was analysed.
    """

    settings: Settings
    store: Store
    folders: Folders
    supervisor: Supervisor
    loaded: Loaded

    def entry(self, id: str) -> Entry:
        """A micrograph of this request's session.

        Raises:
            RequestError: There is none, or it is another session's.
        """
        found = self.store.find(id, this_session().owner)
        if found is None:
            raise unknown_micrograph()
        return found


def open_server(settings: Settings) -> Server:
    """Open a server's folder, which no other server may have open at the same time.

    Raises:
        OSError: The folder cannot be written.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    store = Store(settings.data_dir / STORE_FILE)
    folders = Folders(settings.data_dir)
    return Server(settings, store, folders, Supervisor(store, folders, settings), Loaded(folders))


def this_server() -> Server:
    """Of this request."""
    return current_app.extensions["nanoseg"]  # type: ignore[no-any-return]


def find_example() -> Path | None:
    """The micrograph that comes with the page; None where it was left out."""
    return next(iter(sorted(EXAMPLES.glob("*.png"))), None)
