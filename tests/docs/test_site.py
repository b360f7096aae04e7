"""The documentation as a site: every page and link is there, and nothing is loaded from elsewhere."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import nanoseg_bench

ROOT = Path(__file__).resolve().parents[2]

for package in ("mkdocs", "material", "mkdocstrings", "nbformat"):
    pytest.importorskip(package, reason=f"needs the extra docs: {package}")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}


class _Page(HTMLParser):
    """What a page loads, and the ids that can be linked to."""

    def __init__(self, path):
        super().__init__()
        self.loaded, self.ids = [], set()
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids.add(attributes.get("id"))
        if attributes.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.append(attributes.get(_LOADS.get(tag, "")))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Built without network: a proxy that is not there would refuse."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    nowhere = "http://127.0.0.1:9"
    # As in the Makefile: without it the theme prints a notice about another version of MkDocs at times.
    environment = {"PATH": "/usr/bin:/bin", "https_proxy": nowhere, "http_proxy": nowhere, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "WARNING" not in done.stderr
    return folder


def test_pages_lie_as_in_the_repository(site):
    documents = [ROOT / "CONTRIBUTING.md", ROOT / "leaderboards" / "README.md", *(ROOT / "docs").rglob("*.md")]
    for path in [*documents, *(ROOT / "docs").glob("*.ipynb")]:
        page = path.relative_to(ROOT).with_suffix(".html")
        assert (site / (page.with_name("index.html") if page.stem == "README" else page)).is_file(), page
    assert "Four commands" in (site / "index.html").read_text(encoding="utf-8")


def test_nothing_is_loaded_from_elsewhere(site):
    pages = [_Page(path) for path in site.rglob("*.html")]
    loaded = {target for page in pages for target in page.loaded if target}
    assert any(target.endswith(".css") for target in loaded)
    assert [target for target in loaded if re.match(r"(https?:)?//", target)] == []
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_the_reference_has_every_public_name(site):
    page = _Page(site / "docs" / "api" / "index.html")
    inference = _Page(site / "docs" / "api" / "inference.html")
    for name in set(nanoseg_bench.__all__) - {"__version__"}:
        assert {f"nanoseg_bench.{name}"} & (page.ids | inference.ids), name
    assert "by default 5.861 per original" in page.text  # from a docstring
