"""Many micrographs into one folder: analysed one by one, pooled by sample, resumable."""

import datetime
import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from nanoseg_bench import __version__
from nanoseg_bench.annotations.begun_by import BegunBy
from nanoseg_bench.annotations.conversion import convert
from nanoseg_bench.annotations.instance import Micrograph
from nanoseg_bench.annotations.source import Source
from nanoseg_bench.changes import dict_changes, list_changes
from nanoseg_bench.errors import NanosegError, UsageError
from nanoseg_bench.files import atomic_path, read_json, sha256_file, sha256_json, unwritable, write_json
from nanoseg_bench.images import read_image
from nanoseg_bench.inference.corrections import labelme_hashes, require_uncorrected
from nanoseg_bench.measure.columns import COLUMNS
from nanoseg_bench.measure.particles import count_left_out, in_words
from nanoseg_bench.measure.particles import counted as counted_in
from nanoseg_bench.measure.sample import Unit
from nanoseg_bench.measure.shape_names.main_part import count_ragged
from nanoseg_bench.parallel import OpenPool, Workers, open_processes
from nanoseg_bench.preparation.scales import ScaleTable
from nanoseg_bench.progress import track
from nanoseg_bench.report.analysis.finder import Finder
from nanoseg_bench.report.analysis.members import Member, find_members
from nanoseg_bench.report.analysis.micrograph import (
    AnalysedMicrograph,
    Choices,
    analyse_micrograph,
    rule_sentences,
)
from nanoseg_bench.report.analysis.outputs import REPORTS, file_names, write_documents, write_pictures
from nanoseg_bench.report.analysis.pooling import median_diameter, report_on
from nanoseg_bench.report.analysis.state import read_key, read_state, write_state
from nanoseg_bench.report.delimited import csv_of, write_csv
from nanoseg_bench.report.formats import ANNOTATIONS, DEFAULT_FORMATS, LABELME, PICTURES, require_writers
from nanoseg_bench.report.report_input import SHOWN_MICROGRAPHS, Method, ReportInput
from nanoseg_bench.seals import sealed, unsealed
from nanoseg_bench.staging import hold_folder
from nanoseg_bench.wording import counted, shortened

FILE = "analysis.json"
"""Settings and results; also says that a folder is ours."""

FORMAT = "nanoseg-analysis/1"

STATE, IMAGES, SAMPLES, PARTICLES = "state", "images.csv", "samples.csv", "particles.csv"

OK, FAILED = "ok", "failed"

_LEAST = 4
"""Micrographs that pay for the start of one more worker, which opens the model."""

_MOST_SIZES = 3
"""Sizes of micrographs that are named where they differ."""

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


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class AnalysedSample:
    """One sample.

    Attributes:
        sample: Its name.
        images: Micrographs whose particles it pools.
        report: What is told of it; its ``images`` are without outlines, but for the first ones.
        documents: Files that tell it.
        ragged: Particles that count and have a ragged or hollow outline.
    """

    sample: str
    images: int
    report: ReportInput
    documents: tuple[Path, ...]
    ragged: int


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Analysis:
    """What a folder holds after a call.

    Attributes:
        folder: Where it lies.
        images: One for each micrograph that was asked for.
        samples: In the order of their first micrographs.
        earlier: Micrographs that an earlier call had analysed.
        warnings: Sentences on the user's tables.
    """

    folder: Path
    images: tuple[AnalysedImage, ...]
    samples: tuple[AnalysedSample, ...]
    earlier: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisTask:
    """What is to be analysed, and how.

    Attributes:
        finder: What outlines the particles.
        images: Files and folders.
        out: Folder to write.
        choices: Of the user.
        scales: Of single micrographs, as the user's table has them.
        sample_by: Rule of ``measure.sampling_by``; None puts all micrographs together.
        formats: Of ``formats.FORMATS``; the CSV files and ``analysis.json`` are always written.
        operator: Who makes the analysis.
        made: When, with a time zone.
        overwrite: ``missing``: go on where an earlier call with the same settings ended. ``always``: begin anew.
        workers: Processes that analyse micrographs, where there are many; 1 for this one alone.
        open_pool: Where they are. The predictor of ``ByModel`` then comes from ``open_predictor``.
        members: The micrographs, where they are known; by default those of ``images``.
    """

    finder: Finder
    images: Sequence[Path]
    out: Path
    choices: Choices = Choices()  # noqa: RUF009, it is frozen
    scales: ScaleTable | None = None
    sample_by: str | None = None
    formats: Sequence[str] = DEFAULT_FORMATS
    operator: str = ""
    made: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))
    overwrite: str = "missing"
    workers: int = 1
    open_pool: OpenPool = open_processes
    members: Sequence[Member] | None = None


