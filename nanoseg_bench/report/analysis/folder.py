"""Many micrographs into one folder: analysed one by one, pooled by sample, resumable."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from nanoseg_bench.annotations.begun_by import BegunBy
from nanoseg_bench.annotations.conversion import convert
from nanoseg_bench.annotations.instance import Micrograph
from nanoseg_bench.annotations.source import Source
from nanoseg_bench.files import atomic_path, sha256_file, unwritable, write_json
from nanoseg_bench.inference.corrections import labelme_hashes, require_uncorrected
from nanoseg_bench.measure.columns import COLUMNS
from nanoseg_bench.measure.particles import counted as counted_in
from nanoseg_bench.measure.shape_names.main_part import count_ragged
from nanoseg_bench.parallel import Workers, open_processes
from nanoseg_bench.preparation.scales import ScaleTable
from nanoseg_bench.progress import track
from nanoseg_bench.report.analysis.analysed_image import OK, AnalysedImage, analyse_member
from nanoseg_bench.report.analysis.earlier import FILE, FORMAT, STATE, Earlier, find_earlier, open_earlier
from nanoseg_bench.report.analysis.members import Member, find_members
from nanoseg_bench.report.analysis.micrograph import AnalysedMicrograph, rule_sentences
from nanoseg_bench.report.analysis.outputs import REPORTS, file_names, remove_pictures, write_documents
from nanoseg_bench.report.analysis.pooling import report_on
from nanoseg_bench.report.analysis.state import read_state
from nanoseg_bench.report.analysis.task import AnalysisTask
from nanoseg_bench.report.delimited import csv_of, write_csv
from nanoseg_bench.report.formats import ANNOTATIONS, LABELME, require_writers
from nanoseg_bench.report.report_input import SHOWN_MICROGRAPHS, Method, ReportInput
from nanoseg_bench.report.uncertainty import as_json
from nanoseg_bench.seals import sealed
from nanoseg_bench.staging import hold_folder
from nanoseg_bench.wording import counted, shortened

IMAGES, SAMPLES, PARTICLES = "images.csv", "samples.csv", "particles.csv"

_WHOLE = ("width", "height", "particles", "left_out")
"""Columns of ``images.csv`` that are whole numbers."""

_LEAST = 4
"""Micrographs that pay for the start of one more worker, which opens the model."""

_MOST_SIZES = 3
"""Sizes of micrographs that are named where they differ."""


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
        find_earlier(out)


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
        settings = task.settings()
        earlier = open_earlier(out, settings, task.overwrite)
        try:
            # At once: a call that is killed leaves a folder that the next one knows as ours.
            written = {"labelme_sha256": earlier.labelme, "documents_sha256": earlier.documents}
            write_json(out / FILE, sealed({"format": FORMAT, "settings": settings, **written}))
            run = _Run(task, settings, task.finder.method(), earlier)
            return run.carry_out(members, tuple(warnings))
        except OSError as error:
            raise unwritable(out, error, "--out") from error


class _Run:
    """One call: the loop over the micrographs, then the samples; one of either is in memory at a time."""

    def __init__(self, task: AnalysisTask, settings: Mapping[str, Any], method: Method, earlier: Earlier) -> None:
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
        self._tidy_pictures(stems)
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
        one = partial(analyse_member, light, self._settings)
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

    def _tidy_pictures(self, names: Sequence[str]) -> None:
        """Take away those of micrographs that earlier calls had and this one has not: no table names them."""
        kept = {path.stem for path in (self._out / STATE).glob("*.json")}
        for name in kept.difference(names):
            remove_pictures(self._out, name)

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
        # Of those that failed there is none, which would make numbers with a point of the others.
        write_csv(self._out / IMAGES, pd.DataFrame(rows).astype(dict.fromkeys(_WHOLE, "Int64")))
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


def _sample_json(analysed: AnalysedSample) -> dict[str, Any]:
    statistics = analysed.report.statistics
    by_group = statistics.by_group.astype(object).where(statistics.by_group.notna(), None)
    return {
        "sample": analysed.sample,
        "images": analysed.images,
        "particles": statistics.size.count,
        "unit": statistics.unit,
        "statistics": by_group.to_dict("records"),
        "uncertainty": None if statistics.budget is None else as_json(statistics.budget),
        "warnings": list(analysed.report.warnings),
        "documents": [str(path.relative_to(path.parent.parent)) for path in analysed.documents],
    }
