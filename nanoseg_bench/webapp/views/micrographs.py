"""Upload, list, look at and delete micrographs."""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from flask import Response, request, send_file

from nanoseg_bench.files import FULL
from nanoseg_bench.images.sidecars import ending_beside
from nanoseg_bench.webapp.admission import (
    MICROSCOPE_SUFFIXES,
    copy_limited,
    display_name,
    is_text,
    keep_texts,
    require_readable,
    suffix_of,
)
from nanoseg_bench.webapp.detail import detail_of, summary_of
from nanoseg_bench.webapp.endpoints import Endpoints
from nanoseg_bench.webapp.errors import RequestError
from nanoseg_bench.webapp.folders import IMAGE, THUMBNAIL
from nanoseg_bench.webapp.schemas import Detail, Micrographs, Refused, Summary, Uploaded
from nanoseg_bench.webapp.server import Server, find_example, this_server
from nanoseg_bench.webapp.sessions import this_session
from nanoseg_bench.webapp.store import CANCELLED, FAILED, QUEUED, RUNNING, Entry

_PNG = "image/png"
_NO_TEXTS: Mapping[str, BinaryIO] = {}
_SECONDS_CACHED = 86400


def register(endpoints: Endpoints) -> None:
    """Add what is done with whole micrographs."""
    _register_uploads(endpoints)
    _register_views(endpoints)
    _register_changes(endpoints)


def _register_uploads(endpoints: Endpoints) -> None:
    @endpoints.add("POST", "/micrographs", files=True, answer=Uploaded, status=202, problems=(429, 507))
    def upload() -> Uploaded:
        """Upload micrographs, which are analysed in this order.

        The form's field `files` holds one or more; the name of a file may contain its folder. A file that cannot be
        taken is among `refused`, and no reason to refuse the others. The text that a JEOL, Hitachi or TESCAN
        microscope wrote beside `a.tif` (`a.txt`, `a.hdr`, `a-tif.hdr`) goes along in the same form.
        """
        server = this_server()
        request.max_content_length = server.settings.limits.request_bytes
        if request.mimetype != "multipart/form-data":
            raise RequestError("the body is to be a form with files (multipart/form-data)", 415)
        files = request.files.getlist("files")
        if not files:
            raise RequestError("no file came with it", 422, field="files")
        if len(files) > (most := server.settings.limits.files):
            raise RequestError(f"{len(files)} files at once; send at most {most}", 413, field="files")
        named: list[tuple[str, BinaryIO]] = [(display_name(each.filename), each.stream) for each in files]  # type: ignore[misc]
        texts = [each for each in named if is_text(each[0])]
        images = [name for name, _ in named if not is_text(name)]
        taken, refused = [], []
        for name, stream in named:
            if is_text(name) and any(ending_beside(name, image) for image in images):
                continue  # it goes along with that image
            own = {ending: text for other, text in texts if (ending := ending_beside(other, name))}
            try:
                taken.append(summary_of(_take(server, name, stream, own)))
            except RequestError as error:
                if error.status in (429, 507) and not taken:
                    raise
                refused.append(Refused(name=name, error=str(error)))
        return Uploaded(micrographs=taken, refused=refused)

    @endpoints.add("POST", "/micrographs/example", answer=Summary, status=202, problems=(404, 429, 507))
    def example() -> Summary:
        """Analyse the micrograph that comes with the page."""
        path = find_example()
        if path is None:
            raise RequestError("no example comes with this installation; upload a micrograph", 404)
        with path.open("rb") as stream:
            return summary_of(_take(this_server(), path.name, stream))


