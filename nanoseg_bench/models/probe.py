"""What a model shows of how it came to its particles: the input of an explanation."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.preparation.letterbox import Letterbox

if TYPE_CHECKING:  # it imports Ultralytics
    from nanoseg_bench.nsyolo.probe import MaskMaps, NetworkProbe


@dataclass(frozen=True, eq=False, slots=True)
class ModelProbe:
    """One image in a network, and what came of it.

    Attributes:
        letterbox: Between the original and the network's input.
        network: The network's output for this one image, and what its blocks did.
        masks: Of the particles, laid over each other.
        instances: The particles in original pixels, best score first; their masks are not cleaned.
    """

    letterbox: Letterbox
    network: "NetworkProbe"
    masks: "MaskMaps"
    instances: list[Instance]
