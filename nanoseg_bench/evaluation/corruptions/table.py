"""The corruptions and what their five severities mean: one literal table.

Lengths (``_px``) are pixels of an image whose longer side has ``REFERENCE_SIDE_PX`` pixels: every network sees its
images about that large, so a severity is as hard for a micrograph of 4,096 pixels as for one of 512. Gains, contrasts
and hazes are shares; doses are electrons per reference pixel.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nanoseg_bench.errors import UsageError
from nanoseg_bench.evaluation.corruptions.charging import charging
from nanoseg_bench.evaluation.corruptions.contamination import contamination
from nanoseg_bench.evaluation.corruptions.drift import drift
from nanoseg_bench.evaluation.corruptions.point_spread import blur, defocus, down_sampling
from nanoseg_bench.evaluation.corruptions.signal import low_contrast, shot_noise
from nanoseg_bench.evaluation.corruptions.view import Floats
from nanoseg_bench.wording import did_you_mean

SEVERITIES = (1, 2, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class Corruption:
    """One way in which a micrograph goes wrong.

    Attributes:
        name: Id.
        title: For axes and captions.
        apply: ``apply(view, rng, **parameters)`` returns the corrupted intensity; its docstring has the equations.
        parameters: By name, one value for each of ``SEVERITIES``; the name ends in the unit.
        moves_truth: Whether particles move, so that the truth has to move along.
    """

    name: str
    title: str
    apply: Callable[..., Floats]
    parameters: Mapping[str, tuple[float, float, float, float, float]]
    moves_truth: bool = False

    def at(self, severity: int) -> dict[str, float]:
        """The parameters of one severity.

        Raises:
            UsageError: There is no such severity.
        """
        if severity not in SEVERITIES:
            raise UsageError(f"severity {severity} of {self.name!r}: there are {SEVERITIES[0]} to {SEVERITIES[-1]}")
        return {name: values[SEVERITIES.index(severity)] for name, values in self.parameters.items()}


CORRUPTIONS: tuple[Corruption, ...] = (
    Corruption("blur", "Gaussian blur", blur, {"sigma_px": (1.0, 1.8, 3.0, 4.5, 7.0)}),
    Corruption(
        "defocus",
        "Defocus",
        defocus,
        {"disc_px": (2.0, 3.6, 6.0, 9.0, 14.0), "fresnel_px": (2.5, 4.0, 6.0, 9.5, 14.0)},
    ),
    Corruption(
        "charging",
        "Charging",
        charging,
        {
            "share": (0.25, 0.4, 0.55, 0.7, 0.8),
            "streak": (0.25, 0.4, 0.6, 0.85, 1.2),
            "streak_px": (15.0, 25.0, 40.0, 60.0, 90.0),
            "halo": (0.1, 0.18, 0.27, 0.38, 0.5),
            "halo_px": (6.0, 9.0, 12.0, 16.0, 20.0),
        },
    ),
    Corruption("shot-noise", "Shot noise", shot_noise, {"dose_e": (80.0, 30.0, 12.0, 5.0, 2.0)}),
    Corruption("low-contrast", "Low contrast", low_contrast, {"contrast": (0.6, 0.42, 0.3, 0.2, 0.14)}),
    Corruption(
        "drift",
        "Scan drift",
        drift,
        {"drift_px": (5.0, 10.0, 16.0, 24.0, 34.0), "jitter_px": (0.3, 0.6, 1.0, 1.5, 2.2)},
        moves_truth=True,
    ),
    Corruption(
        "contamination",
        "Contamination",
        contamination,
        {"depth": (0.4, 0.8, 1.3, 2.0, 3.0), "haze": (0.9, 0.8, 0.7, 0.6, 0.5)},
    ),
    Corruption("down-sampling", "Down-sampling", down_sampling, {"pixel_px": (1.6, 2.4, 3.6, 5.4, 8.0)}),
)


def corruption_named(name: str) -> Corruption:
    """The corruption of this name.

    Raises:
        UsageError: There is none.
    """
    by_name = {corruption.name: corruption for corruption in CORRUPTIONS}
    if name not in by_name:
        hint = did_you_mean(name, by_name)
        raise UsageError(f"no corruption {name!r}; {hint}there are: {', '.join(by_name)}")
    return by_name[name]
