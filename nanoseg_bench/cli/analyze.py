"""``nanoseg-bench analyze``: from micrographs to sizes in nanometres, charts and a Word report."""

import argparse
import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.cli.executor_options import add_executor, open_cluster, pool_of
from nanoseg_bench.cli.model_options import (
    add_confidence,
    add_model_options,
    add_trust_pickle,
    add_views,
    check_confidence,
    open_model,
)
from nanoseg_bench.cli.names import split_names
from nanoseg_bench.cli.places import require_there
from nanoseg_bench.cli.shipped import find_model
from nanoseg_bench.cli.sources import add_source_format
from nanoseg_bench.cli.tiles_option import add_tiles
from nanoseg_bench.errors import UsageError
from nanoseg_bench.report.formats import ANNOTATIONS, BORDERS, DEFAULT_FORMATS, FORMATS, OVERWRITE, require_writers
from nanoseg_bench.report.numbers import length_text
from nanoseg_bench.wording import counted

if TYPE_CHECKING:
    from nanoseg_bench.preparation.scales import ScaleTable
    from nanoseg_bench.report.analysis.folder import AnalysedSample, Analysis
    from nanoseg_bench.report.analysis.micrograph import Choices

_MANY_RAGGED = 0.1
"""Share of the particles from which ragged outlines are worth a second look."""

