"""Annotated micrographs from one format to another, with a report of everything that the other cannot hold.

All images go into one folder. There is no split: a split needs source groups and an audit, which is what ``prepare``
is for.
"""

import csv
import gc
import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from nanoseg_bench.annotations.conversion_report import REPORT_FILE, ConversionReport
from nanoseg_bench.annotations.errors import NoAnnotationsError
from nanoseg_bench.annotations.faults import Problem, common_root
from nanoseg_bench.annotations.file_names import UniqueNames
from nanoseg_bench.annotations.image_conversion import ConversionTask, Converted, convert_image
from nanoseg_bench.annotations.left_out import WAY_OUT, list_kinds
from nanoseg_bench.annotations.registry import WRITTEN, get_format
from nanoseg_bench.annotations.source import MicrographRef, Source
from nanoseg_bench.annotations.writer import WriteOptions, Writer
from nanoseg_bench.errors import AnnotationError, NanosegError, UsageError
from nanoseg_bench.parallel import default_workers, each
from nanoseg_bench.staging import beside, staged_folder
from nanoseg_bench.wording import counted

SCALES, GROUPS = "scales.csv", "groups.csv"
"""What the formats other than LabelMe have no place for, as ``prepare`` reads it."""

SPLIT = "split.csv"
"""Which part an image had in a source that came split, as ``--split-file`` of ``prepare`` takes it."""

_SAMPLE = 8
# Starting a worker costs as much as a hundred small images; a worker is sent some of them at a time.
_MIN_IMAGES_PER_WORKER = 100
_IMAGES_AT_ONCE = 16
_GARBAGE_THRESHOLD = 200_000

Item = tuple[MicrographRef, str]


def convert(
    source: Source,
    destination: Path,
    to: str,
    *,
    classes: Sequence[str] | None = None,
    link: bool = True,
    max_loss: float | None = None,
    exact: bool = False,
    on_error: str = "fail",
    overwrite: bool = False,
    workers: int | None = None,
) -> ConversionReport:
    """Write annotated micrographs in another format; same input, same bytes, whatever the number of workers.

    ``labelme``: a JSON beside each image, where masks become polygons that can be edited. ``coco``:
    ``annotations.json`` and ``images/``. ``yolo``: ``data.yaml``,
    ``images/`` and ``labels/``. ``masks``: ``images/``, ``masks/`` and ``instances.csv`` (name, value, label). With
    each, ``conversion_report.json``. The folder is written beside its place and renamed when complete.

    Args:
        source: What to convert.
        destination: The folder to write.
        to: One of ``registry.WRITTEN``.
        classes: Class names in the order of their indices; another label is an error. By default those that the
            source's format lists, else all labels that occur, sorted.
        link: Hard-link images rather than copy them, where the file system can.
        max_loss: Largest 1 - IoU between a particle and what a reader of the new files sees; more is an error.
        exact: ``labelme``: masks stay masks, pixel by pixel, and their outlines cannot be edited.
        on_error: ``fail``: a file that cannot be used ends the conversion, after all of them were found. ``skip``:
            they are left out, and listed in the report.
        overwrite: Replace an earlier conversion in ``destination``.
        workers: Processes; the number of cores, at most 8, by default. They are started by ``spawn``, so a script
            that calls this needs the guard ``if __name__ == "__main__":``.

    Raises:
        UsageError: An argument is not one of its values.
        AnnotationError: Files cannot be used, or there is nothing to convert. All are listed in
            ``<destination>-conversion_report.json``.
        ImageError: The only fault is an image that cannot be read.
        FolderError: ``destination`` cannot be written or holds other files.
    """
    _check(to, on_error, destination, overwrite)
    _check_sources_stay(source, destination)
    writer = get_format(to).writer()
    file_names = UniqueNames()
    items = [(entry, file_names.take(entry.name)) for entry in source.entries]
    root = common_root(entry.path for entry in source.entries)
    failed_report = beside(destination, f"{{}}-{REPORT_FILE}")
    strict = classes is not None or source.classes is not None
    used = tuple(classes if classes is not None else source.classes or ())
    with staged_folder(destination, REPORT_FILE) as folder:
        _check(to, on_error, destination, overwrite)  # again: another call may have written it meanwhile
        for name in writer.folders:
            (folder / name).mkdir()
        if not strict and writer.numbers_classes:
            used = _first_labels(items)
        while True:
            task = ConversionTask(to, folder, WriteOptions(used, max_loss, exact), strict, link)
            report = ConversionReport(source_format=source.format, to=to, root=root)
            report.of_files = list(source.problems)
            with closing(_convert_all(task, items, workers or default_workers())) as results:
                found, annotated = _collect(report, results, task, writer)
            if strict or not writer.numbers_classes or found == used:
                break
            used = found  # a label that the first few images do not show: all over again, with the right indices
        report.classes = used or found
        report.unannotated = [path for path in source.unannotated if os.path.realpath(path) not in annotated]
        if report.faults and (on_error == "fail" or not report.images):
            report.write(failed_report)
            raise report.refusal(failed_report, AnnotationError)
        _check_anything(report, len(items), writer)
        if not writer.holds_extras:
            _write_tables(folder, report.images)
        if source.split is not None:
            rows = [(Path(row["image"]).stem, source.split[row["name"]]) for row in report.images]
            _write_table(folder / SPLIT, "split", rows)
        writer.finish(folder, report.classes)
        report.write(folder / REPORT_FILE)
    failed_report.unlink(missing_ok=True)
    report.path = destination / REPORT_FILE
    return report