def _take(server: Server, name: str, stream: BinaryIO, texts: Mapping[str, BinaryIO] = _NO_TEXTS) -> Entry:
    """Look at a file, keep it, and queue it.

    Args:
        server: Of this request.
        name: That the user knows it by.
        stream: Its bytes.
        texts: That its microscope wrote beside it, as for ``keep_texts``.

    Raises:
        RequestError: It is not taken; nothing is left of it.
    """
    limits, folders = server.settings.limits, server.folders
    if server.store.count_waiting() >= limits.queue:
        raise RequestError(f"{limits.queue} micrographs wait already; try again when some are done", 429)
    if folders.free_bytes() < limits.free_bytes + limits.file_bytes:
        raise _disk_is_full()
    suffix = suffix_of(name)
    id_ = uuid.uuid4().hex
    path = folders.incoming(id_) / f"original{suffix}"
    try:
        copy_limited(stream, path, limits.file_bytes)
        if suffix not in MICROSCOPE_SUFFIXES:
            require_readable(path, name, limits)
        keep_texts(texts, path)
        folders.accept(id_)
        entry = server.store.add(id=id_, owner=this_session().owner, name=name, suffix=suffix)
    except BaseException as error:
        folders.refuse(id_)
        folders.delete(id_)
        if isinstance(error, OSError) and error.errno in FULL:
            raise _disk_is_full() from error
        raise
    server.supervisor.wake()
    return entry


def _disk_is_full() -> RequestError:
    return RequestError("the server's disk is full; delete micrographs, or ask whoever runs it", 507)


def _register_views(endpoints: Endpoints) -> None:
    @endpoints.add("GET", "/micrographs", answer=Micrographs)
    def list_micrographs() -> Micrographs:
        """All micrographs of the session, in the order of upload."""
        entries = this_server().store.of_owner(this_session().owner)
        return Micrographs(micrographs=[summary_of(each) for each in entries])

    @endpoints.add("GET", "/micrographs/{id}", answer=Detail)
    def read_micrograph(id: str) -> Any:
        """A micrograph with its outlines, scale and edits; without them until it is done."""
        server = this_server()
        return detail_of(server, server.entry(id))

    @endpoints.add("GET", "/micrographs/{id}/image.png", media=(_PNG,))
    def read_image(id: str) -> Response:
        """The micrograph as 8-bit PNG, in its own size; there when it is done."""
        return _picture(id, IMAGE)

    @endpoints.add("GET", "/micrographs/{id}/thumbnail.png", media=(_PNG,))
    def read_thumbnail(id: str) -> Response:
        """The micrograph as a small PNG; there when it is done."""
        return _picture(id, THUMBNAIL)


def _picture(id: str, name: str) -> Response:
    server = this_server()
    path: Path = server.folders.of(server.entry(id).id) / name
    if not path.is_file():
        raise RequestError("this picture is there when the micrograph is analysed", 404)
    answer = send_file(path, mimetype=_PNG, conditional=True, max_age=_SECONDS_CACHED)
    # The picture of an id never changes, and is the session's alone.
    answer.headers["Cache-Control"] = f"private, max-age={_SECONDS_CACHED}, immutable"
    return answer


def _register_changes(endpoints: Endpoints) -> None:
    @endpoints.add("DELETE", "/micrographs/{id}", status=204)
    def delete_micrograph(id: str) -> None:
        """Cancel one that waits or runs; delete one that ended, with all its files."""
        server = this_server()
        entry = server.entry(id)
        if entry.status in (QUEUED, RUNNING) and server.store.cancel(entry.id):
            server.supervisor.interrupt(entry.id)
            return
        server.store.delete(entry.id)
        server.folders.delete(entry.id)

    @endpoints.add("POST", "/micrographs/{id}/retry", answer=Summary, status=202, problems=(409,))
    def retry_micrograph(id: str) -> Summary:
        """Analyse one again that failed or was cancelled; it waits last of all."""
        server = this_server()
        entry = server.entry(id)
        if entry.status not in (FAILED, CANCELLED) or not server.store.queue_again(entry.id):
            raise RequestError(f"it is {entry.status}; only what failed or was cancelled is tried again", 409)
        server.supervisor.wake()
        return summary_of(server.entry(id))
