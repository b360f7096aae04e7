"""A first look at every micrograph: can it be read, is it what its annotation says, what identifies it."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Micrograph
from nanoseg_bench.errors import PreparationError
from nanoseg_bench.imageio import read_image
from nanoseg_bench.preparation.audit import perceptual_hashes
from nanoseg_bench.preparation.manifest import truth_sha256


@dataclass(frozen=True, eq=False, slots=True)
class Inspection:
    """What the first look at a micrograph gave.

    Attributes:
        pixels_sha256: Of the decoded pixels and their shape.
        truth_sha256: Of labels and regions.
        hashes: (8, 64) perceptual hashes, see ``audit.perceptual_hashes``.
    """

    pixels_sha256: str
    truth_sha256: str
    hashes: NDArray[np.bool_]


def inspect(micrograph: Micrograph) -> Inspection:
    """Read a micrograph and identify its pixels and its truth.

    Raises:
        ImageError: It cannot be read.
        PreparationError: The image has another size than its annotation.
    """
    pixels = read_image(micrograph.image_path)
    height, width = pixels.shape[:2]
    if (width, height) != (micrograph.width, micrograph.height):
        raise PreparationError(
            f"{micrograph.image_path}: {width}x{height} px, but annotated as {micrograph.width}x{micrograph.height}; "
            "annotate this image, or put the annotated one back"
        )
    digest = hashlib.sha256(repr(pixels.shape).encode("ascii") + np.ascontiguousarray(pixels).tobytes())
    return Inspection(digest.hexdigest(), truth_sha256(micrograph.instances), perceptual_hashes(pixels))


def check_names(micrographs: Sequence[Micrograph]) -> None:
    """Refuse a data set in which two micrographs have one name.

    Raises:
        PreparationError: Names the micrographs.
    """
    for name, count in Counter(each.name for each in micrographs).items():
        if count > 1:
            paths = ", ".join(str(each.image_path) for each in micrographs if each.name == name)
            raise PreparationError(f"{count} micrographs are named {name!r} ({paths}); rename them")


def check_labels(micrographs: Sequence[Micrograph], classes: Sequence[str]) -> None:
    """Refuse a label that is not a class.

    Raises:
        PreparationError: Names the image and the label.
    """
    for micrograph in micrographs:
        for number, instance in enumerate(micrograph.instances, start=1):
            if instance.ignored and (instance.label is None or instance.label == "ignore"):
                continue
            if instance.label not in classes:
                raise PreparationError(
                    f"{micrograph.image_path}: instance {number} is labelled {instance.label!r}, which is not in "
                    f"the class list ({', '.join(classes)}); rename it, or add it to the classes"
                )
