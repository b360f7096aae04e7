"""What a split needs to know of a micrograph: a light record, so that no instances are kept in memory for it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Named(Protocol):
    """A micrograph, or what stands for it."""

    @property
    def name(self) -> str:
        """``Micrograph.name``."""

    @property
    def image_path(self) -> Path:
        """Where the pixels are."""


class Surveyed(Named, Protocol):
    """What a first look at a micrograph leaves behind."""

    @property
    def own_group(self) -> str:
        """Its source group before it is compared with others: as it is named, else a group of its own."""

    @property
    def labels(self) -> Mapping[str, int]:
        """Particles per class label, without ignore regions."""
