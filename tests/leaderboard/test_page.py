"""The page is read back with the standard library's parser; a browser, where there is one, says whether it fits."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser

import pytest

from nanoseg_bench.errors import DatasetError, UsageError
from nanoseg_bench.evaluation.corruptions.table import CORRUPTIONS
from nanoseg_bench.evaluation.result import ClassResult, Confusion, Details, ImageResult
from nanoseg_bench.evaluation.scoring import evaluate
from nanoseg_bench.files import write_json
from nanoseg_bench.leaderboard.build import build_tables
from nanoseg_bench.leaderboard.page import open_pictures, write_page
from nanoseg_bench.preparation.prepared_set import FORMAT

VOID = {"meta", "link", "br", "img", "input"}
EVIL = '<script>alert(1)</script>"><img src="https://evil.example/x" onerror=\'x()\'>&amp;'
CHARTED = 2  # corruptions, of eight
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Document(HTMLParser):
    """Elements of a page with their attributes and texts, and the rows of its tables.

    An element that is closed out of turn fails the test.
    """

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.rows = [], [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        element = {
            "tag": tag,
            "attributes": dict(attributes),
            "text": "",
            "inside": [each["tag"] for each in self.open],
        }
        self.elements.append(element)
        if tag == "tr":
            self.rows.append({**element, "cells": []})
        if tag in ("td", "th"):
            self.rows[-1]["cells"].append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag):
        return [element for element in self.elements if element["tag"] == tag]

    def row(self, start):
        """The first row of the page whose second cell, a model, starts with this; its cells' words."""
        return self.rows_of(start)[0]

    def rows_of(self, start):
        """All of them: scores, then counts, sizes and cost."""
        found = [(row, [" ".join(each["text"].split()) for each in row["cells"]]) for row in self.rows]
        found = [(row, words) for row, words in found if len(words) > 1 and words[1].startswith(start)]
        assert found, start
        return found

    def sections(self):
        return [element["attributes"]["id"] for element in self.all("h2")]


@pytest.fixture
def write(tmp_path):
    def page(*records, reference=None):
        path = tmp_path / "page.html"
        write_page(path, records, build_tables(records, reference))
        return Document(path)

    return page


@pytest.fixture
def scored(make_record, small_test):
    """A record of a model that was really scored."""
    evaluation = evaluate(*small_test, 0.5, resamples=20)

    def record(model, score=0.5, **changes):
        scores = evaluation.scores | {"map_50_95": score, "map_50_95_agnostic": score}
        resampled = {name: tuple(score + 0.01 * (n % 5) for n in range(20)) for name in evaluation.resampled}
        values = {"scores": scores, "resampled": resampled, "details": evaluation.details}
        return make_record(model, score, **(values | changes))

    return record


@pytest.fixture
def everything(scored, make_record):
    """Records with something for each part of the page."""
    corrupted = {
        corruption.name: tuple({"map_50_95_agnostic": 0.5 - 0.05 * severity} for severity in range(5))
        for corruption in CORRUPTIONS[:CHARTED]
    }
    losses = {f"degradation_{name.replace('-', '_')}": 0.2 for name in corrupted}
    confusion = Confusion(truth=("triangle",), predicted=("cube", "rod"), counts=((5, 3, 2), (1, 0, 0)))
    robust = {"map_50_95_agnostic_clean": 0.5, "map_50_95_agnostic_corrupted": 0.4, "degradation": 0.2} | losses
    return [
        scored("yolo11n", 0.6),
        scored("nsyolo", 0.4, seed=0),
        scored("nsyolo", 0.45, seed=1),
        make_record("otsu", None, agnostic=0.3),
        make_record("unet", status="oom", reason="no memory for 12 GiB", scores={}, training=None),
        scored("cellpose", 0.9, external=True, preset="external", seed=None, confidence_source="declared", device=""),
        make_record(
            "yolo11n",
            eval_set="ood",
            scores={"map_50_agnostic": 0.5, "detection_rate_triangle_25": 0.8, "detection_rate_25": 0.8},
            details=Details(confusion=confusion),
        ),
        make_record("yolo11n", eval_set="robustness", scores=robust, details=Details(corruptions=corrupted)),
    ]


