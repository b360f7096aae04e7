"""What is written lies elsewhere than what is read, or the next call would read its output."""

import os
from collections.abc import Mapping
from pathlib import Path

from nanoseg_bench.errors import UsageError

_FOLDER_FILES = (".yaml", ".yml")  # a file that stands for the folder around it


def require_apart(out: Path, inputs: Mapping[str, Path | None], what: str = "") -> None:
    """Refuse to write into a folder that is read, or over one; links are followed on both sides.

    Args:
        out: The folder to write.
        inputs: What is read, by its name in messages; None where it is not given. Files count only where they stand for
            the folder around them.
        what: Name of ``out`` in messages.

    Raises:
        UsageError: ``out`` is, lies inside or holds one of the inputs.
    """
    # Not Path.resolve, which ends in a RuntimeError at a link that leads round to itself.
    target = Path(os.path.realpath(out))
    for flag, path in inputs.items():
        if path is None:
            continue
        read = Path(os.path.realpath(path))
        folder = read.parent if read.suffix.lower() in _FOLDER_FILES and read.is_file() else read
        name = f"{flag} {path}".strip()
        if folder.is_dir() and target.is_relative_to(folder):
            raise UsageError(
                f"{what}{out}: lies inside {name}, and would be read next time; give a folder elsewhere, e.g. "
                f"{folder.with_name(f'{folder.name}-{target.name}') if folder.name else target}"
            )
        if read.is_relative_to(target):
            raise UsageError(f"{what}{out}: holds {name}, and would replace it; give a folder elsewhere")
