"""Which images form a sample: the same rules as for source groups (``preparation.grouping``)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.preparation.grouping import Purpose, parse_group_rule, regroup

SAMPLES = Purpose("--sample-by", "sample")

_ROOT = "."


@dataclass(frozen=True, slots=True)
class _Image:
    name: str
    image_path: Path


def assign_samples(images: Sequence[Path], root: Path, by: str | None, whole: str) -> dict[Path, str]:
    r"""The sample of each image.

    Args:
        images: In a folder or below it.
        root: The folder.
        by: None: all images are one sample. ``folder``: those of each subfolder are one, named as its path below the
            folder. ``regex:PATTERN``: those whose path below the folder, without suffix, has the
            same text in the pattern's first group, as ``regex:^(.+)_\d+$`` of Au-A_01, Au-A_02, Au-B_01.
            ``csv:FILE:COLUMN``: as the column says, of a table with the images in its column ``name``.
        whole: Name of the sample of all images, or of those that lie in the folder itself.

    Returns:
        In the order of the images.

    Raises:
        UsageError: The rule is unknown or malformed.
        PreparationError: It does not fit all images, or its table cannot be read.
    """
    if by is None:
        return dict.fromkeys(images, whole)
    records = [_Image(image.relative_to(root).with_suffix("").as_posix(), image) for image in images]
    groups = regroup(records, parse_group_rule(by, SAMPLES))
    samples = (groups[record.name] for record in records)
    return {image: whole if sample == _ROOT else sample for image, sample in zip(images, samples, strict=True)}
