"""The particles of one micrograph, found and measured."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from nanoseg_bench.files import sha256_file
from nanoseg_bench.images import Acquisition, ImageNotes, read_with_notes
from nanoseg_bench.inference.tiles import AUTO, Tiles
from nanoseg_bench.marks.detection import find_banners
from nanoseg_bench.measure.field import Field, find_field
from nanoseg_bench.measure.length import Length
from nanoseg_bench.measure.outlines import MeasuredOutlines, measure_outlines
from nanoseg_bench.measure.particles import AT_BORDER, BETWEEN_REASONS, Decisions, Rules, judge_particles, reasons_of
from nanoseg_bench.measure.scale import INFO_BAR, LINE, METADATA, SCALE_BAR, TYPED, FoundScale, find_scale
from nanoseg_bench.measure.shape_names.namer import shipped_namer
from nanoseg_bench.report.analysis.finder import Finder
from nanoseg_bench.report.report_input import ReportedImage

Border = Literal["weight", "exclude", "keep"]
"""One of ``formats.BORDERS``."""

_SOURCES = {
    METADATA: "read from the file",
    INFO_BAR: "read in the information bar",
    SCALE_BAR: "measured at the scale bar",
    LINE: "measured at the bar of the length that was given",
    TYPED: "as given",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a user decides about an analysis, the same for all its micrographs.

    Attributes:
        min_diameter: Smaller particles do not count.
        border: What becomes of particles that touch the border.
        nm_per_px: The scale of all micrographs; None where it is to be found.
        bar_nm: Length of ``line``, or of the scale bar that is found.
        line: Both ends of the scale bar, px, where it is not to be found; with ``bar_nm``.
        read_text: Whether texts of scale bars are read; None where RapidOCR is installed.
        keep_marks: What lies on information bars, scale bars and lettering counts.
        tiles: Whether large micrographs are looked at in tiles, too.
        acquisition: What the user says of the microscope; what is missing is read from each file.
    """

    min_diameter: Length | None = None
    border: Border = "weight"
    nm_per_px: float | None = None
    bar_nm: float | None = None
    line: tuple[float, float, float, float] | None = None
    read_text: bool | None = None
    keep_marks: bool = False
    tiles: Tiles = AUTO
    acquisition: Acquisition = Acquisition()  # noqa: RUF009, it is frozen


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class AnalysedMicrograph:
    """What one micrograph gave.

    Attributes:
        image: With its outlines, also those below the confidence; a person's own come last.
        table: One row per outline.
        scale: How the scale was found; below the gate it is a proposal that was not used.
        warnings: Sentences that the user must see.
        rules: By which particles count.
        border: What becomes of those that touch the border.
        field: The part that shows the specimen, and what is written on it; None where only ``image.bottom`` is known.
        decisions: Of a person about single particles.
        measured: What ``table`` was made of, as long as it is in memory; None where it was read from a file.
    """

    image: ReportedImage
    table: pd.DataFrame
    scale: FoundScale
    warnings: tuple[str, ...] = ()
    rules: Rules = Rules()  # noqa: RUF009, it is frozen
    border: Border = "weight"
    field: Field | None = None
    decisions: Decisions = Decisions()  # noqa: RUF009, it is frozen
    measured: MeasuredOutlines | None = None


