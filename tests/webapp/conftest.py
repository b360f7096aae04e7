"""Servers with a real worker, and fields of discs whose number and sizes are known."""

import io
import time
from contextlib import contextmanager

import cv2
import numpy as np
import psutil
import pytest
from finished_runs import write_otsu_run
from PIL import Image

from nanoseg_bench.webapp.settings import Limits, ModelChoice, Settings

pytest.importorskip("flask", reason="the extra app is not installed")

HEIGHT, WIDTH = 240, 320
DISCS = tuple((60 + 100 * column, 60 + 120 * row, 18 + 3 * column + 2 * row) for row in range(2) for column in range(3))


def draw_field(seed=0):
    """(HEIGHT, WIDTH) bright discs that touch no border, on a dark ground."""
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=(HEIGHT, WIDTH)), (0, 0), 2)
    image = np.clip(85 + noise / noise.std() * 6, 65, 110).astype(np.uint8)
    for x, y, radius in DISCS:
        cv2.circle(image, (x, y), radius, 200, -1)
    return image


def png_of(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="session")
def field_png():
    return png_of(draw_field())


@pytest.fixture(scope="session")
def unscaled_pngs():
    """Fields without a scale, by name: discs, other discs, and discs with a bar of 90 px that has no text."""
    # The upper edge of a disc with a sharp rim is straight enough for a bar.
    plain, more, with_bar = (cv2.GaussianBlur(draw_field(seed), (0, 0), 2) for seed in range(3))
    with_bar[-14:-10, 200:290] = 255
    return {"discs.png": png_of(plain), "more.png": png_of(more), "bar.png": png_of(with_bar)}


@pytest.fixture
def discs():
    """(x, y, radius) in px of the discs of ``field_png``."""
    return DISCS


@pytest.fixture(scope="session")
def otsu_run(tmp_path_factory):
    """A finished run of Otsu, which needs no training."""
    return write_otsu_run(tmp_path_factory.mktemp("runs"), canvas=320)


class Browser:
    """A session: its cookie, and the token that its page knows."""

    def __init__(self, app):
        self.client = app.test_client()
        self.token = self.get("/about").json["csrf_token"]

    def get(self, path, **more):
        return self.client.get(f"/api/v1{path}", **more)

    def send(self, method, path, **more):
        headers = {"X-CSRF-Token": self.token, **more.pop("headers", {})}
        return self.client.open(f"/api/v1{path}", method=method, headers=headers, **more)

    def post(self, path, **more):
        return self.send("POST", path, **more)

    def put(self, path, json):
        return self.send("PUT", path, json=json)

    def delete(self, path):
        return self.send("DELETE", path)

    def upload(self, *files):
        """(name, bytes) of each."""
        form = {"files": [(io.BytesIO(data), name) for name, data in files]}
        return self.post("/micrographs", data=form, content_type="multipart/form-data")

    def summaries(self):
        return self.get("/micrographs").json["micrographs"]

    def wait(self, seconds=300, until=("done", "failed", "cancelled")):
        """The list, when all in it have ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.summaries()
            if all(each["status"] in until for each in found):
                return found
            time.sleep(0.05)
        raise AssertionError(f"still at work after {seconds} s: {found}")


@pytest.fixture(scope="session")
def page(tmp_path_factory, otsu_run):
    """A server with a real worker, for all tests: each has a session of its own, and sees nothing of the others'."""
    from nanoseg_bench.webapp.app import create_app
    from nanoseg_bench.webapp.server import open_server

    folder = tmp_path_factory.mktemp("page")
    server = open_server(
        Settings(data_dir=folder, model=ModelChoice(path=otsu_run, read_text=False), limits=Limits(free_bytes=0))
    )
    server.supervisor.start()
    app = create_app(server)
    yield app
    server.supervisor.stop()
    server.store.close()


@pytest.fixture
def browser(page):
    """A session of its own."""
    return Browser(page)


@pytest.fixture
def halted(page, browser):
    """The worker of ``page`` stands still: what is uploaded waits, however quick the machine is.

    As a context manager: it goes on at the end.
    """

    @contextmanager
    def halt():
        supervisor = page.extensions["nanoseg"].supervisor
        end = time.monotonic() + 300
        while supervisor.model is None:
            assert time.monotonic() < end, supervisor.trouble
            time.sleep(0.05)
        worker = psutil.Process(supervisor.worker_pid)
        worker.suspend()
        try:
            yield
        finally:
            worker.resume()

    return halt


@pytest.fixture
def start_browser():
    """begin(settings): a session at a server of its own, whose queue stands still; and that server."""
    from nanoseg_bench.webapp.app import create_app
    from nanoseg_bench.webapp.server import open_server

    opened = []

    def begin(settings):
        opened.append(open_server(settings))
        return Browser(create_app(opened[-1])), opened[-1]

    yield begin
    for server in opened:
        server.store.close()


@pytest.fixture
def other_browser(page):
    """Somebody else's."""
    return Browser(page)


@pytest.fixture(scope="module")
def reviewed(page, field_png):
    """(browser, id) of a session with a micrograph that is done, which tests may change."""
    session = Browser(page)
    (summary,) = session.upload(("field.png", field_png)).json["micrographs"]
    (done,) = session.wait()
    assert done["status"] == "done", done
    return session, summary["id"]
