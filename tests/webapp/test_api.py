"""What the page and scripts are answered: each answer fits its schema, and numbers are those of the discs."""

import io
import json
import math
import re
import sqlite3
import time
import uuid
import zipfile

import docx
import numpy as np
import openpyxl
import pandas as pd
import pytest
from PIL import Image

from nanoseg_bench.webapp import schemas
from nanoseg_bench.webapp.server import STORE_FILE
from nanoseg_bench.webapp.settings import Limits, Settings


@pytest.fixture
def fresh(page, browser, field_png):
    """(browser, id) of a new session with a micrograph that is done."""
    (summary,) = browser.upload(("field.png", field_png)).json["micrographs"]
    browser.wait()
    return browser, summary["id"]


def edit(browser, id_, **edits):
    revision = browser.get(f"/micrographs/{id_}").json["revision"]
    return browser.put(f"/micrographs/{id_}/edits", {"revision": revision, "edits": edits})


def rescale(browser, id_, **scale):
    revision = browser.get(f"/micrographs/{id_}").json["revision"]
    return browser.put(f"/micrographs/{id_}/scale", {"revision": revision, **scale})


def statistics(browser, *ids, **filters):
    answer = browser.post("/sample/statistics", json={"micrographs": list(ids), "filters": filters})
    assert answer.status_code == 200, answer.json
    return answer.json


@pytest.mark.parametrize(("name", "damage"), [("state.json", "bit"), ("state.json", "cut"), ("outlines.json", "cut")])
def test_a_result_that_the_disk_damaged_is_told_and_nothing_else_is_lost(page, browser, field_png, name, damage):
    one, two = browser.upload(("one.png", field_png), ("two.png", field_png)).json["micrographs"]
    browser.wait()
    path = page.extensions["nanoseg"].settings.data_dir / "micrographs" / one["id"] / name
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] if damage == "cut" else data.replace(b'"counts":"', b'"counts":"1', 1))
    answer = browser.get(f"/micrographs/{one['id']}")
    assert answer.status_code == 500 and "cannot be read any more" in answer.json["error"]
    assert str(path.parent) not in answer.text
    assert browser.get(f"/micrographs/{two['id']}").status_code == 200
    assert len(browser.summaries()) == 2
    assert browser.delete(f"/micrographs/{one['id']}").status_code < 300
    assert [each["name"] for each in browser.summaries()] == ["two.png"]


def test_about_is_what_it_says(page, browser):
    browser_about = browser.get("/about").json
    about = schemas.About.model_validate(browser_about)
    end = time.monotonic() + 300
    while about.model is None and time.monotonic() < end:
        time.sleep(0.1)
        about = schemas.About.model_validate(browser.get("/about").json)
    assert about.model.id == "otsu" and about.model.classes == ["particle"]
    assert about.limits.files == 200 and about.keep_days == 30
    assert {"diameter_nm", "diameter_px"} <= {each.name for each in about.columns}
    assert {each.id for each in about.export_formats} == set(schemas.ExportFormat.__args__)


def test_a_micrograph_goes_from_upload_to_outlines(browser, field_png, discs):
    answer = browser.upload(("batch/field.png", field_png))
    assert answer.status_code == 202
    uploaded = schemas.Uploaded.model_validate(answer.json)
    (waiting,) = uploaded.micrographs
    assert (waiting.name, waiting.status) == ("batch/field.png", "queued") and not uploaded.refused
    before = schemas.Detail.model_validate(browser.get(f"/micrographs/{waiting.id}").json)
    assert before.outlines == [] or before.status == "done"
    (done,) = browser.wait()
    summary = schemas.Summary.model_validate(done)
    assert (summary.status, summary.position, summary.particles, summary.unit) == ("done", None, len(discs), "px")
    detail = schemas.Detail.model_validate(browser.get(f"/micrographs/{waiting.id}").json)
    assert detail.edits == schemas.Edits() and detail.scale.used is None
    areas = sorted(each.values["area_px2"] for each in detail.outlines)
    expected = sorted(math.pi * radius**2 for _, _, radius in discs)
    assert areas == pytest.approx(expected, rel=0.05)
    centres = {(round(x), round(y)) for x, y in (middle(each.outline) for each in detail.outlines)}
    assert all(any(math.hypot(x - u, y - v) < 3 for u, v in centres) for x, y, _ in discs)