def test_parts_of_a_page_with_everything(write, everything):
    page = write(*everything)
    assert page.sections() == [
        "models", "curves", "sizes", "classes", "modalities", "ood", "robustness", "images", "protocol", "provenance",
        "numbers",
    ]  # fmt: skip
    assert len(page.all("h1")) == 1
    ids = [element["attributes"]["id"] for element in page.elements if "id" in element["attributes"]]
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    targets = [element["attributes"]["href"] for element in page.all("a")]
    assert targets and {target[1:] for target in targets} == set(page.sections())
    charts = [each["attributes"] for each in page.all("svg") if each["attributes"].get("class") == "chart"]
    # Three curves, sizes in px and nm, and a chart for each corruption.
    assert len(charts) == 5 + CHARTED
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    assert all("scope" in each["attributes"] for each in page.all("th"))
    assert page.all("html")[0]["attributes"]["lang"] == "en"


def test_every_heading_and_word_is_explained(write, everything):
    page = write(*everything)
    wide = [each for each in page.all("table") if "sortable" in each["attributes"].get("class", "")]
    assert wide
    # Headings of the main table's columns, without the ends of their axes and their units.
    headings = {
        cell["attributes"]["data-column"]: cell
        for row in page.rows
        for cell in row["cells"]
        if cell["attributes"].get("title")
    }
    told = [each["text"] for each in page.elements if each["tag"] == "dt" and "details" in each["inside"]]
    meant = [each["text"] for each in page.elements if each["tag"] == "dd" and "details" in each["inside"]]
    assert len(told) == len(meant) and all(meant)
    assert headings and len(told) > len(headings)
    for cell in headings.values():
        assert cell["attributes"]["title"] in meant, cell["text"]
    assert {"preset, seed", "from scratch", "source group", "external"} <= set(told)
    assert not [text for text in meant if text.lower().startswith("the same")]


def test_tables_of_seeds_name_scores_and_round_them(write, scored):
    page = write(
        scored("yolo11n", 0.6), scored("yolo11n", 0.5, seed=1), scored("nsyolo", 0.4), scored("nsyolo", 0.45, seed=1)
    )
    heads = [row for row in page.rows if any(each["text"] == "SD, another seed" for each in row["cells"])]
    assert len(heads) == 1
    cells = [[each["text"] for each in row["cells"]] for row in page.rows]
    assert ["test", "YOLO11N", "quick", "AP50–95", "2", "0.5500", "0.0707"] in [row[:7] for row in cells]
    assert "map_50_95</td>" not in page.source.split('id="numbers"')[0]


def test_every_row_is_there_with_what_became_of_it(write, everything):
    page = write(*everything)
    _, yolo = page.row("YOLO11N")
    assert yolo[0] == "1" and yolo[2].startswith("0.600") and "reference" in yolo
    row, outside = page.row("CELLPOSE")
    assert outside[:2] == ["–", "CELLPOSE external"] and row["attributes"] == {"class": "external"}
    row, failed = page.row("UNET")
    assert failed == ["–", "UNET oom seed 0", "no memory for 12 GiB"] and row["attributes"] == {"class": "failed"}
    assert page.row("OTSU")[1][0] == "–"
    assert "seed 1" in page.source and "declared by those who handed in the predictions" in page.source


def test_an_interval_is_drawn_where_its_numbers_are(write, scored):
    record = scored("a", 0.5)
    scores = record.scores | {"map_50_95_lo": 0.25, "map_50_95_hi": 0.75}
    page = write(record.model_copy(update={"scores": scores, "details": Details()}))
    row, words = page.row("A")
    assert words[2] == "0.500 0.250 – 0.750"
    assert row["cells"][2]["attributes"]["data-sort"] == "0.5"
    # The axis ends at 0.75.
    drawn = [
        each["attributes"]["style"] for each in page.elements if each["tag"] in ("i", "b") and "td" in each["inside"]
    ]
    assert drawn[:2] == ["left:33.33%;width:66.67%;background:#3d8fd1", "left:66.67%;background:#3d8fd1"]


