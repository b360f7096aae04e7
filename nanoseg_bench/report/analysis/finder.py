"""What outlines the particles of a micrograph: a model, or people, whose annotations are measured as they are."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.inference.far import warn_of_pieces
from nanoseg_bench.marks.mark import Mark
from nanoseg_bench.measure.particles import Rules
from nanoseg_bench.report.report_input import Method

if TYPE_CHECKING:
    # For types alone: who reads what was analysed, as the web page does, needs no torch.
    from nanoseg_bench.inference.predictor import Predictor
    from nanoseg_bench.report.analysis.micrograph import Choices

_CURVE_FROM = 0.25
"""Confidence down to which outlines are kept for the curve of count and D50, where the one that is used is higher."""

_EDGE_PX = 1
"""Pixels of the canvas by which the field is taken smaller: what reaches beyond is cut. Outlines of networks often end
before the border: of those of 98 cut particles of EMPS' validation images, 76 % touch it, and 92 % come within a pixel.
The border weights are of the smaller field, so that sizes are not biased."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Found:
    """The outlines of one micrograph.

    Attributes:
        instances: Those of a model also below the confidence, down to ``_CURVE_FROM``.
        marks: What is written on the micrograph; empty where marks are kept, or nobody looked.
        warnings: Sentences that the user must see.
        nm_per_px: The scale that stands beside the outlines; None where none does.
    """

    instances: tuple[Instance, ...]
    marks: tuple[Mark, ...] = ()
    warnings: tuple[str, ...] = ()
    nm_per_px: float | None = None


class Finder(Protocol):
    """Where outlines come from; picklable, so that other processes may find some of them."""

    @property
    def title(self) -> str:
        """What it is called while it works."""

    @property
    def classes(self) -> tuple[str, ...]:
        """What particles are labelled with, in the order of the colours."""

    @property
    def settings(self) -> dict[str, Any]:
        """What makes an outline another one, in JSON."""

    def method(self) -> Method:
        """What a report says of it."""

    def rules(self, choices: "Choices") -> Rules:
        """Which outlines count."""

    def margin_px(self, height: int, width: int) -> int:
        """How close to the border of a micrograph the outline of a particle that it cuts may end."""

    def key(self, name: str) -> str | None:
        """What the outlines of one micrograph depend on, besides the settings and its file.

        Raises:
            NanosegError: It is known already that they cannot be found.
        """

    def find(self, pixels: NDArray[np.uint8], path: Path, name: str, choices: "Choices") -> Found:
        """The outlines of one micrograph.

        Args:
            pixels: (H, W) or (H, W, 3) uint8.
            path: Its file.
            name: In the table.
            choices: Of the user.
        """


@dataclass(frozen=True, slots=True)
class ByModel:
    """A model finds them."""

    predictor: "Predictor"

    @property
    def title(self) -> str:
        """The model's."""
        return self.predictor.model.recipe.title

    @property
    def classes(self) -> tuple[str, ...]:
        """The model's."""
        return self.predictor.classes

    @property
    def settings(self) -> dict[str, Any]:
        """Model, weights, confidence, views."""
        predictor = self.predictor
        views = {} if predictor.views == 1 else {"views": predictor.views}  # earlier folders have none
        return {
            **views,
            "model": predictor.model.recipe.model,
            "weights_sha256": predictor.weights_sha256,
            "confidence": predictor.operating_point.confidence,
        }

    def method(self) -> Method:
        """See ``method_of``."""
        from nanoseg_bench.report.analysis.method import method_of

        return method_of(self.predictor)

    def rules(self, choices: "Choices") -> Rules:
        """From the operating point on, where the model has confidences."""
        point = self.predictor.operating_point
        confidence = point.confidence if self.predictor.model.has_confidence else None
        return Rules(confidence=confidence, min_diameter=choices.min_diameter, keep_marks=choices.keep_marks)

    def margin_px(self, height: int, width: int) -> int:
        """A pixel of the canvas."""
        return max(round(_EDGE_PX * max(height, width) / self.predictor.model.recipe.canvas), 1)

    def key(self, name: str) -> None:
        """The settings say all."""

    def find(self, pixels: NDArray[np.uint8], path: Path, name: str, choices: "Choices") -> Found:
        """What the model outlines, down to the confidence that the curve of count and D50 begins at."""
        from nanoseg_bench.inference.predictor import Predictor

        predictor = self.predictor
        confidence = predictor.operating_point.confidence
        lowest = min(confidence, _CURVE_FROM) if predictor.model.has_confidence else confidence
        wider = Predictor(predictor.model, path=predictor.path, confidence=lowest)
        found = wider.find_particles(pixels, keep_marks=choices.keep_marks, tiles=choices.tiles, name=str(path))
        cut = sum(each.score is None or each.score >= confidence for each in found.cut)
        warning = warn_of_pieces(cut, choices.tiles)
        return Found(
            instances=tuple(replace(each, origin="model") for each in found.instances),
            marks=found.marks,
            warnings=(warning,) if warning else (),
        )
