"""The page in a real browser, with the real server and the shipped weights: what a person does, and what comes of it.

Chromium is the system's (``apt-get install chromium``). Without it these tests are skipped, except where
``NANOSEG_BENCH_CHROMIUM=required``, as in ``.ci/run``.
"""

import json
import math
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from shutil import which

import pytest

import nanoseg_bench

CHROMIUM = which("chromium") or which("chromium-browser")
REQUIRED = os.environ.get("NANOSEG_BENCH_CHROMIUM") == "required"
SHARED = Path(__file__).parents[2].parent / "shared" / "data"
EMPS = SHARED / "emps" / "images" / "2cd773d930.png"
LIST = SHARED / "list" / "image_c_01.png"
EXAMPLE = Path(nanoseg_bench.__file__).parent / "webapp" / "example" / "example.png"

pytestmark = pytest.mark.slow

if not REQUIRED:
    pytest.importorskip("playwright", reason="the extra test is not installed")
    pytest.importorskip("flask", reason="the extra app is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)", allow_module_level=True)

from playwright.sync_api import TimeoutError as PlaywrightTimeout  # noqa: E402
from playwright.sync_api import expect, sync_playwright  # noqa: E402

expect.set_options(timeout=60_000)

ANALYSED_MS = 240_000  # with one core for all
WIDTHS = {1280: 900, 390: 844}
THEMES = ("light", "dark")


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """The address of ``nanoseg-bench serve``."""
    command = [sys.executable, "-m", "nanoseg_bench", "serve", "--port", "0", "--no-browser"]
    folder = tmp_path_factory.mktemp("page")
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--data-dir", str(folder / "data")], stdout=subprocess.PIPE, stderr=log, text=True
        )
        told = process.stdout.readline()
        found = re.search(r"http://\S+", told)
        assert found, (told, (folder / "log.txt").read_text())
        yield found[0]
        process.terminate()
        process.wait(120)


@pytest.fixture(scope="module")
def chromium():
    assert CHROMIUM is not None, "Chromium is required here (apt-get install chromium)"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Troubles(list):
    """What the browser complained of: scripts that fail, and what the Content-Security-Policy refuses."""

    def watch(self, page):
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("console", lambda message: self.append(message.text) if message.type == "error" else None)
        page.on("requestfailed", lambda request: self._failed(request))

    def _failed(self, request):
        if request.failure != "net::ERR_ABORTED":
            self.append(f"{request.url}: {request.failure}")