HITACHI = b"[SemImageFile]\r\nInstructName=SU8000\r\nPixelSize=0.8\r\nDataSize=%dx%d\r\n"


def test_the_text_that_a_microscope_wrote_beside_an_image_tells_its_scale(browser, field_png):
    width, height = Image.open(io.BytesIO(field_png)).size
    text = HITACHI % (width, height)
    answer = browser.upload(
        ("a/Größe 1.txt", text),
        ("a/Größe 1.png", field_png),
        ("a/Größe 10.png", field_png),
        ("b/Größe 1.png", field_png),
    )
    assert answer.json["refused"] == []
    found = {each["name"]: each for each in browser.wait()}
    assert {name: each["nm_per_px"] for name, each in found.items()} == {
        "a/Größe 1.png": 0.8,
        "a/Größe 10.png": None,
        "b/Größe 1.png": None,
    }
    scale = browser.get(f"/micrographs/{found['a/Größe 1.png']['id']}").json["scale"]
    assert scale["is_sure"] and "hitachi" in scale["sentence"]


def test_a_text_without_its_image_is_refused_and_an_odd_one_harms_nothing(browser, field_png):
    answer = browser.upload(("b.txt", HITACHI % (1, 1)), ("a.png", field_png), ("a.TXT", b"x" * (2**20 + 1)))
    (refused,) = answer.json["refused"]
    assert refused["name"] == "b.txt" and "add both at once" in refused["error"]
    (done,) = browser.wait()
    assert (done["name"], done["status"], done["nm_per_px"]) == ("a.png", "done", None)


def middle(outline):
    return np.array(outline[0][0]).mean(axis=0).tolist()


