"""Names outlines by multinomial logistic regression on their descriptors and all products of two of these.

The numbers in ``namer.json`` were fitted by ``training.py`` to rendered silhouettes; here they are only applied.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.files import write_text
from nanoseg_bench.measure.shape_names.descriptors import DESCRIPTORS

OTHER = "other"
"""What has none of the names, and what none of them is sure enough for."""

SHIPPED = Path(__file__).with_name("namer.json")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ShapeName:
    """Name of one outline.

    Attributes:
        name: One of ``ShapeNamer.names``.
        certainty: Probability that it is right, from 0 to 1; low where ``other`` means that no name is sure.
    """

    name: str
    certainty: float


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ShapeNamer:
    """A fitted regression.

    Attributes:
        names: K names; ``OTHER`` is one.
        least_certainty: An outline whose likeliest name is less probable is ``OTHER``.
        low: (D,) least value of each descriptor among the silhouettes that it was fitted to.
        high: (D,) largest value.
        mean: (D,) their mean.
        scale: (D,) their standard deviation.
        weights: (K, D + D (D + 1) / 2) of the descriptors and of their products.
        intercepts: (K,).
    """

    names: tuple[str, ...]
    least_certainty: float
    low: Floats
    high: Floats
    mean: Floats
    scale: Floats
    weights: Floats
    intercepts: Floats

    def probabilities(self, descriptors: Floats) -> Floats:
        """Probability of each name.

        Args:
            descriptors: (N, D) as ``descriptors.describe`` makes them.

        Returns:
            (N, K), rows sum to 1.
        """
        # Beyond what it was fitted to, squares grow without bound and make it sure of anything.
        standard = (np.clip(descriptors, self.low, self.high) - self.mean) / self.scale
        logits = with_products(standard) @ self.weights.T + self.intercepts
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: Floats = exponentials / exponentials.sum(axis=1, keepdims=True)
        return shares

    def name(self, descriptors: Sequence[Floats]) -> list[ShapeName]:
        """Name of each of N outlines, in their order."""
        probabilities = self.probabilities(np.reshape(descriptors, (-1, len(self.low))))
        other = self.names.index(OTHER)
        likeliest = np.where(probabilities.max(axis=1) < self.least_certainty, other, probabilities.argmax(axis=1))
        return [
            ShapeName(self.names[index], float(row[index]))
            for row, index in zip(probabilities, likeliest.tolist(), strict=True)
        ]

    def write(self, path: Path) -> None:
        """Write it as JSON, numbers with 6 digits."""
        numbers = {key: _rounded(value) for key, value in asdict(self).items()}
        write_text(path, json.dumps({"descriptors": DESCRIPTORS, **numbers}) + "\n")


def read_namer(path: Path) -> ShapeNamer:
    """Read what ``ShapeNamer.write`` wrote.

    Raises:
        ValueError: It was fitted to other descriptors than those of this version.
    """
    content = json.loads(path.read_text("utf-8"))
    if tuple(content["descriptors"]) != DESCRIPTORS:
        raise ValueError(
            f"{path} was fitted to other descriptors: fit it anew by tests/benchmarks/train_shape_names.py"
        )
    arrays = ("low", "high", "mean", "scale", "weights", "intercepts")
    return ShapeNamer(
        names=tuple(content["names"]),
        least_certainty=content["least_certainty"],
        **{key: np.array(content[key], dtype=np.float64) for key in arrays},
    )


@cache
def shipped_namer() -> ShapeNamer:
    """The one that comes with the package."""
    return read_namer(SHIPPED)


def with_products(values: Floats) -> Floats:
    """(N, D) to (N, D + D (D + 1) / 2): the values, and all products of two, squares included."""
    first, second = np.triu_indices(values.shape[1])
    return np.hstack([values, values[:, first] * values[:, second]])


def _rounded(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_rounded(each) for each in value.tolist()]
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