def check_inputs(
    images: Sequence[Path], out: Path, *, sample_by: str | None = None, scales: ScaleTable | None = None
) -> None:
    """Refuse what ``analyse_folder`` would refuse, before a model is opened for it, which takes seconds.

    Raises:
        UsageError: There is no image, no sample for one, or the folder must not be written.
        PreparationError: A table of the user does not fit the images.
    """
    members = find_members(images, out, sample_by)
    if scales is not None:
        scales.check(members)
    with hold_folder(out):
        _earlier(out)


def analyse_folder(task: AnalysisTask) -> Analysis:
    """Analyse micrographs and write a report for each sample.

    A micrograph that cannot be analysed is a row with its reason, and no reason to stop. What an earlier call with the
    same settings analysed is not analysed again, unless the file is another one now.

    Raises:
        UsageError: There is no image, no sample for one, or the folder must not be written; or LabelMe files were
            corrected meanwhile: what was analysed is kept, and the next call goes on with it.
        NanosegError: The folder cannot be written.
    """
    out = task.out
    require_writers(tuple(task.formats))
    members = find_members(task.images, out, task.sample_by) if task.members is None else task.members
    warnings = [] if task.scales is None else task.scales.check(members)
    with hold_folder(out):
        settings = _settings(task)
        earlier = _open(out, settings, task.overwrite)
        try:
            # At once: a call that is killed leaves a folder that the next one knows as ours.
            written = {"labelme_sha256": earlier.labelme, "documents_sha256": earlier.documents}
            write_json(out / FILE, sealed({"format": FORMAT, "settings": settings, **written}))
            run = _Run(task, settings, task.finder.method(), earlier)
            return run.carry_out(members, tuple(warnings))
        except OSError as error:
            raise unwritable(out, error, "--out") from error


def _settings(task: AnalysisTask) -> dict[str, Any]:
    """What makes an outline or a number another one."""
    choices = task.choices
    # Earlier folders have none.
    line = {} if choices.line is None else {"line": list(choices.line)}
    return {
        **line,
        **task.finder.settings,
        "version": __version__,
        "min_diameter": None if choices.min_diameter is None else str(choices.min_diameter),
        "border": choices.border,
        "nm_per_px": choices.nm_per_px,
        "bar_nm": choices.bar_nm,
        "read_text": choices.read_text,
        "keep_marks": choices.keep_marks,
        "tiles": choices.tiles,
        "acquisition": {name: getattr(choices.acquisition, name) for name in ("instrument", "voltage_kv", "taken")},
    }


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What an earlier call left: its settings, None of another format, and hashes of its LabelMe files and reports."""

    settings: Mapping[str, Any] | None = None
    labelme: Mapping[str, str] | None = None
    documents: Mapping[str, str] = field(default_factory=dict)


def _earlier(out: Path) -> _Earlier | None:
    """Look whether the folder may be written, whatever the settings; None where it is new."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not (out / FILE).is_file():
        raise UsageError(f"--out {out}: holds other things (no {FILE}); choose another folder")
    try:
        document = unsealed(read_json(out / FILE))
        before = document["settings"] if document["format"] == FORMAT else None
        # Earlier versions did not note their reports.
        earlier = _Earlier(before, document.get("labelme_sha256"), dict(document.get("documents_sha256", {})))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"--out {out}: {FILE} cannot be read ({error}); choose another folder") from error
    require_uncorrected(out, earlier.labelme)
    return earlier


def _open(out: Path, settings: Mapping[str, Any], overwrite: str) -> _Earlier:
    """Look whether the folder may be written with these settings, and what it holds."""
    earlier = _earlier(out)
    if earlier is None:
        return _Earlier()
    if overwrite != "always" and earlier.settings != settings:
        changes = list_changes(dict_changes(earlier.settings or {}, settings))
        raise UsageError(
            f"--out {out}: holds an analysis that differs from this one: {changes}; choose another folder, or give "
            "--overwrite always to replace it"
        )
    if overwrite == "always":
        for state in (out / STATE).glob("*.json"):
            state.unlink()
    return earlier