@pytest.fixture(scope="module")
def analysed(chromium, url):
    """A session in which the example is analysed, as a cookie."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(url)
    page.get_by_role("button", name="Try the example").click()
    expect(page.locator("#figure-count .value")).to_have_text(re.compile(r"\d"), timeout=ANALYSED_MS)
    page.close()
    yield context.storage_state()
    context.close()


@pytest.fixture
def open_page(chromium, url, analysed):
    """Opens the page of that session, or of a new one, at a width and in a theme."""
    contexts, troubles = [], Troubles()

    def open_(width=1280, theme="light", fresh=False, **more):
        state = None if fresh else analysed
        size = {"width": width, "height": WIDTHS.get(width, 900)}
        context = chromium.new_context(
            viewport=size, color_scheme=theme, storage_state=state, accept_downloads=True, **more
        )
        contexts.append(context)
        page = context.new_page()
        troubles.watch(page)
        page.goto(url)
        expect(page.locator("body")).not_to_have_class("starting")
        if not fresh:
            expect(page.locator("#figure-d50 .more")).to_contain_text("–")  # its interval, which comes last
        return page

    open_.troubles = troubles
    yield open_
    for context in contexts:
        context.close()
    assert not troubles


def median_of(page):
    return float(page.locator("#figure-d50 .value").inner_text().split()[0])


def count_of(page):
    return int(page.locator("#figure-count .value").inner_text())


def centre_of(page, number):
    """Where a particle lies on the screen."""
    outline = page.locator(f'[data-number="{number}"]')
    expect(outline).to_be_visible()
    # An answer of the server draws the outlines anew: there may be none for a moment.
    box = next(each for each in (outline.bounding_box() for _ in range(100)) if each is not None)
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def wait_saved(page):
    expect(page.locator("#saved")).to_contain_text("saved")


def rows_of_word(path, *head):
    """The table of a Word report whose first row begins so: {first cell: [second, third]}."""
    from docx import Document

    tables = [[[cell.text for cell in row.cells] for row in table.rows] for table in Document(path).tables]
    (found,) = (table for table in tables if tuple(table[0][: len(head)]) == head)
    return {first: rest for first, *rest in found[1:]}


def test_a_click_before_the_page_listens_is_not_lost(chromium, url):
    context = chromium.new_context()
    page = context.new_page()
    held = []
    page.route("**/lang/en.json", lambda route: held.append(route))
    page.goto(url)
    example = page.locator("#choose-example")
    with pytest.raises(PlaywrightTimeout, match=r"inert|intercepts pointer events"):
        example.click(timeout=5_000)
    held[0].continue_()
    example.click()
    expect(page.locator("#strip .item")).to_have_count(1)
    context.close()


def test_a_list_that_comes_late_does_not_undo_a_later_one(chromium, url):
    context = chromium.new_context()
    page = context.new_page()
    page.goto(url)
    page.locator("#choose-example").click()
    expect(page.locator("#strip .item")).to_have_count(1)
    held = []
    page.route("**/micrographs", lambda route: held.append(route))
    page.evaluate(f"import('{url}static/js/uploads.js').then((uploads) => {{ uploads.poll(); uploads.poll(); }})")
    while len(held) < 2:
        page.wait_for_timeout(50)
    *early, late = held
    with page.expect_response("**/micrographs"):
        late.continue_()
    for each in early:
        each.fulfill(json={"micrographs": []})
    page.wait_for_timeout(300)
    expect(page.locator("#strip .item")).to_have_count(1)
    context.close()


def test_from_upload_to_word_by_mouse(open_page, tmp_path):
    page = open_page()
    page.locator("#files").set_input_files(EXAMPLE)
    expect(page.locator("#strip .told.done")).to_have_count(2, timeout=ANALYSED_MS)
    page.locator("#strip .open").nth(1).click()
    expect(page.locator("#figure-d50 .more")).to_contain_text("–")
    before = count_of(page)
    assert before > 20

    # The slider: fewer count, and what no longer counts is gone from the micrograph.
    page.locator("#confidence").fill("0.97")
    expect(page.locator("#figure-count .value")).not_to_have_text(str(before))
    assert count_of(page) < before
    expect(page.locator("#legend .unsure")).to_be_visible()
    page.locator("#filters-reset").click()
    expect(page.locator("#figure-count .value")).to_have_text(str(before))

    # Delete, undo, redo.
    first = page.locator(".outlines path.in").first.get_attribute("data-number")
    page.mouse.click(*centre_of(page, first))
    expect(page.locator("#selection")).to_contain_text(f"Particle {first}")
    page.keyboard.press("Delete")
    expect(page.locator("#figure-count .value")).to_have_text(str(before - 1))
    page.keyboard.press("Control+z")
    expect(page.locator("#figure-count .value")).to_have_text(str(before))
    page.locator("#do-redo").click()
    expect(page.locator("#figure-count .value")).to_have_text(str(before - 1))

    # Draw it again, corner by corner, where it was.
    page.locator("#show-left-out").click()
    x, y = centre_of(page, first)
    page.locator("#tool-draw").click()
    for dx, dy in ((-14, -14), (14, -14), (14, 14), (-14, 14), (-14, -14)):
        page.mouse.click(x + dx, y + dy)
    expect(page.locator("#selection")).to_contain_text("drawn by hand")
    expect(page.locator("#figure-count .value")).to_have_text(str(before))
    wait_saved(page)
    drawn = page.locator(".outlines .selected").get_attribute("data-number")
    size = page.locator("#selection .facts dd").first.inner_text()

    # Drag one of its corners out: it is larger then.
    page.keyboard.press("e")
    page.mouse.move(x + 14, y + 14)
    page.mouse.down()
    page.mouse.move(x + 30, y + 30, steps=4)
    page.mouse.up()
    expect(page.locator("#selection .facts dd").first).not_to_have_text(size)
    assert float(page.locator("#selection .facts dd").first.inner_text().split()[0]) > float(size.split()[0])
    page.keyboard.press("Escape")

    # The scale: twice the length of the bar, twice the sizes.
    scale, median = float(page.locator("#scale-value").inner_text()), median_of(page)
    page.locator("#scale-edit").click()
    bar = page.locator("#scale-bar-input")
    length, unit = bar.input_value().split()
    bar.fill(f"{2 * float(length):g} {unit}")
    bar.press("Enter")
    expect(page.locator("#scale-value")).not_to_have_text(f"{scale:g}")
    assert float(page.locator("#scale-value").inner_text()) == pytest.approx(2 * scale, rel=1e-3)
    expect(page.locator("#figure-d50 .value")).not_to_contain_text(f"{median:.4g}")
    assert median_of(page) == pytest.approx(2 * median, rel=1e-3)

    # The Word report has the numbers of the page, digit by digit.
    expect(page.locator("#figure-d50 .more")).to_contain_text("–")
    shown = {
        row.locator("th").inner_text().split("\n")[0].removesuffix("?").strip(): row.locator("td").all_inner_texts()
        for row in page.locator("#size-table tbody tr").all()
    }
    page.locator("#uncertainty summary").click()
    budget = {
        row.locator("th").inner_text(): row.locator("td").all_inner_texts()
        for row in page.locator("#uncertainty-table tbody tr").all()
    }
    count = page.locator("#figure-count .value").inner_text()
    page.locator("#operator").fill("A. Chemist")
    with page.expect_download(timeout=ANALYSED_MS) as download:
        page.locator("#download-word").click()
    path = tmp_path / "report.docx"
    download.value.save_as(path)
    told = rows_of_word(path, "Quantity", "Value")
    assert told.pop("Number of particles")[0] == count
    assert {name: [value, interval.replace(" to ", " – ")] for name, (value, interval) in told.items()} == shown
    assert budget == rows_of_word(path, "Source")
    expect(page.locator("#uncertainty summary")).to_contain_text(re.compile(r"± \d+\.?\d* nm, without calibration"))
    words = zipfile.ZipFile(path).read("word/document.xml").decode()
    assert "A. Chemist" in words
    assert drawn


@pytest.mark.skipif(not EMPS.is_file(), reason="shared/data/emps is not here")
def test_real_micrographs_are_pooled(open_page):
    page = open_page(fresh=True)
    page.locator("#files").set_input_files([EMPS, LIST])
    expect(page.locator("#strip .told.done")).to_have_count(2, timeout=ANALYSED_MS)
    counts = []
    for number in range(2):
        page.locator("#strip .open").nth(number).click()
        expect(page.locator("#micrograph-heading")).to_have_text([EMPS, LIST][number].name)
        expect(page.locator("body.stale")).to_have_count(0)
        expect(page.locator("#figure-d50 .more")).to_contain_text("–")
        counts.append(count_of(page))
    assert min(counts) > 3
    page.get_by_role("radio", name="All 2 images").check()
    expect(page.locator("#figure-count")).to_contain_text("of 2 images")
    page.locator("#strip input[type=checkbox]").first.uncheck()
    expect(page.locator("#figure-count .value")).to_have_text(str(counts[1]))
    page.reload()
    expect(page.locator("#strip input[type=checkbox]")).to_have_count(2)
    expect(page.locator("#strip input[type=checkbox]:checked")).to_have_count(1)


def test_all_of_it_by_keyboard(open_page):
    page = open_page()
    before = count_of(page)
    page.locator("#viewport").focus()
    page.keyboard.press("n")
    expect(page.locator("#announcer")).to_contain_text("Particle")
    page.keyboard.press("Shift+n")
    expect(page.locator("#selection")).to_contain_text("2 particles selected")
    page.keyboard.press("m")
    expect(page.locator("#selection")).to_contain_text("drawn by hand")
    page.keyboard.press("Control+z")
    expect(page.locator("#figure-count .value")).to_have_text(str(before))
    # Draw a square with the arrows.
    page.keyboard.press("d")
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"):
        for _ in range(2):
            page.keyboard.press(f"Shift+{key}")
        page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.locator("#selection")).to_contain_text("drawn by hand")
    # A corner of it, one step to the right.
    outline = page.locator(".outlines .selected").get_attribute("d")
    page.keyboard.press("e")
    page.keyboard.press(".")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator(".outlines .selected")).not_to_have_attribute("d", outline)
    page.keyboard.press("Escape")
    page.keyboard.press("Delete")
    expect(page.locator("#figure-count .value")).to_have_text(str(before))
    for _ in range(3):
        page.keyboard.press("Control+z")
    wait_or_clean(page)
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).not_to_be_visible()


def wait_or_clean(page):
    """All edits are taken back, and the server knows it."""
    expect(page.locator("#saved")).to_have_text("")


def test_a_line_splits_a_particle(open_page):
    page = open_page()
    before = count_of(page)
    first = page.locator(".outlines path.in").first.get_attribute("data-number")
    x, y = centre_of(page, first)
    box = page.locator(f'[data-number="{first}"]').bounding_box()
    page.mouse.click(x, y)
    page.keyboard.press("s")
    page.mouse.click(x, y - box["height"])
    page.mouse.click(x, y + box["height"])
    expect(page.locator("#figure-count .value")).to_have_text(str(before + 1))
    page.keyboard.press("Control+z")
    expect(page.locator("#figure-count .value")).to_have_text(str(before))
    wait_or_clean(page)


def delete_first(page):
    number = page.locator(".outlines path.in").first.get_attribute("data-number")
    page.mouse.click(*centre_of(page, number))
    page.keyboard.press("Delete")


def set_scale(page, value):
    page.locator("#scale-edit").click()
    page.locator("#scale-number-input").fill(value)
    page.keyboard.press("Enter")


def take_back(page):
    """No edits, whatever other tests left."""
    page.evaluate(
        """async () => {
          const { micrographs: [{ id }] } = await (await fetch("api/v1/micrographs")).json();
          const { revision } = await (await fetch(`api/v1/micrographs/${id}`)).json();
          const token = document.querySelector('meta[name="csrf-token"]').content;
          const headers = { "Content-Type": "application/json", "X-CSRF-Token": token };
          await fetch(`api/v1/micrographs/${id}/edits`,
            { method: "PUT", headers, body: JSON.stringify({ revision, edits: {} }) });
        }"""
    )


def test_the_slower_of_two_windows_is_told(open_page):
    first, second = open_page(), open_page()
    before = count_of(first)
    delete_first(first)
    wait_saved(first)
    delete_first(second)
    expect(second.locator("#alerts")).to_contain_text("changed in another window")
    expect(second.locator("#figure-count .value")).to_have_text(str(before - 1))
    expect(second.locator("#saved")).to_contain_text("1 edit, saved")
    take_back(second)
    assert all("409" in each for each in open_page.troubles)
    open_page.troubles.clear()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda route: route.abort(), "does not answer"),
        (lambda route: route.fulfill(status=503, json={"error": "the disk is full"}), "the disk is full"),
        (lambda route: route.fulfill(status=403, json={"error": "load the page again"}), "load the page again"),
    ],
    ids=["away", "trouble", "restarted"],
)
def test_edits_wait_for_a_server_that_cannot_take_them_now(open_page, answer, told):
    page = open_page()
    page.route("**/edits", answer)
    delete_first(page)
    expect(page.locator("#alerts")).to_contain_text(told)
    expect(page.locator("#saved")).to_have_text("Saving…")
    page.unroute("**/edits")
    wait_saved(page)
    take_back(page)
    assert all("ERR_FAILED" in each or "status of" in each for each in open_page.troubles)
    open_page.troubles.clear()


def test_an_edit_whose_answer_was_lost_is_no_other_windows(open_page):
    page = open_page()
    before = count_of(page)
    lost = []

    def lose_first(route):
        if lost:
            return route.continue_()
        lost.append(route.fetch().json())
        return route.abort()

    page.route("**/edits", lose_first)
    delete_first(page)
    expect(page.locator("#alerts")).to_contain_text("does not answer")
    delete_first(page)
    expect(page.locator("#saved")).to_contain_text("2 edits, saved")
    assert lost[0]["edited"] == 1, "the server had taken it"
    expect(page.locator("#alerts")).not_to_contain_text("another window")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    expect(page.locator("#figure-count .value")).to_have_text(str(before))
    wait_or_clean(page)
    assert all("ERR_FAILED" in each or "409" in each for each in open_page.troubles), open_page.troubles
    open_page.troubles.clear()


def hold_first(page, pattern):
    """A list that gets the first of the requests, which waits for its ``continue_``."""
    held = []
    page.route(pattern, lambda route: route.continue_() if held else held.append(route))
    return held


def test_edits_wait_until_a_scale_is_answered(open_unscaled):
    page = open_unscaled("discs.png")
    held = hold_first(page, "**/scale")
    set_scale(page, "2")
    while not held:
        page.wait_for_timeout(50)
    delete_first(page)
    page.wait_for_timeout(1000)  # longer than an edit is waited with
    expect(page.locator("#saved")).to_have_text("Saving…")
    held[0].continue_()
    expect(page.locator("#scale-value")).to_have_text("2")
    expect(page.locator("#saved")).to_contain_text("1 edit, saved")
    expect(page.locator("#alerts")).to_be_empty()
    page.locator("#do-undo").click()
    wait_or_clean(page)
    page.locator("#scale-edit").click()
    page.locator("#scale-reset").click()
    expect(page.locator("#scale-badge")).to_have_text("in px")


def test_an_edit_after_a_scale_whose_answer_was_lost_is_kept(open_unscaled):
    page = open_unscaled("discs.png")
    page.route("**/scale", lambda route: route.abort() if route.fetch().ok else route.continue_())
    set_scale(page, "2")
    expect(page.locator("#scale-number-wrong")).to_contain_text("does not answer")
    page.unroute("**/scale")
    delete_first(page)
    expect(page.locator("#saved")).to_contain_text("1 edit, saved")
    expect(page.locator("#scale-value")).to_have_text("2")
    expect(page.locator("#alerts")).to_be_empty()
    page.locator("#do-undo").click()
    wait_or_clean(page)
    page.locator("#scale-reset").click()
    expect(page.locator("#scale-badge")).to_have_text("in px")
    assert all("ERR_FAILED" in each or "409" in each for each in open_unscaled.troubles), open_unscaled.troubles
    open_unscaled.troubles.clear()


def draw_square(page):
    """Draws a square of 80 px of the screen, and selects it; (x, y) of its corners on the screen."""
    box = page.locator("#viewport").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    corners = [(x + dx, y + dy) for dx, dy in ((-40, -40), (40, -40), (40, 40), (-40, 40))]
    page.keyboard.press("d")
    for corner in (*corners, corners[0]):
        page.mouse.click(*corner)
    expect(page.locator("#selection")).to_contain_text("drawn by hand")
    wait_saved(page)
    return corners


def corners_of_selected(page):
    path = page.locator(".outlines .selected").get_attribute("d")
    return [tuple(map(float, pair.split())) for pair in re.findall(r"[\d.]+ [\d.]+", path)]


CORNERS = ".overlay .grip:not(.between)"


def test_a_new_corner_on_a_straight_edge_stays(open_page):
    page = open_page()
    (left, top), (right, _), *_ = draw_square(page)
    page.keyboard.press("e")
    expect(page.locator(CORNERS)).to_have_count(4)
    page.mouse.click((left + right) / 2, top)
    expect(page.locator(CORNERS)).to_have_count(5)
    page.wait_for_timeout(700)
    wait_saved(page)
    expect(page.locator(CORNERS)).to_have_count(5)
    page.keyboard.press("Control+z")
    expect(page.locator(CORNERS)).to_have_count(4)
    page.keyboard.press("Control+Shift+z")
    expect(page.locator(CORNERS)).to_have_count(5)
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    expect(page.locator(CORNERS)).to_have_count(5)
    # A drag that the browser breaks off changes nothing.
    before = corners_of_selected(page)
    grips = [each.get_attribute("cx") for each in page.locator(CORNERS).all()]
    page.mouse.move((left + right) / 2, top)
    page.mouse.down()
    page.mouse.move(left + 30, top - 30, steps=4)
    assert [each.get_attribute("cx") for each in page.locator(CORNERS).all()] != grips
    page.locator("#viewport").dispatch_event("pointercancel", {"pointerId": 1})
    assert [each.get_attribute("cx") for each in page.locator(CORNERS).all()] == grips
    page.mouse.up()
    assert corners_of_selected(page) == before
    wait_saved(page)
    take_back(page)


def test_an_answer_of_the_server_leaves_a_corner_in_the_hand(open_page):
    page = open_page()
    (left, top), (right, _), *_ = draw_square(page)
    page.keyboard.press("e")
    expect(page.locator(CORNERS)).to_have_count(4)
    square = corners_of_selected(page)
    held = hold_first(page, "**/edits")
    page.mouse.click((left + right) / 2, top)  # a fifth corner, between the first two
    while not held:
        page.wait_for_timeout(50)
    page.mouse.move(right, top)
    page.mouse.down()
    page.mouse.move(right + 10, top - 20, steps=4)
    with page.expect_response("**/edits"):
        held[0].continue_()
    page.wait_for_timeout(300)
    page.mouse.move(right + 20, top - 30, steps=4)
    page.mouse.up()
    wait_saved(page)
    found = corners_of_selected(page)
    assert len(found) == 5 and set(square) - set(found) == {square[1]}
    take_back(page)


@pytest.mark.parametrize("key", ["s", "d"])
def test_taking_back_points_takes_no_particle_out(open_page, key):
    page = open_page()
    number = page.locator(".outlines path.in").first.get_attribute("data-number")
    page.mouse.click(*centre_of(page, number))
    selected = page.locator(".outlines .selected")
    expect(selected).to_have_attribute("data-number", number)
    page.keyboard.press(key)
    box = page.locator("#viewport").bounding_box()
    page.mouse.click(box["x"] + 40, box["y"] + 40)
    expect(page.locator(".overlay .grip")).to_have_count(1)
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.keyboard.press("Backspace")
    expect(page.locator(".overlay .grip")).to_have_count(0)
    page.keyboard.press("Backspace")
    page.wait_for_timeout(300)
    expect(selected).to_have_attribute("data-number", number)
    wait_or_clean(page)
    # With the tool that selects, it is the same as Del.
    page.keyboard.press("Escape")
    page.keyboard.press("Backspace")
    expect(selected).to_have_count(0)
    page.keyboard.press("Control+z")
    wait_or_clean(page)


def test_shapes_that_an_image_lacks_count_in_others_as_before(open_page):
    page = open_page()
    answered, first = [], []

    def answer(route):
        if not first:
            first.append(route.fetch().text())
        found = json.loads(first[0])
        for change in answered:
            change(found)
        route.fulfill(json=found)

    page.route("**/sample/statistics", answer)
    boxes = page.locator(".group-filter")
    shown = boxes.evaluate_all("boxes => boxes.map((box) => box.value)")
    assert {"sphere", "rod"} <= set(shown) and "triangle" not in shown

    def asks_for(classes, action, intervals=False):
        """Requests of before may be under way: the one that follows names these classes."""

        def is_meant(request):
            asked = request.post_data_json if "sample/statistics" in request.url else None
            return asked and asked["intervals"] >= intervals and set(asked["filters"]["classes"] or ["all"]) == classes

        with page.expect_response(lambda each: is_meant(each.request)):
            action()

    others = {"sphere", "cube", "triangle", "pentagon", "other", "particle"}
    asks_for(others, page.locator('.group-filter[value="rod"]').uncheck)

    # As in an image of rods alone: the filter that leaves all of them out can be seen, and changed.
    def only_rods(found):
        for each in found["groups"]:
            each["found"] = each["name"] in ("all", "rod")

    answered.append(only_rods)
    page.locator("#confidence").fill("0.7")
    expect(boxes).to_have_count(1)
    expect(page.locator('.group-filter[value="rod"]')).not_to_be_checked()

    # As with a model of several classes: a choice among shapes says nothing of them.
    def with_classes(found):
        found["groups_from"] = "class"
        found["groups"] = [found["groups"][0]] + [
            {**each, "name": name, "found": True}
            for each, name in zip(found["groups"][1:], ("disc", "square"), strict=False)
        ]

    answered[:] = [with_classes]
    page.locator("#confidence").fill("0.6")
    expect(page.locator('.group-filter[value="disc"]')).to_be_checked()
    expect(page.locator('.group-filter[value="square"]')).to_be_checked()
    asks_for({"square", "particle"}, page.locator('.group-filter[value="disc"]').uncheck)
    # With intervals: no answer is on its way when the page is closed.
    asks_for({"all"}, page.locator('.group-filter[value="disc"]').check, intervals=True)


def test_fingers_zoom_select_and_draw(open_page):
    page = open_page(390, has_touch=True, is_mobile=True)
    number = page.locator(".outlines path.in").first.get_attribute("data-number")
    page.touchscreen.tap(*centre_of(page, number))
    expect(page.locator("#selection")).to_contain_text(f"Particle {number}")
    fingers = page.context.new_cdp_session(page)
    box = page.locator("#viewport").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def touch(kind, *points):
        spots = [{"x": x + dx, "y": y + dy, "id": number} for number, (dx, dy) in enumerate(points)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": spots})

    # Two fingers that part zoom in.
    before = int(page.locator("#zoom-level").inner_text().split()[0])
    touch("touchStart", (-20, 0), (20, 0))
    for far in (40, 60, 80):
        touch("touchMove", (-far, 0), (far, 0))
    touch("touchEnd")
    expect(page.locator("#zoom-level")).not_to_have_text(f"{before} %")
    assert int(page.locator("#zoom-level").inner_text().split()[0]) > 2 * before
    # One finger draws round a particle.
    page.locator("#tool-draw").tap()
    ring = [(40 * math.cos(angle / 4), 40 * math.sin(angle / 4)) for angle in range(25)]
    touch("touchStart", ring[0])
    for point in ring[1:]:
        touch("touchMove", point)
    touch("touchEnd")
    expect(page.locator("#selection")).to_contain_text("drawn by hand")
    # Chromium makes no click of a tap within a quarter of a second of the finger that drew; no hand is so fast.
    page.wait_for_timeout(400)
    page.locator("#do-undo").tap()
    wait_or_clean(page)


@pytest.fixture(scope="module")
def unscaled(chromium, url, unscaled_pngs):
    """A session with micrographs without a scale, as a cookie."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(url)
    page.locator("#files").set_input_files(
        [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in unscaled_pngs.items()]
    )
    expect(page.locator("#strip .told.done")).to_have_count(len(unscaled_pngs), timeout=ANALYSED_MS)
    yield context.storage_state()
    context.close()


