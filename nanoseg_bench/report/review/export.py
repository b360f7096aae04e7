"""Files of a reviewed sample; all tell the numbers of ``view.statistics_of``, and what a person did."""

import datetime
import io
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from nanoseg_bench.annotations.coco.writing import CocoWriter
from nanoseg_bench.annotations.file_names import UniqueNames
from nanoseg_bench.annotations.instance import IGNORE_LABEL, Micrograph
from nanoseg_bench.annotations.labelme.writing import LabelmeWriter
from nanoseg_bench.annotations.writer import WriteOptions
from nanoseg_bench.drawing.outlines import Outline
from nanoseg_bench.drawing.svg import svg_picture
from nanoseg_bench.errors import ReviewError
from nanoseg_bench.images import read_image
from nanoseg_bench.measure.particles import BELOW_CONFIDENCE, NO_AREA, REMOVED, reasons_of
from nanoseg_bench.report.analysis.micrograph import AnalysedMicrograph
from nanoseg_bench.report.delimited import csv_of
from nanoseg_bench.report.formats import FIRST_ZIP_YEAR, LAST_ZIP_YEAR
from nanoseg_bench.report.grouping import UNNAMED, group_of, groups_in_order
from nanoseg_bench.report.outlining import bar_of, outlines_of, overlay
from nanoseg_bench.report.report_input import Method
from nanoseg_bench.report.review.filters import Filters
from nanoseg_bench.report.review.formats import COCO, CSV, EXCEL, EXPORT, LABELME, PNG, SVG, WORD, ZIP
from nanoseg_bench.report.review.sample import ReviewedSample, make_sample
from nanoseg_bench.report.word.report import word_report
from nanoseg_bench.report.workbook import workbook_of

