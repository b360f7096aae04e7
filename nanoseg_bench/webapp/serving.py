"""The server as a command runs it: its folder, its queue and waitress."""

import logging
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

from nanoseg_bench.errors import BusyError, UsageError
from nanoseg_bench.files import unwritable
from nanoseg_bench.locks import hold
from nanoseg_bench.webapp.app import create_app
from nanoseg_bench.webapp.headers import is_loopback
from nanoseg_bench.webapp.server import STORE_FILE, open_server
from nanoseg_bench.webapp.settings import Settings
from nanoseg_bench.webapp.warming import warm_up

_THREADS = 8
_CONNECTIONS = 200

_LOG = logging.getLogger(__name__)


def serve(settings: Settings, port: int, tell: Callable[[str], None]) -> None:
    """Serve until the process is interrupted or told to end.

    Args:
        settings: Of the server.
        port: To listen at; 0 for a free one.
        tell: Called with the address when the page can be opened.

    Raises:
        UsageError: The address cannot be listened at.
        BusyError: Another server uses the folder.
        NanosegError: The folder cannot be written.
    """
    from waitress import create_server

    listening = _listen(settings.host, port)
    address = _address(settings.host, listening.getsockname()[1])
    try:
        # Micrographs of others are nobody's business.
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with listening, hold(settings.data_dir / STORE_FILE, wait=False):
            server = open_server(settings)
            app = create_app(server)
            server.supervisor.start()
            try:  # from here on: whoever reads the address may end it at once
                waitress = create_server(
                    app,
                    sockets=[listening],
                    threads=_THREADS,
                    connection_limit=_CONNECTIONS,
                    max_request_body_size=settings.limits.request_bytes + 2**20,
                    ident=None,
                )
                if not is_loopback(settings.host):
                    _LOG.warning("everybody who reaches this machine can use the page; what is sent is not encrypted")
                # A burst of uploads waits for a thread, which is no news.
                logging.getLogger("waitress.queue").setLevel(logging.ERROR)
                _end_on_sigterm()
                tell(address)
                warm_up()
                waitress.run()
            finally:
                server.supervisor.stop()
                server.store.close()
    except BusyError as error:
        raise BusyError(
            f"{settings.data_dir}: another nanoseg-bench serve uses this folder; open its page, or give another "
            "--data-dir"
        ) from error
    except OSError as error:
        raise unwritable(settings.data_dir, error, "--data-dir") from error


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:  # the latter of what can be no name
        cause = getattr(error, "strerror", None) or error
        raise UsageError(f"--host {host}: no address of this machine ({cause})") from error
    try:
        if hasattr(signal, "SIGKILL"):
            # Not on Windows, where it would let two servers share a port.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise UsageError(
            f"--port {port}: cannot be listened at on {host} ({error.strerror}); give another one, or 0 for any that "
            "is free"
        ) from error
    return listening


def _address(host: str, port: int) -> str:
    """What a browser on this machine opens."""
    name = "127.0.0.1" if host in ("0.0.0.0", "") else "[::1]" if host == "::" else host  # noqa: S104
    return f"http://{f'[{name}]' if ':' in name and not name.startswith('[') else name}:{port}/"


def _end_on_sigterm() -> None:
    """As Ctrl-C does, so that the queue is put in order."""

    def end(*_: Any) -> None:
        raise SystemExit(0)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)
