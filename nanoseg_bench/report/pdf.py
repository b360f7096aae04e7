"""A Word document as PDF, by LibreOffice where it is installed."""

import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

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
        told = _carry_out(command)
        if told is None:
            raise NanosegError(f"{path}: LibreOffice took longer than {_LONGEST_S} s; open {document} in it")
        written = Path(folder, f"{document.stem}.pdf")
        if not written.is_file():
            raise NanosegError(f"{path}: LibreOffice wrote no PDF ({told or 'it says nothing'})")
        write_bytes(path, written.read_bytes())


def _carry_out(command: Sequence[str]) -> str | None:
    """The last line that a command says; None where it took too long and was ended."""
    # No shell; what a user named is an absolute path, which is no option.
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            said, complained = process.communicate(timeout=_LONGEST_S)
        except subprocess.TimeoutExpired:
            return None
        finally:
            # `soffice` is a script: what it started would go on after Ctrl-C, too, and write into the folder that is
            # taken away.
            running = [] if process.poll() is not None else psutil.Process(process.pid).children(recursive=True)
            process.kill()
            for each in running:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
    return "".join((complained or said).strip().splitlines()[-1:])
