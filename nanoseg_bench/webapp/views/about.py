"""What a page or a script must know before it begins."""

from typing import Any

from nanoseg_bench import __version__
from nanoseg_bench.report.formats import BORDERS
from nanoseg_bench.report.review.formats import EXPORTS
from nanoseg_bench.webapp.endpoints import Endpoints
from nanoseg_bench.webapp.schemas import About, ColumnFacts, ExportChoice, Limits, ModelFacts
from nanoseg_bench.webapp.server import find_example, this_server
from nanoseg_bench.webapp.sessions import this_session


def register(endpoints: Endpoints) -> None:
    """Add what is asked first."""

    @endpoints.add("GET", "/about", answer=About)
    def about() -> About:
        """The server, its model and what it takes; begins a session."""
        from nanoseg_bench.measure.columns import COLUMNS

        server = this_server()
        settings, supervisor = server.settings, server.supervisor
        return About(
            version=__version__,
            csrf_token=this_session().csrf_token,
            model=None if supervisor.model is None else _model(supervisor.model),
            trouble=supervisor.trouble,
            limits=Limits.model_validate(settings.limits, from_attributes=True),
            keep_days=settings.keep_days,
            export_formats=[ExportChoice(id=each.id, heading=each.heading, suffix=each.suffix) for each in EXPORTS],
            columns=[ColumnFacts.model_validate(each, from_attributes=True) for each in COLUMNS],
            borders=list(BORDERS),
            has_example=find_example() is not None,
        )


def _model(model: dict[str, Any]) -> ModelFacts:
    method = model["method"]
    return ModelFacts(
        title=model["title"],
        id=method["model_id"],
        weights_sha256=method["weights_sha256"],
        confidence=method["confidence"],
        confidence_source=method["confidence_source"],
        classes=model["classes"],
        quality=method["quality"],
    )
