"""What a command reads must be there."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from nanoseg_bench.cli.nearest import nearest_path
from nanoseg_bench.errors import UsageError


def require_there(inputs: Mapping[str, Path | Sequence[Path] | None], hint: str = "") -> None:
    """Refuse a file or folder that is not there, before any work is done.

    Args:
        inputs: What is read, by its name in messages; empty for what needs none.
        hint: What to give, where no path is near to what was given.

    Raises:
        UsageError: One is missing; the nearest path is offered.
    """
    for flag, given in inputs.items():
        for path in [] if given is None else [given] if isinstance(given, Path) else given:
            if path.exists():
                continue
            from nanoseg_bench.files import broken_link

            near = nearest_path(path)
            meant = f"; did you mean {str(near)!r}?" if near is not None else f"; {hint}" if hint else ""
            reason = broken_link(path) or f"no such file or folder{meant}"
            raise UsageError(f"{flag} {path}: {reason}".strip())
