"""What a corruption is given: the field of view as intensities, and how long a pixel is."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]

REFERENCE_SIDE_PX = 640
"""Lengths in the table of corruptions are pixels of an image whose longer side has so many."""

BRIGHT_FIELD = frozenset({"BF-TEM", "HRTEM"})
"""Modalities in which particles are dark on a bright support, and a defocused image is an interference pattern."""


@dataclass(frozen=True, eq=False, slots=True)
class View:
    """One channel of the field of view of a micrograph, without the info bar.

    Attributes:
        intensity: (H, W) float32, 0 black and 1 white, taken as proportional to the number of electrons.
        px: Pixels of this image per pixel of the reference, ``max(width, height) / REFERENCE_SIDE_PX``.
        modality: How it was taken (``BF-TEM``, ``SE-SEM``, ...); None where unknown.
    """

    intensity: Floats
    px: float
    modality: str | None