# No particle: what lies at the border or is small is one, and truth for those who train with it.
_NO_PARTICLE = (NO_AREA, REMOVED, BELOW_CONFIDENCE)


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file to hand out.

    Attributes:
        name: Legal on every file system.
        media_type: Of it.
        data: Its bytes.
    """

    name: str
    media_type: str
    data: bytes


def export(
    micrographs: Mapping[str, AnalysedMicrograph],
    filters: Filters,
    to: str,
    *,
    method: Method,
    made: datetime.datetime,
    sample: str = "",
    operator: str = "",
    classes: tuple[str, ...] = (),
) -> ExportedFile:
    """Write a sample in a format; the same input gives the same bytes.

    Args:
        micrographs: By id, at least one; edited and rescaled, without filters.
        filters: Which particles count.
        to: Of ``formats.EXPORTS``.
        method: What found the particles.
        made: When the analysis was made, with a time zone.
        sample: Its name.
        operator: Who makes the analysis.
        classes: Of the model, in the order of the colours.

    Raises:
        ReviewError: There is no such format.
        MeasurementError: A diameter of the filters is in nm, and no micrograph has a scale.
        ImageError: A micrograph cannot be read.
        MissingExtraError: What writes the format is not installed.
    """
    if to not in EXPORT:
        raise ReviewError(f"{to!r} is no format; give one of {', '.join(EXPORT)}")
    reviewed = make_sample(
        micrographs, filters, method=method, made=made, sample=sample, operator=operator, classes=classes
    )
    files = _Files(reviewed)
    name = UniqueNames().take(reviewed.report.sample)
    if to == ZIP:
        return ExportedFile(f"{name}.zip", EXPORT[ZIP].media_type, files.archive(files.of_all(name)))
    form = EXPORT[to]
    if not form.for_each:
        return ExportedFile(f"{name}{form.suffix}", form.media_type, files.of_sample(to))
    written = files.of_each(to)
    if len(written) == 1:
        (only,) = written
        return ExportedFile(only, form.media_type, written[only])
    return ExportedFile(f"{name}_{to}.zip", EXPORT[ZIP].media_type, files.archive(written))


class _Files:
    """What is written of a sample."""

    def __init__(self, reviewed: ReviewedSample) -> None:
        self._members = list(reviewed.members.values())
        self._report = reviewed.report
        groups = groups_in_order(self._report.particles, self._report.classes)
        # Micrographs that are no part of the sample, for want of a scale, may have others; they have figures, too.
        found = (group_of(each.table, self._report.statistics.groups_from) for each in self._members)
        self._groups = list(dict.fromkeys([*groups, *(name for names in found for name in names)]))

    def of_sample(self, to: str, rows_in: str = "") -> bytes:
        """The one file of a format.

        Args:
            to: Which.
            rows_in: Of a Word report: the file that has all particles, in words.
        """
        report = self._report
        if to == WORD:
            return word_report(report, rows_in)
        if to == EXCEL:
            return workbook_of(report)
        if to == CSV:
            return csv_of(report.particles).encode("utf-8")
        return self._coco()

    def of_each(self, to: str) -> dict[str, bytes]:
        """The files of a format for each micrograph, by their names."""
        write = {LABELME: self._labelme, PNG: self._png, SVG: self._svg}[to]
        names = UniqueNames()
        return {f"{names.take(each.image.name)}{EXPORT[to].suffix}": write(each) for each in self._members}

    def of_all(self, name: str) -> dict[str, bytes]:
        """All formats, by their places in an archive."""
        rows_in = f"{name}.xlsx, sheet Particles"
        files = {f"{name}{EXPORT[to].suffix}": self.of_sample(to, rows_in) for to in (WORD, EXCEL, CSV)}
        files["coco/annotations.json"] = self.of_sample(COCO)
        for to in (LABELME, PNG, SVG):
            files |= {f"{to}/{file}": data for file, data in self.of_each(to).items()}
        return files

    def archive(self, files: Mapping[str, bytes]) -> bytes:
        """A ZIP of files by their names."""
        stream = io.BytesIO()
        made = self._report.made
        # A clock may be wrong; an archive then says the first time that it can hold.
        if not FIRST_ZIP_YEAR <= made.year <= LAST_ZIP_YEAR:
            made = datetime.datetime(FIRST_ZIP_YEAR, 1, 1, tzinfo=datetime.UTC)
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                entry = zipfile.ZipInfo(name, made.timetuple()[:6])
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, data)
        return stream.getvalue()

    def _labelme(self, analysed: AnalysedMicrograph) -> bytes:
        micrograph = _annotated(analysed, self._report.method)
        source = micrograph.image_path
        encoded = LabelmeWriter().encode(micrograph, micrograph.name, source, WriteOptions())
        return b"" if encoded.content is None else encoded.content(analysed.image.shown_name)

    def _coco(self) -> bytes:
        annotated = [_annotated(each, self._report.method) for each in self._members]
        labels = {str(each.label) for micrograph in annotated for each in micrograph.instances} - {IGNORE_LABEL}
        classes = tuple(dict.fromkeys([*self._report.classes, *sorted(labels)]))
        names = [each.image.shown_name for each in self._members]
        if len(set(names)) < len(names):
            names = [f"{each.image.name}{each.image.path.suffix}" for each in self._members]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "annotations.json")
            with CocoWriter(path, classes, suffix="") as writer:
                for name, micrograph in zip(names, annotated, strict=True):
                    writer.add(name, (micrograph.width, micrograph.height), micrograph.instances)
            return path.read_bytes()

    def _png(self, analysed: AnalysedMicrograph) -> bytes:
        stream = io.BytesIO()
        picture = overlay(read_image(analysed.image.path), analysed.image, self._outlines(analysed))
        Image.fromarray(picture).save(stream, "PNG")
        return stream.getvalue()

    def _svg(self, analysed: AnalysedMicrograph) -> bytes:
        pixels = read_image(analysed.image.path)
        return svg_picture(pixels, self._outlines(analysed), bar=bar_of(analysed.image)).encode("utf-8")

    def _outlines(self, analysed: AnalysedMicrograph) -> list[Outline]:
        return outlines_of(analysed.table, analysed.image, self._groups, self._report.statistics.groups_from)


def _annotated(analysed: AnalysedMicrograph, method: Method) -> Micrograph:
    """A micrograph with what is a particle; what counts although it lies on a mark is no ignore region."""
    image = analysed.image
    kept = []
    for instance, exclusion in zip(image.instances, analysed.table["exclusion"].tolist(), strict=True):
        reasons = reasons_of(exclusion)
        if any(reason in _NO_PARTICLE for reason in reasons):
            continue
        kept.append(replace(instance, label=instance.label or UNNAMED, on_mark=instance.on_mark and bool(reasons)))
    return Micrograph(
        image.name,
        image.path,
        image.width,
        image.height,
        tuple(kept),
        nm_per_px=image.nm_per_px,
        begun_by=method.begun_by,
    )
