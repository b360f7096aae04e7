"""A micrograph as the list and its own page show it."""

import datetime
from typing import Any

from nanoseg_bench.webapp.schemas import Summary
from nanoseg_bench.webapp.server import Server
from nanoseg_bench.webapp.store import DONE, Entry


def summary_of(entry: Entry) -> Summary:
    """A line of the list."""
    created = datetime.datetime.fromtimestamp(entry.created, datetime.UTC).isoformat(timespec="seconds")
    overview = entry.overview if entry.status == DONE else {}
    return Summary(
        id=entry.id,
        name=entry.name,
        status=entry.status,  # type: ignore[arg-type]
        position=entry.position,
        reason=entry.reason,
        created=created,
        **overview,
    )


def detail_of(server: Server, entry: Entry) -> dict[str, Any]:
    """``schemas.Detail``: what is known of a micrograph; all of it when it is done."""
    known = {**summary_of(entry).model_dump(mode="json"), "revision": entry.revision}
    if entry.status != DONE:
        return {**known, "bottom": None, "warnings": [], "scale": None, "outlines": [], "edits": _as_edits({})}
    from nanoseg_bench.report.review.view import detail_of as reviewed_detail

    found = reviewed_detail(server.loaded.get(entry), server.loaded.outlines(entry))
    return {
        **known,
        **found,
        "particles": known["particles"],
        "outlines": found["particles"],
        "edits": _as_edits(entry.edits),
    }


def _as_edits(kept: Any) -> dict[str, Any]:
    """What is kept without what is empty, with it."""
    return {"removed": [], "counted": [], "changed": {}, "labels": {}, "drawn": [], **kept}
