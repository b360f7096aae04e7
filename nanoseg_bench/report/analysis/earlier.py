"""What an earlier call left in the folder of an analysis, and whether this one may write there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nanoseg_bench.changes import dict_changes, list_changes
from nanoseg_bench.errors import UsageError
from nanoseg_bench.files import read_json
from nanoseg_bench.inference.corrections import require_uncorrected
from nanoseg_bench.report.analysis.outputs import remove_pictures
from nanoseg_bench.seals import unsealed

FILE = "analysis.json"
"""Settings and results; also says that a folder is ours."""

FORMAT = "nanoseg-analysis/1"

STATE = "state"
"""Folder of what is kept of each micrograph."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier call left: its settings, None of another format, and hashes of its LabelMe files and reports."""

    settings: Mapping[str, Any] | None = None
    labelme: Mapping[str, str] | None = None
    documents: Mapping[str, str] = field(default_factory=dict)


def find_earlier(out: Path) -> Earlier | None:
    """Look whether the folder may be written, whatever the settings; None where it is new.

    Raises:
        UsageError: It must not, since it holds something else, or LabelMe files that a person corrected.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not (out / FILE).is_file():
        raise UsageError(f"--out {out}: holds other things (no {FILE}); choose another folder")
    try:
        document = unsealed(read_json(out / FILE))
        before = document["settings"] if document["format"] == FORMAT else None
        earlier = Earlier(before, document["labelme_sha256"], dict(document["documents_sha256"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"--out {out}: {FILE} cannot be read ({error}); choose another folder") from error
    require_uncorrected(out, earlier.labelme)
    return earlier


def open_earlier(out: Path, settings: Mapping[str, Any], overwrite: str) -> Earlier:
    """Look whether the folder may be written with these settings, and what it holds.

    Args:
        out: The folder.
        settings: Of this call.
        overwrite: As of ``task.AnalysisTask``; with ``always`` what is kept of micrographs is removed, and their
            pictures.

    Raises:
        UsageError: As of ``find_earlier``, or it holds an analysis with other settings.
    """
    earlier = find_earlier(out)
    if earlier is None:
        return Earlier()
    if overwrite != "always" and earlier.settings != settings:
        changes = list_changes(dict_changes(earlier.settings or {}, settings))
        raise UsageError(
            f"--out {out}: holds an analysis that differs from this one: {changes}; choose another folder, or give "
            "--overwrite always to replace it"
        )
    if overwrite == "always":
        for state in (out / STATE).glob("*.json"):
            remove_pictures(out, state.stem)
            state.unlink()
    return earlier
