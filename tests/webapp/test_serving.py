"""``nanoseg-bench serve`` as a user starts and ends it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import docx
import psutil
import pytest
from page_server import Process, Script

from nanoseg_bench.cli import main
from nanoseg_bench.cli.serve import open_browser

PAGE_GUIDE = Path(__file__).parents[2] / "docs" / "page.md"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


def test_a_page_is_there_ends_with_ctrl_c_and_is_there_again(tmp_path, otsu_run, field_png):
    with Process(tmp_path / "page", otsu_run, 0, "--no-ocr") as server:
        script = Script(server.address)
        page = script.session.get(server.address)
        assert page.status_code == 200 and 'name="csrf-token"' in page.text
        script.upload(("a.png", field_png))
        (done,) = script.wait(300)
        assert done["status"] == "done" and done["particles"] == 6
        worker = server.worker()
        assert psutil.Process(worker.pid).nice() > psutil.Process(server.process.pid).nice()
        assert server.end() == 0
        psutil.wait_procs([worker], 120)
        assert not worker.is_running()
    # The same folder again: the session and its micrograph are still there.
    with Process(tmp_path / "page", otsu_run) as server:
        script.move(server.address)
        assert [each["id"] for each in script.micrographs()] == [done["id"]]
        # Killed, it takes its worker along.
        end = time.monotonic() + 300
        while server.worker() is None:
            assert time.monotonic() < end
            time.sleep(0.05)
        worker = server.worker()
        server.kill()
        psutil.wait_procs([worker], 120)
        assert not worker.is_running()


def test_the_script_of_the_documentation_gets_a_report(tmp_path, monkeypatch, capsys, otsu_run, field_png):
    (documented,) = re.findall(r"```python\n(.+?)```", PAGE_GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "sample.tif").write_bytes(field_png)
    monkeypatch.chdir(tmp_path)
    with Process(tmp_path / "page", otsu_run, 0, "--no-ocr") as server:
        script = documented.replace("http://127.0.0.1:8000/", server.address)
        assert script != documented
        exec(compile(script, str(PAGE_GUIDE), "exec"), {"__name__": "__main__"})  # it is ours
    assert capsys.readouterr().out.startswith("Scale: ")
    report = docx.Document("report.docx")
    assert "0.42 nm" in "\n".join(cell.text for table in report.tables for cell in table._cells)
    assert "6 particles" in " ".join(each.text for each in report.paragraphs)


def test_a_folder_has_one_server_and_sigterm_ends_it_as_soon_as_its_address_is_told(tmp_path, otsu_run, capsys):
    with Process(tmp_path / "page", otsu_run, 0, "--no-ocr") as server:
        server.process.send_signal(signal.SIGSTOP)
        code = main(
            ["serve", "--port", "0", "--no-browser", "--model", str(otsu_run), "--data-dir", str(tmp_path / "page")]
        )
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGCONT)
        assert server.process.wait(300) == 0
    assert code == 1
    assert "another nanoseg-bench serve uses this folder" in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(tmp_path, otsu_run, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        code = main(["serve", "--port", port, "--model", str(otsu_run), "--data-dir", str(tmp_path / "page")])
    assert code == 2
    assert f"--port {port}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--port", "70000"), "--port 70000"),
        (("--keep-days", "0"), "--keep-days 0"),
        (("--keep-days", "inf"), "--keep-days inf"),
        (("--time-limit", "-1"), "--time-limit -1"),
        # Names and numbers of which no server of names is asked.
        (("--host", "no..host"), "--host no..host"),
        (("--host", "192.0.2.1"), "cannot be listened at on 192.0.2.1"),
        (("--model", "nothing-here"), "nothing-here"),
    ],
)
def test_what_goes_wrong_is_named(arguments, named, tmp_path, capsys):
    assert main(["serve", "--no-browser", "--data-dir", str(tmp_path / "page"), *arguments]) == 2
    assert named in capsys.readouterr().err


def test_a_model_that_cannot_be_opened_is_refused_before_the_page_is_there(tmp_path, otsu_run, capsys):
    empty, begun, table = tmp_path / "empty", tmp_path / "begun", tmp_path / "a.csv"
    for folder in (empty, begun):
        folder.mkdir()
    for path in (begun / "state.pt", table, tmp_path / "a.pt"):
        path.write_bytes(b"no weights")
    shutil.copytree(otsu_run, tmp_path / "otsu")
    (tmp_path / "otsu" / "fit.json").rename(tmp_path / "otsu" / "elsewhere.json")
    # A server that began would end at the port, which is taken.
    with socket.create_server(("127.0.0.1", 0)) as other:
        command = ["serve", "--no-browser", "--port", str(other.getsockname()[1])]
        for model, told in (
            (empty, "holds no weights.safetensors; give a run's folder"),
            (otsu_run.parent, "holds no weights.safetensors; give a run's folder"),
            (tmp_path / "otsu", "holds no weights.safetensors; give a run's folder"),
            (begun, "the training is not finished; the same `nanoseg-bench run` goes on with it"),
            (table, "weights are a .safetensors file with its .json beside it"),
            (tmp_path / "a.pt", "a .pt is a pickle, and reading it runs whatever code stands in it"),
        ):
            assert main([*command, "--data-dir", str(tmp_path / "page"), "--model", str(model)]) == 1, model
            assert f"nanoseg-bench: {model}: {told}" in capsys.readouterr().err
        assert main([*command, "--data-dir", str(tmp_path / "page"), "--model", str(otsu_run)]) == 2, "only the port"
    assert not (tmp_path / "page").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path, otsu_run, capsys):
    (tmp_path / "file").write_text("")
    code = main(["serve", "--port", "0", "--model", str(otsu_run), "--data-dir", str(tmp_path / "file" / "page")])
    assert code == 1
    assert "--data-dir" in capsys.readouterr().err


def test_the_browser_is_opened_where_there_is_one(monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    open_browser("http://127.0.0.1:8000/")
    monkeypatch.setenv("DISPLAY", ":0")
    open_browser("http://127.0.0.1:8001/")
    end = time.monotonic() + 120
    while not opened and time.monotonic() < end:
        time.sleep(0.01)
    assert opened == ["http://127.0.0.1:8001/"]


def test_help_needs_none_of_its_packages():
    code = (
        "import sys\nfrom nanoseg_bench.cli import main\n"
        "try:\n    main(['serve', '--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'flask', 'torch', 'numpy', 'pydantic', 'sqlite3'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]" and "--keep-days" in done.stdout
