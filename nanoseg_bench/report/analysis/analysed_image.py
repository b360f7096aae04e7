"""One of many micrographs: analysed into the folder of the analysis, and its row of ``images.csv``."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nanoseg_bench.errors import NanosegError
from nanoseg_bench.files import sha256_file, sha256_json
from nanoseg_bench.images import read_image
from nanoseg_bench.measure.particles import count_left_out, list_reasons
from nanoseg_bench.measure.particles import counted as counted_in
from nanoseg_bench.measure.sample import Unit
from nanoseg_bench.report.analysis.earlier import STATE
from nanoseg_bench.report.analysis.finder import Finder
from nanoseg_bench.report.analysis.members import Member
from nanoseg_bench.report.analysis.micrograph import AnalysedMicrograph, analyse_micrograph
from nanoseg_bench.report.analysis.outputs import write_pictures
from nanoseg_bench.report.analysis.pooling import median_diameter
from nanoseg_bench.report.analysis.state import read_key, read_state, write_state
from nanoseg_bench.report.analysis.task import AnalysisTask
from nanoseg_bench.report.formats import PICTURES

OK, FAILED = "ok", "failed"

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysedImage:
    """A row of ``images.csv``.

    Attributes:
        image: Name in all tables, and of the files that are written of it.
        source: The file.
        sample: That it belongs to.
        status: ``ok`` or ``failed``.
        reason: Why it failed.
        width: Columns.
        height: Rows.
        nm_per_px: The scale that was used; None where lengths are in pixels.
        scale_source: How it is known.
        particles: That count.
        left_out: Outlines of the model that do not count, without those below the confidence.
        left_out_for: Why, each by its first reason, with their numbers.
        d50: Median diameter.
        unit: Of ``d50``.
        sha256: Of the file.
        warnings: Sentences on this micrograph.
    """

    image: str
    source: str
    sample: str
    status: str
    reason: str = ""
    width: int | None = None
    height: int | None = None
    nm_per_px: float | None = None
    scale_source: str = ""
    particles: int | None = None
    left_out: int | None = None
    left_out_for: str = ""
    d50: float | None = None
    unit: str = ""
    sha256: str = ""
    warnings: tuple[str, ...] = ()


def analyse_member(
    task: AnalysisTask, settings: Mapping[str, Any], about: tuple[Member, float | None]
) -> tuple[AnalysedImage, bool]:
    """Analyse a micrograph into the folder, unless an earlier call has.

    Args:
        task: The call's.
        settings: The same for all.
        about: The micrograph, and its scale in the user's table.

    Returns:
        Its row, which says why where it cannot be analysed, and whether an earlier call had analysed it.

    Raises:
        OSError: The folder cannot be written.
    """
    member, scale = about
    path = task.out / STATE / f"{member.stem}.json"
    border_weighted = task.choices.border == "weight"
    try:
        key = _key(member, scale, settings, task.finder)
        if read_key(path) == key and _has_pictures(task, member):
            return _row(read_state(path, outlines=False), member, border_weighted), True
        analysed = analyse_micrograph(member.image_path, task.finder, task.choices, name=member.stem, nm_per_px=scale)
        if any(name in task.formats for name in PICTURES):
            write_pictures(task.out, analysed, read_image(member.image_path), task.formats, task.finder.classes)
        write_state(path, analysed, key)
        return _row(analysed, member, border_weighted), False
    except OSError:
        raise  # the folder cannot be written: no micrograph's fault
    except NanosegError as error:
        reason = str(error)
    except Exception as error:
        # One micrograph that nobody thought of must not cost the other thousand.
        _LOG.debug("", exc_info=True)
        reason = f"{type(error).__name__}: {error}"
    failed = AnalysedImage(
        image=member.stem, source=str(member.image_path), sample=member.sample, status=FAILED, reason=reason
    )
    return failed, False


def _key(member: Member, scale: float | None, settings: Mapping[str, Any], finder: Finder) -> str:
    """What the analysis of a micrograph depends on."""
    try:
        file = sha256_file(member.image_path)
    except OSError:
        file = None  # whoever reads the image says why
    outlines = finder.key(member.stem)
    further = {} if outlines is None else {"outlines": outlines}
    return sha256_json({"file": file, "path": str(member.image_path), "scale": scale, **further, **settings})


def _has_pictures(task: AnalysisTask, member: Member) -> bool:
    wanted = [(name, suffix) for name, suffix in PICTURES.items() if name in task.formats]
    return all((task.out / name / f"{member.stem}.{suffix}").is_file() for name, suffix in wanted)


def _row(analysed: AnalysedMicrograph, member: Member, border_weighted: bool) -> AnalysedImage:
    image, table = analysed.image, analysed.table
    unit: Unit = "px" if image.nm_per_px is None else "nm"
    kept = counted_in(table)
    left_out = count_left_out(table)
    # Weighted as the sample's, so that one micrograph alone is told with one number.
    median = median_diameter(table, image.nm_per_px, border_weighted=border_weighted)
    return AnalysedImage(
        image=member.stem,
        source=str(member.image_path),
        sample=member.sample,
        status=OK,
        width=image.width,
        height=image.height,
        nm_per_px=image.nm_per_px,
        scale_source=image.scale_source,
        particles=len(kept),
        left_out=sum(left_out.values()),
        left_out_for=list_reasons(left_out),
        d50=median,
        unit=unit,
        sha256=image.sha256,
        warnings=analysed.warnings,
    )
