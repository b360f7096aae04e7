import ast
import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import nanoseg_bench
from nanoseg_bench.terminal import command_line, open_console

ODD = ("[/b]", "[x]", "[bold]rod[/bold]", ":gem:", r"\[a]", "[link=http://x]y[/link]")


def test_names_are_shown_as_they_are_wherever_they_stand(capsys):
    from rich.table import Table
    from rich.text import Text

    console = open_console(piped_width=200)
    for name in ODD:
        table = Table("split", name, title=f"title {name}", caption=f"caption {name}")
        table.add_row("train", f"cell {name}")
        console.print(table)
        console.print(f"text {name}")
        console.print(Text(f"dim {name}", style="dim"))
        shown = capsys.readouterr().out
        for place in ("title", "caption", "cell", "text", "dim"):
            assert f"{place} {name}" in shown
        assert shown.count(name) == 6


@pytest.mark.skipif(os.name == "nt", reason="POSIX terminals")
def test_a_progress_bar_shows_names_as_they_are():
    import pty

    ours, theirs = pty.openpty()
    code = (
        "from nanoseg_bench.progress import track\n"
        f"for name in {ODD!r}:\n    assert list(track(range(3), f'reading {{name}}')) == [0, 1, 2]\n"
    )
    environment = {**os.environ, "COLUMNS": "120", "TERM": "xterm"}
    process = subprocess.Popen([sys.executable, "-c", code], stderr=theirs, env=environment)
    os.close(theirs)
    parts = []
    with contextlib.suppress(OSError):  # how a terminal says that nobody writes to it any more
        while part := os.read(ours, 1 << 16):
            parts.append(part)
    os.close(ours)
    shown = b"".join(parts).decode()
    assert process.wait() == 0, shown
    for name in ODD:
        assert f"reading {name}" in shown


def _run_nodes(tree):
    """All nodes but what only type checkers read."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _run_nodes(node)


def _opens(node):
    openers = ("rich", "rich.console", "rich.progress", "rich.logging", "rich.markup")
    if isinstance(node, ast.Import):
        return any(each.name in openers for each in node.names)
    return isinstance(node, ast.ImportFrom) and node.module in openers and [each.name for each in node.names] != ["box"]


def test_no_other_module_opens_a_console():
    root = Path(nanoseg_bench.__file__).parent
    opening = set()
    for path in root.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "rich" in text and any(_opens(node) for node in _run_nodes(ast.parse(text))):
            opening.add(path.relative_to(root).as_posix())
    assert opening == {"terminal.py"}


def test_a_name_that_the_encoding_lacks_ends_no_command(tmp_path):
    code = (
        "from nanoseg_bench.terminal import print_any_name, open_console\n"
        "print_any_name()\nprint('Größe ≥ \\udcff')\nopen_console().print('Größe ≥ \\udcff')\n"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.stderr == ""
    assert done.stdout.count(r"Gr\xf6\xdfe \u2265 \udcff") == 2


@pytest.mark.parametrize(
    ("platform", "typed"),
    [("linux", "nanoseg-bench prepare 'my images'"), ("win32", 'nanoseg-bench prepare "my images"')],
)
def test_a_command_is_quoted_as_the_prompt_takes_it(monkeypatch, platform, typed):
    monkeypatch.setattr(sys, "platform", platform)
    assert command_line(["nanoseg-bench", "prepare", "my images"]) == typed
