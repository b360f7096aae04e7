"""Many micrographs into one folder: analysed one by one, pooled by sample, resumable."""

import datetime
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from nanoseg_bench import __version__
from nanoseg_bench.annotations.begun_by import BegunBy
from nanoseg_bench.annotations.conversion import convert
from nanoseg_bench.annotations.file_names import UniqueNames
from nanoseg_bench.annotations.instance import Micrograph
from nanoseg_bench.annotations.source import Source
from nanoseg_bench.changes import dict_changes, list_changes
from nanoseg_bench.errors import NanosegError, UsageError
from nanoseg_bench.files import atomic_path, read_json, sha256_file, sha256_json, unwritable, write_json
from nanoseg_bench.imageio import read_image
from nanoseg_bench.inference.corrections import labelme_hashes, require_uncorrected
from nanoseg_bench.inference.image_files import find_images
from nanoseg_bench.inference.predictor import Predictor
from nanoseg_bench.measure.columns import COLUMNS, column_of
from nanoseg_bench.measure.particles import counted as counted_in
from nanoseg_bench.measure.sample import Unit, particle_weights, warnings_of
from nanoseg_bench.measure.sampling_by import assign_samples
from nanoseg_bench.measure.statistics import compute_statistics
from nanoseg_bench.preparation.scales import ScaleTable
from nanoseg_bench.progress import track
from nanoseg_bench.report.analysis.method import method_of
from nanoseg_bench.report.analysis.micrograph import (
    AnalysedMicrograph,
    Choices,
    analyse_micrograph,
    filter_sentences,
)
from nanoseg_bench.report.analysis.outputs import file_names, write_documents, write_pictures
from nanoseg_bench.report.analysis.state import read_key, read_state, write_state
from nanoseg_bench.report.delimited import csv_of, write_csv
from nanoseg_bench.report.formats import ANNOTATIONS, DEFAULT_FORMATS, PICTURES, require_writers
from nanoseg_bench.report.report_input import Method, ReportInput
from nanoseg_bench.report.sample_statistics import compute_sample
from nanoseg_bench.staging import hold_folder
from nanoseg_bench.wording import counted, shortened

FILE = "analysis.json"
"""Settings and results; also says that a folder is ours."""

FORMAT = "nanoseg-analysis/1"

STATE, IMAGES, SAMPLES, PARTICLES = "state", "images.csv", "samples.csv", "particles.csv"

OK, FAILED = "ok", "failed"

_SHOWN_OUTLINES = 4
"""Micrographs of a sample whose outlines its Word report shows."""

_MOST_IMAGE_WARNINGS = 5

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Member:
    """A micrograph that was asked for.

    Attributes:
        name: Its path below the folder that was given, without suffix, as tables of the user name it.
        image_path: The file.
        stem: In all tables, and of the files that are written of it.
        sample: That it belongs to.
    """

    name: str
    image_path: Path
    stem: str
    sample: str


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
    """

    sample: str
    images: int
    report: ReportInput
    documents: tuple[Path, ...]


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
        predictor: The model.
        images: Files and folders.
        out: Folder to write.
        choices: Of the user.
        scales: Of single micrographs, as the user's table has them.
        sample_by: Rule of ``measure.sampling_by``; None puts all micrographs together.
        formats: Of ``formats.FORMATS``; the CSV files and ``analysis.json`` are always written.
        operator: Who makes the analysis.
        made: When, with a time zone.
        overwrite: ``missing``: go on where an earlier call with the same settings ended. ``always``: begin anew.
    """

    predictor: Predictor
    images: Sequence[Path]
    out: Path
    choices: Choices = Choices()  # noqa: RUF009, it is frozen
    scales: ScaleTable | None = None
    sample_by: str | None = None
    formats: Sequence[str] = DEFAULT_FORMATS
    operator: str = ""
    made: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))
    overwrite: str = "missing"


def analyse_folder(task: AnalysisTask) -> Analysis:
    """Analyse micrographs and write a report for each sample.

    A micrograph that cannot be analysed is a row with its reason, and no reason to stop. What an earlier call with the
    same settings analysed is not analysed again, unless the file is another one now.

    Raises:
        UsageError: There is no image, no sample for one, or the folder must not be written.
        NanosegError: The folder cannot be written.
    """
    out = task.out
    require_writers(tuple(task.formats))
    sources = find_images(task.images, out)
    names = UniqueNames()
    root = _root(task.images, sources)
    found = assign_samples(sources, root, task.sample_by)
    if len(sources) == 1 and task.sample_by is None:
        found = {sources[0]: sources[0].stem}  # a folder's name says nothing of a single micrograph
    members = [
        Member(path.relative_to(root).with_suffix("").as_posix(), path, names.take(path.stem), found[path])
        for path in sources
    ]
    warnings = [] if task.scales is None else task.scales.check(members)
    with hold_folder(out):
        settings = _settings(task)
        written = _open(out, settings, task.overwrite)
        try:
            # At once: a call that is killed leaves a folder that the next one knows as ours.
            write_json(out / FILE, {"format": FORMAT, "settings": settings, "labelme_sha256": written})
            return _Run(task, settings, method_of(task.predictor)).carry_out(members, tuple(warnings))
        except OSError as error:
            raise unwritable(out, error, "--out") from error