class _Run:
    """One call: the loop over the micrographs, then the samples; one of either is in memory at a time."""

    def __init__(self, task: AnalysisTask, settings: Mapping[str, Any], method: Method, earlier: _Earlier) -> None:
        self._task = task
        self._settings = settings
        self._method = method
        self._out = task.out
        self._left = earlier
        self._earlier = 0
        self._of_all: tuple[str, ...] = ()

    def carry_out(self, members: Sequence[Member], warnings: tuple[str, ...]) -> Analysis:
        rows = self._analyse(members)
        done = [member for member in members if rows[member.stem].status == OK]
        self._of_all = tuple(self._sentences_on_all(done, rows))
        stems = [member.stem for member in done]
        self._write_particles(stems)
        found = tuple(self._write_samples(done))
        self._write_annotations(stems)
        self._write_tables(tuple(rows.values()), found)
        images = tuple(rows.values())
        return Analysis(folder=self._out, images=images, samples=found, earlier=self._earlier, warnings=warnings)

    def _analyse(self, members: Sequence[Member]) -> dict[str, AnalysedImage]:
        """A row for each micrograph by its stem; what is large of it is in files by then."""
        task, rows = self._task, {}
        scales = (None if task.scales is None else task.scales.lookup(member) for member in members)
        # To other processes goes what one micrograph needs, and not what is known of all.
        light = replace(task, images=(), members=None, scales=None, open_pool=open_processes)
        one = partial(_analyse_member, light, self._settings)
        title = f"analyse with {task.finder.title}"
        with (
            Workers(task.workers, open_pool=task.open_pool) as workers,
            closing(
                workers.each(one, list(zip(members, scales, strict=True)), title, least_per_worker=_LEAST)
            ) as results,
        ):
            for member, (row, is_earlier) in zip(members, results, strict=True):
                rows[member.stem] = row
                self._earlier += is_earlier
        return rows

    def _sentences_on_all(self, done: Sequence[Member], rows: Mapping[str, AnalysedImage]) -> list[str]:
        """What one scale for micrographs of unlike sizes is to be looked at for."""
        choices, scales = self._task.choices, self._task.scales
        if choices.nm_per_px is None and choices.line is None:
            return []
        sizes: dict[tuple[int | None, int | None], list[str]] = {}
        for member in done:
            row = rows[member.stem]
            if scales is None or scales.lookup(member) is None:
                sizes.setdefault((row.width, row.height), []).append(row.image)
        if len(sizes) < 2:
            return []
        by = "the scale" if choices.nm_per_px is not None else "the line"
        (first, *_), *_ = sizes.values()
        named = ", ".join(
            f"{width} × {height} px ({shortened(names)})"
            for (width, height), names in list(sizes.items())[:_MOST_SIZES]
        )
        more = f", and {counted(len(sizes) - _MOST_SIZES, 'more size')}" if len(sizes) > _MOST_SIZES else ""
        return [
            f"{by} that was given makes {rows[first].nm_per_px:.4g} nm/px of all images, and they have unlike sizes: "
            f"{named}{more}; look whether one magnification holds for all, or give each its own scale (--scale-csv)"
        ]

    def _state(self, name: str, *, outlines: bool = True) -> AnalysedMicrograph:
        return read_state(self._out / STATE / f"{name}.json", outlines=outlines)

    def _write_particles(self, names: Sequence[str]) -> None:
        """All particles, appended micrograph by micrograph."""
        head = ",".join(column.name for column in COLUMNS) + "\n"
        with atomic_path(self._out / PARTICLES) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            file.write(head)
            for name in names:
                file.write(csv_of(self._state(name, outlines=False).table).partition("\n")[2])

    def _write_samples(self, done: Sequence[Member]) -> list[AnalysedSample]:
        members: dict[str, list[str]] = {}
        for member in done:
            members.setdefault(member.sample, []).append(member.stem)
        files = file_names(list(members))
        written = []
        for sample, of_sample in track(members.items(), "write reports", total=len(members)):
            report = self._report(sample, of_sample)
            documents = write_documents(self._out, files[sample], report, self._task.formats)
            # What the tables and the caller need: without the outlines and the rows of a large sample.
            light = replace(report, particles=report.particles.head(0), images=())
            written.append(
                AnalysedSample(
                    sample=sample,
                    images=len(report.images),
                    report=light,
                    documents=tuple(documents),
                    ragged=count_ragged(counted_in(report.particles)),
                )
            )
        return written

    def _report(self, sample: str, names: Sequence[str]) -> ReportInput:
        report = report_on(
            sample,
            [self._state(name, outlines=False) for name in names],
            method=self._method,
            filters=rule_sentences(self._task.finder.rules(self._task.choices), self._task.choices.border),
            border_weighted=self._task.choices.border == "weight",
            made=self._task.made,
            operator=self._task.operator,
            classes=self._task.finder.classes,
            further_warnings_in=IMAGES,
        )
        # The outlines of all would not fit into memory. Which micrographs are shown is known now: some are left out.
        shown = [self._state(image.name).image for image in report.images[:SHOWN_MICROGRAPHS]]
        images = (*shown, *report.images[SHOWN_MICROGRAPHS:])
        return replace(report, images=images, warnings=(*self._of_all, *report.warnings))

    def _write_annotations(self, names: Sequence[str]) -> None:
        method = self._method
        begun_by = method.begun_by
        entries = tuple(_Entry(self._out / STATE / f"{name}.json", name, method.confidence, begun_by) for name in names)
        classes = self._task.finder.classes
        # Somebody may have corrected outlines since this call began, hours ago.
        if LABELME in self._task.formats:
            require_uncorrected(self._out, self._left.labelme)
        # LabelMe last: its files are known by their hashes, which are written next.
        for to in [name for name in reversed(ANNOTATIONS) if name in self._task.formats] if entries else ():
            convert(Source("predictions", entries, classes), self._out / to, to, classes=classes, overwrite=True)

    def _write_tables(self, images: Sequence[AnalysedImage], samples: Sequence[AnalysedSample]) -> None:
        rows = [{**asdict(image), "warnings": "; ".join(image.warnings)} for image in images]
        write_csv(self._out / IMAGES, pd.DataFrame(rows))
        tables = [each.report.statistics.by_group.assign(sample=each.sample) for each in samples]
        if tables:
            pooled = pd.concat(tables, ignore_index=True)
            write_csv(self._out / SAMPLES, pooled[["sample", *(name for name in pooled if name != "sample")]])
        else:
            (self._out / SAMPLES).unlink(missing_ok=True)  # of an earlier call
        document = {
            "format": FORMAT,
            "settings": self._settings,
            "made": self._task.made.isoformat(),
            "operator": self._task.operator,
            "method": asdict(self._method),
            "labelme_sha256": labelme_hashes(self._out),
            "documents_sha256": self._tidy_documents([path for each in samples for path in each.documents]),
            "images": [asdict(image) for image in images],
            "samples": [_sample_json(each) for each in samples],
        }
        write_json(self._out / FILE, sealed(document))

    def _tidy_documents(self, written: Sequence[Path]) -> dict[str, str]:
        """Hashes of the reports by file name; those of earlier samples go where the folder is replaced.

        Only where they are as they were written: what a person wrote into a report stays.
        """
        hashes = {path.name: sha256_file(path) for path in written}
        for name, digest in self._left.documents.items():
            path = self._out / REPORTS / name
            if name in hashes or not path.is_file() or sha256_file(path) != digest:
                continue
            if self._task.overwrite == "always":
                path.unlink()
            else:
                hashes[name] = digest
        return hashes


