"""The scale as a person sees it: what was found is taken, corrected, or left alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from nanoseg_bench.errors import ScaleError
from nanoseg_bench.measure.scale import NONE, FoundScale, parse_length, parse_scale, restate
from nanoseg_bench.measure.scale.result import Ends
from nanoseg_bench.report.analysis.micrograph import AnalysedMicrograph, judged, scale_sentence, scale_warnings

LEFT_IN_PX = "left out by hand"
"""Where a scale is from that a person did not want."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleChoice:
    """One of these; nothing leaves the scale as it was found.

    Attributes:
        nm_per_px: The scale itself.
        scale_uncertainty: Standard uncertainty of ``nm_per_px`` as a part of it, where it is another micrograph's.
        line: Both ends of a line, px, with ``length``.
        screen_px: Pixels that one of the screen spanned while ``line`` was drawn: nobody points more exactly.
        length: What the line is long, with its unit: ``200 nm``.
        bar_length: What the bar that was found is long, with its unit.
        accept: The proposal is right.
        pixels: Lengths stay in pixels, whatever was found.
    """

    nm_per_px: float | None = None
    scale_uncertainty: float | None = None
    line: Ends | None = None
    screen_px: float = 0.0
    length: str | None = None
    bar_length: str | None = None
    accept: bool = False
    pixels: bool = False

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """As the page sends it; ``reset``, and other keys, say nothing."""
        line = document.get("line")
        return cls(
            nm_per_px=document.get("nm_per_px"),
            scale_uncertainty=document.get("scale_uncertainty"),
            line=None if line is None else (line[0], line[1], line[2], line[3]),
            screen_px=document.get("screen_px", 0.0),
            length=document.get("length"),
            bar_length=document.get("bar_length"),
            accept=bool(document.get("accept")),
            pixels=bool(document.get("pixels")),
        )


def rescale(analysed: AnalysedMicrograph, choice: ScaleChoice) -> AnalysedMicrograph:
    """A micrograph with the scale that a person chose; its sizes follow.

    Args:
        analysed: With the scale as it was found, edited or not.
        choice: What the person says.

    Raises:
        ScaleError: What is said is no scale or no length, there is no bar whose length it could be, or no proposal.
        MeasurementError: Diameters of the rules are in nm, and the scale is not known then.
    """
    found = analysed.scale
    if choice == ScaleChoice():
        return analysed
    if choice.pixels:
        scale = FoundScale(None, NONE, 0.0, found.bar, found.text, found.value_nm, others=found.others)
        sentence = LEFT_IN_PX
    elif choice.accept:
        if found.nm_per_px is None:
            raise ScaleError(
                "no scale was found that could be taken; draw a line along the scale bar, or type the scale"
            )
        # Sure is what a person looked at; what contradicts it is told as before.
        scale = replace(found, confidence=1.0)
        sentence = f"{scale_sentence(scale)}, confirmed by hand"
    else:
        scale = _stated(found, choice)
        sentence = f"{scale_sentence(scale)}, by hand"
    image = replace(analysed.image, nm_per_px=scale.nm_per_px if scale.is_sure else None, scale_source=sentence)
    of_scale = scale_warnings(found)
    others = [sentence for sentence in analysed.warnings if sentence not in of_scale]
    return judged(analysed, image=image, scale=scale, warnings=(*scale_warnings(scale), *others))


def _stated(found: FoundScale, choice: ScaleChoice) -> FoundScale:
    if choice.nm_per_px is not None:
        nm_per_px = parse_scale(f"{choice.nm_per_px!r}nm")
        return restate(found, nm_per_px=nm_per_px, relative_uncertainty=choice.scale_uncertainty)
    if choice.line is not None:
        bar_nm = None if choice.length is None else parse_length(choice.length)
        return restate(found, line=choice.line, bar_nm=bar_nm, pointing_px=choice.screen_px)
    if choice.bar_length is not None:
        return restate(found, bar_nm=parse_length(choice.bar_length))
    raise ScaleError(f"a length of {choice.length} tells no scale; draw the line, too")