@pytest.fixture
def open_unscaled(chromium, url, unscaled):
    """Opens one of its micrographs in the browser."""
    contexts, troubles = [], Troubles()

    def open_(name, **more):
        contexts.append(chromium.new_context(storage_state=unscaled, viewport={"width": 1440, "height": 900}, **more))
        page = contexts[-1].new_page()
        troubles.watch(page)
        page.goto(url)
        page.locator("#strip .open").filter(has_text=name).click()
        expect(page.locator("#micrograph-heading")).to_have_text(name)
        expect(page.locator("#scale-body")).not_to_have_text("Loading…")
        return page

    open_.troubles = troubles
    yield open_
    for context in contexts:
        context.close()
    assert not troubles


def test_without_a_scale_bar_the_page_says_what_to_do(open_unscaled):
    page = open_unscaled("discs.png")
    expect(page.locator("#scale-badge")).to_have_text("in px")
    expect(page.locator("#scale-body")).to_contain_text("No scale bar was found in this image")
    expect(page.locator("#scale-way-bar")).to_have_count(0)
    # Nothing is marked: the cursor is where a number can be typed at once.
    page.locator("#scale-edit").click()
    expect(page.locator("#scale-number-input")).to_be_focused()
    expect(page.locator("#scale-bar-input")).to_have_count(0)
    # Nobody knows whether 1,500 is 1.5 or 1500.
    page.locator("#scale-number-input").fill("1,500")
    page.keyboard.press("Enter")
    expect(page.locator("#scale-number-wrong")).to_contain_text("may be two numbers")
    expect(page.locator("#scale-badge")).to_have_text("in px")
    page.locator("#scale-cancel").click()
    expect(page.locator("#scale-edit")).to_be_focused()
    # A line along a bar that was overlooked.
    page.locator("#scale-way-draw").click()
    expect(page.locator("#tool-hint")).to_be_visible()
    box = page.locator("#viewport").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 60, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=4)
    page.mouse.up()
    expect(page.locator("#scale-line-input")).to_be_focused()
    zoom = int(page.locator("#zoom-level").inner_text().split()[0]) / 100
    page.keyboard.type("240 nm")
    page.keyboard.press("Enter")
    expect(page.locator("#scale-badge")).to_have_text("in nm")
    scale = float(page.locator("#scale-value").inner_text())
    assert scale == pytest.approx(240 / (120 / zoom), rel=0.02)
    # Nobody points more exactly than the screen shows: that is in the uncertainty.
    page.locator("#uncertainty summary").click()
    reading = page.locator("#uncertainty-table tr").filter(has_text="scale reading").locator("td").last
    expect(reading).to_contain_text("% of the scale")
    told = reading.inner_text()
    assert float(told.split()[0]) == pytest.approx(100 * 2**0.5 * math.hypot(0.35, 1 / zoom) / (120 / zoom), rel=0.05)

    # Another image of that size may take it over.
    page.locator("#strip .open").filter(has_text="more.png").click()
    twin = page.locator("#scale-twin-0")
    expect(twin).to_contain_text("discs.png")
    twin.click()
    expect(page.locator("#scale-value")).to_have_text(f"{scale:g}")
    expect(page.locator("#micrograph-heading")).to_have_text("more.png")
    expect(reading).to_have_text(told)

    # A person who wants pixels is not asked again, and can go back.
    page.locator("#scale-edit").click()
    page.locator("#scale-to-px").click()
    expect(page.locator("#scale-body")).to_contain_text("You chose to stay in pixels")
    expect(page.locator("#scale-way-draw")).to_have_count(0)
    page.locator("#scale-reset").click()
    expect(page.locator("#scale-way-draw")).to_be_visible()


