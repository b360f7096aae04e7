"""What an analysis of many micrographs is asked for."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nanoseg_bench import __version__
from nanoseg_bench.parallel import OpenPool, open_processes
from nanoseg_bench.preparation.scales import ScaleTable
from nanoseg_bench.report.analysis.finder import Finder
from nanoseg_bench.report.analysis.members import Member
from nanoseg_bench.report.analysis.micrograph import Choices
from nanoseg_bench.report.formats import DEFAULT_FORMATS


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisTask:
    """What is to be analysed, and how.

    Attributes:
        finder: What outlines the particles.
        images: Files and folders.
        out: Folder to write.
        choices: Of the user.
        scales: Of single micrographs, as the user's table has them.
        sample_by: Rule of ``measure.sampling_by``; None puts all micrographs together.
        formats: Of ``formats.FORMATS``; the CSV files and ``analysis.json`` are always written.
        operator: Who makes the analysis.
        made: When, with a time zone.
        overwrite: ``missing``: go on where an earlier call with the same settings ended. ``always``: begin anew.
        workers: Processes that analyse micrographs, where there are many; 1 for this one alone.
        open_pool: Where they are. The predictor of ``ByModel`` then comes from ``open_predictor``.
        members: The micrographs, where they are known; by default those of ``images``.
    """

    finder: Finder
    images: Sequence[Path]
    out: Path
    choices: Choices = Choices()  # noqa: RUF009, it is frozen
    scales: ScaleTable | None = None
    sample_by: str | None = None
    formats: Sequence[str] = DEFAULT_FORMATS
    operator: str = ""
    made: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))
    overwrite: str = "missing"
    workers: int = 1
    open_pool: OpenPool = open_processes
    members: Sequence[Member] | None = None

    def settings(self) -> dict[str, Any]:
        """What makes an outline or a number another one."""
        choices = self.choices
        # Earlier folders have none.
        line = {} if choices.line is None else {"line": list(choices.line)}
        return {
            **line,
            **self.finder.settings,
            "version": __version__,
            "min_diameter": None if choices.min_diameter is None else str(choices.min_diameter),
            "border": choices.border,
            "nm_per_px": choices.nm_per_px,
            "bar_nm": choices.bar_nm,
            "read_text": choices.read_text,
            "keep_marks": choices.keep_marks,
            "tiles": choices.tiles,
            "acquisition": {name: getattr(choices.acquisition, name) for name in ("instrument", "voltage_kv", "taken")},
        }
