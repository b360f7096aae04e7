"""The description says what is answered: schemathesis asks everything in it, with sense and without."""

import random
import re
import threading

import pytest
from hypothesis import HealthCheck, settings
from waitress import create_server

from nanoseg_bench.webapp.endpoints import PREFIX, Endpoints, describe
from nanoseg_bench.webapp.schemas import ID_PATTERN
from nanoseg_bench.webapp.views import about, micrographs, review, sample
from nanoseg_bench.webapp.warming import import_all

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from schemathesis.checks import CHECKS, load_all_checks  # noqa: E402
from schemathesis.core.parameters import ParameterLocation  # noqa: E402

load_all_checks()
# What fits the schema may still name a micrograph that is not there, or draw a line beside a particle.
NOT_ASKED = [CHECKS.get_one("positive_data_acceptance")]
REFUSAL = CHECKS.get_one("negative_data_rejection")


def description():
    endpoints = Endpoints()
    for view in (about, micrographs, review, sample):
        view.register(endpoints)
    return describe(endpoints, "0")


def without_most(described):
    """The same without the most that a list may hold: bodies of megabytes are asked for elsewhere."""
    if isinstance(described, dict):
        return {key: without_most(value) for key, value in described.items() if key != "maxItems" or value < 10}
    return [without_most(each) for each in described] if isinstance(described, list) else described


schema = schemathesis.openapi.from_dict(without_most(description()))


@pytest.fixture(scope="module")
def address(page):
    """Of the server, as waitress serves it."""
    import_all()
    server = create_server(page, host="127.0.0.1", port=0, threads=2)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_are_as_described(case, address, reviewed):
    browser, id_ = reviewed
    # Before anything is put in its place: the id and the headers may be all that was wrong with the request.
    wrong = {where for where, part in case.meta.components.items() if part.mode.is_negative}
    mended = bool(wrong) and wrong <= {ParameterLocation.PATH, ParameterLocation.HEADER}
    body = case.body if isinstance(case.body, dict) else {}
    if random.Random(f"{body}{case.path_parameters}").random() < 0.7 and case.method != "DELETE":
        # Where the id is that of a micrograph, the rest matters, too.
        if "id" in (case.path_parameters or {}):
            case.path_parameters["id"] = id_
        ids, revision = body.get("micrographs"), body.get("revision")
        if isinstance(ids, list) and ids and all(re.fullmatch(ID_PATTERN, str(each)) for each in ids):
            body["micrographs"] = [id_]
        if type(revision) is int and revision >= 0:
            body["revision"] = browser.get(f"/micrographs/{id_}").json["revision"]
    cookie = browser.client.get_cookie(f"nanoseg-{browser.client.application.extensions['nanoseg'].store.name}")
    headers = {"Cookie": f"{cookie.key}={cookie.value}", "X-CSRF-Token": browser.token}
    not_asked = [*NOT_ASKED, REFUSAL] if mended else NOT_ASKED
    case.call_and_validate(base_url=address, headers=headers, excluded_checks=not_asked, timeout=120)


def test_every_route_is_described(page):
    described = page.test_client().get(f"{PREFIX}/openapi.json").json["paths"]
    routes = {
        (rule.rule.replace("<string(length=32):id>", "{id}"), method.lower())
        for rule in page.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule.startswith(PREFIX) and not rule.rule.endswith("openapi.json")
    }
    assert routes == {(path, method) for path, found in described.items() for method in found}
    assert all(found.get("summary") for path in described.values() for found in path.values())
