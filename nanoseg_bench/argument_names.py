"""Options of the command line as arguments of Python: what both refuse is told to each in its own words.

What is below the command line names its options, ``--group-by``; a function of the Python interface says ``group_by``.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from nanoseg_bench.errors import NanosegError

_ELSEWHERE = {"--on-error skip": "skip_faulty=True", "--from": "format", "--robustness": "robust_images"}
"""Where an argument is not called as its option is."""

_OPTION = re.compile(rf"`[^`]*`|nanoseg-bench [^;,]*|({'|'.join(_ELSEWHERE)})\b|(?<![\w-])--([a-z][a-z-]*)")
"""An option; or a command, in which options are what they are."""


def as_arguments(sentence: str) -> str:
    """A sentence that names arguments of Python in place of options; commands in it stay.

    Args:
        sentence: ``--group-by doi: ...``.
    """

    def spelt(match: re.Match[str]) -> str:
        if match[1] is not None:
            return _ELSEWHERE[match[1]]
        return match[0] if match[2] is None else match[2].replace("-", "_")

    return _OPTION.sub(spelt, sentence)


@contextmanager
def errors_name_arguments() -> Iterator[None]:
    """What is raised names arguments of Python; to decorate a function of the Python interface with."""
    try:
        yield
    except NanosegError as error:
        if error.args == (str(error),):  # others make their message of what they hold
            error.args = (as_arguments(str(error)),)
        raise
