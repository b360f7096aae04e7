"""Options of the command line as arguments of Python: what both refuse is told to each in its own words.

What is below the command line names its options, ``--group-by``; a function of the Python interface says ``group_by``.
What such a function has no argument for, ``--mask-kind``, is the command line's alone and keeps its dashes.
"""

import functools
import inspect
import re
from collections.abc import Callable, Collection
from typing import ParamSpec, TypeVar

from nanoseg_bench.errors import NanosegError

_ELSEWHERE = {"--on-error skip": "skip_faulty=True", "--from": "format", "--robustness": "robust_images"}
"""Where an argument is not called as its option is."""

_OPTION = re.compile(rf"`[^`]*`|nanoseg-bench [^;,]*|({'|'.join(_ELSEWHERE)})\b|(?<![\w-])--([a-z][a-z-]*)")
"""An option; or a command, in which options are what they are."""

P = ParamSpec("P")
T = TypeVar("T")


def as_arguments(sentence: str, arguments: Collection[str]) -> str:
    """A sentence that names arguments of Python in place of options; commands in it stay.

    Args:
        sentence: ``--group-by doi: ...``.
        arguments: Those that there are; other options stay as they are.
    """

    def spelt(match: re.Match[str]) -> str:
        if match[1] is None and match[2] is None:
            return match[0]
        argument = match[2].replace("-", "_") if match[1] is None else _ELSEWHERE[match[1]]
        return argument if argument.partition("=")[0] in arguments else match[0]

    return _OPTION.sub(spelt, sentence)


def errors_name_arguments(function: Callable[P, T]) -> Callable[P, T]:
    """What a function of the Python interface raises names its arguments; to decorate it with."""
    arguments = inspect.signature(function).parameters

    @functools.wraps(function)
    def told(*given: P.args, **chosen: P.kwargs) -> T:
        try:
            return function(*given, **chosen)
        except NanosegError as error:
            if error.args == (str(error),):  # others make their message of what they hold
                error.args = (as_arguments(str(error), arguments),)
            raise

    return told
