"""The Flask application: the page, and the functions below ``/api/v1``."""

import logging
from pathlib import Path
from typing import Any

from flask import Flask, Response, redirect, render_template, request
from werkzeug.exceptions import HTTPException

from nanoseg_bench import __version__
from nanoseg_bench.errors import NanosegError
from nanoseg_bench.webapp.compression import register_compression
from nanoseg_bench.webapp.endpoints import Endpoints, as_response, describe, problem
from nanoseg_bench.webapp.errors import RequestError
from nanoseg_bench.webapp.headers import names_of_server, register_headers
from nanoseg_bench.webapp.server import Server
from nanoseg_bench.webapp.sessions import brings_cookie, register_sessions, this_session
from nanoseg_bench.webapp.views import about, micrographs, review, sample

_LANGUAGES = Path(__file__).parent / "static" / "lang"

_LOG = logging.getLogger(__name__)


def create_app(server: Server) -> Flask:
    """The application of a server, whose queue its caller starts and stops."""
    app = Flask("nanoseg_bench.webapp")
    settings = server.settings
    app.extensions["nanoseg"] = server
    app.config["MAX_CONTENT_LENGTH"] = settings.limits.body_bytes
    app.config["MAX_FORM_PARTS"] = settings.limits.files + 10
    register_headers(app, names_of_server(settings.host, settings.names))
    register_sessions(app, settings.keep_days)
    register_compression(app)
    _register_errors(app)
    endpoints = Endpoints()
    for view in (about, micrographs, review, sample):
        view.register(endpoints)
    description = describe(endpoints, __version__)

    @endpoints.blueprint.get("/openapi.json")
    def openapi() -> Response:
        return as_response(description, 200)

    app.register_blueprint(endpoints.blueprint)
    _register_page(app)
    return app


def _register_page(app: Flask) -> None:
    languages = sorted(path.stem for path in _LANGUAGES.glob("*.json"))

    @app.get("/")
    def page() -> Any:
        if not brings_cookie() and request.headers.get("Sec-Fetch-Site") == "cross-site":
            # Whoever follows a link of another site comes without the cookie, which is for this site alone. A new one
            # would take the place of theirs; from a page of ours they come with it.
            return Response('<!doctype html><meta http-equiv="refresh" content="0"><title>nanoseg-bench</title>')
        token = this_session().csrf_token
        return render_template("page.html", csrf_token=token, version=__version__, languages=languages)

    @app.get("/favicon.ico")
    def icon() -> Any:
        return redirect("/static/icon.svg")


def _register_errors(app: Flask) -> None:
    @app.errorhandler(RequestError)
    def _refused(error: RequestError) -> Response:
        return problem(str(error), error.status, field=error.field, revision=error.revision)

    @app.errorhandler(NanosegError)
    def _impossible(error: NanosegError) -> Response:
        return problem(str(error), 422)

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> Any:
        status = error.code or 500
        if status < 400:
            return error
        message = {
            404: "there is nothing at this address",
            405: "this address does not know that method",
            413: "the upload is too large; send fewer or smaller files at once",
        }.get(status, error.description or error.name)
        answer = problem(message, status)
        answer.headers.extend(  # of 405, which methods it knows
            [(name, value) for name, value in error.get_headers() if name == "Allow"]
        )
        return answer

    @app.errorhandler(Exception)
    def _fault(error: Exception) -> Response:
        _LOG.error("%s %s", request.method, request.path, exc_info=error)
        return problem("something went wrong here; the server's log says what", 500)
