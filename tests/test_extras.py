"""What is imported is declared, and what only some verbs need is missed by those alone."""

import ast
import json
import os
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pytest
from command_process import command_process
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

import nanoseg_bench
from nanoseg_bench.errors import MissingExtraError
from nanoseg_bench.extras import EXTRAS, require_packages, way_to

PACKAGE = Path(nanoseg_bench.__file__).parent
PROJECT = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["project"]

WITH_TORCH = {"triton"}
"""torch brings it where it can compile for a GPU; ``nsyolo.snake`` does without it elsewhere."""


OF_ROOMS = {("webapp", "flask"), ("webapp", "werkzeug")}
"""A room that is made of a package: what imports the room does so inside a function, behind ``require_packages``."""


def names_of(requirements):
    return {canonicalize_name(Requirement(each).name) for each in requirements}


def waits(node):
    """Whether what is imported inside is not imported with the module: a function, or what only type checkers read."""
    for_types = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return isinstance(node, ast.FunctionDef) or for_types


def imports_of(path):
    """(top-level name, whether it is imported with the module) of all absolute imports of a file."""
    tree = ast.parse(path.read_text("utf-8"))
    within = {id(node) for each in ast.walk(tree) if waits(each) for node in ast.walk(each)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        else:
            continue
        yield from ((name.partition(".")[0], id(node) not in within) for name in names)


def test_every_package_that_is_imported_is_declared():
    """Not only there because another one happens to bring it."""
    declared, distributions = names_of(PROJECT["dependencies"]), packages_distributions()
    undeclared = {}
    for path in PACKAGE.rglob("*.py"):
        for name, _ in imports_of(path):
            if name in sys.stdlib_module_names or name == "nanoseg_bench" or name in {*EXTRAS, *WITH_TORCH}:
                continue
            if not declared & {canonicalize_name(each) for each in distributions.get(name, [name])}:
                undeclared[name] = str(path.relative_to(PACKAGE))
    assert undeclared == {}


def test_packages_of_extras_are_imported_only_where_they_are_needed():
    early = {
        (path.relative_to(PACKAGE).parts[0], name)
        for path in PACKAGE.rglob("*.py")
        for name, at_once in imports_of(path)
        if at_once and name in EXTRAS
    }
    assert early == OF_ROOMS


def test_a_room_that_is_made_of_a_package_is_imported_where_it_is_needed():
    """But its settings, which need no package: the command line has their defaults in its help."""
    rooms = {room for room, _ in OF_ROOMS}
    early = set()
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        within = {id(node) for each in ast.walk(tree) if waits(each) for node in ast.walk(each)}
        for node in ast.walk(tree):
            parts = (node.module or "").split(".") if isinstance(node, ast.ImportFrom) else []
            if parts[:1] == ["nanoseg_bench"] and len(parts) > 1 and parts[1] in rooms and id(node) not in within:
                early.add((path.relative_to(PACKAGE).parts[0], node.module))
    assert {each for each in early if each[0] not in rooms} == {("cli", "nanoseg_bench.webapp.settings")}


def test_the_extras_are_those_of_the_package():
    declared = PROJECT["optional-dependencies"]
    packages = {"docx": "python-docx", "pptx": "python-pptx", "rsciio": "rosettasciio", "sklearn": "scikit-learn"}
    ours = {(extra, packages.get(name, name)) for name, extra in EXTRAS.items()}
    brought = {extra: names_of(declared[extra]) - {"nanoseg-bench"} for extra in EXTRAS.values()}
    assert ours == {(extra, name) for extra, names in brought.items() for name in names}
    (everything,) = map(Requirement, declared["all"])
    assert everything.extras == set(EXTRAS.values()) - {"ray"}, "Ray is large, and for servers"
    assert not names_of(PROJECT["dependencies"]) & {name for _, name in ours}


def test_only_what_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(EXTRAS, "gone", "onnx")
    require_packages("a plot", "numpy")
    with pytest.raises(MissingExtraError) as told:
        require_packages("a plot", "numpy", "gone", otherwise="or read the table")
    wanted = "a plot needs gone, not installed here; run: pip install 'nanoseg-bench[onnx]'; or read the table"
    assert str(told.value) == wanted


HIDE = """
import sys
from importlib.machinery import PathFinder


class WithoutExtras(PathFinder):
    '''What pip finds where no extra was installed: neither the packages nor their versions.'''

    hidden = {hidden!r}

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in cls.hidden else super().find_spec(name, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutExtras
"""


@pytest.fixture(scope="module")
def without_extras(tmp_path_factory):
    """call(folder, commands) where no extra is installed: the end of each."""
    root = tmp_path_factory.mktemp("without extras")
    # Python imports it at each start, also in the processes of runs.
    (root / "sitecustomize.py").write_text(HIDE.format(hidden={*EXTRAS, "PyQt5", "osam"}))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(root), str(PACKAGE.parent))),
        "XDG_CACHE_HOME": str(root / "cache"),
        "QT_QPA_PLATFORM": "offscreen",
    }
    with command_process(environment) as run:
        yield lambda folder, *commands: [run(folder, *command) for command in commands]


