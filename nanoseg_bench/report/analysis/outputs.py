"""What is written of an analysed micrograph, and of a sample."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.annotations.file_names import UniqueNames
from nanoseg_bench.drawing.svg import svg_picture
from nanoseg_bench.files import atomic_path, write_bytes, write_text
from nanoseg_bench.measure.particles import counted
from nanoseg_bench.report.analysis.micrograph import AnalysedMicrograph
from nanoseg_bench.report.formats import DOCUMENTS, EXCEL, LABELS, OVERLAY, PDF, PICTURES, SVG, WORD
from nanoseg_bench.report.grouping import grouping_column, groups_in_order
from nanoseg_bench.report.label_image import as_tiff, label_image
from nanoseg_bench.report.outlining import bar_of, outlines_of, overlay
from nanoseg_bench.report.pdf import write_pdf
from nanoseg_bench.report.report_input import ReportInput, without_options
from nanoseg_bench.report.word.report import write_word_report
from nanoseg_bench.report.workbook import workbook_of

REPORTS = "reports"


def write_pictures(
    folder: Path,
    analysed: AnalysedMicrograph,
    pixels: NDArray[np.uint8],
    formats: Sequence[str],
    classes: Sequence[str],
) -> None:
    """Overlay, SVG and label image of one micrograph, as far as they are among ``formats``.

    Raises:
        OSError: They cannot be written.
    """
    image, table = analysed.image, analysed.table
    outlines = outlines_of(table, image, groups_in_order(table, classes), grouping_column(table))
    paths = {name: folder / name / f"{image.name}.{suffix}" for name, suffix in PICTURES.items()}
    if OVERLAY in formats:
        with atomic_path(paths[OVERLAY]) as temporary:
            Image.fromarray(overlay(pixels, image, outlines)).save(temporary)
    if SVG in formats:
        write_text(paths[SVG], svg_picture(pixels, outlines, bar=bar_of(image)))
    if LABELS in formats:
        numbers = counted(table)["particle"].tolist()
        labels = label_image([(n, image.instances[n - 1]) for n in numbers], image.height, image.width)
        write_bytes(paths[LABELS], as_tiff(labels, image.nm_per_px))


def remove_pictures(folder: Path, name: str) -> None:
    """Remove what ``write_pictures`` wrote of a micrograph, which is not among those of the analysis any more.

    Raises:
        OSError: They cannot be removed.
    """
    for form, suffix in PICTURES.items():
        (folder / form / f"{name}.{suffix}").unlink(missing_ok=True)


def write_documents(folder: Path, name: str, report: ReportInput, formats: Sequence[str]) -> list[Path]:
    """Word report, Excel workbook and PDF of one sample, as far as they are among ``formats``.

    Args:
        folder: Of the analysis.
        name: Of the files, without suffix.
        report: What is told.
        formats: Of ``DOCUMENTS``; a PDF needs the Word report.

    Raises:
        NanosegError: There is no LibreOffice for a PDF.
        OSError: They cannot be written.
    """
    report = replace(report, warnings=tuple(map(without_options, report.warnings)))
    paths = {each: folder / REPORTS / f"{name}.{suffix}" for each, suffix in DOCUMENTS.items()}
    written = []
    if EXCEL in formats:
        write_bytes(paths[EXCEL], workbook_of(report))
        written.append(paths[EXCEL])
    if WORD in formats or PDF in formats:
        rows_in = f"{paths[EXCEL].name}, sheet Particles" if EXCEL in formats else "particles.csv"
        write_word_report(paths[WORD], report, rows_in)
        written.append(paths[WORD])
    if PDF in formats:
        write_pdf(paths[WORD], paths[PDF])
        written.append(paths[PDF])
    return written


def file_names(samples: Sequence[str]) -> dict[str, str]:
    """A file name for each sample, legal everywhere."""
    names = UniqueNames()
    return {sample: names.take(sample) for sample in samples}