def test_a_page_that_is_loaded_anew_shows_what_was_open(open_unscaled):
    page = open_unscaled("more.png")
    page.reload()
    expect(page.locator("#micrograph-heading")).to_have_text("more.png")


def test_one_scale_with_other_digits_is_offered_once(open_unscaled):
    page = open_unscaled("more.png")

    def with_scales(route):
        answer = route.fetch()
        found = answer.json()
        for each, scale in zip(found["micrographs"], (4.717, None, 4.7167), strict=True):
            each["nm_per_px"] = scale
        route.fulfill(response=answer, json=found)

    page.route("**/api/v1/micrographs", with_scales)
    page.reload()
    expect(page.locator("#scale-twin-0")).to_contain_text("4.717")
    expect(page.locator("#scale-twin-1")).to_have_count(0)


def test_whoever_changes_a_scale_second_sees_the_first_one(open_unscaled):
    first, second = open_unscaled("discs.png"), open_unscaled("discs.png")

    set_scale(first, "2")
    expect(first.locator("#scale-value")).to_have_text("2")
    set_scale(second, "3")
    expect(second.locator("#alerts")).to_contain_text("changed in another window")
    expect(second.locator("#scale-value")).to_have_text("2")
    second.locator("#scale-number-input").fill("3")
    second.keyboard.press("Enter")
    expect(second.locator("#scale-value")).to_have_text("3")
    second.locator("#scale-edit").click()
    second.locator("#scale-reset").click()
    expect(second.locator("#scale-badge")).to_have_text("in px")
    assert all("409" in each for each in open_unscaled.troubles)
    open_unscaled.troubles.clear()