def test_pictures_are_those_of_the_micrograph(fresh, field_png):
    browser, id_ = fresh
    answer = browser.get(f"/micrographs/{id_}/image.png")
    assert answer.mimetype == "image/png" and "private" in answer.headers["Cache-Control"]
    wanted = np.asarray(Image.open(io.BytesIO(field_png)))
    assert (np.asarray(Image.open(io.BytesIO(answer.data))) == wanted).all()
    small = Image.open(io.BytesIO(browser.get(f"/micrographs/{id_}/thumbnail.png").data))
    assert max(small.size) == 320
    again = browser.get(f"/micrographs/{id_}/image.png", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_some_of_an_upload_may_be_refused(browser, field_png):
    answer = browser.upload(("a.png", field_png), ("b.txt", b"words"), ("c.png", b"no image"), ("d.png", field_png))
    assert answer.status_code == 202
    uploaded = schemas.Uploaded.model_validate(answer.json)
    assert [each.name for each in uploaded.micrographs] == ["a.png", "d.png"]
    assert [each.name for each in uploaded.refused] == ["b.txt", "c.png"]
    assert "not an image" in uploaded.refused[1].error


def test_a_file_without_a_name_is_not_passed_over(browser, field_png):
    answer = browser.post(
        "/micrographs",
        data=b'--x\r\nContent-Disposition: form-data; name="files"; filename=""\r\n\r\n' + field_png + b"\r\n--x--\r\n",
        content_type="multipart/form-data; boundary=x",
    )
    assert answer.status_code == 202 and len(answer.json["refused"]) == 1, answer.json


def test_what_is_damaged_behind_its_head_fails_with_a_reason(browser, field_png):
    middle = len(field_png) // 2
    browser.upload(("damaged.png", field_png[:middle] + bytes(2000) + field_png[middle + 2000 :]))
    (failed,) = browser.wait()
    assert failed["status"] == "failed" and "truncated" in failed["reason"]
    assert "original" not in failed["reason"] and "/" not in failed["reason"]
    answer = browser.post(f"/micrographs/{failed['id']}/retry")
    assert answer.status_code == 202 and answer.json["status"] in ("queued", "running", "failed")
    browser.wait()
    assert browser.delete(f"/micrographs/{failed['id']}").status_code == 204
    assert browser.summaries() == []


def test_what_is_done_is_not_tried_again(fresh):
    browser, id_ = fresh
    assert browser.post(f"/micrographs/{id_}/retry").status_code == 409


def test_edits_are_kept_and_undone(fresh, discs):
    browser, id_ = fresh
    square = [[[[200, 10], [220, 10], [220, 30], [200, 30]]]]
    answer = edit(browser, id_, removed=[1], drawn=[{"outline": square, "label": None, "from": []}])
    assert answer.status_code == 200, answer.json
    detail = schemas.Detail.model_validate(answer.json)
    assert detail.particles == len(discs) and detail.edited == 2
    assert [each.removed for each in detail.outlines] == [True, *[False] * len(discs)]
    assert detail.outlines[-1].origin == "drawn" and detail.outlines[-1].values["area_px2"] == 400
    assert browser.get(f"/micrographs/{id_}").json == answer.json
    undone = edit(browser, id_)
    assert undone.json["particles"] == len(discs) and undone.json["edited"] == 0
    assert undone.json["revision"] == detail.revision + 1


def test_two_windows_do_not_overwrite_each_other(fresh):
    browser, id_ = fresh
    revision = browser.get(f"/micrographs/{id_}").json["revision"]
    change = {"revision": revision, "edits": {"removed": [1]}}
    assert browser.put(f"/micrographs/{id_}/edits", change).status_code == 200
    answer = browser.put(f"/micrographs/{id_}/edits", change)
    problem = schemas.Problem.model_validate(answer.json)
    assert answer.status_code == 409 and problem.revision == revision + 1


@pytest.mark.parametrize(
    "edits",
    [
        {"removed": [99]},
        {"changed": {"1": [[[[0, 0], [1, 1]]]]}},
        {"drawn": [{"outline": [[[[0, 0], [0, 0], [0, 0]]]]}]},
        {"drawn": [{"outline": []}]},
        {"labels": {"0": "a"}},
        {"more": []},
    ],
)
def test_edits_of_nothing_are_refused(edits, fresh):
    browser, id_ = fresh
    before = browser.get(f"/micrographs/{id_}").json
    answer = edit(browser, id_, **edits)
    assert answer.status_code == 422 and schemas.Problem.model_validate(answer.json).error
    assert browser.get(f"/micrographs/{id_}").json == before


def test_the_scale_is_what_a_person_says(fresh):
    browser, id_ = fresh
    px = browser.get(f"/micrographs/{id_}").json["d50"]
    answer = rescale(browser, id_, nm_per_px=0.5)
    assert answer.status_code == 200, answer.json
    assert (answer.json["unit"], answer.json["nm_per_px"]) == ("nm", 0.5)
    assert answer.json["d50"] == pytest.approx(0.5 * px)
    answer = rescale(browser, id_, line=[10, 20, 110, 20], length="200 nm")
    assert answer.json["scale"]["used"] == pytest.approx(2.0) and answer.json["d50"] == pytest.approx(2 * px)
    answer = rescale(browser, id_, pixels=True)
    assert (answer.json["unit"], answer.json["d50"]) == ("px", pytest.approx(px))
    rescale(browser, id_, nm_per_px=3.0)
    answer = rescale(browser, id_, reset=True)
    assert answer.json["scale"]["used"] is None and answer.json["d50"] == pytest.approx(px)


@pytest.mark.parametrize(
    "scale",
    [{}, {"nm_per_px": -1}, {"nm_per_px": 1, "pixels": True}, {"line": [0, 0, 9, 9]}, {"length": "2 nm"},
     {"line": [0, 0, 0, 0], "length": "2 nm"}, {"line": [0, 0, 9, 9], "length": "two feet"}, {"accept": True}],
)  # fmt: skip
def test_a_scale_that_is_none_is_refused(scale, fresh):
    browser, id_ = fresh
    answer = rescale(browser, id_, **scale)
    assert answer.status_code == 422, answer.json
    assert schemas.Problem.model_validate(answer.json).error


def test_merging_and_splitting(browser):
    box = {"width": 100, "height": 80}
    left, right = [[[[10, 10], [20, 10], [20, 20], [10, 20]]]], [[[[20, 10], [30, 10], [30, 20], [20, 20]]]]
    merged = browser.post("/geometry/merge", json={**box, "outlines": [left, right]})
    assert merged.status_code == 200
    whole = schemas.Merged.model_validate(merged.json).outline
    split = browser.post("/geometry/split", json={**box, "outline": whole, "line": [[20, 0], [20, 40]]})
    assert len(schemas.SplitUp.model_validate(split.json).outlines) == 2
    answer = browser.post("/geometry/split", json={**box, "outline": whole, "line": [[0, 0], [5, 5]]})
    assert answer.status_code == 422 and "line" in answer.json["error"]


def test_statistics_follow_filters_edits_and_scale(fresh, discs):
    browser, id_ = fresh
    found = statistics(browser, id_)
    schemas.Statistics.model_validate(found)
    assert (found["count"], found["images"], found["unit"]) == (len(discs), 1, "px")
    large = statistics(browser, id_, min_diameter={"value": 50, "unit": "px"})
    assert large["count"] == sum(2 * radius > 50 for *_, radius in discs)
    edit(browser, id_, removed=[1, 2])
    assert statistics(browser, id_)["count"] == len(discs) - 2
    rescale(browser, id_, nm_per_px=2.0)
    assert statistics(browser, id_)["unit"] == "nm"


def test_what_is_known_of_the_model_is_in_the_uncertainty(page, fresh):
    """Otsu has no card; as if it had one."""
    browser, id_ = fresh
    ask = {"micrographs": [id_], "intervals": True}
    assert "outlines" in browser.post("/sample/statistics", json=ask).json["uncertainty"]["unknown"]
    outlines = json.dumps({"typical": 0.031, "bias": -0.005, "bias_interval": None, "images": 99})
    with sqlite3.connect(page.extensions["nanoseg"].settings.data_dir / STORE_FILE) as store:
        known = "UPDATE micrographs SET model = json_set(model, '$.method.outlines', json(?)) WHERE id = ?"
        assert store.execute(known, (outlines, id_)).rowcount == 1
    found = browser.post("/sample/statistics", json=ask).json["uncertainty"]
    components = {each["name"]: each["standard_uncertainty"] for each in found["components"]}
    assert components["outlines"] == pytest.approx(1.4826 * 0.031 * found["value"])
    assert "outlines" not in found["unknown"]


def test_a_line_that_a_person_drew_is_as_uncertain_as_the_screen(fresh):
    browser, id_ = fresh
    line = {"line": [10.0, 20.0, 110.0, 20.0], "length": "200 nm"}
    assert rescale(browser, id_, **line).json["scale_uncertainty"] == pytest.approx(2**0.5 * 0.35 / 100)
    drawn = rescale(browser, id_, **line, screen_px=3.0).json
    assert drawn["scale_uncertainty"] == pytest.approx(2**0.5 * math.hypot(0.35, 3) / 100)
    taken = {name: drawn[name] for name in ("nm_per_px", "scale_uncertainty")}
    again = rescale(browser, id_, **taken).json
    assert {name: again[name] for name in taken} == taken
    assert rescale(browser, id_, nm_per_px=2.0).json["scale_uncertainty"] is None
    assert rescale(browser, id_, nm_per_px=2.0, scale_uncertainty=2.0).status_code == 422


def test_another_length_of_the_marked_bar_is_that_of_the_line_that_a_person_drew(fresh):
    browser, id_ = fresh
    rescale(browser, id_, line=[10, 20, 110, 20], length="200 nm", screen_px=3.0)
    answer = rescale(browser, id_, bar_length="500 nm")
    assert answer.status_code == 200, answer.json
    found = answer.json["scale"]
    assert (found["used"], found["bar"], found["text"]) == (pytest.approx(5), [10, 20, 110, 20], "500 nm")
    assert answer.json["scale_uncertainty"] == pytest.approx(2**0.5 * math.hypot(0.35, 3) / 100)
    # After a number, what was found is marked again.
    found = rescale(browser, id_, nm_per_px=2.0).json["scale"]["bar"]
    assert found != [10, 20, 110, 20]
    assert rescale(browser, id_, bar_length="500 nm").json["scale"]["bar"] == found


def test_samples_are_pooled(fresh, field_png, discs):
    browser, id_ = fresh
    (other,) = browser.upload(("second.png", field_png)).json["micrographs"]
    browser.wait()
    found = statistics(browser, id_, other["id"])
    assert (found["count"], found["images"]) == (2 * len(discs), 2)


def test_statistics_of_what_is_not_there(fresh, other_browser):
    browser, id_ = fresh
    ask = {"micrographs": [id_, uuid.uuid4().hex]}
    assert browser.post("/sample/statistics", json=ask).status_code == 404
    assert other_browser.post("/sample/statistics", json={"micrographs": [id_]}).status_code == 404
    answer = browser.post("/sample/statistics", json={"micrographs": []})
    assert answer.status_code == 422 and answer.json["field"] == "micrographs"


@pytest.mark.parametrize("form", schemas.ExportFormat.__args__)
def test_every_file_can_be_taken_away(form, fresh, discs):
    browser, id_ = fresh
    ask = {"micrographs": [id_], "format": form, "sample": "=1+1 <µ>\x0b", "operator": "A. Chemist"}
    answer = browser.post("/sample/export", json=ask)
    assert answer.status_code == 200, answer.json
    offered = {each["id"]: each for each in browser.get("/about").json["export_formats"]}[form]
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith("attachment") and offered["suffix"] in disposition
    read = {"word": read_word, "excel": read_excel, "csv": read_csv, "labelme": read_labelme, "coco": read_coco}
    if form in read:
        assert read[form](answer.data) == len(discs)
    elif form == "zip":
        assert len(zipfile.ZipFile(io.BytesIO(answer.data)).namelist()) == 7
    else:
        assert b"<svg" in answer.data[:500] if form == "svg" else Image.open(io.BytesIO(answer.data)).size == (320, 240)


def read_word(data):
    """The number of particles that the report tells."""
    text = "\n".join(paragraph.text for paragraph in docx.Document(io.BytesIO(data)).paragraphs)
    return int(re.search(r"(\d+) particles", text)[1])


def read_excel(data):
    sheet = openpyxl.load_workbook(io.BytesIO(data))["Particles"]
    heads = [cell.value for cell in next(sheet.rows)]
    column = next(number for number, head in enumerate(heads) if head and "left out" in head.lower())
    return sum(row[column].value in (None, "") for row in list(sheet.rows)[1:])


def read_csv(data):
    table = pd.read_csv(io.BytesIO(data))
    return int(table["exclusion"].isna().sum())


def read_labelme(data):
    return len(json.loads(data)["shapes"])


def read_coco(data):
    return len(json.loads(data)["annotations"])


@pytest.mark.parametrize(
    ("limits", "status", "told"),
    [({"free_bytes": 2**62}, 507, "disk is full"), ({"free_bytes": 0, "queue": 2}, 429, "2 micrographs wait already")],
)
def test_what_there_is_no_room_for_is_refused(limits, status, told, tmp_path, field_png, start_browser):
    browser, server = start_browser(Settings(data_dir=tmp_path / "full", limits=Limits(**limits)))
    if status == 429:
        assert browser.upload(("a.png", field_png), ("b.png", field_png)).status_code == 202
    answer = browser.upload(("c.png", field_png))
    assert answer.status_code == status and told in answer.json["error"]
    assert {path.name for path in (tmp_path / "full" / "micrographs").iterdir()} == server.store.ids()
    assert list((tmp_path / "full" / "incoming").iterdir()) == []


def test_a_file_needs_what_is_done(browser, field_png, halted):
    with halted():
        (summary,) = browser.upload(("a.png", field_png)).json["micrographs"]
        answer = browser.post("/sample/export", json={"micrographs": [summary["id"]], "format": "csv"})
        assert answer.status_code == 409
    browser.wait()
    answer = browser.post("/sample/export", json={"micrographs": [summary["id"]], "format": "pdf"})
    assert answer.status_code == 422 and answer.json["field"] == "format"


def test_a_cancelled_one_ends(browser, field_png, halted):
    with halted():
        ids = [each["id"] for each in browser.upload(*[(f"{n}.png", field_png) for n in range(3)]).json["micrographs"]]
        assert browser.delete(f"/micrographs/{ids[-1]}").status_code == 204
    states = {each["id"]: each["status"] for each in browser.wait()}
    assert states[ids[-1]] == "cancelled" and all(states[each] == "done" for each in ids[:-1])


def test_positions_are_those_in_the_queue(browser, field_png, halted):
    names = [f"{number}.png" for number in range(3)]
    with halted():
        browser.upload(*[(name, field_png) for name in names])
        found = browser.summaries()
        assert [each["name"] for each in found] == names
        # The first one may have been handed to the worker, which does nothing with it.
        first = [1, 2, 3] if found[0]["status"] == "queued" else [0, 1, 2]
        assert [each["position"] for each in found] == first
    browser.wait()
