"""What becomes of a PDF where LibreOffice does not do its part; ``test_word.py`` has the real one."""

import sys
import time

import psutil
import pytest

from nanoseg_bench.errors import NanosegError
from nanoseg_bench.report import pdf

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the office here is a shell script")


@pytest.fixture
def office(tmp_path, monkeypatch):
    """An office that does what it is told, as a script of the shell."""

    def make(script):
        path = tmp_path / "soffice"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(pdf, "find_office", lambda: str(path))

    return make


def test_an_office_that_hangs_is_ended_with_all_that_it_started(office, tmp_path, monkeypatch):
    office(f"sleep 600 &\necho $! > {tmp_path}/child\nwait")
    monkeypatch.setattr(pdf, "_LONGEST_S", 3)
    with pytest.raises(NanosegError, match=r"report.pdf: LibreOffice took longer than 3 s; open .*report.docx in it"):
        pdf.write_pdf(tmp_path / "report.docx", tmp_path / "report.pdf")
    child = int((tmp_path / "child").read_text())
    ended_by = time.monotonic() + 120
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < ended_by, "the child goes on"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("script", "says"),
    [("echo 'some warning' >&2; echo 'source file could not be loaded' >&2", "loaded"), ("", "it says nothing")],
)
def test_no_pdf_says_what_the_office_said(office, tmp_path, script, says):
    office(script)
    with pytest.raises(NanosegError, match=rf"report.pdf: LibreOffice wrote no PDF \(.*{says}\)"):
        pdf.write_pdf(tmp_path / "report.docx", tmp_path / "report.pdf")
    assert not (tmp_path / "report.pdf").exists()