def analyse_micrograph(
    path: Path, finder: Finder, choices: Choices = Choices(), *, name: str = "", nm_per_px: float | None = None
) -> AnalysedMicrograph:
    """Find the scale and the particles of a micrograph, and measure them.

    Args:
        path: The image.
        finder: What outlines the particles.
        choices: Of the user.
        name: In the table; by default the stem of the file.
        nm_per_px: The scale of this micrograph as the user gives it, before that of ``choices``.

    Raises:
        ImageError: The file cannot be read.
        ScaleError: The scale that is asked for cannot be found.
        MeasurementError: The minimum diameter is in nm, and the scale is unknown.
    """
    name = name or path.stem
    pixels, notes = read_with_notes(path)
    digest = sha256_file(path)
    height, width = pixels.shape[:2]
    found = finder.find(pixels, path, name, choices)
    given = nm_per_px if nm_per_px is not None else choices.nm_per_px
    stated = found.nm_per_px if given is None and choices.bar_nm is None else None
    scale = find_scale(
        pixels,
        notes=notes,
        nm_per_px=given if stated is None else stated,
        bar_nm=choices.bar_nm,
        line=choices.line,
        read_text=choices.read_text,
    )
    used = scale.nm_per_px if scale.is_sure else None
    shown = find_field(found.marks or find_banners(pixels), height, width)
    image = ReportedImage(
        name=name,
        path=path,
        sha256=digest,
        width=width,
        height=height,
        instances=found.instances,
        nm_per_px=used,
        scale_source=scale_sentence(scale) if stated is None else "as it stands in the annotation",
        bottom=shown.bottom if shown.bottom < height else None,
        acquisition=choices.acquisition.or_else(notes.acquisition),
    )
    analysed = AnalysedMicrograph(
        image=image,
        table=pd.DataFrame(),
        scale=scale,
        warnings=(*scale_warnings(scale), *_warn_of_stack(notes), *found.warnings),
        rules=finder.rules(choices),
        border=choices.border,
        field=shown.inset(finder.margin_px(height, width)),
    )
    return judged(analysed)


def judged(analysed: AnalysedMicrograph, **changes: Any) -> AnalysedMicrograph:
    """The same with other outlines, rules or scale, and the table that follows; what is measured is not measured again.

    Args:
        analysed: With its outlines.
        **changes: Its attributes, without ``table`` and ``measured``.

    Raises:
        MeasurementError: A diameter of the rules is in nm, and the scale is unknown.
    """
    changed = replace(analysed, **changes)
    image, measured = changed.image, analysed.measured
    if measured is None or measured.instances is not image.instances:
        measured = measure_outlines(
            image.instances,
            image.height,
            image.width,
            field=changed.field or Field(right=image.width, bottom=image.bottom or image.height),
            shapes=shipped_namer(),
            known=measured,
        )
    table = judge_particles(
        measured, image=image.name, nm_per_px=image.nm_per_px, rules=changed.rules, decisions=changed.decisions
    )
    return replace(changed, table=keep_border(table) if changed.border == "keep" else table, measured=measured)


def keep_border(table: pd.DataFrame) -> pd.DataFrame:
    """The same where a particle may touch the border and counts all the same, as it is cut."""
    others = [[each for each in reasons_of(cell) if each != AT_BORDER] for cell in table["exclusion"]]
    cells = [BETWEEN_REASONS.join(reasons) or None for reasons in others]
    return table.assign(exclusion=pd.Series(cells, index=table.index, dtype="str"))


def rule_sentences(rules: Rules, border: Border) -> tuple[str, ...]:
    """Which particles count by rules, for the report."""
    of_border = {
        "exclude": (),
        "weight": (
            "Those that count stand for those of their extent that the border left out (Miles–Lantuéjoul weight).",
        ),
        "keep": ("Particles that touch the border count, too, as they are cut.",),
    }[border]
    return (rules.describe(border_counts=border == "keep"), *of_border)


def scale_sentence(scale: FoundScale) -> str:
    """How a scale is known, or why it is not."""
    if scale.nm_per_px is None:
        return "none was found"
    if not scale.is_sure:
        return f"{scale.nm_per_px:.4g} nm/px, {_read_from(scale)}, is too unsure"
    return _read_from(scale)


def scale_warnings(scale: FoundScale) -> tuple[str, ...]:
    """What a user must see of a scale: its own warnings, and a proposal that was not used."""
    if scale.nm_per_px is None or scale.is_sure:
        return scale.warnings
    proposal = f"the scale is unsure: {scale.nm_per_px:.4g} nm/px, {_read_from(scale)}; lengths are in pixels"
    return (*scale.warnings, proposal)


def _read_from(scale: FoundScale) -> str:
    text = f" ({scale.text})" if scale.text and scale.source != TYPED else ""
    return f"{_SOURCES[scale.source]}{text}"


def _warn_of_stack(notes: ImageNotes) -> tuple[str, ...]:
    """What a user must be told of a file of several images."""
    if not notes.alike:
        return ()
    return (
        f"the file holds {notes.alike + 1} images of this size, and one of them was analysed, image {notes.page + 1} "
        "of the file; save the others as files of their own",
    )