def _analyse_member(
    task: AnalysisTask, settings: Mapping[str, Any], about: tuple[Member, float | None]
) -> tuple[AnalysedImage, bool]:
    """Analyse a micrograph into the folder, unless an earlier call has.

    Args:
        task: The call's.
        settings: The same for all.
        about: The micrograph, and its scale in the user's table.

    Returns:
        Its row, and whether an earlier call had analysed it.
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


@dataclass(frozen=True, slots=True)
class _Entry:
    """An analysed micrograph for ``convert``, read when its turn comes."""

    path: Path
    name: str
    confidence: float | None
    begun_by: BegunBy | None

    def read(self) -> Micrograph:
        image = read_state(self.path).image
        kept = tuple(
            each
            for each in image.instances
            if each.score is None or self.confidence is None or each.score >= self.confidence
        )
        return Micrograph(
            image.name, image.path, image.width, image.height, kept, nm_per_px=image.nm_per_px, begun_by=self.begun_by
        )


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
        left_out_for=in_words(left_out),
        d50=median,
        unit=unit,
        sha256=image.sha256,
        warnings=analysed.warnings,
    )


def _sample_json(analysed: AnalysedSample) -> dict[str, Any]:
    statistics = analysed.report.statistics
    by_group = statistics.by_group.astype(object).where(statistics.by_group.notna(), None)
    return {
        "sample": analysed.sample,
        "images": analysed.images,
        "particles": statistics.size.count,
        "unit": statistics.unit,
        "statistics": by_group.to_dict("records"),
        "warnings": list(analysed.report.warnings),
        "documents": [str(path.relative_to(path.parent.parent)) for path in analysed.documents],
    }
