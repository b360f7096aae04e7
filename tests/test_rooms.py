"""The order of the rooms: a room imports rooms below it alone, so that each can be read without those above."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import nanoseg_bench

PACKAGE = Path(nanoseg_bench.__file__).parent

CONTRIBUTING = Path(__file__).resolve().parent.parent / "CONTRIBUTING.md"


def read_rooms():
    """Rooms from the lowest to the highest, as the table of CONTRIBUTING.md lists them."""
    _, _, table = CONTRIBUTING.read_text("utf-8").partition("| room | what is in it |")
    rows, _, _ = table.partition("\n\n")
    return tuple(room for row in rows.splitlines()[2:] for room in re.findall("`([a-z_]+)`", row.split("|")[1]))


ROOMS = read_rooms()
"""The modules that lie in no room (files, errors, ...) are below all of them."""


def room_of(path):
    """The room of a module of the package; None where it lies in none."""
    inside = path.relative_to(PACKAGE).parts
    return inside[0] if len(inside) > 1 else None


def modules_named(node):
    """Dotted names that an import may stand for: ``from a import b`` is a's or a module's."""
    if isinstance(node, ast.Import):
        return [each.name for each in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
    return []


@cache
def imported_rooms(text):
    """Rooms that a module imports anything of, also inside functions and for type checkers alone."""
    names = [name.split(".") for node in ast.walk(ast.parse(text)) for name in modules_named(node)]
    return {parts[1] for parts in names if parts[0] == "nanoseg_bench" and len(parts) > 1} & set(ROOMS)


@cache
def modules():
    return [path for path in sorted(PACKAGE.rglob("*.py")) if "_data" not in path.parts]


def test_every_room_has_its_place():
    found = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
    assert found == sorted(ROOMS)


def test_a_relative_import_stays_in_its_room():
    """It would go unseen here otherwise."""
    for path in modules():
        text = path.read_text("utf-8")
        if not re.search(r"\bfrom[\s\\]*\.", text):
            continue  # no relative import, and no need to parse all of it
        nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
        assert all(node.level < len(path.relative_to(PACKAGE).parts) for node in nodes), path


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_below_it(room):
    below = set(ROOMS[: ROOMS.index(room) + 1])
    upward = {
        (path.relative_to(PACKAGE).as_posix(), above)
        for path in modules()
        if room_of(path) == room
        for above in imported_rooms(path.read_text("utf-8")) - below
    }
    assert upward == set()


def test_tables_and_use_are_apart():
    """What makes the tables uses no model, and what uses a model needs no tables."""
    for room, other in (("leaderboard", "inference"), ("leaderboard", "explanation"), ("inference", "leaderboard")):
        inside = [path for path in modules() if room_of(path) == room]
        assert [path for path in inside if other in imported_rooms(path.read_text("utf-8"))] == []


def test_what_lies_in_no_room_imports_none():
    """But ``python -m nanoseg_bench``, which is the command line, and the public names, which are those of rooms."""
    found = {path.name: imported_rooms(path.read_text("utf-8")) for path in modules() if room_of(path) is None}
    above = {name: rooms for name, rooms in found.items() if rooms}
    assert set(above) == {"__main__.py", "__init__.py"}
    assert above["__main__.py"] == {"cli"} and "cli" not in above["__init__.py"]


def test_imports_of_every_kind_are_seen():
    text = (
        "import nanoseg_bench.models\n"
        "def f():\n    from nanoseg_bench import runs\n    from nanoseg_bench.cli.x import y\n"
    )
    assert imported_rooms(text) == {"models", "runs", "cli"}