def _root(given: Sequence[Path], sources: Sequence[Path]) -> Path:
    """The folder that was given, or the one that holds all that was."""
    if len(given) == 1 and given[0].is_dir():
        return given[0].absolute()
    return Path(os.path.commonpath([path.parent for path in sources]))


def _settings(task: AnalysisTask) -> dict[str, Any]:
    """What makes an outline or a number another one."""
    choices = task.choices
    return {
        "model": task.predictor.model.recipe.model,
        "weights_sha256": task.predictor.weights_sha256,
        "confidence": task.predictor.operating_point.confidence,
        "version": __version__,
        "min_diameter": None if choices.min_diameter is None else str(choices.min_diameter),
        "border": choices.border,
        "nm_per_px": choices.nm_per_px,
        "bar_nm": choices.bar_nm,
        "read_text": choices.read_text,
        "keep_marks": choices.keep_marks,
        "tiles": choices.tiles,
        "acquisition": asdict(choices.acquisition),
    }


def _open(out: Path, settings: Mapping[str, Any], overwrite: str) -> Mapping[str, str] | None:
    """Look whether the folder may be written; hashes of the LabelMe files that it holds, where there are any."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not (out / FILE).is_file():
        raise UsageError(f"--out {out}: holds other things (no {FILE}); choose another folder")
    try:
        earlier = read_json(out / FILE)
        before = earlier["settings"] if earlier["format"] == FORMAT else None
        written: Mapping[str, str] | None = earlier.get("labelme_sha256")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"--out {out}: {FILE} cannot be read ({error}); choose another folder") from error
    require_uncorrected(out, written)
    if overwrite != "always" and before != settings:
        changes = list_changes(dict_changes(before or {}, settings))
        raise UsageError(
            f"--out {out}: holds an analysis that differs from this one: {changes}; choose another folder, or give "
            "--overwrite always to replace it"
        )
    if overwrite == "always":
        for state in (out / STATE).glob("*.json"):
            state.unlink()
    return written


class _Run:
    """One call: the loop over the micrographs, then the samples; one of either is in memory at a time."""

    def __init__(self, task: AnalysisTask, settings: Mapping[str, Any], method: Method) -> None:
        self._task = task
        self._settings = settings
        self._method = method
        self._out = task.out
        self._earlier = 0

    def carry_out(self, members: Sequence[Member], warnings: tuple[str, ...]) -> Analysis:
        rows = {}
        title = self._task.predictor.model.recipe.title
        for member in track(members, f"analyse with {title}"):
            rows[member.stem] = self._analyse(member)
        done = [member for member in members if rows[member.stem].status == OK]
        stems = [member.stem for member in done]
        self._write_particles(stems)
        found = tuple(self._write_samples(done))
        self._write_annotations(stems)
        self._write_tables(tuple(rows.values()), found)
        images = tuple(rows.values())
        return Analysis(folder=self._out, images=images, samples=found, earlier=self._earlier, warnings=warnings)

    def _analyse(self, member: Member) -> AnalysedImage:
        path = self._out / STATE / f"{member.stem}.json"
        try:
            scale = None if self._task.scales is None else self._task.scales.lookup(member)
            key = self._key(member, scale)
            if read_key(path) == key and self._has_pictures(member):
                self._earlier += 1
                return self._row(read_state(path, outlines=False), member)
            analysed = analyse_micrograph(
                member.image_path, self._task.predictor, self._task.choices, name=member.stem, nm_per_px=scale
            )
            if any(name in self._task.formats for name in PICTURES):
                pixels = read_image(member.image_path)
                write_pictures(self._out, analysed, pixels, self._task.formats, self._task.predictor.classes)
            write_state(path, analysed, key)
            return self._row(analysed, member)
        except OSError:
            raise  # the folder cannot be written: no micrograph's fault
        except NanosegError as error:
            reason = str(error)
        except Exception as error:
            # One micrograph that nobody thought of must not cost the other thousand.
            _LOG.debug("", exc_info=True)
            reason = f"{type(error).__name__}: {error}"
        return AnalysedImage(
            image=member.stem, source=str(member.image_path), sample=member.sample, status=FAILED, reason=reason
        )

    def _row(self, analysed: AnalysedMicrograph, member: Member) -> AnalysedImage:
        return _row(analysed, member, self._task.choices.border == "weight")

    def _key(self, member: Member, scale: float | None) -> str:
        file = sha256_file(member.image_path) if member.image_path.is_file() else None
        return sha256_json({"file": file, "path": str(member.image_path), "scale": scale, **self._settings})

    def _has_pictures(self, member: Member) -> bool:
        wanted = [(name, suffix) for name, suffix in PICTURES.items() if name in self._task.formats]
        return all((self._out / name / f"{member.stem}.{suffix}").is_file() for name, suffix in wanted)

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
                AnalysedSample(sample=sample, images=len(report.images), report=light, documents=tuple(documents))
            )
        return written

    def _report(self, sample: str, names: Sequence[str]) -> ReportInput:
        every = [self._state(name, outlines=number < _SHOWN_OUTLINES) for number, name in enumerate(names)]
        analysed, unscaled = _pooled(every)
        particles = pd.concat([each.table for each in analysed], ignore_index=True)
        uncertainties = [each.scale.relative_uncertainty for each in analysed]
        known = [each for each in uncertainties if each is not None]
        statistics = compute_sample(
            particles,
            border_weighted=self._task.choices.border == "weight",
            confidence=self._method.confidence,
            calibration=max(known) if known and len(known) == len(analysed) else None,
        )
        return ReportInput(
            sample=sample,
            images=tuple(each.image for each in analysed),
            particles=particles,
            statistics=statistics,
            method=self._method,
            filters=filter_sentences(self._task.predictor, self._task.choices),
            made=self._task.made,
            operator=self._task.operator,
            classes=self._task.predictor.classes,
            warnings=(*unscaled, *warnings_of(particles), *_image_warnings(every)),
        )

    def _write_annotations(self, names: Sequence[str]) -> None:
        method = self._method
        begun_by = BegunBy(method.model_id, method.run, method.weights_sha256) if method.model_id else None
        entries = tuple(_Entry(self._out / STATE / f"{name}.json", name, method.confidence, begun_by) for name in names)
        classes = self._task.predictor.classes
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
        document = {
            "format": FORMAT,
            "settings": self._settings,
            "made": self._task.made.isoformat(),
            "operator": self._task.operator,
            "method": asdict(self._method),
            "labelme_sha256": labelme_hashes(self._out),
            "images": [asdict(image) for image in images],
            "samples": [_sample_json(each) for each in samples],
        }
        write_json(self._out / FILE, document)


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
    others = table["exclusion"].notna() & ~table["exclusion"].fillna("").str.contains("below the confidence")
    # Weighted as the sample's, so that one micrograph alone is told with one number.
    values = kept[column_of("diameter", unit).name].to_numpy()
    weights = particle_weights(kept, "number", border_weighted)
    median = float(compute_statistics(values, weights[None])["d50"][0]) if len(kept) else None
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
        left_out=int(others.sum()),
        d50=median,
        unit=unit,
        sha256=image.sha256,
        warnings=analysed.warnings,
    )


def _pooled(analysed: Sequence[AnalysedMicrograph]) -> tuple[Sequence[AnalysedMicrograph], tuple[str, ...]]:
    """The micrographs whose particles can be put together, and a sentence on the others.

    Lengths in px of different magnifications are no sample: where some micrographs have a scale, the others stay out.
    """
    scaled = [each for each in analysed if each.image.nm_per_px is not None]
    if not scaled or len(scaled) == len(analysed):
        return analysed, ()
    others = [each.image.path.name for each in analysed if each.image.nm_per_px is None]
    return scaled, (
        f"{counted(len(others), 'image')} without a scale left out of this sample of {len(analysed)}: "
        f"{shortened(others)}; give the scale (--scale-csv) to count them",
    )


def _image_warnings(analysed: Sequence[AnalysedMicrograph]) -> list[str]:
    found = [
        sentence if len(analysed) == 1 else f"{each.image.path.name}: {sentence}"
        for each in analysed
        for sentence in each.warnings
    ]
    more = len(found) - _MOST_IMAGE_WARNINGS
    return found if more <= 0 else [*found[:_MOST_IMAGE_WARNINGS], f"{more} more warnings stand in {IMAGES}"]


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
