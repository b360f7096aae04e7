"""What README and docs/ show is run: every command line is parsed, README's are run, and so is all Python.

The commands stand in the documents as a user types them. The tests change three things, so that they take minutes:
LabelMe is not opened (``annotate`` only checks), ``run`` trains with the preset smoke instead of quick, and Ultralytics
trains for one epoch. Canvases are small.
"""

import importlib
import math
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from nanoseg_bench.annotations.raster import to_mask
from nanoseg_bench.cli import build_parser, main
from nanoseg_bench.models import CanvasImage, Recipe
from nanoseg_bench.preparation.set_names import dataset_name, set_name
from nanoseg_bench.synthesis.nanosynth import write_nanosynth

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PYTHON = ROOT / "docs" / "python.md"
PLUG_INS = ROOT / "docs" / "plug-ins.md"
DOCUMENTS = (
    README,
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "leaderboards" / "README.md",
    ROOT / "baselines" / "external.md",
)

MICROGRAPHS = "Gold März"
"""The folder of README: a space and an umlaut, as users have them."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^    (nanoseg-bench (?:.*\\\n)*.*)$", re.MULTILINE)  # a line may end with a backslash
_BLOCK = re.compile(r"^(?:    \S[^\n]*\n)+|^```\n.*?^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(nanoseg-bench [^`]+)`")
_CODE = re.compile(r"`([^`]+)`")
_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def text_of(document):
    return document.read_text(encoding="utf-8")


def prose(document):
    """The text without its fenced blocks."""
    return _FENCE.sub("", text_of(document))


def blocks(document, language):
    return [body for found, body in _FENCE.findall(text_of(document)) if found == language]


def commands(document):
    """Every command line of ours, in the order of the document."""
    text = prose(document)
    found = sorted((match.start(), match[1]) for pattern in (_INDENTED, _INLINE) for match in pattern.finditer(text))
    return [line for _, line in found]


def words(line):
    return shlex.split(line.replace("\\\n", " "), comments=True)[1:]


def flags_of(verb):
    """Those that its help shows."""
    actions = build_parser()._subparsers._group_actions[0].choices[verb]._actions
    return {flag for action in actions for flag in action.option_strings}


def anchors(document):
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in _HEADING.findall(prose(document))}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_line_is_understood(document, capsys):
    for line in commands(document):
        try:
            build_parser().parse_args(words(line))
        except SystemExit as end:
            pytest.fail(f"{line}\n{capsys.readouterr().err}") if end.code else None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_command_lines_are_spelt_as_help_spells_them(document):
    """Earlier spellings work, but nobody is to learn them."""
    for verb, *rest in map(words, commands(document)):
        assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= flags_of(verb), (verb, *rest)


def name_of_prepared(given):
    """What a ``prepare`` of these arguments calls its set."""
    own = given.folder or given.labelme or given.annotations
    called = dataset_name(own, given.dataset, given.name)
    return set_name(called, given.name, easy=given.easy, images=given.images, folds=given.folds, tile=given.tile)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_block_prepares_is_what_it_runs(document):
    for block in _BLOCK.findall(text_of(document)):
        lines = re.findall(r"^ *(nanoseg-bench .*)$", block.replace("\\\n", " "), re.MULTILINE)
        given = [build_parser().parse_args(words(line)) for line in lines if "SET" not in line]
        prepared = [name_of_prepared(each) for each in given if each.verb == "prepare"]
        if not prepared or not any(each.verb == "run" for each in given):
            continue
        named = [each.set for each in given if each.verb in ("run", "leaderboard") and "://" not in each.set]
        assert set(named) <= set(prepared), block


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_set_that_is_replaced_by_its_own_split_is_named(document):
    given = [build_parser().parse_args(words(line)) for line in commands(document)]
    for each in given:
        if each.verb == "prepare" and each.split_file is not None:
            assert each.split_file.parts[:2] == ("data", name_of_prepared(each)), each.split_file


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_published_files_that_are_named_are_there(document):
    for path in re.findall(r"leaderboards/(?:predictions|records)/emps/[\w+./-]*\w", text_of(document)):
        assert (ROOT / path).exists(), path


def test_the_documents_show_every_verb():
    shown = {words(line)[0] for document in DOCUMENTS for line in commands(document)}
    verbs = build_parser()._subparsers._group_actions[0].choices
    assert shown == set(verbs)


@pytest.mark.parametrize("document", DOCUMENTS[:-1], ids=lambda path: path.name)  # the last one shows others' flags
def test_every_flag_that_is_named_exists(document):
    verbs = build_parser()._subparsers._group_actions[0].choices
    known = {flag for verb in verbs for flag in flags_of(verb)}
    ours = {"nanoseg-bench", *verbs}
    code = [span for span in _CODE.findall(prose(document)) if span.startswith("--") or span.split()[0] in ours]
    assert set(_FLAG.findall(" ".join(code))) - known == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document):
    for target, anchor in _LINK.findall(prose(document)):
        linked = (document.parent / target).resolve() if target else document
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), f"{target}#{anchor}"


def test_readme_takes_two_screens():
    words = re.sub(r"<!-- results:begin -->.*<!-- results:end -->", "", text_of(README), flags=re.DOTALL)
    assert len(words.splitlines()) <= 100, "besides the tables, which have a line for each model"


def test_plug_in_options_stand_on_their_sides():
    from nanoseg_bench.models.recipe import Side

    space = {}
    exec(blocks(PLUG_INS, "python")[1], space)
    options = space["MyNet"].Options
    sides = {name: field.metadata[0] for name, field in options.model_fields.items() if name in ("depth", "margin")}
    assert sides == {"depth": Side.TRAINING, "margin": Side.PREDICTION}
    assert options().depth == 3


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A working directory with a few annotated micrographs, easy and small."""
    folder = tmp_path_factory.mktemp("desk")
    rendered = folder / "rendered"
    write_nanosynth(rendered, images=24, seed=3, ood_images=0, hrtem_images=0, easy=True)
    (folder / MICROGRAPHS).mkdir()
    for path in sorted(rendered.rglob("*-*-*.*")):
        path.rename(folder / MICROGRAPHS / path.name)
    return folder