_EPILOG = """\
examples:
  nanoseg-bench analyze my_images --out sizes            with the weights that ship with this package
  nanoseg-bench analyze sample.tif --scale 0.42nm --operator "A. Chemist"
  nanoseg-bench analyze my_images --scale-bar 200nm --min-diameter 5nm --border exclude
  nanoseg-bench analyze sample.tif --scale-line 812,1003,1012,1003 --scale-bar 200nm
  nanoseg-bench analyze batches --sample-by "regex:(.+)_[0-9]+" --to word excel labelme overlay svg
  nanoseg-bench analyze sizes/labelme --annotated --out corrected
                                                         outlines that people corrected or drew, without a model
  nanoseg-bench analyze archive --executor ray --address auto
                                                         on the cores of all machines of a Ray cluster

The scale is taken from the file, from the words of its information bar, or from the scale bar and its text, in this
order; where it is unsure, lengths are in pixels and analyze says what it proposes. --scale, --scale-bar and
--scale-csv go before all of them; --scale-line says where the bar is, where it is not found.

DIR gets images.csv (one row per micrograph, with the reason where one failed), samples.csv (statistics with 95 %
intervals), particles.csv (every outline, with the reason of those that do not count), analysis.json, and what --to
names: word, excel and pdf (one per sample, in reports/), labelme (polygons whose corners can be dragged), coco, masks,
overlay (PNG) and svg (outlines and a scale bar), labels (16-bit TIFF of the particles' numbers).

The same command goes on where an earlier one ended. Corrected LabelMe files are never written over; --annotated
measures them.
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "analyze",
        help="measure the particles of micrographs, and report them in Word, Excel and CSV",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE_OR_FOLDER", help="micrographs")
    parser.add_argument(
        "--annotated",
        action="store_true",
        help="the folders hold annotations (LabelMe or another format that prepare reads): measure their outlines and "
        "ask no model",
    )
    add_source_format(parser, ", with --annotated")
    add_model_options(parser)
    add_confidence(parser, "particles below do not count")
    parser.add_argument(
        "--keep-marks",
        action="store_true",
        help="count what lies on information bars, scale bars and lettering (default: leave it out)",
    )
    add_tiles(parser)
    add_views(parser)
    scale = parser.add_argument_group("scale")
    scale.add_argument("--scale", metavar="0.42nm", help="what one pixel spans, of all micrographs")
    scale.add_argument("--scale-bar", metavar="200nm", help="length of the scale bar that is found in each micrograph")
    scale.add_argument(
        "--scale-line",
        metavar="X0,Y0,X1,Y1",
        help="both ends of the scale bar in pixels, where it is not found; with its length as --scale-bar",
    )
    scale.add_argument(
        "--scale-csv", type=Path, metavar="CSV", help="scale of single micrographs: columns name and nm_per_px"
    )
    scale.add_argument(
        "--no-ocr",
        action="store_true",
        help="read no text in the images (default: read it where RapidOCR is installed)",
    )
    sample = parser.add_argument_group("particles and samples")
    sample.add_argument("--min-diameter", metavar="5nm", help="smaller particles do not count; in nm or px")
    sample.add_argument(
        "--border",
        choices=BORDERS,
        default=BORDERS[0],
        help="particles that touch the border: weight leaves them out and weights the others for them, exclude leaves "
        "them out, keep counts them as they are cut (default: %(default)s)",
    )
    sample.add_argument(
        "--sample-by",
        metavar="RULE",
        help="micrographs that are pooled: folder, those of each subfolder; regex:PATTERN, by what its first group "
        "matches in the path without suffix; or csv:FILE:COLUMN, of a table with a column name (default: all of them)",
    )
    cover = parser.add_argument_group("for the report")
    cover.add_argument("--operator", default="", metavar="NAME", help="who makes the analysis")
    cover.add_argument("--instrument", default="", metavar="NAME", help="microscope (default: as the file says)")
    cover.add_argument("--kv", type=float, metavar="KV", help="acceleration voltage (default: as the file says)")
    parser.add_argument(
        "--out", type=Path, default=Path("analysis"), metavar="DIR", help="folder to write (default: %(default)s)"
    )
    parser.add_argument(
        "--to",
        nargs="+",
        metavar="FORMAT",
        help=f"of {', '.join(FORMATS)} (default: {' '.join(DEFAULT_FORMATS)}; with --annotated, of these "
        "what is not annotations)",
    )
    parser.add_argument(
        "--overwrite",
        choices=OVERWRITE,
        default=OVERWRITE[0],
        help="an earlier analysis in DIR: go on with it, or replace it (default: %(default)s)",
    )
    add_trust_pickle(parser)
    add_executor(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Analyse, and show what was found; 1 when a micrograph could not be analysed."""
    if arguments.annotated:
        _check_annotated(arguments)
    elif arguments.source_format != "auto":
        raise UsageError(f"--from {arguments.source_format}: goes with --annotated")
    formats = tuple(dict.fromkeys(split_names(arguments.to or _default_formats(arguments.annotated))))
    if not formats:
        raise UsageError(f"--to {' '.join(arguments.to)!r}: give some of {', '.join(FORMATS)}")
    require_writers(formats)
    if arguments.executor == "ray":
        if arguments.device not in ("auto", "cpu"):
            raise UsageError(
                f"--device {arguments.device}: --executor ray analyses on cores alone; leave it out to use a GPU"
            )
        arguments.device = "cpu"
    check_confidence(arguments)
    if arguments.scale_line is not None and arguments.scale_bar is None:
        raise UsageError(f"--scale-line {arguments.scale_line}: say how long it is, too (--scale-bar 200nm)")
    if arguments.scale is not None and arguments.scale_bar is not None:
        raise UsageError(f"--scale {arguments.scale}, --scale-bar {arguments.scale_bar}: give one of them")
    require_there({"": arguments.images, "--scale-csv": arguments.scale_csv})
    if not arguments.annotated:
        arguments.model = find_model(arguments.model, "give a run's folder, its weights, or an .onnx file")
    from nanoseg_bench.environment import isolate_libraries

    isolate_libraries()
    from nanoseg_bench.report.analysis.annotated import find_annotated
    from nanoseg_bench.report.analysis.finder import ByModel, Finder
    from nanoseg_bench.report.analysis.folder import analyse_folder, check_inputs
    from nanoseg_bench.report.analysis.task import AnalysisTask

    choices = _choices(arguments)
    scales = _scale_table(arguments.scale_csv)
    members, predictor = None, None
    finder: Finder
    if not arguments.annotated:
        check_inputs(arguments.images, arguments.out, sample_by=arguments.sample_by, scales=scales)
    with open_cluster(arguments) as cluster:
        workers, open_pool = pool_of(cluster, None)
        if arguments.annotated:
            members, finder = find_annotated(
                arguments.images, arguments.out, arguments.sample_by, arguments.source_format
            )
        else:
            predictor = open_model(arguments)
            finder = ByModel(predictor)
        outcome = analyse_folder(
            AnalysisTask(
                finder=finder,
                images=arguments.images,
                members=members,
                out=arguments.out,
                choices=choices,
                scales=scales,
                sample_by=arguments.sample_by,
                formats=formats,
                operator=arguments.operator,
                made=datetime.datetime.now(datetime.UTC),
                overwrite=arguments.overwrite,
                workers=workers or 1,
                open_pool=open_pool,
            )
        )
    _show(outcome, arguments.sample_by)
    if predictor and predictor.views == 1 and predictor.model.has_confidence:
        _advise_views(outcome)
    return 1 if any(image.status != "ok" for image in outcome.images) else 0


def _check_annotated(arguments: argparse.Namespace) -> None:
    """Refuse what only a model has, or what is there already.

    Raises:
        UsageError: It was given.
    """
    asked = {
        "--model": arguments.model,
        "--confidence": arguments.confidence,
        "--views": arguments.views,
        "--tiles": None if arguments.tiles == "auto" else arguments.tiles,
        "--engine": None if arguments.engine == "auto" else arguments.engine,
    }
    if given := [f"{flag} {value}" for flag, value in asked.items() if value is not None]:
        raise UsageError(f"{', '.join(given)}: goes with a model, and --annotated asks none; leave one of them out")
    if there := [name for name in split_names(arguments.to or ()) if name in ANNOTATIONS]:
        raise UsageError(
            f"--to {' '.join(there)}: with --annotated they are there; nanoseg-bench convert writes others"
        )


def _default_formats(annotated: bool) -> list[str]:
    return [name for name in DEFAULT_FORMATS if not (annotated and name in ANNOTATIONS)]


