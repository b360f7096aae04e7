"""What is known about the scale of one micrograph, who says so, and how sure that is."""

from dataclasses import dataclass, replace

METADATA, INFO_BAR, SCALE_BAR, LINE, TYPED, NONE = SOURCES = (
    "metadata",
    "info-bar",
    "scale-bar",
    "line",
    "typed",
    "none",
)
"""The file itself; words of the information bar; a bar and its text; a line and its length that the user gave, or a bar
and the length that the user gave; nm per pixel that the user gave; nobody: sizes are in pixels."""

GATE = 0.5
"""Confidence from which a scale is taken without asking."""

Ends = tuple[float, float, float, float]
"""``(x0, y0, x1, y1)`` of both ends, px from the outer edge of the first pixel."""


@dataclass(frozen=True, slots=True)
class LabelledBar:
    """A scale bar with the length that its text states.

    Attributes:
        ends: Of the bar.
        text: As its text should read: ``200 nm``; empty where it has none that could be read.
        value_nm: What the text says; None where it says nothing.
        confidence: From 0 to 1.
    """

    ends: Ends
    text: str
    value_nm: float | None
    confidence: float

    @property
    def length_px(self) -> float:
        """From end to end, px."""
        x0, y0, x1, y1 = self.ends
        return float(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5)

    @property
    def nm_per_px(self) -> float | None:
        """None where the length is not known."""
        return None if self.value_nm is None else self.value_nm / self.length_px


@dataclass(frozen=True, slots=True)
class FoundScale:
    """The scale of one micrograph.

    Attributes:
        nm_per_px: Nanometres per pixel; None where nobody knows.
        source: One of ``SOURCES``.
        confidence: From 0 to 1; ``is_sure`` compares it with ``GATE``.
        bar: Ends of the bar or line; None where the scale is from elsewhere and no bar was found.
        text: What it was read from: ``200 nm``, ``HFW 4.14 µm``, ``zeiss``; empty where there is nothing.
        value_nm: Length that the bar or line stands for.
        relative_uncertainty: Standard uncertainty of ``nm_per_px`` as a part of it: of the ends of the bar, or of the
            digits of a number. None where it is not known.
        others: Further bars with lengths, the likeliest first.
        warnings: Sentences that the user must see.
    """

    nm_per_px: float | None
    source: str
    confidence: float
    bar: Ends | None = None
    text: str = ""
    value_nm: float | None = None
    relative_uncertainty: float | None = None
    others: tuple[LabelledBar, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_sure(self) -> bool:
        """Whether it may be filled in; otherwise the user is asked, with this as the proposal."""
        return self.nm_per_px is not None and self.confidence >= GATE

    def with_warnings(self, *sentences: str) -> "FoundScale":
        """The same with further warnings."""
        return replace(self, warnings=(*self.warnings, *sentences))