def test_a_list_from_before_an_edit_does_not_undo_it(open_unscaled):
    page = open_unscaled("discs.png")
    card = page.locator("#strip .item").filter(has_text="discs.png").locator(".told")
    before = int(card.inner_text().split()[0])
    held = []

    def hold_first(route):
        if held:
            route.continue_()
        else:
            held.append((route, route.fetch().json()))

    page.route("**/api/v1/micrographs", hold_first)
    page.evaluate(f"import('{page.url}static/js/uploads.js').then((uploads) => {{ uploads.poll(); }})")
    while not held:
        page.wait_for_timeout(50)
    delete_first(page)
    wait_saved(page)
    expect(card).to_contain_text(f"{before - 1} particles")
    ((route, earlier),) = held
    with page.expect_response("**/api/v1/micrographs"):
        route.fulfill(json=earlier)
    page.wait_for_timeout(300)
    expect(card).to_contain_text(f"{before - 1} particles")
    take_back(page)


def test_a_scale_for_all_reaches_the_image_that_is_opened_meanwhile(open_unscaled):
    page = open_unscaled("discs.png")
    set_scale(page, "2")
    expect(page.locator("#scale-value")).to_have_text("2")
    held = hold_first(page, "**/scale")
    page.locator("#scale-all").click()
    while not held:
        page.wait_for_timeout(50)

    def open_(name):
        page.locator("#strip .open").filter(has_text=name).click()
        expect(page.locator("#micrograph-heading")).to_have_text(name)
        expect(page.locator("#scale-body")).not_to_have_text("Loading…")

    open_("bar.png")
    held[0].continue_()
    expect(page.locator("#scale-value")).to_have_text("2")
    for name in ("discs.png", "more.png", "bar.png"):  # as they were
        open_(name)
        expect(page.locator("#scale-value")).to_have_text("2")
        page.locator("#scale-edit").click()
        page.locator("#scale-reset").click()
        expect(page.locator("#scale-badge")).to_have_text("in px")


