"""The functions that scripts and the page call, each declared once: its route, its checks and its description.

Pydantic checks what comes in and makes the schemas of the OpenAPI description; this module knows which schema belongs
to which route.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

import orjson
from flask import Blueprint, Response, request
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema

from nanoseg_bench.webapp.errors import RequestError
from nanoseg_bench.webapp.schemas import ID_PATTERN, Problem
from nanoseg_bench.webapp.sessions import CSRF_HEADER

PREFIX = "/api/v1"

_SCHEMAS = "#/components/schemas/{model}"

View = Callable[..., Any]
V = TypeVar("V", bound=View)
Q = TypeVar("Q", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A function.

    Attributes:
        method: Of HTTP.
        rule: Below ``PREFIX``; ``{id}`` is a micrograph's.
        name: Of the function.
        about: Its docstring.
        question: What its body is; None for none.
        files: Its body is a form with files.
        answer: What it answers; None for nothing, or a media type's file.
        media: Types of the file that it answers.
        status: Where all is well.
        problems: Other statuses that it answers with a ``Problem``.
    """

    method: str
    rule: str
    name: str
    about: str
    question: type[BaseModel] | None
    files: bool
    answer: type[BaseModel] | None
    media: tuple[str, ...]
    status: int
    problems: tuple[int, ...]

    @property
    def takes_change(self) -> bool:
        """Whether it needs the token of the session."""
        return self.method not in ("GET", "HEAD")


class Endpoints:
    """All of them, and the blueprint with their routes."""

    def __init__(self) -> None:
        self.blueprint = Blueprint("api", __name__, url_prefix=PREFIX)
        self.all: list[Endpoint] = []

    def add(
        self,
        method: str,
        rule: str,
        *,
        question: type[BaseModel] | None = None,
        files: bool = False,
        answer: type[BaseModel] | None = None,
        media: tuple[str, ...] = (),
        status: int = 200,
        problems: tuple[int, ...] = (),
    ) -> Callable[[V], V]:
        """Register a function under a route; see ``Endpoint``.

        A function with a question is given it as ``question``. It returns a model, a JSON-ready mapping, None, or a
        response of Flask.
        """

        def register(view: V) -> V:
            endpoint = Endpoint(
                method=method,
                rule=rule,
                name=view.__name__,
                about=view.__doc__ or "",
                question=question,
                files=files,
                answer=answer,
                media=media,
                status=status,
                problems=problems,
            )
            self.all.append(endpoint)

            @functools.wraps(view)
            def called(**path: Any) -> Response:
                given = path if question is None else {**path, "question": read_question(question)}
                return as_response(view(**given), status)

            self.blueprint.add_url_rule(
                rule.replace("{id}", "<string(length=32):id>"), view.__name__, called, methods=[method]
            )
            return view

        return register


def read_question(model: type[Q]) -> Q:
    """The body of this request.

    Raises:
        RequestError: It is no JSON, or not what ``model`` asks for.
    """
    if not request.is_json:
        raise RequestError("the body is to be JSON (Content-Type: application/json)", 415)
    try:
        return model.model_validate_json(request.get_data(cache=False))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        status = 400 if first["type"] == "json_invalid" else 422
        raise RequestError(f"{field}: {message}" if field else message, status, field=field or None) from error


def as_response(value: Any, status: int) -> Response:
    """What a function returned, as JSON; NaN becomes null."""
    if isinstance(value, Response):
        return value
    if value is None:
        return Response(status=status)
    data = orjson.dumps(value, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    return Response(data, status=status, mimetype="application/json")


def problem(error: str, status: int, *, field: str | None = None, revision: int | None = None) -> Response:
    """Why something was not done."""
    return as_response(Problem(error=error, field=field, revision=revision), status)


def describe(endpoints: Endpoints, version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    models: list[tuple[type[BaseModel], Any]] = [(Problem, "serialization")]
    for each in endpoints.all:
        models += [(each.question, "validation")] if each.question is not None else []
        models += [(each.answer, "serialization")] if each.answer is not None else []
    references, schemas = models_json_schema(list(dict.fromkeys(models)), ref_template=_SCHEMAS)
    paths: dict[str, dict[str, Any]] = {}
    for each in endpoints.all:
        paths.setdefault(PREFIX + each.rule, {})[each.method.lower()] = _operation(each, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "nanoseg-bench",
            "version": version,
            "description": "What the web page does, for scripts. `GET /api/v1/about` begins a session (a cookie) and "
            f"tells its token, which everything that changes something carries in the header `{CSRF_HEADER}`.",
            "license": {"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": CSRF_HEADER}},
        },
    }


def _operation(endpoint: Endpoint, references: Mapping[Any, Any]) -> dict[str, Any]:
    summary, _, rest = endpoint.about.partition("\n")
    described: dict[str, Any] = {"operationId": endpoint.name, "summary": summary.rstrip(".")}
    if rest.strip():
        described["description"] = "\n".join(line.strip() for line in rest.strip().splitlines())
    if "{id}" in endpoint.rule:
        schema = {"type": "string", "pattern": ID_PATTERN}
        described["parameters"] = [{"name": "id", "in": "path", "required": True, "schema": schema}]
    if (body := _body(endpoint, references)) is not None:
        described["requestBody"] = {"required": True, "content": body}
    if endpoint.takes_change:
        described["security"] = [{"token": []}]
    content: dict[str, Any] = {name: {} for name in endpoint.media}
    if endpoint.answer is not None:
        content["application/json"] = {"schema": references[(endpoint.answer, "serialization")]}
    done: dict[str, Any] = {"description": HTTPStatus(endpoint.status).phrase}
    described["responses"] = {str(endpoint.status): {**done, "content": content} if content else done}
    for status in sorted({*endpoint.problems, *_problems_of(endpoint)}):
        described["responses"][str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/json": {"schema": references[(Problem, "serialization")]}},
        }
    return described


def _body(endpoint: Endpoint, references: Mapping[Any, Any]) -> dict[str, Any] | None:
    if endpoint.question is not None:
        return {"application/json": {"schema": references[(endpoint.question, "validation")]}}
    if endpoint.files:
        files = {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
        form = {"type": "object", "properties": {"files": files}, "required": ["files"]}
        return {"multipart/form-data": {"schema": form}}
    return None


def _problems_of(endpoint: Endpoint) -> tuple[int, ...]:
    """What any function of its kind may answer."""
    change = (403,) if endpoint.takes_change else ()
    body = (400, 413, 415, 422) if endpoint.question is not None or endpoint.files else ()
    found = (404,) if "{id}" in endpoint.rule else ()
    return (*change, *body, *found)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"{type(value).__name__} is no JSON")