def _choices(arguments: argparse.Namespace) -> "Choices":
    from nanoseg_bench.images import Acquisition
    from nanoseg_bench.measure.length import parse_min_diameter
    from nanoseg_bench.measure.scale import parse_length, parse_line, parse_scale
    from nanoseg_bench.report.analysis.micrograph import Choices

    return Choices(
        min_diameter=None if arguments.min_diameter is None else parse_min_diameter(arguments.min_diameter),
        border=arguments.border,
        nm_per_px=None if arguments.scale is None else parse_scale(arguments.scale),
        bar_nm=None if arguments.scale_bar is None else parse_length(arguments.scale_bar),
        line=None if arguments.scale_line is None else parse_line(arguments.scale_line),
        read_text=False if arguments.no_ocr else None,
        keep_marks=arguments.keep_marks,
        tiles=arguments.tiles,
        acquisition=Acquisition(instrument=arguments.instrument, voltage_kv=arguments.kv),
    )


def _show(outcome: "Analysis", sample_by: str | None) -> None:
    from rich.table import Column, Table

    from nanoseg_bench.terminal import open_console, print_sentence

    table = Table(Column("image", overflow="fold"))
    for heading in ("particles", "median diameter", "nm/px"):
        table.add_column(heading, justify="right")
    table.add_column("scale", overflow="fold")
    for image in outcome.images:
        if image.status == "ok":
            median = "" if image.d50 is None else f"{length_text(image.d50)} {image.unit}"
            scale = "" if image.nm_per_px is None else f"{image.nm_per_px:.4g}"
            table.add_row(image.image, str(image.particles), median, scale, image.scale_source)
    console = open_console()
    if table.row_count:
        console.print(table)
    if outcome.earlier:
        print(f"analysed earlier: {counted(outcome.earlier, 'image')}")
    for sample in outcome.samples:
        _show_sample(sample)
        for path in sample.documents:
            print(path)
    for sentence in outcome.warnings:
        print_sentence(sentence)
    _advise_samples(outcome, sample_by)
    _advise_scale(outcome)
    for image in outcome.images:
        if image.status != "ok":
            about = "" if image.image in image.reason else f"{image.image}: "
            print_sentence(f"not analysed: {about}{image.reason}")
    # Without a micrograph that could be analysed there are no statistics.
    tables = ("images.csv", *(("samples.csv",) if outcome.samples else ()), "particles.csv")
    print(f"{outcome.folder}: {', '.join(tables)}")


def _advise_views(outcome: "Analysis") -> None:
    """What to do about ragged outlines, of which reports only say how many there are."""
    from nanoseg_bench.terminal import print_sentence

    ragged = sum(sample.ragged for sample in outcome.samples)
    particles = sum(sample.report.statistics.size.count for sample in outcome.samples)
    if ragged >= _MANY_RAGGED * particles > 0:
        print_sentence(
            f"ragged outlines: {ragged} of {counted(particles, 'particle')}, of which perimeter and circularity say "
            "little. What helps: --views 8, closer outlines by eight looks instead of one (into another --out)"
        )


def _advise_samples(outcome: "Analysis", sample_by: str | None) -> None:
    """Folders are often samples, such as a control and what was treated, and their pool is none."""
    from nanoseg_bench.terminal import print_sentence

    folders = {Path(image.source).parent for image in outcome.images}
    if sample_by is None and len(folders) > 1:
        print_sentence(
            f"one sample: the images of {len(folders)} folders are pooled. What helps where each folder is a sample: "
            "--sample-by folder"
        )


def _advise_scale(outcome: "Analysis") -> None:
    """What to do about micrographs without a scale; reports only say that they have none."""
    from nanoseg_bench.terminal import print_sentence

    done = [image for image in outcome.images if image.status == "ok"]
    without = sum(image.nm_per_px is None for image in done)
    if without:
        print_sentence(
            f"no scale: {without} of {counted(len(done), 'image')}. What helps: the length of the scale bar, where the "
            "bar was found (--scale-bar 200nm); else both ends of it, too (--scale-line 12,480,112,480 --scale-bar "
            "200nm); or what one pixel spans (--scale 0.42nm, for each of many images --scale-csv)"
        )


def _show_sample(sample: "AnalysedSample") -> None:
    from nanoseg_bench.terminal import print_sentence

    size = sample.report.statistics.size
    what = f"sample {sample.sample}: {counted(size.count, 'particle')} in {counted(sample.images, 'image')}"
    if size.count:
        median = size.estimates["d50"]
        interval = "" if median.lo != median.lo else f" [{length_text(median.lo)}, {length_text(median.hi)}]"
        what += f", median diameter {length_text(median.value)}{interval} {size.unit}"
    print(what)
    for sentence in sample.report.warnings:
        print_sentence(f"  {sentence}")


def _scale_table(path: Path | None) -> "ScaleTable | None":
    from nanoseg_bench.preparation.scales import read_scale_table

    return None if path is None else read_scale_table(path)