def test_the_numbers_follow_the_list_of_micrographs(open_unscaled, unscaled_pngs):
    page = open_unscaled("discs.png")
    page.get_by_role("radio", name="All 3 images").check()
    count = page.locator("#figure-count")
    expect(count).to_contain_text("of 3 images")
    # One that was analysed later.
    late = {"name": "late.png", "mimeType": "image/png", "buffer": unscaled_pngs["more.png"]}
    page.locator("#files").set_input_files([late])
    expect(page.locator("#strip .told.done")).to_have_count(4, timeout=ANALYSED_MS)
    expect(count).to_contain_text("of 4 images")
    # It is deleted in another window.
    page.evaluate(
        """async () => {
          const { micrographs } = await (await fetch("api/v1/micrographs")).json();
          const token = document.querySelector('meta[name="csrf-token"]').content;
          await fetch(`api/v1/micrographs/${micrographs.at(-1).id}`,
            { method: "DELETE", headers: { "X-CSRF-Token": token } });
        }"""
    )
    page.locator("#confidence").fill("0.6")
    expect(count).to_contain_text("of 3 images")
    expect(page.locator("#strip .item")).to_have_count(3)
    # The one that is shown is not among them.
    page.locator("#strip .item").filter(has_text="discs.png").locator("input[type=checkbox]").uncheck()
    expect(count).to_contain_text("of 2 images")
    expect(page.locator(".outlines path.out").first).to_be_visible()
    expect(page.locator(".outlines path.in")).to_have_count(0)
    page.mouse.click(*centre_of(page, page.locator(".outlines path.out").first.get_attribute("data-number")))
    expect(page.locator("#selection")).to_contain_text("left out: this image is not pooled")
    page.get_by_role("radio", name="This image").check()
    expect(page.locator(".outlines path.in").first).to_be_visible()
    # None is left at all.
    page.route("**/api/v1/micrographs", lambda route: route.fulfill(json={"micrographs": []}))
    page.evaluate(f"import('{page.url}static/js/uploads.js').then((uploads) => uploads.poll())")
    expect(page.locator("#workspace")).to_be_hidden()
    expect(page.locator("#figures")).not_to_contain_text(re.compile(r"\d"))
    assert all("404" in each for each in open_unscaled.troubles), open_unscaled.troubles
    open_unscaled.troubles.clear()


