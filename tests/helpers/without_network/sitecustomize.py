"""Refuses and records every attempt of this process to reach another machine, or to ask for its address.

Python imports a module of this name when it starts. With its folder on PYTHONPATH, child processes are watched as well.
Audit hooks hear of the sockets of Python's own module, whoever uses it; what a library opens in C goes by unseen
(``strace`` sees it).
"""

import ipaddress
import os
import socket
import sys
import traceback

CALLS = "NANOSEG_BENCH_CALLS_FILE"
"""Variable with the file that each attempt is added to."""

_FRAMES = 4


def _is_here(host: object) -> bool:
    """Whether a host is this machine: a loopback address, or none."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _host_of(event: str, arguments: tuple) -> object:
    """Whom a call is for; None where it leaves no machine."""
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        own, address = arguments
        is_internet = own.family in (socket.AF_INET, socket.AF_INET6)
        return address[0] if is_internet and isinstance(address, tuple) else None
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        return arguments[0]
    if event == "socket.getnameinfo":
        return arguments[0][0]
    return None


def _watch(event: str, arguments: tuple) -> None:
    if not event.startswith("socket.") or _is_here(host := _host_of(event, arguments)):
        return
    frames = traceback.extract_stack()[:-1][-_FRAMES:]
    where = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
    line = f"{event} {host} ({where})\n".encode("utf-8", "backslashreplace")
    file = os.open(os.environ[CALLS], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line)
    finally:
        os.close(file)
    raise ConnectionRefusedError(f"{event} {host}: this process is to stay on its machine")


sys.addaudithook(_watch)
