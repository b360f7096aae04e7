"""A Word document as PDF, by LibreOffice where it is installed."""

import subprocess
import tempfile
from pathlib import Path

from nanoseg_bench.errors import NanosegError
from nanoseg_bench.files import write_bytes
from nanoseg_bench.report.formats import find_office

_LONGEST_S = 120


def write_pdf(document: Path, path: Path) -> None:
    """Write a .docx as PDF; LibreOffice draws some charts a little differently than Word.

    Raises:
        NanosegError: LibreOffice is not installed, or cannot read the document.
    """
    office = find_office()
    if office is None:
        raise NanosegError(
            f"{path}: a PDF needs LibreOffice (soffice), which is not installed; open {document} in Word"
        )
    with tempfile.TemporaryDirectory() as folder:
        # A profile of its own: an open LibreOffice, or another export, would take the document over and end at once.
        command = [office, f"-env:UserInstallation={Path(folder, 'profile').as_uri()}", "--headless", "--norestore"]
        command += ["--convert-to", "pdf", "--outdir", folder, str(document.resolve())]
        try:
            # No shell; what a user named is an absolute path, which is no option.
            ended = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S, check=False)  # noqa: S603
        except subprocess.TimeoutExpired as error:
            raise NanosegError(f"{path}: LibreOffice took longer than {_LONGEST_S} s; open {document} in it") from error
        written = Path(folder, f"{document.stem}.pdf")
        if not written.is_file():
            told = (ended.stderr or ended.stdout).strip().splitlines()
            raise NanosegError(f"{path}: LibreOffice wrote no PDF ({told[-1] if told else 'it says nothing'})")
        write_bytes(path, written.read_bytes())
