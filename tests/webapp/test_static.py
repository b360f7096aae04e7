"""Files that the browser gets: other people's libraries as they were published, and a text for each key."""

import hashlib
import json
import re
from pathlib import Path

import pytest

import nanoseg_bench

WEBAPP = Path(nanoseg_bench.__file__).parent / "webapp"
STATIC = WEBAPP / "static"
VENDOR = STATIC / "vendor"
LIBRARIES = json.loads((VENDOR / "vendor.json").read_text())
TEXTS = json.loads((STATIC / "lang" / "en.json").read_text(encoding="utf-8"))

# Keys that are put together: `tool.${name}.how`.
_PARTS = {
    "count": r"particles",
    "charts": r"(sizes|aspect_ratios|circularity_area|confidence)(\.hint)?",
    "downloads": r"[a-z]+(\.title)?",
    "edit": r"(undone|redone)(\.none)?",
    "brush": r"(from|to)\.label",
    "filters": r"((min|max)_diameter(\.none)?|border\.(weight|exclude|keep))",
    "help": r"[0-9]",
    "keys": r".+",
    "origin": r"(changed|drawn)",
    "particle": r"(count|uncount|row)(\.title)?",
    "tool": r".+\.(title|how)|.+",
}


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda each: each["name"])
def test_libraries_are_as_published(library):
    assert set(library) == {"name", "version", "file", "sha256", "licence", "licence_file", "source"}
    content = (VENDOR / library["file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == library["sha256"]
    assert "Permission is hereby granted" in (VENDOR / library["licence_file"]).read_text()


def test_every_library_is_declared():
    declared = {each[key] for each in LIBRARIES for key in ("file", "licence_file")}
    assert {path.name for path in VENDOR.iterdir()} == declared | {"vendor.json"}


def scripts():
    return {path.name: path.read_text(encoding="utf-8") for path in sorted((STATIC / "js").glob("*.js"))}


def used_keys():
    """Texts that the template or a script names in full."""
    template = (WEBAPP / "templates" / "page.html").read_text(encoding="utf-8")
    keys = set(re.findall(r'data-t(?:-[a-z-]+)?="([^"{]+)"', template))
    for tool in re.findall(r"call tool\('[^']+', '([^']+)'", template):
        keys |= {tool, f"{tool}.title"}
    for text in scripts().values():
        keys |= set(re.findall(r'\b(?:t|hint)\("([^"]+)"', text))
    return keys


def test_every_text_that_is_shown_is_there():
    assert sorted(used_keys() - set(TEXTS)) == []


def test_every_text_is_used():
    """What nobody shows, nobody translates."""
    everywhere = "".join(scripts().values())
    unused = [
        key
        for key in TEXTS
        if not {key, key.removesuffix(".hint")} & used_keys()
        and f'"{key.removesuffix(".hint")}"' not in everywhere
        and not _is_put_together(key)
    ]
    assert unused == []


def _is_put_together(key):
    first, _, rest = key.partition(".")
    return first in _PARTS and re.fullmatch(_PARTS[first], rest) is not None


def test_plural_forms_are_whole():
    for key, text in TEXTS.items():
        if isinstance(text, dict):
            assert set(text) == {"one", "other"}, key


@pytest.mark.parametrize("name", scripts())
def test_scripts_write_no_html(name):
    """Names of files come from users, and the page's policy lets no inline style or script pass."""
    text = scripts()[name]
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\(\"style\""
    assert re.findall(forbidden, text) == []


def test_nothing_is_fetched_from_elsewhere():
    template = (WEBAPP / "templates" / "page.html").read_text(encoding="utf-8")
    for text in (template, (STATIC / "page.css").read_text(encoding="utf-8"), *scripts().values()):
        assert set(re.findall(r"https?://[^\s\"'`)]+", text)) <= {"http://www.w3.org/2000/svg"}
    assert "<style" not in template
    assert " style=" not in template
    assert re.findall(r"<script(?![^>]* src=)", template) == []
