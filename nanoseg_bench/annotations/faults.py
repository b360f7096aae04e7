"""Files that cannot be used: what became of each, and how it is reported."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nanoseg_bench.annotations.errors import NotAnAnnotationError
from nanoseg_bench.annotations.instance import Micrograph
from nanoseg_bench.errors import AnnotationError, NanosegError

_SHOWN = 10
_FAULTS_SHOWN = 5


@dataclass(frozen=True, eq=False, slots=True)
class Problem:
    """A micrograph that cannot be used.

    Attributes:
        name: ``Micrograph.name``.
        file: Where the fault is.
        error: What it is, with the way out.
        labels: Labels of its particles, where they could be read.
    """

    name: str
    file: Path
    error: NanosegError
    labels: frozenset[str] = frozenset()


class SeveralFaultsError(AnnotationError):
    """Several faults of one file, found at once.

    Args:
        path: The file.
        faults: What is wrong with it and the way out, each without the path.
    """

    def __init__(self, path: Path, faults: tuple[str, ...]) -> None:
        super().__init__(path, faults)  # as they are, or the error would not survive the way back from a worker
        self.path = path
        self.faults = faults

    def __str__(self) -> str:
        """The number of faults, and the first of them on a line each."""
        return self.tell(_FAULTS_SHOWN)

    def tell(self, most: int | None = None) -> str:
        """The number of faults, and the first ``most`` of them, or all, on a line each."""
        shown = self.faults[:most]
        if len(self.faults) == 1:
            return f"{self.path}: {self.faults[0]}"
        lines = [f"{self.path}: {len(self.faults)} faults:", *shown]
        if len(shown) < len(self.faults):
            lines.append(f"and {len(self.faults) - len(shown)} more")
        return "\n    ".join(lines)


class FaultyShapesError(SeveralFaultsError):
    """Shapes of an image that cannot be read, while the rest of it can.

    Args:
        path: The file.
        faults: What is wrong with each shape and the way out, without the path.
        rest: The micrograph without these shapes; lost where the error comes back from a worker.
    """

    def __init__(self, path: Path, faults: tuple[str, ...], rest: Micrograph | None = None) -> None:
        super().__init__(path, faults)
        self.rest = rest

    def __reduce__(self) -> tuple[Any, ...]:
        """Without the rest: outlines of thousands of particles are not sent along with a message."""
        return FaultyShapesError, (self.path, self.faults)


def refuse_shapes(path: Path, faults: Sequence[str], rest: Micrograph) -> None:
    """Raise what was found in the shapes of an image; nothing where that is nothing.

    Raises:
        FaultyShapesError: Holds the faults, and the micrograph without these shapes.
    """
    if faults:
        raise FaultyShapesError(path, tuple(faults), rest)


def refuse_faults(path: Path, faults: Sequence[str]) -> None:
    """Raise what was found in a file; nothing where that is nothing.

    Raises:
        AnnotationError: The only fault, or a SeveralFaultsError.
    """
    if faults:
        raise faults_error(path, faults)


def faults_error(path: Path, faults: Sequence[str]) -> AnnotationError:
    """The error that names all faults of a file, of which there is one at least."""
    if len(faults) == 1:
        return AnnotationError(f"{path}: {faults[0]}")
    return SeveralFaultsError(path, tuple(faults))


@dataclass(slots=True, kw_only=True)
class FaultReport:
    """What took no part, and why; the reports of ``convert`` and ``prepare`` build on it.

    Attributes:
        root: Folder that all files lie below; paths are written relative to it.
        problems: Files that cannot be used.
        passed_over: Files that are no annotations.
        unannotated: Images that no annotation names.
        of_files: Faults of files that annotate many images, which belong to none of the images.
    """

    root: Path
    problems: list[Problem] = field(default_factory=list)
    passed_over: list[Problem] = field(default_factory=list)
    unannotated: list[Path] = field(default_factory=list)
    of_files: list[Problem] = field(default_factory=list)

    @property
    def faults(self) -> list[Problem]:
        """All that is wrong: with files as a whole, then with single images."""
        return [*self.of_files, *self.problems]

    def add_problem(self, problem: Problem) -> None:
        """File a problem under ``problems`` or ``passed_over``."""
        other = isinstance(problem.error, NotAnAnnotationError)
        (self.passed_over if other else self.problems).append(problem)

    def refusal(self, path: Path, kind: type[NanosegError]) -> NanosegError:
        """The error to raise when nothing may be skipped: the only fault itself, or a list of the first ten.

        Args:
            path: Where the complete list was written.
            kind: Class of the error that lists several.
        """
        faults = self.faults
        if len(faults) == 1:
            return faults[0].error
        shown = "\n".join(f"  {problem.error}" for problem in faults[:_SHOWN])
        more = f"\n  and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        return kind(
            f"{len(faults)} files cannot be used:\n{shown}{more}\n"
            f"All of them are in {path}. Mend them, or give --on-error skip to go on without them"
        )

    def _rows(self, problems: Sequence[Problem]) -> list[dict[str, str]]:
        rows = [
            {"file": self._relative(problem.file), "message": self._shorten(_message(problem.error))}
            for problem in problems
        ]
        return sorted(rows, key=lambda row: (row["file"], row["message"]))

    def _relative(self, path: Path) -> str:
        return _storable(path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.name)

    def _shorten(self, message: str) -> str:
        """The message without the folder, so that the report is the same wherever the data lie."""
        if self.root == Path():
            return _storable(message)
        # Not inside of a longer path: the root may be "data", and a file lie in /big/data.
        folder = re.escape(f"{self.root}{os.sep}")
        return _storable(re.sub(rf"(?<![^\s\"'(]){folder}", "", message))


def _message(error: NanosegError) -> str:
    """All of it: a report is read when everything is to be mended."""
    return error.tell() if isinstance(error, SeveralFaultsError) else str(error)


def _storable(text: str) -> str:
    """The text, with what UTF-8 does not hold as an escape: names of files may be in another encoding."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def common_root(paths: Iterable[Path]) -> Path:
    """The folder that all files lie below."""
    try:
        # Texts, not Paths: there may be ten thousand.
        return Path(os.path.commonpath([os.path.dirname(path) for path in paths]))  # noqa: PTH120
    except ValueError:  # other drives of a Windows machine, or no file at all
        return Path()
