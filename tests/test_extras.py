"""What is imported is declared, and what only some verbs need is missed by those alone."""

import ast
import json
import os
import sys
import tomllib
from functools import cache
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


@cache
def imports_of(path):
    """(dotted name, whether it is imported with the module) of all absolute imports of a file, which is read once."""
    found = []

    def look(node, at_once):
        at_once = at_once and not waits(node)
        if isinstance(node, ast.Import):
            found.extend((each.name, at_once) for each in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.append((node.module, at_once))
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.expr):  # an import is a statement
                look(child, at_once)

    look(ast.parse(path.read_text("utf-8")), True)
    return found


def test_imports_are_seen_wherever_they_stand(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        "import a.b, c\n"
        "if TYPE_CHECKING:\n    from d.e import f\n"
        "try:\n    import g\nexcept ImportError:\n    from h import i\n"
        "class J:\n    import k\n    def l(self):\n        with m:\n            import n.o\n"
        "match p:\n    case 1:\n        import q\n",
        encoding="utf-8",
    )
    at_once = {name for name, early in imports_of(path) if early}
    assert at_once == {"a.b", "c", "g", "h", "k", "q"}
    assert {name for name, _ in imports_of(path)} - at_once == {"d.e", "n.o"}


def test_every_package_that_is_imported_is_declared():
    """Not only there because another one happens to bring it."""
    declared, distributions = names_of(PROJECT["dependencies"]), packages_distributions()
    undeclared = {}
    for path in PACKAGE.rglob("*.py"):
        for name in {each.partition(".")[0] for each, _ in imports_of(path)}:
            if name in sys.stdlib_module_names or name == "nanoseg_bench" or name in {*EXTRAS, *WITH_TORCH}:
                continue
            if not declared & {canonicalize_name(each) for each in distributions.get(name, [name])}:
                undeclared[name] = str(path.relative_to(PACKAGE))
    assert undeclared == {}


def test_packages_of_extras_are_imported_only_where_they_are_needed():
    early = {
        (path.relative_to(PACKAGE).parts[0], name.partition(".")[0])
        for path in PACKAGE.rglob("*.py")
        for name, at_once in imports_of(path)
        if at_once and name.partition(".")[0] in EXTRAS
    }
    assert early == OF_ROOMS


def test_a_room_that_is_made_of_a_package_is_imported_where_it_is_needed():
    """But its settings, which need no package: the command line has their defaults in its help."""
    rooms = {room for room, _ in OF_ROOMS}
    early = {
        (path.relative_to(PACKAGE).parts[0], name)
        for path in PACKAGE.rglob("*.py")
        for name, at_once in imports_of(path)
        if at_once and [*name.split("."), ""][1] in rooms and name.startswith("nanoseg_bench.")
    }
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
    wanted = 'a plot needs gone, not installed here; run: pip install "nanoseg-bench[onnx]"; or read the table'
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
        ("predict", "images/a.png", "--model", "yolo11n", "--engine", "onnx"): (
            2,
            "onnxruntime",
            "onnx",
            "engine onnx",
        ),
        ("predict", "images/a.png", "--model", "network.onnx"): (2, "onnxruntime", "onnx", "network.onnx"),
        ("predict", "images/b.dm3", "--model", "yolo11n", "--engine", "torch"): (1, "rsciio", "em", "b.dm3"),
    }
    ends = without_extras(tmp_path, *cases)
    for (code, out, err), (command, (expected, package, extra, named)) in zip(ends, cases.items(), strict=True):
        told = out + err
        assert code == expected, (command, told)
        assert package in told and way_to(extra) in told and named in told, (command, told)
    assert not (tmp_path / "a.onnx").exists()