def test_nothing_is_loaded_from_elsewhere(write, everything):
    page = write(*everything)
    for element in page.elements:
        for name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
            address = element["attributes"].get(name)
            assert address is None or address.startswith(("#", "data:")), element
    assert not {"iframe", "object", "embed", "form"} & {element["tag"] for element in page.elements}
    style = "".join(element["text"] for element in page.all("style"))
    assert "url(" not in style and "@import" not in style
    (script,) = page.all("script")
    assert "src" not in script["attributes"] and not re.search(r"fetch|XMLHttp|import\(", script["text"])
    (policy,) = [each["attributes"]["content"] for each in page.all("meta") if "http-equiv" in each["attributes"]]
    digest = base64.b64encode(hashlib.sha256(script["text"].encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}'" in policy


def test_names_are_text_whatever_is_in_them(write, make_record):
    image = ImageResult(
        name=EVIL, instances_truth=1, instances_predicted=0, f1=0, pq=0, diameter_median_error_relative=None
    )
    result = ClassResult(map_50_95=0.1, map_50=0.2, map_75=0.1, instances_truth=3, precision_at_recall=())
    details = Details(
        classes={EVIL: result, "b": result},
        images=(image,),
        modalities={EVIL: {"images": 1, "map_50_95_agnostic": 0.1, "f1": 0.1}},
        confusion=Confusion(truth=(EVIL,), predicted=(EVIL,), counts=((1, 2), (3, 0))),
    )
    common = {"title": EVIL, "set_name": EVIL, "dataset": EVIL, "classes": (EVIL, "b"), "device": EVIL}
    common |= {"versions": {EVIL: EVIL}, "recipe": {EVIL: EVIL}, "initial_weights": EVIL}
    page = write(
        make_record("a", 0.1, details=details, preset=EVIL, **common),
        make_record("b", status="failed", reason=EVIL, scores={}, **common),
        make_record(EVIL, 0.1, eval_set="ood", scores={"map_50_agnostic": 0.1}, **common),
    )
    assert len(page.all("script")) == 1 and page.all("img") == []
    assert not [element for element in page.elements if any(name.startswith("on") for name in element["attributes"])]
    for tag in ("h1", "dd", "td", "th", "figcaption", "title"):
        assert any(EVIL in element["text"] for element in page.all(tag)), tag
    assert [json.loads(each["text"]) for each in page.all("pre")][:2] == [{EVIL: EVIL}] * 2


def test_a_single_record_is_a_page(write, make_record):
    page = write(make_record("a", 0.1))
    assert page.sections() == ["models", "images", "protocol", "provenance", "numbers"]
    assert page.row("A")[1][:3] == ["1", "A", "0.100"]


def test_only_failed_records_are_a_page(write, make_record):
    page = write(*(make_record(name, status="failed", reason=f"no {name}", scores={}, training=None) for name in "ab"))
    assert page.sections() == ["models", "images", "protocol", "provenance", "numbers"]
    assert page.row("A")[1] == ["–", "A failed", "no a"]
    assert page.row("B")[1] == ["–", "B failed", "no b"]


def test_records_of_another_eval_set_alone_are_a_page(write, make_record):
    page = write(make_record("a", eval_set="ood", scores={"detection_rate_25": 0.5}))
    assert page.sections() == ["models", "ood", "images", "protocol", "provenance", "numbers"]


def test_many_classes(write, make_record):
    classes = tuple(f"class {number:02d}" for number in range(60))
    result = ClassResult(map_50_95=0.1, map_50=0.2, map_75=0.1, instances_truth=3, precision_at_recall=())
    size = len(classes) + 1
    confusion = Confusion(truth=classes, predicted=classes, counts=((1,) * size,) * size)
    details = Details(classes=dict.fromkeys(classes, result), confusion=confusion)
    page = write(make_record("a", 0.1, classes=classes, details=details))
    widths = Counter(len(row["cells"]) for row in page.rows)
    assert widths[1 + len(classes) + 1] == 1 + len(classes) + 1  # the matrix, with its head and background
    assert widths[1 + len(classes)] == 2  # AP of each class: the head, and the model


def test_same_records_same_bytes_in_any_order(tmp_path, scored, make_record):
    records = [scored("a"), scored("b", seed=1), scored("b", 0.4), make_record("a", eval_set="ood", scores={})]
    pages = []
    for number, order in enumerate((records, records[::-1])):
        write_page(tmp_path / f"{number}.html", order, build_tables(order))
        pages.append((tmp_path / f"{number}.html").read_bytes())
    assert pages[0] == pages[1]


def test_without_images_the_page_says_how_to_get_them(write, make_record):
    page = write(make_record("a", 0.1, set_name="my set"))
    command = "nanoseg-bench leaderboard 'my set' --html --runs 'runs/my set'"
    assert command in [element["text"] for element in page.all("code")]


def test_one_group_is_no_groups(tmp_path, prepared_set, make_record):
    record = make_record("a", 0.1, images=1, set_hash=prepared_set.content_hash)
    pictures = open_pictures(prepared_set.root, tmp_path, [record])
    write_page(tmp_path / "page.html", [record], build_tables([record]), pictures)
    assert "<dd>1 test image of 1 source group</dd>" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_images_of_another_set_are_refused(tmp_path, make_record):
    write_json(tmp_path / "prepared.json", {"format": FORMAT, "name": "toy", "content_hash": "b" * 64})
    with pytest.raises(DatasetError, match="its content is bbbbbbbbbbbb, the records of toy were made on aaaaaaaaaaaa"):
        open_pictures(tmp_path, tmp_path, [make_record("a", 0.1)])
    with pytest.raises(UsageError, match=r"--runs .*none: no such folder"):
        open_pictures(tmp_path, tmp_path / "none", [make_record("a", 0.1, set_hash="b" * 64)])


PROBE = """
<script>
const body = document.querySelector("table.wide tbody");
const names = () => [...body.rows].map((row) => row.cells[1].dataset.sort);
const click = (words) => {
  const heading = [...document.querySelectorAll("table.wide th")].find((th) => th.innerText.startsWith(words));
  heading.querySelector("button").click();
  return [heading.getAttribute("aria-sort"), ...names()];
};
const found = { start: names(), once: click("AP"), twice: click("AP"), words: click("model") };
document.querySelector(".legend button").click();
found.faded = document.querySelectorAll("svg.chart .faded").length;
found.pressed = document.querySelectorAll('.legend button[aria-pressed="true"]').length;
found.width = document.documentElement.scrollWidth;
const scrolled = [...document.querySelectorAll(".scroll")].filter((part) => part.scrollWidth > part.clientWidth);
found.scrolled = scrolled.filter((part) => !part.closest("details")).map((part) => part.getAttribute("aria-label"));
document.body.innerHTML = "<output></output>";
document.querySelector("output").textContent = JSON.stringify(found);
</script>
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_in_a_browser_it_fits_and_sorts(tmp_path, everything):
    path = tmp_path / "page.html"
    write_page(path, everything, build_tables(everything))
    flags = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=1280,3000",
        f"--user-data-dir={tmp_path / 'b'}",
    )

    def browse(*more):
        shown = subprocess.run(
            [CHROMIUM, *flags, *more, path.as_uri()], capture_output=True, encoding="utf-8", timeout=300, check=True
        )
        return shown.stdout

    # Its own policy lets its script run.
    assert "<button" in browse("--dump-dom")
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", path.read_text(encoding="utf-8"))
    path.write_text(text.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    found = json.loads(re.search(r"<output>(.*)</output>", browse("--dump-dom"))[1])
    ordered = ["YOLO11N", "NSYOLO", "NSYOLO"]
    start = [name.split()[0] for name in found["start"]]
    assert start == ["CELLPOSE", *ordered, "OTSU", "UNET"]
    # No AP without classes and none of a failed run: they stay below, whichever way.
    assert [word.split()[0] for word in found["once"]] == ["descending", "CELLPOSE", *ordered, "OTSU", "UNET"]
    assert [word.split()[0] for word in found["twice"]] == ["ascending", *ordered[::-1], "CELLPOSE", "OTSU", "UNET"]
    assert [word.split()[0] for word in found["words"]] == [
        "ascending", "CELLPOSE", "NSYOLO", "NSYOLO", "OTSU", "YOLO11N", "UNET",
    ]  # fmt: skip
    assert found["faded"] > 0 and found["pressed"] >= 1
    assert found["width"] <= 1280 and found["scrolled"] == []


def test_what_does_not_compare_is_said_on_the_page(write, scored):
    """Two presets, two devices, a default confidence, and a model that finds one particle of 83."""
    point = {"confidence": 0.25, "source": "default", "reason": "val has no particle"}
    few = scored("a", 0.3).scores | {"recall": 1 / 83, "diameter_w1_px": None, "confidence": 0.25}
    page = write(
        scored("b", 0.6, preset="paper", device="GPU"),
        scored("yolo11n", 0.5),
        scored("a", 0.3, confidence_source="default", operating_point=point, scores=few | {"map_50_95": 0.3}),
    )
    words = " ".join(page.source.split())
    assert "<h3>preset paper</h3>" in words and "<h3>preset quick</h3>" in words
    assert "Ranks begin anew in each table" in words
    assert "Latency and training time stand in grey: the rows are of different devices" in words
    assert "its operating point is the default, since val cannot decide: val has no particle." in words
    (_, scores), (row, cells) = page.rows_of("A ")[:2]
    assert scores[1] == "A CPU"  # the preset stands above the table
    assert "0.250 default" in scores and "recall < 0.5" in cells
    times = [cell for cell in row["cells"] if "soft" in cell["attributes"].get("class", "").split()]
    assert [" ".join(cell["text"].split()) for cell in times] == ["1"]  # the training; no latency was measured
    alone = write(scored("a", 0.3)).source
    assert "Ranks begin anew" not in alone and "stand in grey" not in alone and "val cannot decide:" not in alone