def test_the_main_job_needs_no_extra(without_extras, tmp_path):
    pixels = np.full((120, 160), 50, np.uint8)
    pixels[40:80, 50:100] = 200
    Image.fromarray(pixels).save(tmp_path / "sample.png")
    small = ("--easy", "--images", "12", "--size", "64", "--augment-copies", "0", "--workers", "1")
    verbs = without_extras(
        tmp_path,
        ("prepare", *small, "--out", "set"),
        ("run", "set", "--models", "otsu", "--preset", "smoke", "--device", "cpu", "--runs", "runs"),
        ("leaderboard",),
        ("predict", "sample.png", "--model", "runs/otsu-smoke-seed0", "--out", "by-otsu"),
        ("predict", "sample.png", "--model", "yolo11n", "--out", "by-yolo", "--device", "cpu"),
        ("annotate", "set-source", "--classes", "rod", "--check"),
    )
    for code, out, err in verbs[:-1]:
        assert code == 0, out + err
    logged = verbs[4].err
    assert list((tmp_path / "leaderboards").glob("*-test.csv"))
    assert "YOLO11n" in logged and "predicts in PyTorch" in logged and way_to("onnx") in logged
    assert json.loads((tmp_path / "by-yolo" / "predictions.json").read_text("utf-8"))["images"]
    assert "LabelMe files" in verbs[-1][1]


def test_what_needs_an_extra_names_it(without_extras, tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("L", (60, 40), 90).save(tmp_path / "images" / "a.png")
    (tmp_path / "network.onnx").write_bytes(b"a graph")
    (tmp_path / "images" / "b.dm3").write_bytes(b"\0\0\0\3")
    cases = {
        ("annotate", "images", "--classes", "rod"): (2, "labelme", "annotate", "--check"),
        ("export", "yolo11n", "--to", "onnx", "--out", "a.onnx"): (2, "onnx and onnxruntime", "onnx", "--to onnx"),
        ("predict", "images/a.png", "--model", "yolo11n", "--engine", "onnx"): (2, "onnxruntime", "onnx", "--engine"),
        ("predict", "images/a.png", "--model", "network.onnx"): (2, "onnxruntime", "onnx", "network.onnx"),
        ("predict", "images/b.dm3", "--model", "yolo11n", "--engine", "torch"): (1, "rsciio", "em", "b.dm3"),
    }
    ends = without_extras(tmp_path, *cases)
    for (code, out, err), (command, (expected, package, extra, named)) in zip(ends, cases.items(), strict=True):
        told = out + err
        assert code == expected, (command, told)
        assert package in told and way_to(extra) in told and named in told, (command, told)
    assert not (tmp_path / "a.onnx").exists()