def test_a_bar_without_a_text_is_a_question(open_unscaled):
    page = open_unscaled("bar.png")
    expect(page.locator("#scale-body")).to_contain_text("90 px long, may be the scale bar")
    expect(page.locator("#scale-show")).to_be_visible()
    # Each way puts the cursor into its own field.
    page.locator("#scale-edit").click()
    expect(page.locator("#scale-number-input")).to_be_focused()
    page.locator("#scale-cancel").click()
    page.locator("#scale-way-bar").click()
    expect(page.locator("#scale-bar-input")).to_be_focused()
    page.keyboard.type("180 nm")
    page.keyboard.press("Enter")
    expect(page.locator("#scale-badge")).to_have_text("in nm")
    assert float(page.locator("#scale-value").inner_text()) == pytest.approx(2, rel=2e-3)
    # What a pixel spans is offered as no length of the bar.
    page.locator("#scale-edit").click()
    expect(page.locator("#scale-bar-input")).to_have_value("180 nm")
    page.locator("#scale-number-input").fill("4")
    page.keyboard.press("Enter")
    expect(page.locator("#scale-value")).to_have_text("4")
    expect(page.locator(".bar-text").first).to_have_text("scale bar?")
    page.locator("#scale-edit").click()
    expect(page.locator("#scale-bar-input")).to_have_value("")


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_without_a_scale(open_unscaled, theme):
    from axe_playwright_python.sync_playwright import Axe

    page = open_unscaled("bar.png", color_scheme=theme)
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("#confidence").fill("1")
    expect(page.locator("#figure-count .value")).to_have_text("0")
    _look(Axe(), page, "no scale, and no particle that counts")
    assert page.evaluate(_TOO_WIDE) == []


def test_where_no_particle_counts_the_page_says_what_to_do(open_page):
    page = open_page()
    page.locator("#confidence").fill("1")
    expect(page.locator("#figure-count .value")).to_have_text("0")
    expect(page.locator(".outlines path:not(.gone)")).to_have_count(0)
    page.locator("#none-show").click()
    expect(page.locator(".outlines path.unsure:not(.gone)").first).to_be_visible()
    expect(page.locator("#none-show")).to_have_count(0)
    page.locator("#none-confidence").click()
    expect(page.locator("#confidence")).to_be_focused()
    page.locator("#filters-reset").click()
    expect(page.locator("#none-confidence")).to_have_count(0)


@pytest.mark.parametrize("width", [390, 900])
def test_all_parts_are_one_press_away_on_a_small_screen(open_page, width):
    page = open_page(width)
    bar = page.locator("#jump")
    top = bar.bounding_box()["y"]
    for part in ("result", "scale", "filters", "charts", "downloads", "micrograph"):
        bar.locator(f'a[href="#{part}"]').click()
        heading = page.locator(f"#{part} h2").first
        for _ in range(600):  # it is scrolled to
            if 0 <= heading.bounding_box()["y"] < top / 2:
                break
            page.wait_for_timeout(100)
        else:
            pytest.fail(part)
        expect(bar.locator("[aria-current]")).to_have_attribute("href", f"#{part}")
    # What a filter does is seen beside it.
    bar.locator('a[href="#filters"]').click()
    before = count_of(page)
    page.locator("#min_diameter").fill(f"{median_of(page):g}")
    expect(page.locator("#figure-count .value")).not_to_have_text(str(before))
    assert 0 < count_of(page) < before
    expect(page.locator("#jump-figures")).to_contain_text(f"{count_of(page)} particles · D50 {median_of(page):g}")
    # Nothing at the end of the page hides below it.
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    foot = page.locator("#footer-text").bounding_box()
    assert foot["y"] + foot["height"] <= bar.bounding_box()["y"]


def test_on_a_wide_screen_there_is_no_such_bar(open_page):
    expect(open_page(1280).locator("#jump")).not_to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_lies_on_the_micrograph(open_page, width):
    """Scale bars stand in its corners."""
    page = open_page(width)
    covered = page.evaluate(
        """() => {
          const edges = (element) => element.getBoundingClientRect();
          const { left, top, right, bottom } = edges(document.querySelector("#viewport"));
          const corners = [[left + 3, top + 3], [right - 3, top + 3], [left + 3, bottom - 3], [right - 3, bottom - 3]];
          const covers = (box, [x, y]) => box.left <= x && x <= box.right && box.top <= y && y <= box.bottom;
          const inside = [...document.querySelectorAll(".stage > :not(#viewport)")].map((each) => [each, edges(each)])
            .filter(([, box]) => box.width > 1 && corners.some((corner) => covers(box, corner)));
          return inside.map(([each]) => each.id);
        }"""
    )
    assert covered == []
    zoom, viewport = (page.locator(name).bounding_box() for name in ("#zoom-level", "#viewport"))
    assert zoom["y"] + zoom["height"] <= viewport["y"]