def shortened(line):
    """The command as the test runs it; what it changes stands at the top of this file."""
    arguments = [word.replace("-quick-", "-smoke-") for word in words(line)]
    more = {"annotate": ["--check"], "run": ["--preset", "smoke"], "prepare": ["--size", "128", "--workers", "1"]}
    return arguments + [word for word in more.get(arguments[0], []) if word not in arguments]


def in_order(document):
    """The indented lines; those within sentences are examples of a way out."""
    return _INDENTED.findall(prose(document))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_readme_works_from_annotation_to_prediction(desk, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    lines = in_order(README)
    assert [words(line)[0] for line in lines][:4] == ["annotate", "prepare", "run", "predict"]
    assert any(MICROGRAPHS in word for word in words(lines[0]))
    for line in lines:
        code = main(shortened(line))
        told = capsys.readouterr()
        assert code == 0, f"{line}\n{told.out}\n{told.err}"
    assert (desk / "leaderboards" / "gold-test.csv").is_file()
    assert (desk / "found" / "predictions.json").is_file()
    assert len(list((desk / "found" / "overlay").iterdir())) == 24


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_python_examples_run(desk, monkeypatch):
    monkeypatch.chdir(desk)
    run = "runs/mine/otsu-smoke-seed0"
    first = sorted((desk / MICROGRAPHS).glob("*.png"))[0]
    (desk / "sample.png").write_bytes(first.read_bytes())
    (desk / "my_images").mkdir()
    (desk / "my_images" / "sample.png").write_bytes(first.read_bytes())
    assert main(["prepare", "--labelme", MICROGRAPHS, "--out", "data/mine", "--name", "mine", "--size", "128"]) == 0
    assert main(["run", "data/mine", "--models", "otsu", "--preset", "smoke"]) == 0
    assert main(["predict", "sample.png", "--model", run, "--out", "found-by-python"]) == 0
    for document in (README, PYTHON):
        for code in blocks(document, "python"):
            code = code.replace("epochs=100", "epochs=1, imgsz=64, batch=4, workers=0, device='cpu'")
            code = code.replace("found/predictions.json", "found-by-python/predictions.json")
            code = code.replace('name="gold"', 'name="gold", size=128').replace('"nsyolo", "unet", "otsu"', '"otsu"')
            done = subprocess.run([sys.executable, "-c", code], cwd=desk, capture_output=True, text=True, timeout=900)
            assert done.returncode == 0, f"{code}\n{done.stderr[-2000:]}"


@pytest.fixture
def my_net(tmp_path, monkeypatch):
    """The plug-in of docs/plug-ins.md as pip would leave it in site-packages."""
    text = text_of(PLUG_INS)
    site = tmp_path / "site"
    for path, body in re.findall(r"`my_net/([\w./-]+)`\n\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(body, encoding="utf-8")
    project = tomllib.loads((site / "pyproject.toml").read_text())["project"]
    (site / "my_net" / "__init__.py").touch()
    about = site / f"my_net-{project['version']}.dist-info"
    about.mkdir()
    about.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1.0\n")
    points = "".join(
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in entries.items())
        for group, entries in project["entry-points"].items()
    )
    about.joinpath("entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(site), os.environ.get("PYTHONPATH", ""))))
    importlib.invalidate_caches()
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_net"]:
        del sys.modules[name]


def test_the_threshold_of_the_documents_finds_a_disc_where_it_is():
    (code,) = [block for block in blocks(PLUG_INS, "python") if "threshold_li" in block]
    names = {}
    exec(code, names)
    recipe = Recipe(model="li", title="L", preset="smoke", canvas=128, images_seen=0)
    y, x = np.ogrid[:200, :400]
    pixels = np.where((x - 300) ** 2 + (y - 60) ** 2 < 20**2, 200, 40).astype(np.uint8)
    ((found,),) = names["Li"](recipe, ["particle"], 1).find_particles([CanvasImage.of_micrograph(pixels, 128)])
    mask = to_mask(found, 200, 400)
    assert mask[60, 300] and 0.9 < mask.sum() / (math.pi * 20**2) < 1.3
    assert found.label is None


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_plug_in_of_the_documents_is_trained_and_used(my_net, tiny_set, desk, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run, predict = in_order(PLUG_INS)
    arguments = [str(tiny_set) if word == "mine" else word for word in words(run) if word != "unet"]
    assert main([*arguments, "--runs", "runs/mine"]) == 0
    assert main([str(desk / MICROGRAPHS) if word == "my_images" else word for word in words(predict)]) == 0
    assert (tmp_path / "found" / "predictions.json").is_file()
