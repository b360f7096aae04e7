"""What a page of another site, another session, or a hostile script gets: nothing."""

import io
import re
import subprocess
import sys
import uuid

import pytest

from nanoseg_bench.webapp.endpoints import PREFIX, Endpoints
from nanoseg_bench.webapp.headers import names_of_server
from nanoseg_bench.webapp.settings import Settings
from nanoseg_bench.webapp.views import about, micrographs, review, sample

MINIMAL = {
    "put_edits": {"revision": 0, "edits": {}},
    "put_scale": {"revision": 0, "pixels": True},
}


def all_endpoints():
    endpoints = Endpoints()
    for view in (about, micrographs, review, sample):
        view.register(endpoints)
    return endpoints.all


def of_one_micrograph():
    return [pytest.param(each, id=each.name) for each in all_endpoints() if "{id}" in each.rule]


def changes():
    return [pytest.param(each, id=each.name) for each in all_endpoints() if each.method != "GET"]


@pytest.mark.parametrize("endpoint", of_one_micrograph())
def test_another_session_is_told_that_there_is_none(endpoint, reviewed, other_browser):
    """The same as for an id that never was; and what it sends changes nothing."""
    browser, id_ = reviewed
    before = browser.get(f"/micrographs/{id_}").json

    def ask(session, micrograph):
        body = {"json": MINIMAL[endpoint.name]} if endpoint.question else {}
        return session.send(endpoint.method, endpoint.rule.replace("{id}", micrograph), **body)

    refused, never = ask(other_browser, id_), ask(other_browser, uuid.uuid4().hex)
    assert refused.status_code == never.status_code == 404
    assert refused.json == never.json
    assert browser.get(f"/micrographs/{id_}").json == before


def test_lists_are_of_one_session(reviewed, other_browser):
    assert other_browser.summaries() == []


@pytest.mark.parametrize("endpoint", changes())
@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
def test_a_change_needs_the_token(endpoint, token, browser):
    headers = {"X-CSRF-Token": token} if token else {}
    path = PREFIX + endpoint.rule.replace("{id}", uuid.uuid4().hex)
    answer = browser.client.open(path, method=endpoint.method, headers=headers, json={})
    assert answer.status_code == 403 and "X-CSRF-Token" in answer.json["error"]


def test_the_token_of_another_session_is_none(browser, other_browser):
    answer = browser.send("POST", "/micrographs/example", headers={"X-CSRF-Token": other_browser.token})
    assert answer.status_code == 403


def test_the_cookie_is_for_this_site_alone_and_for_no_script(page):
    answer = page.test_client().get("/api/v1/about")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie
    secret = re.match("nanoseg-[0-9a-f]{8}=([^;]+)", cookie)[1]
    assert len(secret) >= 43
    database = (page.extensions["nanoseg"].settings.data_dir / "page.sqlite").read_bytes()
    assert secret.encode() not in database


def test_a_cookie_that_was_not_given_out_is_replaced(page):
    name = f"nanoseg-{page.extensions['nanoseg'].store.name}"
    client = page.test_client()
    client.set_cookie(name, "chosen-by-somebody-else")
    assert "chosen-by-somebody-else" not in client.get("/api/v1/about").headers["Set-Cookie"]


@pytest.mark.parametrize("path", ["/", "/api/v1/about", "/api/v1/micrographs/none", "/nothing", "/static/nothing.js"])
def test_every_answer_carries_the_headers(path, browser):
    headers = browser.client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'; ") and "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "169.254.1.1"])
def test_another_name_is_not_answered(host, browser):
    """A name of another site that leads to this machine: DNS rebinding."""
    answer = browser.client.get("/api/v1/about", headers={"Host": host})
    assert answer.status_code == 400 and "csrf_token" not in answer.json


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "localhost", "[::1]:8000"])
def test_the_machine_itself_is_answered(host, browser):
    assert browser.client.get("/api/v1/about", headers={"Host": host}).status_code == 200


