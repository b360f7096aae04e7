"""What a person decides about a micrograph: outlines and scale."""

from typing import Any

from nanoseg_bench.webapp.detail import detail_of
from nanoseg_bench.webapp.endpoints import Endpoints
from nanoseg_bench.webapp.errors import RequestError
from nanoseg_bench.webapp.loaded import Change
from nanoseg_bench.webapp.schemas import (
    Detail,
    EditsChange,
    Merged,
    MergeQuestion,
    ScaleChange,
    SplitQuestion,
    SplitUp,
)
from nanoseg_bench.webapp.server import this_server


def register(endpoints: Endpoints) -> None:
    """Add what changes a micrograph."""
    _register_changes(endpoints)
    _register_geometry(endpoints)


def _register_changes(endpoints: Endpoints) -> None:
    @endpoints.add("PUT", "/micrographs/{id}/edits", question=EditsChange, answer=Detail, problems=(409,))
    def put_edits(id: str, question: EditsChange) -> Any:
        """Put edits in place of the earlier ones.

        They say all that differs from the outlines of the model, so that undo is the edits of before. 409 where
        another window changed the micrograph since `revision`, with the current revision.
        """
        edits = question.edits.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return _change(id, question.revision, edits=edits)

    @endpoints.add("PUT", "/micrographs/{id}/scale", question=ScaleChange, answer=Detail, problems=(409,))
    def put_scale(id: str, question: ScaleChange) -> Any:
        """Say what the scale is: a number, a line and its length, the length of the bar, or what was found."""
        scale = question.model_dump(mode="json", exclude={"revision", "reset"}, exclude_defaults=True)
        kept = this_server().entry(id).scale
        if question.bar_length is not None and "line" in kept:
            # What is marked is that line, not the bar that was found.
            scale = {**kept, "length": question.bar_length}
        return _change(id, question.revision, scale=scale)


def _change(
    id: str,
    revision: int,
    *,
    edits: dict[str, Any] | None = None,
    scale: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Carry out a change, keep it, and tell what the micrograph is then."""
    from nanoseg_bench.report.review.view import summary_of

    server = this_server()
    entry = server.entry(id)
    change = Change(entry.edits if edits is None else edits, entry.scale if scale is None else scale)
    analysed = server.loaded.get(entry, change)
    kept = server.store.revise(id, revision, edits=change.edits, scale=change.scale, overview=summary_of(analysed))
    current = server.entry(id)
    if not kept:
        raise RequestError(
            "it was changed in another window meanwhile; load it again, and repeat the change",
            409,
            field="revision",
            revision=current.revision,
        )
    return detail_of(server, current)


def _register_geometry(endpoints: Endpoints) -> None:
    @endpoints.add("POST", "/geometry/merge", question=MergeQuestion, answer=Merged)
    def merge_outlines(question: MergeQuestion) -> dict[str, Any]:
        """One outline around the pixels of several."""
        from nanoseg_bench.report.review.geometry import merge

        return {"outline": merge(question.outlines, question.width, question.height)}

    @endpoints.add("POST", "/geometry/split", question=SplitQuestion, answer=SplitUp)
    def split_outline(question: SplitQuestion) -> dict[str, Any]:
        """The pieces of an outline that a line cuts; 422 where it does not cut it in two."""
        from nanoseg_bench.report.review.geometry import split

        return {"outlines": split(question.outline, question.line, question.width, question.height)}
