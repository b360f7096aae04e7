import base64
import io
import re
from html.parser import HTMLParser
from importlib.resources import files

import jinja2
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from nanoseg_bench.leaderboard.grids import contrast
from nanoseg_bench.pages import data_uri, number, render, svg


def decode(uri):
    assert uri.startswith("data:image/webp;base64,")
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1])))


def noise(side, channels=3):
    return np.random.default_rng(0).integers(0, 256, (side, side, channels)).astype(np.uint8)


def figure(label="grün & <rot>"):
    made = Figure(figsize=(3, 2))
    axes = made.add_subplot()
    axes.plot([1, 2, 3], label=label, marker="o")
    axes.legend()
    return made


@pytest.mark.parametrize("shape", [(30, 50), (30, 50, 3)])
def test_a_picture_comes_back(shape):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    pixels = (rows * 2 + columns).astype(np.uint8)
    pixels = np.stack([pixels] * 3, axis=2) if len(shape) == 3 else pixels
    picture = decode(data_uri(pixels))
    assert picture.size == (50, 30)
    grey = np.asarray(picture.convert("L")).astype(int)
    assert abs(grey - (rows * 2 + columns)).mean() < 3


def test_a_picture_is_kept_small():
    free, limited = data_uri(noise(300)), data_uri(noise(300), 40_000)
    assert len(limited) < 40_000 * 4 / 3 + 100 < len(free)
    assert decode(limited).size == (300, 300)


def test_chart_is_one_svg_element_without_outside_references():
    text = str(svg(figure(), "one", 'the "first" <chart>'))
    assert text.startswith("<svg ")
    assert text.rstrip().endswith("</svg>")
    assert "grün &amp; &lt;rot&gt;" in text
    opening = text[: text.index(">") + 1]
    assert 'aria-label="the &#34;first&#34; &lt;chart&gt;"' in opening
    assert "viewBox=" in opening
    assert not re.search(r'\b(width|height)="', opening)
    assert "<metadata" not in text
    assert "<style" not in text
    # What is left of addresses are the names of name spaces, which nothing fetches.
    assert set(re.findall(r'([\w:]+)="https?://', text)) <= {"xmlns", "xmlns:xlink"}


def test_charts_of_one_page_share_no_id_and_keep_their_references():
    texts = [str(svg(figure(), name, "")) for name in ("one", "two")]
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in texts]
    assert ids[0]
    assert not ids[0] & ids[1]
    for text, own in zip(texts, ids, strict=True):
        used = set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text))
        assert used
        assert used <= own


def test_same_chart_same_bytes():
    assert svg(figure(), "one", "") == svg(figure(), "one", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (7, "7"), (1234567, "1\u202f234\u202f567"), (0.26842, "0.268"), (4.3801, "4.38"), (57.72, "57.7"),
     (523.4, "523"), (10693.2, "10\u202f693"), (0.00012, "0.00012"), (12.0, "12")],
)  # fmt: skip
def test_numbers(value, text):
    assert number(value) == text


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


def test_skeleton_holds_its_own_style_and_escapes():
    page = render("nanoseg_bench.pages", "page.html")
    assert "font-size" in page
    assert "<style>" in page
    assert not re.search(r"https?://|@import|<script|src=", page)
    text = jinja2.Environment(autoescape=True).from_string("{{ x }}").render(x="<b>")  # the reference for escaping
    assert text == "&lt;b&gt;"
    with pytest.raises(jinja2.TemplateNotFound):
        render("nanoseg_bench.pages", "nothing.html")


def test_words_are_readable_in_the_light_and_in_the_dark():
    style = (files("nanoseg_bench.pages") / "templates" / "style.css").read_text("utf-8")
    light, dark = (
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", each))
        for each in re.findall(r":root {(.*?)}", style, re.DOTALL)
    )
    assert light.keys() == dark.keys() and not light.items() & dark.items()
    pairs = [(ink, ground) for ink in ("ink", "soft", "link") for ground in ("ground", "panel")]
    pairs += [(each, f"{each}-ground") for each in ("good", "bad", "look")]
    pairs += [("ink", f"{each}-ground") for each in ("good", "bad", "look")] + [("soft", "bad-ground")]
    for theme in (light, dark):
        assert {pair for pair in pairs if contrast(theme[pair[0]], theme[pair[1]]) < 4.5} == set()
