"""Statistics and files of a sample: micrographs of the session whose particles are pooled."""

import datetime
import io
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Response, send_file

from nanoseg_bench.report.review.formats import EXPORTS
from nanoseg_bench.webapp.endpoints import Endpoints
from nanoseg_bench.webapp.errors import RequestError
from nanoseg_bench.webapp.schemas import ExportQuestion, Statistics, StatisticsQuestion
from nanoseg_bench.webapp.server import this_server
from nanoseg_bench.webapp.sessions import this_session

if TYPE_CHECKING:
    from nanoseg_bench.report.analysis.micrograph import AnalysedMicrograph

_MEDIA = tuple(dict.fromkeys(each.media_type for each in EXPORTS))

_EXPORTING = threading.Lock()
"""One file is made at a time: matplotlib's settings are the process's, and large reports take memory."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """Micrographs by id, as people left them, and what found their particles."""

    micrographs: Mapping[str, "AnalysedMicrograph"]
    model: Mapping[str, Any]


def register(endpoints: Endpoints) -> None:
    """Add what is asked of several micrographs."""

    @endpoints.add("POST", "/sample/statistics", question=StatisticsQuestion, answer=Statistics, problems=(404, 409))
    def read_statistics(question: StatisticsQuestion) -> dict[str, Any]:
        """Numbers, charts and the curve against the confidence, of micrographs that are done.

        Nothing is asked of the model again, so that filters can follow a slider; `intervals` come with a second call.
        """
        from nanoseg_bench.report.report_input import Method
        from nanoseg_bench.report.review.filters import Filters
        from nanoseg_bench.report.review.view import statistics_of

        sample = _sample(question.micrographs)
        return statistics_of(
            sample.micrographs,
            Filters.from_json(question.filters.model_dump(mode="json")),
            method=Method.from_json(sample.model["method"]),
            classes=tuple(sample.model["classes"]),
            intervals=question.intervals,
        )

    @endpoints.add("POST", "/sample/export", question=ExportQuestion, media=_MEDIA, problems=(404, 409))
    def export_sample(question: ExportQuestion) -> Response:
        """A file of the sample, to take away; several files come as one ZIP."""
        from nanoseg_bench.report.report_input import Method
        from nanoseg_bench.report.review.export import export
        from nanoseg_bench.report.review.filters import Filters

        sample = _sample(question.micrographs)
        with _EXPORTING:
            file = export(
                sample.micrographs,
                Filters.from_json(question.filters.model_dump(mode="json")),
                question.format,
                method=Method.from_json(sample.model["method"]),
                made=datetime.datetime.now(datetime.UTC),
                sample=question.sample,
                operator=question.operator,
                classes=tuple(sample.model["classes"]),
            )
        answer = send_file(io.BytesIO(file.data), as_attachment=True, download_name=file.name)
        answer.headers["Content-Type"] = file.media_type
        return answer


def _sample(ids: Sequence[str]) -> _Sample:
    """Micrographs of the session.

    Raises:
        RequestError: One is not there, not done, or another model found its particles than those of the others.
    """
    server = this_server()
    own = {each.id: each for each in server.store.of_owner(this_session().owner)}
    entries = [own[id_] if id_ in own else server.entry(id_) for id_ in dict.fromkeys(ids)]
    micrographs = {each.id: server.loaded.get(each) for each in entries}
    models = {_identity(each.model or {}): each.model or {} for each in entries}
    if len(models) > 1:
        names = ", ".join(sorted(str(model["title"]) for model in models.values()))
        raise RequestError(
            f"different models found the particles of these micrographs ({names}), which are not one sample; choose "
            "those of one model, or upload the others again",
            409,
        )
    return _Sample(micrographs, next(iter(models.values())))


def _identity(model: Mapping[str, Any]) -> tuple[Any, ...]:
    method = model["method"]
    return method["weights_sha256"], method["model"], method["confidence"]