def test_for_others_the_server_knows_its_own_names():
    names = names_of_server("0.0.0.0", ("lab.example",))
    assert {"127.0.0.1", "localhost", "lab.example"} <= set(names) and "evil.example" not in names
    assert names_of_server("127.0.0.1") == ["127.0.0.1", "localhost", "[::1]"]


@pytest.mark.parametrize(("host", "called"), [("127.0.0.2", "127.0.0.2:8000"), ("::1", "[::1]:8000")])
def test_the_address_that_is_printed_is_answered(host, called, tmp_path, start_browser):
    browser, _ = start_browser(Settings(data_dir=tmp_path, host=host))
    assert browser.client.get("/api/v1/about", headers={"Host": called}).status_code == 200


@pytest.mark.parametrize("id_", ["..", "%2e%2e", "..%2f..%2fpage.sqlite", "a/../../b", "0" * 31, "G" * 32, "0" * 33])
def test_no_path_leads_out_of_the_folder(id_, browser):
    for path in (f"/micrographs/{id_}", f"/micrographs/{id_}/image.png"):
        assert browser.get(path).status_code == 404


def test_a_link_from_elsewhere_does_not_end_a_session(page):
    """Browsers send no cookie of this site along with it: a new one would take the place of the user's."""
    answer = page.test_client().get("/", headers={"Sec-Fetch-Site": "cross-site"})
    assert "Set-Cookie" not in answer.headers and 'http-equiv="refresh"' in answer.text


def test_a_fault_of_ours_tells_nothing_of_the_inside(page, browser, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(page.extensions["nanoseg"].store, "of_owner", broken)
    page.testing = False
    answer = browser.get("/micrographs")
    assert answer.status_code == 500 and "secret" not in answer.text
    assert "a secret of the inside" in caplog.text


def test_debugging_is_off_and_there_is_no_secret_of_the_server(page):
    assert not page.debug and not page.testing and page.secret_key is None


def test_files_are_named_by_the_server(page, browser, field_png):
    name = "../../../x=cmd|' /C calc'!A0/\x1b[2Jevil\u202e.png"
    (summary,) = browser.upload((name, field_png)).json["micrographs"]
    assert not set("\u202e\x1b") & set(summary["name"]) and ".." not in summary["name"]
    folder = page.extensions["nanoseg"].folders.of(summary["id"])
    assert [path.name for path in folder.iterdir() if path.name.startswith("original")] == ["original.png"]
    browser.wait()
    assert browser.delete(f"/micrographs/{summary['id']}").status_code == 204
    assert not folder.exists()


def test_the_web_process_has_no_networks(tmp_path):
    """It answers while the worker computes, and starts at once."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from nanoseg_bench.webapp.app import create_app\n"
        "from nanoseg_bench.webapp.server import open_server\n"
        "from nanoseg_bench.webapp.settings import Settings\n"
        f"app = create_app(open_server(Settings(data_dir=Path({str(tmp_path)!r}))))\n"
        "client = app.test_client()\n"
        "assert client.get('/api/v1/about').status_code == 200\n"
        "import nanoseg_bench.webapp.warming as warming\n"
        "warming.import_all()\n"
        "print(sorted({'torch', 'ultralytics', 'onnxruntime', 'torchvision'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_nothing_but_forms_and_json_is_read(browser):
    assert browser.post("/micrographs", data=b"x", content_type="text/plain").status_code == 415
    assert browser.post("/geometry/merge", data=b"{}", content_type="text/plain").status_code == 415
    assert browser.post("/geometry/merge", data=b"{", content_type="application/json").status_code == 400
    assert browser.post("/geometry/merge", json={"outlines": []}).status_code == 422


def test_a_request_that_is_too_large_is_refused(page, browser):
    limit = page.config["MAX_CONTENT_LENGTH"]
    answer = browser.post("/geometry/merge", data=b" " * (limit + 1), content_type="application/json")
    assert answer.status_code == 413
    many = [(io.BytesIO(b"x"), f"{number}.png") for number in range(201)]
    answer = browser.post("/micrographs", data={"files": many}, content_type="multipart/form-data")
    assert answer.status_code == 413
