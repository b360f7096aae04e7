"""Long JSON goes compressed to whoever takes it; everything else goes as it is."""

import gzip

import pytest
from flask import Flask, Response

from nanoseg_bench.webapp.compression import LEAST_BYTES, register_compression
from nanoseg_bench.webapp.endpoints import as_response

OUTLINES = {"outlines": [[[number / 2, number / 3] for number in range(3000)]]}


@pytest.fixture
def client():
    app = Flask("compressed")
    register_compression(app)
    app.add_url_rule("/long", "long", lambda: as_response(OUTLINES, 200))
    app.add_url_rule("/short", "short", lambda: as_response({"csrf_token": "secret"}, 200))
    app.add_url_rule("/picture", "picture", lambda: Response(bytes(2 * LEAST_BYTES), mimetype="image/png"))
    return app.test_client()


def test_long_json_is_compressed_for_whoever_takes_it(client):
    plain = client.get("/long")
    packed = client.get("/long", headers={"Accept-Encoding": "br, gzip;q=0.8"})
    assert plain.content_encoding is None and len(plain.data) > LEAST_BYTES
    assert packed.content_encoding == "gzip" and len(packed.data) < 0.5 * len(plain.data)
    assert int(packed.headers["Content-Length"]) == len(packed.data)
    assert gzip.decompress(packed.data) == plain.data
    assert "Accept-Encoding" in plain.vary and "Accept-Encoding" in packed.vary


@pytest.mark.parametrize("accepted", ["identity", "gzip;q=0", "deflate", ""])
def test_nobody_gets_what_they_did_not_ask_for(client, accepted):
    assert client.get("/long", headers={"Accept-Encoding": accepted}).json == OUTLINES


@pytest.mark.parametrize("path", ["/short", "/picture"])
def test_short_answers_and_pictures_go_as_they_are(client, path):
    answer = client.get(path, headers={"Accept-Encoding": "gzip"})
    assert answer.content_encoding is None and not answer.vary


def test_a_head_has_no_body(client):
    answer = client.head("/long", headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200 and answer.data == b""
