"""The one place where texts meet the terminal: class and file names are shown as they are, whatever stands in them.

Rich takes ``[b]`` for markup and ``:gem:`` for a picture; none of our texts is meant that way. What is to have a
style is a ``rich.text.Text``.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def open_console(*, piped_width: int | None = None, soft_wrap: bool = False) -> "Console":
    """A console on standard output.

    Args:
        piped_width: Characters per line where nobody looks at a terminal and COLUMNS does not say; by default 80.
        soft_wrap: Let the terminal break long lines.
    """
    from rich.console import Console

    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=soft_wrap)
    if piped_width is not None and not console.is_terminal and not os.environ.get("COLUMNS", "").isdigit():
        console.width = piped_width
    return console


def print_sentence(text: str) -> None:
    """Print a sentence: at a terminal broken between words, in a pipe as one line.

    Not for commands and paths, which are to be copied whole.
    """
    console = open_console()
    console.print(text, soft_wrap=not console.is_terminal)


def open_progress() -> "Progress":
    """A progress bar on standard error that goes when it is done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=Console(stderr=True, markup=False, emoji=False, highlight=False),
        transient=True,
    )


def command_line(words: Sequence[str]) -> str:
    """A command as it is typed at this system's prompt; Windows' knows no single quotes."""
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def print_any_name() -> None:
    """Let ``print`` write what the terminal's encoding lacks as an escape: a file's name must not end a command."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a test's stand-in may have none
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
