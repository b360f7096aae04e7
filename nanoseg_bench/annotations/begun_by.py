"""Whose outlines a person started from: truth that a model began flatters that model, corrected or not."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanoseg_bench.errors import AnnotationError

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class BegunBy:
    """The model that drew the first outlines of a micrograph.

    Attributes:
        model: Its id, as in the leaderboards.
        run: Id of the training, where it is one of this package's.
        weights_sha256: Of its weights; None for a model without any.
    """

    model: str
    run: str | None = None
    weights_sha256: str | None = None

    def as_json(self) -> dict[str, str]:
        """What is known, as JSON types."""
        texts = {"model": self.model, "run": self.run, "weights_sha256": self.weights_sha256}
        return {name: text for name, text in texts.items() if text is not None}

    def __str__(self) -> str:
        """For a person: ``nsyolo (run nsyolo-paper-seed0, weights 0123456789ab)``."""
        run = f"run {self.run}" if self.run else ""
        weights = f"weights {self.weights_sha256[:12]}" if self.weights_sha256 else ""
        details = ", ".join(filter(None, (run, weights)))
        return f"{self.model} ({details})" if details else self.model


def read_begun_by(path: Path, value: Any) -> BegunBy | None:
    """Read ``as_json``; None stays None.

    Args:
        path: The file, for messages.
        value: As it stands in the file.

    Raises:
        AnnotationError: It is malformed.
    """
    if value is None:
        return None
    known = value if isinstance(value, dict) else {}
    model, run, digest = (known.get(name) for name in ("model", "run", "weights_sha256"))
    if not isinstance(model, str) or not model or not isinstance(run, str | None) or not isinstance(digest, str | None):
        raise AnnotationError(
            f"{path}: nanoseg.begun_by is {value!r}; it must be an object of texts with the 'model' that drew the "
            "first outlines, or be left out where none did"
        )
    if digest is not None and not _SHA256.fullmatch(digest):
        raise AnnotationError(
            f"{path}: nanoseg.begun_by.weights_sha256 is {digest!r}; it must be the 64 hexadecimal digits of a "
            "SHA-256, or be left out"
        )
    return BegunBy(model, run, digest)
