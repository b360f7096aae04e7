"""The web page's server as a user starts it, in a process of its own, and a script that uses it."""

import contextlib
import re
import signal
import subprocess
import sys
import threading
import time

import psutil
import requests


class Process:
    """``nanoseg-bench serve``.

    Args:
        data_dir: Its folder.
        model: What finds the particles; None for the shipped weights.
        port: To listen at; 0 for a free one.
        more: Further arguments.
    """

    def __init__(self, data_dir, model=None, port=0, *more):
        command = [sys.executable, "-m", "nanoseg_bench", "serve", "--no-browser", "--data-dir", data_dir]
        command += ["--port", port, *(["--model", model] if model is not None else []), *more]
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self.said = []
        self.address = None
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+", line)
        if found:
            self.address = found[0]
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in (self.process.stdout, self.process.stderr)
        ]
        for reader in self._readers:
            reader.start()
        if not found:
            self.process.wait(300)
            self._readers[1].join(10)
            raise AssertionError(f"serve did not start: {line}{''.join(self.said)}")

    def _read(self, stream):
        for line in stream:
            self.said.append(line)

    @property
    def port(self):
        return int(re.search(r":(\d+)/", self.address)[1])

    def worker(self):
        """The worker's process; None where there is none now."""
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self.process.pid).children():
                if any("multiprocessing.spawn" in part for part in child.cmdline()):
                    return child
        return None

    def kill(self):
        """As ``kill -9`` does."""
        self.process.kill()
        self.process.wait(120)

    def end(self):
        """As Ctrl-C does; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(300)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(120)


class Script:
    """A session that a program has at a server.

    Args:
        address: Of the server, as it says it.
    """

    def __init__(self, address):
        self.move(address)
        self.session = requests.Session()
        self.session.headers["X-CSRF-Token"] = self.get("/about").json()["csrf_token"]

    def move(self, address):
        """The server was started again, and listens elsewhere: its port may be another program's by then."""
        self.api = f"{address}api/v1"

    def get(self, path):
        return self.session.get(f"{self.api}{path}", timeout=300)

    def post(self, path, **more):
        return self.session.post(f"{self.api}{path}", timeout=300, **more)

    def upload(self, *files):
        """(name, bytes) of each; what the server answers."""
        answer = self.post("/micrographs", files=[("files", each) for each in files])
        answer.raise_for_status()
        return answer.json()

    def micrographs(self):
        return self.get("/micrographs").json()["micrographs"]

    def wait(self, seconds):
        """The list, when all in it have ended."""
        end = time.monotonic() + seconds
        while True:
            found = self.micrographs()
            if all(each["status"] in ("done", "failed", "cancelled") for each in found):
                return found
            if time.monotonic() > end:
                raise AssertionError(f"still at work after {seconds} s")
            time.sleep(0.2)
