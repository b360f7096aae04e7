"""Predicted LabelMe files that a person corrected since: hours of work, which no later call may write over."""

from collections.abc import Mapping
from pathlib import Path

from nanoseg_bench.annotations.conversion_report import REPORT_FILE
from nanoseg_bench.errors import UsageError
from nanoseg_bench.files import sha256_file
from nanoseg_bench.inference.formats import LABELME
from nanoseg_bench.terminal import command_line
from nanoseg_bench.wording import counted


def labelme_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each LabelMe file below a folder of predictions, by its name."""
    files = sorted((folder / LABELME).glob("[!.]*.json"))
    return {path.name: sha256_file(path) for path in files if path.name != REPORT_FILE}


def require_uncorrected(folder: Path, written: Mapping[str, str] | None) -> None:
    """Refuse to write LabelMe files anew where they are not as they were written.

    Args:
        folder: Of the predictions.
        written: ``labelme_hashes`` when they were written; None where none were yet.

    Raises:
        UsageError: Some were corrected, or are not ours.
    """
    if written is None:
        return
    changed = [name for name, digest in labelme_hashes(folder).items() if written.get(name) != digest]
    if changed:
        shown = command_line([str(folder / LABELME)])
        raise UsageError(
            f"{folder / LABELME}: {counted(len(changed), 'file')} {'' if written else 'may have '}changed since this "
            f"command wrote them, such as {changed[0]}, and would be written anew; choose another --out, or move that "
            "folder first. To measure the "
            f"corrected outlines: nanoseg-bench analyze {shown} --annotated --out corrected"
        )
