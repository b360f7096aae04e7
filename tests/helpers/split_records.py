"""What groups and splits are made of: images of which nothing is read."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class SplitRecord:
    name: str
    image_path: Path
    source_group: str | None = None
    labels: dict = field(default_factory=dict)

    @property
    def own_group(self):
        return self.source_group or self.name


def split_record(name, group, labels=(), count=10):
    """An image with so many particles of each label."""
    return SplitRecord(name, Path(f"{name}.png"), group, dict.fromkeys(labels, count))
