"""What browsers are told not to do with the page, and the names that the server answers to."""

import ipaddress
import re
import socket
from collections.abc import Collection

import psutil
from flask import Flask, Response, request

from nanoseg_bench.webapp.errors import RequestError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' blob: data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(:[0-9]{1,5})?")

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def register_headers(app: Flask, names: Collection[str]) -> None:
    """Answer to these names alone, and put the headers on every answer."""
    known = {name.casefold() for name in names}

    @app.before_request
    def _check_name() -> None:
        # Flask's own TRUSTED_HOSTS knows no addresses of IPv6 (Werkzeug 3.1).
        found = _HOST.fullmatch(request.headers.get("Host", ""))
        if found is None or found[1].casefold() not in known:
            raise RequestError(
                f"this server is not called {request.headers.get('Host', '')!r}; open the address that it printed, or "
                "start it with --allow-host",
                400,
            )

    @app.after_request
    def _protect(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        if request.endpoint != "static" and "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"
        return response


def names_of_server(host: str, further: tuple[str, ...] = ()) -> list[str]:
    """What the header ``Host`` may say.

    A page of another site can have its own name lead to this machine, and would then be of the same origin as ours in
    the eyes of the browser (DNS rebinding). It cannot make the browser send another name than its own, though.

    Args:
        host: Address that is listened at.
        further: Names that the user adds.
    """
    own = [host]
    if not is_loopback(host):
        addresses = [each.address.partition("%")[0] for found in psutil.net_if_addrs().values() for each in found]
        own += [*filter(_is_address, addresses), socket.gethostname(), socket.getfqdn()]
    names = [f"[{each}]" if ":" in each else each for each in own]
    return list(dict.fromkeys((*LOOPBACK, *names, *further)))


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach the address."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
