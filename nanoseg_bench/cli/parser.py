"""The command line's parser: a short word on what is wrong, and what was probably meant."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from nanoseg_bench.wording import did_you_mean


class Parser(argparse.ArgumentParser):
    """An ``ArgumentParser`` that offers the nearest verb, option or value, and names the help instead of printing it.

    Verbs are parsers of this class too.
    """

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; here what a verb does not know is refused by the verb, which knows its options."""
        if self._subparsers is None and args is not None:
            # Before anything else: a misspelt option is also why one that is needed is missing.
            unknown = [word for word in args[: args.index("--") if "--" in args else None] if self._is_unknown(word)]
            if unknown:
                self.error(self._unknown(unknown))
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(self._unknown(unknown))
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line and where the help is; end with 2."""
        self.exit(2, f"nanoseg-bench: {message.removeprefix('argument ')}\nhelp: {self.prog} --help\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        words = [str(choice) for choice in action.choices]
        hint = did_you_mean(str(value), words).rstrip() or f"choose from {', '.join(words)}"
        raise argparse.ArgumentError(action, f"there is no {str(value)!r}; {hint}")

    def _is_unknown(self, word: str) -> bool:
        flag = word.partition("=")[0]
        is_flag = flag.startswith("--") and " " not in word
        return is_flag and not any(known.startswith(flag) for known in self._option_string_actions)

    def _unknown(self, words: Sequence[str]) -> str:
        flags = [word for word in words if word.startswith("-")]
        if not flags:
            return f"{' '.join(words)}: not understood here"
        known = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        hints = [did_you_mean(flag.partition("=")[0], known).rstrip() for flag in flags]
        return ", ".join(f"there is no {flag}; {hint}".rstrip("; ") for flag, hint in zip(flags, hints, strict=True))