def test_a_chart_picks_particles_out(open_page):
    page = open_page()
    plot = page.locator("#chart-sizes .plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 90, steps=4)
    page.mouse.up()
    found = page.locator(".outlines .brushed")
    expect(found.first).to_be_visible()
    number = found.count()
    assert 0 < number < count_of(page)
    expect(page.locator("#brush-text")).to_contain_text(f"{number} particle")
    expect(page.locator("#particle-table tbody tr")).to_have_count(number)
    # The same by typing.
    low, high = (page.locator(f"#sizes-{end}").input_value() for end in ("from", "to"))
    page.locator("#brush-clear").click()
    expect(page.locator(".outlines .brushed")).to_have_count(0)
    page.locator("#sizes-from").fill(low)
    page.locator("#sizes-to").fill(high)
    page.locator("#sizes-to").press("Enter")
    expect(page.locator(".outlines .brushed")).to_have_count(number)


def test_the_table_sorts_and_shows_what_is_selected(open_page):
    page = open_page()
    page.locator('[id^="sort-diameter"]').click()
    cells = page.locator('#particle-table td[data-column^="diameter"]')
    values = [float(text) for text in cells.all_inner_texts() if text]
    assert values == sorted(values)
    page.locator('[id^="sort-diameter"]').click()
    values = [float(text) for text in cells.all_inner_texts() if text]
    assert values == sorted(values, reverse=True)
    page.locator("#particle-table tbody tr").first.locator("td").nth(2).click()
    expect(page.locator(".outlines .selected")).to_have_count(1)


def test_what_cannot_be_read_says_why(open_page):
    page = open_page(fresh=True)
    files = [
        {"name": "=evil().png", "mimeType": "image/png", "buffer": b"no image"},
        {"name": "<img src=x onerror=alert(1)>.png", "mimeType": "image/png", "buffer": b"GIF89a"},
    ]
    page.locator("#files").set_input_files(files)
    expect(page.locator("#strip .told.failed")).to_have_count(2)
    expect(page.locator("#strip .name").nth(1)).to_have_text("<img src=x onerror=alert(1)>.png")
    page.get_by_role("button", name="2 could not be taken or analysed: show why").click()
    expect(page.get_by_role("button", name="Dismiss =evil().png")).to_be_focused()


def test_what_a_microscope_wrote_beside_an_image_goes_along_with_it(open_page):
    page = open_page(fresh=True)
    text = b"[SemImageFile]\r\nPixelSize=4.72\r\n"  # the bar says 4.717
    page.locator("#files").set_input_files(
        [
            {"name": "a.txt", "mimeType": "text/plain", "buffer": text},
            {"name": "a.png", "mimeType": "image/png", "buffer": EXAMPLE.read_bytes()},
            {"name": "b.txt", "mimeType": "text/plain", "buffer": text},
        ]
    )
    expect(page.locator("#strip .item.done")).to_have_count(1, timeout=ANALYSED_MS)
    expect(page.locator("#strip .told.failed")).to_have_text(re.compile("add both at once"))
    expect(page.locator("#scale-value")).to_have_text("4.72")


def test_a_cancelled_micrograph_stays_until_it_is_deleted(open_page):
    page = open_page(fresh=True)
    micrograph = {"mimeType": "image/png", "buffer": EXAMPLE.read_bytes()}
    page.locator("#files").set_input_files([{"name": f"{number}.png", **micrograph} for number in range(4)])
    last = page.locator("#strip .item").nth(3)
    expect(last).to_be_visible()
    page.evaluate("""() => {
        const strip = document.getElementById("strip");
        window.fewest = strip.children.length;
        const look = () => { window.fewest = Math.min(window.fewest, strip.children.length); };
        new MutationObserver(look).observe(strip, { childList: true });
    }""")
    last.get_by_role("button", name="Cancel 3.png").click()
    expect(last.locator(".told")).to_have_text("Cancelled")
    assert page.evaluate("window.fewest") == 4, "its card never went"
    last.get_by_role("button", name="Delete 3.png").click()
    expect(page.locator("#strip .item")).to_have_count(3)
    expect(page.locator("#strip .item.done")).to_have_count(3, timeout=120_000)


def test_a_request_that_fails_does_not_end_the_wait_for_the_model(chromium, url):
    context = chromium.new_context()
    page = context.new_page()
    answers = []

    def answer(route):
        about = route.fetch().json()
        answers.append(len(answers))
        if len(answers) == 2:
            route.abort()
        else:
            route.fulfill(json={**about, "model": about["model"] if len(answers) > 2 else None})

    page.route("**/about", answer)
    page.goto(url)
    expect(page.locator("#model-title")).to_contain_text("NSYOLO")
    assert len(answers) == 3
    context.close()


def test_another_language_is_one_file(chromium, url):
    """A file beside ``en.json``, which the server names in the page; here a browser gets both as if it were there."""
    context = chromium.new_context(locale="de-AT")
    page = context.new_page()

    def add_language(route):
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace('data-languages="en"', 'data-languages="de en"'))

    page.route(url, add_language)
    page.route("**/lang/de.json", lambda route: route.fulfill(json={"add.heading": "Aufnahmen hierher ziehen"}))
    page.goto(url)
    expect(page.locator("#add-heading")).to_have_text("Aufnahmen hierher ziehen")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("button", name="Choose a folder")).to_be_visible()  # not translated yet
    page.get_by_label("Language").select_option("en")
    expect(page.locator("#add-heading")).to_have_text("Drop micrographs here")
    context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing(open_page, width, theme):
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(width, theme, fresh=True)
    _look(Axe(), page, "the empty page")
    page = open_page(width, theme)
    page.locator("#scale-edit").click()
    page.locator("#viewport").focus()
    page.keyboard.press("n")
    for details in page.locator("details").all():
        details.evaluate("element => { element.open = true; }")
    _look(Axe(), page, "the result")
    assert page.evaluate(_TOO_WIDE) == []
    page.locator("#help-button").click()
    _look(Axe(), page, "the help")


_TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > innerWidth
    && !each.closest(".scroll, .strip, .scene")).map((each) => `${each.tagName}#${each.id}.${each.className}`)"""
"""What makes the page scroll sideways."""


def _look(axe, page, where):
    found = axe.run(page).response["violations"]
    assert not found, f"{where}: " + json.dumps(
        [{each["id"]: [node["html"] for node in each["nodes"]]} for each in found], indent=1
    )
