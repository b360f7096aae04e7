"""The scale of a micrograph: from the file, the words of its information bar, its scale bar, or the user.

What the user gives counts before everything else. Unasked, the file's own metadata count before what is written on the
image, and words before bars; whatever is there besides is compared with it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.errors import ScaleError
from nanoseg_bench.images import ImageNotes, read_with_notes
from nanoseg_bench.measure.scale.finder import likeness
from nanoseg_bench.measure.scale.given import line_length
from nanoseg_bench.measure.scale.info_bar import InfoText
from nanoseg_bench.measure.scale.reader import has_reader
from nanoseg_bench.measure.scale.result import (
    GATE,
    INFO_BAR,
    LINE,
    METADATA,
    NONE,
    SCALE_BAR,
    TYPED,
    Ends,
    FoundScale,
    LabelledBar,
)
from nanoseg_bench.measure.scale.text import read_lengths
from nanoseg_bench.measure.scale.written import Written, read_written

_DIFFERENCE = 0.03
"""Part by which two statements of one scale may differ, beside what they are uncertain by."""

_ASK = GATE - 0.1
"""Confidence that is left at most where statements contradict each other."""

_METADATA = 0.98
"""Confidence in what the file states, with nothing to compare it with."""

_RIVAL = 0.4
"""Another bar is worth a question from this part of the confidence of the best."""

_END_PX = 0.35
"""Standard uncertainty of one end of a bar: bars are drawn over whole pixels."""

_LEAST_BARE = 0.03
"""Of the longer side: a shorter strip without a text is not taken for a bar. Of 49 bars of EMPS' development images
none was shorter than 0.035 of it."""

_PRINT_MM = (20.0, 1000.0)
"""Width of the print or screen that a field is enlarged to by the magnification of its information bar."""


def find_scale(
    micrograph: Path | str | NDArray[np.uint8],
    *,
    notes: ImageNotes | None = None,
    nm_per_px: float | None = None,
    bar_nm: float | None = None,
    line: Ends | None = None,
    read_text: bool | None = None,
) -> FoundScale:
    """Find the scale of a micrograph, and say how sure it is.

    What is tried, until something holds: ``nm_per_px`` as given; ``line``, or the bar that is found, with the length
    ``bar_nm`` as given; metadata of the file; words of the information bar (HFW, pixel size); the scale bar and its
    text. Where two of them differ by more than 3 %, that is a warning, and the user is asked. What is given is compared
    with what is read, too, where that is sure: a wrong scale falsifies every number. The scale bar of a diffraction
    pattern (1/nm) is refused. Nothing found is an answer, too: sizes are in pixels then.

    Args:
        micrograph: Its file, or its pixels, (H, W) or (H, W, 3) uint8.
        notes: What ``images.read_with_notes`` said of the pixels; of a file it is read.
        nm_per_px: The scale as the user states it, see ``parse_scale``.
        bar_nm: Length of the bar or line as the user states it, nm, see ``parse_length``.
        line: Both ends of the line that ``bar_nm`` is the length of, px, see ``parse_line``.
        read_text: Whether text is read, by OCR; None for where RapidOCR is installed.

    Raises:
        ImageError: The file cannot be read.
        ScaleError: ``line`` without ``bar_nm``, or a line of no length, or that ends outside of the image.
        MissingExtraError: ``read_text`` is True and RapidOCR is not installed.
    """
    if isinstance(micrograph, np.ndarray):
        pixels, said = micrograph, notes or ImageNotes()
    else:
        pixels, said = read_with_notes(Path(micrograph))
    if line is not None and bar_nm is None:
        raise ScaleError("a line alone tells no scale; say how long it is, too (--scale-bar 200nm)")
    if line is not None:
        _require_inside(line, pixels.shape[1], pixels.shape[0])
    stated = _from_metadata(said)
    reads = has_reader() if read_text is None else read_text
    given = _typed(nm_per_px) if nm_per_px is not None else None
    if given is None and line is not None and bar_nm is not None:
        given = _drawn(line, bar_nm)
    if given is not None:
        return _compared(given, [stated, *(_legible(pixels) if reads else ())])
    written = read_written(pixels, read_text=reads)
    if written.bare is not None and line_length(written.bare.line) < _LEAST_BARE * max(pixels.shape[:2]):
        written = replace(written, bare=None)
    if bar_nm is not None:
        return _compared(_with_length(written, bar_nm), [stated])
    if stated.nm_per_px is None:
        reciprocal = written.reciprocal or _reciprocal_unit(said)
        if reciprocal:
            return _refused(reciprocal)
    candidates = [each for each in (stated, _from_info(written.info, pixels.shape[1])) if each.nm_per_px is not None]
    bars = [_from_bar(bar, SCALE_BAR) for bar in written.bars]
    if not candidates:
        found = _by_bars(written, bars)
        return replace(found, warnings=(*stated.warnings, *found.warnings))
    if candidates[0].source == INFO_BAR and bars and bars[0].is_sure and _differs(candidates[0], bars[0]):
        # The words hold for the whole field; a bar is right of a part that was cut out of it, too.
        return _compared(_by_bars(written, bars), candidates)
    return _compared(candidates[0], [*candidates[1:], *bars[:1]], shown=written)


def restate(
    found: FoundScale,
    *,
    nm_per_px: float | None = None,
    relative_uncertainty: float | None = None,
    bar_nm: float | None = None,
    line: Ends | None = None,
    pointing_px: float = 0.0,
) -> FoundScale:
    """The scale as somebody states it who sees what was found; the image is not looked at again.

    Args:
        found: By ``find_scale``, without anything given.
        nm_per_px: As for ``find_scale``.
        relative_uncertainty: Standard uncertainty of ``nm_per_px`` as a part of it, where it was read in another image.
        bar_nm: Length of ``line``, or of the bar that was found.
        line: Both ends, px.
        pointing_px: Standard uncertainty of pointing at an end of ``line``, px, beside that of where the bar ends.

    Raises:
        ScaleError: There is no bar whose length it could be, a line of no length, or nothing is stated.
    """
    if nm_per_px is not None:
        given = replace(
            _typed(nm_per_px), bar=found.bar, value_nm=found.value_nm, relative_uncertainty=relative_uncertainty
        )
    elif bar_nm is None:
        raise ScaleError("a line alone tells no scale; say how long it is, too")
    elif line is not None:
        given = _drawn(line, bar_nm, pointing_px)
    elif found.bar is not None:
        given = _drawn(found.bar, bar_nm)
    else:
        raise ScaleError("no scale bar was found in this micrograph; draw a line along it, and say how long it is")
    # What is read in the image is what the person corrects: it contradicts nothing. The file's own scale does.
    return replace(_compared(given, [found] if found.source == METADATA else []), others=found.others)


def _legible(pixels: NDArray[np.uint8]) -> list[FoundScale]:
    """What the image itself says so clearly that it would be filled in unasked: the surest statement of it.

    It only checks what a person gave, often of images without a bar: where bars seldom are is not searched for it.
    """
    written = read_written(pixels, read_text=True, everywhere=False)
    read = _from_info(written.info, pixels.shape[1])
    found = [_by_bars(written, [_from_bar(bar, SCALE_BAR) for bar in written.bars]), read]
    return [each for each in found if each.is_sure][:1]


def _require_inside(line: Ends, width: int, height: int) -> None:
    """One line is given for many images: in one of another size it is another line, or none."""
    x0, y0, x1, y1 = line
    if not (min(x0, x1) >= 0 and max(x0, x1) <= width and min(y0, y1) >= 0 and max(y0, y1) <= height):
        raise ScaleError(
            f"the line {','.join(f'{each:g}' for each in line)} ends outside of the image of {width} × {height} px; "
            "give both ends of its scale bar in pixels, from the upper left corner on"
        )


def _typed(nm_per_px: float) -> FoundScale:
    return FoundScale(nm_per_px, TYPED, 1.0, text=f"{nm_per_px:g} nm/px")


def _drawn(line: Ends, bar_nm: float, pointing_px: float = 0.0) -> FoundScale:
    line_length(line)
    return _from_bar(LabelledBar(line, f"{bar_nm:g} nm", bar_nm, 1.0), LINE, pointing_px)


def _from_metadata(notes: ImageNotes) -> FoundScale:
    warnings: list[str] = []
    if notes.uneven_nm is not None:
        x, y = notes.uneven_nm
        warnings.append(
            f"its file has pixels that are not square, {x:g} × {y:g} nm, so no single scale is taken from it; resample "
            "the image, or give its scale (--scale 0.42nm)"
        )
    if notes.unknown_unit is not None:
        warnings.append(
            f"its file states the scale in a unit that is not understood, {notes.unknown_unit!r}; give the scale "
            "(--scale 0.42nm)"
        )
    if notes.nm_per_px is None:
        return FoundScale(None, NONE, 0.0, warnings=tuple(warnings))
    return FoundScale(notes.nm_per_px, METADATA, _METADATA, text=notes.scale_from or "", warnings=tuple(warnings))


def _reciprocal_unit(notes: ImageNotes) -> str:
    """The unit of the file where it is one of reciprocal space; empty otherwise."""
    unit = notes.unknown_unit or ""
    return unit if any(length.reciprocal for length in read_lengths(f"1 {unit}")) else ""


def _refused(text: str) -> FoundScale:
    return FoundScale(
        None,
        NONE,
        0.0,
        text=text,
        warnings=(f"the scale is stated in reciprocal space ({text}): a diffraction pattern has no lengths in nm",),
    )


def _from_info(info: InfoText, width: int) -> FoundScale:
    """The scale from the words of an information bar, which spans the field of ``width`` px."""
    if info.pixel_nm is not None:
        value, text = info.pixel_nm, info.text
    elif info.field_nm is not None:
        value, text = info.field_nm / width, info.text
    else:
        return FoundScale(None, NONE, 0.0)
    found = FoundScale(value, INFO_BAR, info.score, text=text, relative_uncertainty=info.relative_uncertainty)
    return _checked_by_magnification(found, info, width)


def _checked_by_magnification(found: FoundScale, info: InfoText, width: int) -> FoundScale:
    """A decimal point that was lost makes a print of a field some metres wide, or some millimetres."""
    if found.nm_per_px is None or info.magnification is None:
        return found
    print_mm = found.nm_per_px * width * info.magnification / 1e6
    if _PRINT_MM[0] <= print_mm <= _PRINT_MM[1]:
        return found
    return replace(found, confidence=min(found.confidence, _ASK)).with_warnings(
        f"{found.text} does not go with the magnification of {info.magnification:g} beside it; look whether a decimal "
        "point was misread"
    )


def _from_bar(bar: LabelledBar, source: str, pointing_px: float = 0.0) -> FoundScale:
    return FoundScale(
        bar.nm_per_px,
        source,
        bar.confidence,
        bar.ends,
        bar.text,
        bar.value_nm,
        2**0.5 * math.hypot(_END_PX, pointing_px) / bar.length_px,
    )


def _by_bars(written: Written, bars: Sequence[FoundScale]) -> FoundScale:
    """The scale of the surest bar; another one that differs is a question."""
    if not bars:
        return _nothing(None if written.bare is None else written.bare.line)
    best = replace(bars[0], others=written.bars[1:])
    rivals = [each for each in bars[1:] if each.confidence >= _RIVAL * best.confidence]
    return _compared(best, rivals[:1])


def _nothing(bare: Ends | None) -> FoundScale:
    """No scale, and why; what can be done about it, the command line and the page say in their own words."""
    if bare is None:
        why = "no scale was found, so lengths are in pixels"
    else:
        strip = f"a strip of {line_length(bare):.4g} px"
        why = f"{strip} may be the scale bar, but no length was read, so lengths are in pixels"
    return FoundScale(None, NONE, 0.0, bare).with_warnings(why)


def _with_length(written: Written, bar_nm: float) -> FoundScale:
    """The scale of the bar that was found, with the length that the user says it has."""
    if written.bars:
        best = written.bars[0]
        given = replace(best, text=f"{bar_nm:g} nm", value_nm=bar_nm, confidence=max(best.confidence, GATE))
        found = _from_bar(given, LINE)
        if best.value_nm is not None and abs(best.value_nm - bar_nm) > _DIFFERENCE * bar_nm:
            return found.with_warnings(f"the bar is labelled {best.text}, and {bar_nm:g} nm are taken as you say")
        return found
    if written.bare is None:
        return FoundScale(None, NONE, 0.0).with_warnings(
            f"no scale bar of {bar_nm:g} nm was found, so lengths are in pixels"
        )
    return _from_bar(LabelledBar(written.bare.line, f"{bar_nm:g} nm", bar_nm, likeness(written.bare)), LINE)


def _compared(found: FoundScale, others: Sequence[FoundScale], shown: Written | None = None) -> FoundScale:
    """The same with a warning where another statement differs, and more confidence where one agrees.

    Args:
        found: What counts.
        others: What else states a scale.
        shown: Where the bar to draw is from.
    """
    if shown is not None and shown.bars and found.bar is None:
        best, *rest = shown.bars
        found = replace(found, bar=best.ends, value_nm=best.value_nm, others=tuple(rest))
    warnings = list(_differences(found, others))
    confidence = found.confidence
    for other in others:
        if other.nm_per_px is not None and not _differs(found, other):
            confidence = 1.0 - (1.0 - confidence) * (1.0 - other.confidence)
    if warnings and found.source not in (TYPED, LINE):
        confidence = min(confidence, _ASK)
    return replace(found, confidence=confidence).with_warnings(*warnings)


def _differences(found: FoundScale, others: Sequence[FoundScale]) -> Iterator[str]:
    for other in others:
        # What is hardly a statement contradicts nothing.
        if other.nm_per_px is not None and _differs(found, other) and other.confidence >= _RIVAL * found.confidence:
            both = (
                f"{_NAMES[found.source]} ({found.text}) says {found.nm_per_px:.4g} nm/px, {_NAMES[other.source]} "
                f"({other.text}) {other.nm_per_px:.4g}"
            )
            if found.source in (TYPED, LINE):
                yield f"{both}; {_NAMES[found.source]} is used, look whether it is right"
            else:
                yield f"{both}; look which is right, and give it (--scale {found.nm_per_px:.4g}nm)"


_NAMES = {
    METADATA: "the file",
    INFO_BAR: "the information bar",
    SCALE_BAR: "the scale bar",
    LINE: "the line",
    TYPED: "the scale given",
}


def _differs(one: FoundScale, other: FoundScale) -> bool:
    if one.nm_per_px is None or other.nm_per_px is None:
        return False
    uncertain = 2 * math.hypot(one.relative_uncertainty or 0.0, other.relative_uncertainty or 0.0)
    return abs(one.nm_per_px - other.nm_per_px) > (_DIFFERENCE + uncertain) * one.nm_per_px
