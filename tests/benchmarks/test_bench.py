"""README's and docs' numbers are those of figures.json, and those of the published tables are up to date there."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

sys.path.insert(0, str(Path(__file__).parent))

import bench
from figure_list import FIGURES, MARKED, ROOT, adopt, documents, read_figures, write_documents, write_figures, written

FIGURE_LIST = read_figures(FIGURES)
DOCUMENTS = documents()
_COMMENT = re.compile(r"<!--(?:[a-z0-9.-]+|/)-->")


def script(*words):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, bench.__file__, *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=850)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_marked_numbers_are_those_of_the_figures(path):
    text = path.read_text(encoding="utf-8")
    assert len(_COMMENT.findall(text)) == 2 * len(MARKED.findall(text)), "a marker is not closed, or not opened"
    for name, shown in MARKED.findall(text):
        assert name in FIGURE_LIST, f"{name}: no figure; `make bench PARTS={name.split('.')[0]}` measures it"
        assert shown == str(FIGURE_LIST[name]), f"{name}: `make bench BENCH=--write` brings it up to date"


def test_readme_and_docs_show_figures():
    shown = {path.name: len(MARKED.findall(path.read_text(encoding="utf-8"))) for path in DOCUMENTS}
    assert shown["README.md"] >= 20
    assert shown["speed.md"] >= 8
    assert shown["using.md"] >= 9


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_markers_change_nothing_that_is_seen(path):
    """At the beginning of a line a comment would end the paragraph."""
    text = path.read_text(encoding="utf-8")
    markdown = MarkdownIt("commonmark").enable("table")
    assert _COMMENT.sub("", markdown.render(text)) == markdown.render(_COMMENT.sub("", text))


def test_a_marker_at_the_beginning_of_a_line_would_be_seen():
    markdown = MarkdownIt("commonmark").enable("table")
    text = "It takes\n<!--a.b-->7<!--/--> *minutes*.\n"
    assert _COMMENT.sub("", markdown.render(text)) != markdown.render(_COMMENT.sub("", text))


@pytest.mark.parametrize("name", FIGURE_LIST)
def test_every_figure_says_where_it_comes_from(name):
    figure = FIGURE_LIST[name]
    assert name.split(".")[0] in bench.PARTS
    assert figure.command
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", figure.date)
    assert figure.quiet is not False
    if figure.origin == "measured":
        assert figure.processor
    elif not figure.origin.startswith("document, "):
        assert (ROOT / figure.origin).is_file()


def test_the_published_tables_give_what_the_figures_hold():
    found = bench.measure("records", bench.EMPS, tiny=False, busy=False)
    kept = {name: each for name, each in FIGURE_LIST.items() if name.startswith("records.")}
    assert found == kept, "make bench PARTS=records"


def test_figures_are_kept_with_a_seal(tmp_path):
    path = tmp_path / "figures.json"
    write_figures(path, FIGURE_LIST)
    assert read_figures(path) == FIGURE_LIST
    path.write_text(path.read_text(encoding="utf-8").replace("7.5", "6.5"), encoding="utf-8")
    with pytest.raises(ValueError, match="not as it was written"):
        read_figures(path)


def test_documents_are_written_from_the_figures(tmp_path, capsys):
    path = tmp_path / "speed.md"
    text = (
        "| a | <!--speed.eager-->9.999 [9.1, 9.2]<!--/--> |\n\nAt <!--records.core-hours-->nine<!--/--> hours, 1.5.\n"
    )
    path.write_text(text, encoding="utf-8")
    write_documents(FIGURE_LIST, [path])
    eager, hours = FIGURE_LIST["speed.eager"], FIGURE_LIST["records.core-hours"]
    assert path.read_text(encoding="utf-8") == text.replace("9.999 [9.1, 9.2]", str(eager)).replace("nine", str(hours))
    assert str(path) in capsys.readouterr().out
    write_documents(FIGURE_LIST, [path])
    assert capsys.readouterr().out == ""
    with pytest.raises(KeyError, match=r"made\.up"):
        written("<!--made.up-->1<!--/-->", FIGURE_LIST)


def test_a_marked_number_without_a_figure_is_taken_as_it_stands():
    """As documents that are under version control have them."""
    path = ROOT / "docs" / "speed.md"
    names = ("speed.eager", "gpu.epoch-ours-gpu")
    without = {name: each for name, each in FIGURE_LIST.items() if name not in names}
    found = adopt(without, [path], tuple(bench.PARTS))
    shown = dict(MARKED.findall(path.read_text(encoding="utf-8")))
    assert {name: str(each) for name, each in found.items()} == {name: shown[name] for name in names}
    assert all(re.fullmatch(r"document, \d{4}-\d\d-\d\d", each.origin) for each in found.values())


def test_what_is_no_number_is_not_taken(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("<!--speed.eager-->fast<!--/-->", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"README.md: <!--speed.eager-->fast<!--/-->: no number"):
        adopt({}, [path], tuple(bench.PARTS))


def test_a_busy_machine_is_refused():
    spin = [sys.executable, "-c", "while True: pass"]
    before = FIGURES.read_bytes()
    spinning = [subprocess.Popen(spin) for _ in range(os.cpu_count() or 1)]
    try:
        time.sleep(0.5)
        done = script("--parts", "demo")
    finally:
        for each in spinning:
            each.kill()
            each.wait()
    assert done.returncode == 1
    assert re.search(r"demo: \d+% of the cores are busy, at most 10% may be", done.stderr)
    assert "--busy" in done.stderr
    assert FIGURES.read_bytes() == before


def test_the_parts_are_listed_and_a_misspelt_one_is_refused():
    listed = script("--list").stdout
    assert [line.split()[0] for line in listed.splitlines()] == list(bench.PARTS)
    refused = script("--parts", "record")
    assert refused.returncode == 2
    assert "record: no part; the parts are records, commands" in refused.stderr


def test_what_is_adopted_is_named():
    refused = script("--adopt")
    assert refused.returncode == 2
    assert "say by --parts of which parts" in refused.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_look_measures_and_touches_no_document():
    kept = [FIGURES, *DOCUMENTS]
    before = [path.read_bytes() for path in kept]
    done = script("--tiny", "--parts", "prepare,analyze")
    assert done.returncode == 0, done.stderr
    found = read_figures(bench.BUSY_FIGURES)
    assert {"prepare.one-worker", "prepare.speed-up", "analyze.find-particles", "analyze.word"} <= set(found)
    assert all(name in done.stdout and each.value > 0 and each.origin == "measured" for name, each in found.items())
    assert found["prepare.speed-up"].command.startswith(
        "python tests/benchmarks/bench_prepare.py --images 400 --pairs 5"
    )
    assert [path.read_bytes() for path in kept] == before
