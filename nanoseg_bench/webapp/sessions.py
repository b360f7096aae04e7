"""Who is asking: a random cookie owns what is uploaded with it. Only its hash is kept here.

The token that every change must carry is made of the cookie's secret, so that there is nothing else to keep, and no
secret of the server at all: https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from flask import Flask, Response, current_app, g, request

from nanoseg_bench.webapp.errors import RequestError
from nanoseg_bench.webapp.settings import SECONDS_PER_DAY
from nanoseg_bench.webapp.store import Store

CSRF_HEADER = "X-CSRF-Token"

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Session:
    """Of a browser or a script.

    Attributes:
        secret: The cookie's value.
        is_new: It was made for this request, and the answer hands it out.
    """

    secret: str
    is_new: bool = False

    @property
    def owner(self) -> str:
        """What is kept of it: nobody can make the cookie of this."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    @property
    def csrf_token(self) -> str:
        """What a page of this session knows, and no page of another origin."""
        return hmac.new(self.secret.encode(), b"csrf", hashlib.sha256).hexdigest()


def this_session() -> Session:
    """The session of this request; a new one where there is none."""
    if "session" not in g:
        store = _store()
        given = request.cookies.get(_cookie_name(store), "")
        session = Session(given)
        if not given or not store.has_session(session.owner):
            session = Session(secrets.token_urlsafe(32), is_new=True)
            store.add_session(session.owner)
        g.session = session
    return g.session  # type: ignore[no-any-return]


def brings_cookie() -> bool:
    """Whether this request comes with a cookie of this server, valid or not."""
    return _cookie_name(_store()) in request.cookies


def register_sessions(app: Flask, keep_days: float) -> None:
    """Check the token of every change, and hand out cookies with the answers."""

    @app.before_request
    def _check_token() -> None:
        if request.method in _SAFE_METHODS or request.routing_exception is not None:
            return
        token = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(token.encode(), this_session().csrf_token.encode()):
            raise RequestError(
                f"the header {CSRF_HEADER} is missing or outdated; load the page again (scripts: GET /api/v1/about)",
                403,
            )

    @app.after_request
    def _hand_out(response: Response) -> Response:
        session: Session | None = g.get("session")
        if session is not None:
            response.set_cookie(
                _cookie_name(_store()),
                session.secret,
                max_age=int(keep_days * SECONDS_PER_DAY),
                httponly=True,
                samesite="Strict",
                secure=request.is_secure,
            )
        return response


def _cookie_name(store: Store) -> str:
    """Of this folder's server: cookies know no ports, and two servers of a machine must not take each other's."""
    return f"nanoseg-{store.name}"


def _store() -> Store:
    return current_app.extensions["nanoseg"].store  # type: ignore[no-any-return]
