"""Nothing leaves the machine: the main job and the use of its result, watched while they work."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from page_server import Process, Script

import nanoseg_bench

WATCHED = Path(__file__).parent / "helpers" / "without_network"
EXAMPLE = Path(nanoseg_bench.__file__).parent / "webapp" / "example" / "example.png"

NO_INTERFACES = ["unshare", "--map-root-user", "--net"]
"""In a network of its own, without any interface: not even loopback is up."""

ATTEMPTS = """
import socket
def outside():
    yield lambda: socket.create_connection(("192.0.2.1", 9), 1)
    yield lambda: socket.getaddrinfo("example.org", 80)
    yield lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"hello", ("192.0.2.1", 9))
    yield lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::1", 9))
for attempt in outside():
    try:
        attempt()
    except OSError as error:
        print(type(error).__name__)
"""


# The commands of a first day, from nothing to a report, with a network of each kind.
MAIN_JOB = (
    "prepare --dataset nanosynth --easy --images 12 --size 128 --augment-copies 1 --workers 2 --out data",
    "run data --models otsu unet mask-rcnn nsyolo --preset smoke --device cpu --runs runs",
    "leaderboard data --html page.html",
    "predict data/images/test --model runs/nsyolo-smoke-seed0 --device cpu --out found",
    "export runs/nsyolo-smoke-seed0",
    # The weights that ship, and the text of the scale bar, which a model of its own reads.
    f"analyze {shlex.quote(str(EXAMPLE))} --device cpu --out analysis",
)


def carry_out(folder, wrapped):
    """Run the main job in a folder, which is made, each command in a process of its own.

    Args:
        folder: Where.
        wrapped: What stands before the command of a number.
    """
    folder.mkdir()
    for number, words in enumerate(MAIN_JOB):
        command = [*wrapped(number), sys.executable, "-m", "nanoseg_bench", *shlex.split(words)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    assert (folder / "page.html").is_file()
    assert list((folder / "found").rglob("*.json"))
    assert list((folder / "analysis").rglob("*.docx"))


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """watched(): what processes started from here tried to send elsewhere, a line each."""
    calls = tmp_path / "calls.txt"
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(WATCHED), *([before] if before else [])]))
    monkeypatch.setenv("NANOSEG_BENCH_CALLS_FILE", str(calls))
    return lambda: calls.read_text("utf-8").splitlines() if calls.exists() else []


def test_an_attempt_is_seen_also_of_a_child_process(watched):
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ATTEMPTS!r}], check=True)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["ConnectionRefusedError"] * 4
    seen = [line.split()[:2] for line in watched()]
    assert seen == [
        ["socket.getaddrinfo", "192.0.2.1"],
        ["socket.getaddrinfo", "example.org"],
        ["socket.sendto", "192.0.2.1"],
        ["socket.connect", "2001:db8::1"],
    ]


def test_this_machine_may_be_reached(watched):
    code = "import socket; own = socket.create_server(('localhost', 0)); "
    code += "socket.create_connection(('127.0.0.1', own.getsockname()[1]))"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert watched() == []


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_the_page_calls_nobody(watched, tmp_path):
    with Process(tmp_path / "page") as server:
        script = Script(server.address)
        script.upload((EXAMPLE.name, EXAMPLE.read_bytes()))
        (done,) = script.wait(300)
        assert done["status"] == "done" and done["particles"] > 0
        assert server.end() == 0
    assert watched() == []


def traced(log):
    """What starts a command without a network, and lists in ``log`` to whom it connects or sends, in C as well."""
    calls = "trace=connect,sendto,sendmsg,sendmmsg"
    return [*NO_INTERFACES, "strace", "-f", "-qq", "--seccomp-bpf", "-e", calls, "-o", str(log)]


def calls_in(log):
    """Lines of a trace that name an internet address, even this machine's: a name server here passes questions on."""
    return [line for line in log.read_text("utf-8", "replace").splitlines() if "AF_INET" in line]


@pytest.fixture(scope="module")
def why_not_isolated(tmp_path_factory):
    """Why no process can be cut off from the network and traced here; empty where it can."""
    missing = [name for name in ("unshare", "strace") if shutil.which(name) is None]
    if missing:
        return f"{' and '.join(missing)} not installed (Debian: util-linux, strace)"
    log = tmp_path_factory.mktemp("trace") / "calls"
    tried = subprocess.run([*traced(log), "true"], capture_output=True, text=True)
    return f"no network namespace or no tracing here: {tried.stderr.strip()}" if tried.returncode else ""


def test_an_attempt_is_seen_in_the_trace(why_not_isolated, tmp_path):
    if why_not_isolated:
        pytest.skip(why_not_isolated)
    log = tmp_path / "calls"
    done = subprocess.run([*traced(log), sys.executable, "-c", ATTEMPTS], capture_output=True, text=True, check=True)
    assert len(done.stdout.split()) == 4, "each of them failed"
    seen = "\n".join(calls_in(log))
    assert "connect(" in seen and 'inet_addr("192.0.2.1")' in seen and "sendto(" in seen and "2001:db8::1" in seen


@pytest.mark.slow
@pytest.mark.timeout(1800)  # eleven processes one after the other; two minutes on a machine that is not busy
def test_the_main_job_calls_nobody_and_works_without_any_network(watched, why_not_isolated, tmp_path):
    """With a network of each kind: their libraries fetch weights, fonts and news of versions unless told not to.

    An attempt is seen whether it leads somewhere or not, so one job shows both: Python tells of its calls, and where
    the job can be cut off from the network, which it then does without, the system tells of those in C as well.
    """
    logs = []

    def wrapped(number):
        if why_not_isolated:
            return []
        logs.append(tmp_path / f"calls-{number}")
        return traced(logs[-1])

    carry_out(tmp_path / "desk", wrapped)
    assert watched() == []
    assert {log.name: calls_in(log) for log in logs if calls_in(log)} == {}
    if why_not_isolated:
        pytest.skip(f"it called nobody; whether it works without a network was not tried: {why_not_isolated}")