def _check(to: str, on_error: str, destination: Path, overwrite: bool) -> None:
    if to not in WRITTEN:
        raise UsageError(f"cannot write {to!r}; choose one of {', '.join(WRITTEN)}")
    if on_error not in ("fail", "skip"):
        raise UsageError(f"on_error {on_error!r}: give fail or skip")
    if destination.is_dir() and any(destination.iterdir()) and not overwrite:
        raise UsageError(f"{destination}: is there already; choose another folder, or give --overwrite always")


def _check_sources_stay(source: Source, destination: Path) -> None:
    inside = Path(os.path.realpath(destination))
    # Links are followed once for each folder: there may be ten thousand files.
    folders = {entry.path.parent: entry.path for entry in source.entries}
    lost = next((path for each, path in folders.items() if Path(os.path.realpath(each)).is_relative_to(inside)), None)
    if lost is not None:
        raise UsageError(f"{destination}: holds {lost.name}, which is to be converted; choose another folder")


def _first_labels(items: Sequence[Item]) -> tuple[str, ...]:
    """Labels of a few images, spread over all: mostly all that there are, and then no image is read twice."""
    labels: set[str] = set()
    for entry, _ in items[:: max(len(items) // _SAMPLE, 1)][:_SAMPLE]:
        try:
            instances = entry.read().instances
        except (NanosegError, OSError):
            continue  # reported when its turn comes
        labels |= {one.label for one in instances if one.label is not None and not one.ignored}
    return tuple(sorted(labels))


def _convert_all(
    task: ConversionTask, items: Sequence[Item], workers: int
) -> Generator[Converted | Problem, None, None]:
    return each(
        partial(convert_image, task),
        items,
        workers,
        f"converting to {task.to}",
        at_once=_IMAGES_AT_ONCE,
        least_per_worker=_MIN_IMAGES_PER_WORKER,
        initializer=_start_worker,
    )


def _start_worker() -> None:
    # A document of thousands of points makes Python look for garbage again and again, and there is none.
    gc.set_threshold(_GARBAGE_THRESHOLD)


def _collect(
    report: ConversionReport, results: Iterable[Converted | Problem], task: ConversionTask, writer: Writer
) -> tuple[tuple[str, ...], set[str]]:
    """Write what belongs into one file for all images, and the report.

    Returns:
        All labels that occur, sorted; and all images that are annotated.
    """
    labels: set[str] = set()
    annotated: dict[str, Path] = {}
    with writer.shared_file(task.root, task.options) as add:
        for result in results:
            if isinstance(result, Problem):
                labels |= result.labels  # or the next try, without them, would find them again
                report.add_problem(result)
                continue
            if result.image_path in annotated:
                for file in result.files:
                    (task.root / file).unlink()
                report.add_problem(_twice(result, annotated[result.image_path]))
                continue
            annotated[result.image_path] = result.path
            labels |= result.labels.keys()
            if result.files:
                size = result.micrograph.width, result.micrograph.height
                add(Path(result.files[0]).name, size, result.shared)
                report.add(result)
    return tuple(sorted(labels)), set(annotated)


def _twice(result: Converted, first: Path) -> Problem:
    image = Path(result.image_path).name
    error = AnnotationError(f"{result.path}: annotates {image}, and so does {first}; keep one")
    return Problem(result.name, result.path, error)


def _write_tables(folder: Path, images: Sequence[Mapping[str, Any]]) -> None:
    """Scales and source groups, where any are known; an image without group is one of its own."""
    stems = [(Path(row["image"]).stem, row) for row in images]
    scales = [(stem, repr(row["nm_per_px"])) for stem, row in stems if "nm_per_px" in row]
    groups = [(stem, row.get("source_group", stem)) for stem, row in stems]
    if scales:
        _write_table(folder / SCALES, "nm_per_px", scales)
    if any("source_group" in row for row in images):
        _write_table(folder / GROUPS, "source_group", groups)


def _write_table(path: Path, column: str, rows: Sequence[tuple[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("name", column))
        writer.writerows(rows)


def _check_anything(report: ConversionReport, entries: int, writer: Writer) -> None:
    if not report.images:
        raise NoAnnotationsError(f"{report.root}: no {report.source_format} annotation in {counted(entries, 'file')}")
    if writer.numbers_classes and not report.classes:
        raise AnnotationError(
            f"{report.root}: no particle is outlined in {counted(len(report.images), 'image')}, so there are no "
            f"classes; {_way_to_classes(report)}"
        )


def _way_to_classes(report: ConversionReport) -> str:
    if report.without_area:
        return f"shapes without area were left out ({list_kinds(report.without_area)}): {WAY_OUT}"
    return "name them with --classes"
