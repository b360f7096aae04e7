"""``nanoseg-bench convert``: annotated micrographs from one format to another, with a report of every loss."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanoseg_bench.annotations.registry import WRITTEN, get_format
from nanoseg_bench.apart import require_apart
from nanoseg_bench.cli.executor_options import add_workers, workers_of
from nanoseg_bench.cli.places import require_there
from nanoseg_bench.cli.sources import CLASS_WITH_COMMA, add_source_options, open_from, parse_classes
from nanoseg_bench.errors import UsageError
from nanoseg_bench.wording import counted

if TYPE_CHECKING:
    from nanoseg_bench.annotations.conversion_report import ConversionReport
    from nanoseg_bench.annotations.source import Source

_EPILOG = """\
examples:
  nanoseg-bench convert MY_FOLDER out --to yolo            LabelMe, VIA, COCO, YOLO or masks -> YOLO-seg
  nanoseg-bench convert MY_FOLDER out --to yolo --max-loss 0.05
                                                           stop where a YOLO reader would see less than IoU 0.95
  nanoseg-bench convert annotations.json out --from coco --image-folder images --to labelme
  nanoseg-bench convert masks out --image-folder images --connectivity 4 --label cube --to coco
  nanoseg-bench convert masks out --image-folder images --threshold 128 --to coco
                                                           black-and-white masks with smoothed edges
  nanoseg-bench convert masks out --image-folder images --mask-kind classes --label 1=cube,2=rod --to coco
  nanoseg-bench convert masks out --image-folder images --to labelme --exact       masks pixel by pixel, not polygons

YOLO text holds no holes, no particle of several parts and no ignore region; instance maps hold no overlap. COCO and
LabelMe hold every particle, COCO pixel by pixel. For LabelMe, masks become polygons whose vertices can be moved: within
half a pixel of the mask's edge and with an IoU of 0.98 or more; only a part with holes stays a mask, and with --exact
everything does. Scales and source groups stand in LabelMe's JSON; beside the other formats they are in scales.csv and
groups.csv, for --scale-csv and --group-by csv:FILE:source_group of prepare. A source that comes split (Roboflow's
folders train, valid and test; a data.yaml) keeps its split in split.csv, for --split-file.
conversion_report.json says for each image what was lost, and which flags, attributes and other keys of the source are
not carried over. There is no split: `prepare` makes one, and audits it.
"""

_SHOWN = 10


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "convert",
        help="annotations -> LabelMe, COCO, YOLO or instance maps, with a report of every loss",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, metavar="SRC", help="folder, or the one file that holds the annotations")
    parser.add_argument("destination", type=Path, metavar="DST", help="folder to write")
    parser.add_argument("--to", required=True, choices=WRITTEN, help="what to write")
    parser.add_argument(
        "--classes", nargs="+", metavar="A,B,...", help=f"class names in the order of their indices; {CLASS_WITH_COMMA}"
    )
    add_source_options(parser)
    writing = parser.add_argument_group("writing")
    writing.add_argument(
        "--max-loss", type=float, metavar="X", help="largest 1 - IoU of a particle as the new format holds it"
    )
    writing.add_argument(
        "--exact", action="store_true", help="to labelme: masks stay masks, pixel by pixel, which LabelMe cannot edit"
    )
    writing.add_argument(
        "--on-error",
        choices=("fail", "skip"),
        default="fail",
        help="files and shapes that cannot be used: stop after listing all of them, or leave them out (default: "
        "%(default)s)",
    )
    writing.add_argument(
        "--overwrite",
        choices=("never", "always"),
        default="never",
        help="an earlier conversion in DST: keep it and stop, or replace it (default: %(default)s)",
    )
    writing.add_argument("--copy", action="store_true", help="copy images; they are hard-linked where possible")
    add_workers(writing)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the annotations in the other format, and show what it lost."""
    require_there({"": arguments.source, "--image-folder": arguments.image_folder}, "give the path of the annotations")
    _check(arguments)
    from nanoseg_bench.annotations.conversion import convert
    from nanoseg_bench.staging import beside, hold_folder

    destination: Path = arguments.destination
    classes = parse_classes(arguments.classes)
    # Beside the destination, so that images can be linked into it.
    extracted = beside(destination, ".{}.extracted")
    # Where nothing is replaced, the end of another call that writes there would be no use.
    with hold_folder(destination, wait=arguments.overwrite != "never"):
        _remove(extracted)  # what a kill left
        try:
            source = open_from(arguments, arguments.source, classes, extracted)
            report = convert(
                source,
                destination,
                arguments.to,
                classes=classes,
                link=not arguments.copy,
                max_loss=arguments.max_loss,
                exact=arguments.exact,
                on_error=arguments.on_error,
                overwrite=arguments.overwrite == "always",
                workers=arguments.workers,
            )
        finally:
            _remove(extracted)
    _show(report, source, destination)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    workers_of(arguments)
    if arguments.exact and not get_format(arguments.to).writer().simplifies:
        raise UsageError(f"--exact: only with --to labelme; {arguments.to} has one form for a mask")
    if arguments.max_loss is not None and not 0 <= arguments.max_loss <= 1:
        raise UsageError(f"--max-loss {arguments.max_loss:g}: give a share between 0 and 1")
    require_apart(arguments.destination, {"": arguments.source, "--image-folder": arguments.image_folder})


def _simplification(totals: "dict[str, Any]") -> str:
    before, after = totals["points_before"], totals["points_after"]
    return (
        f"{totals['simplified']}; {after} of {before} points kept (within 0.5 px, IoU 0.98 or more), --exact keeps "
        "every pixel"
    )


def _remove(folder: Path) -> None:
    if folder.is_dir():
        import shutil

        shutil.rmtree(folder, ignore_errors=True)


def _show(report: "ConversionReport", source: "Source", destination: Path) -> None:
    from nanoseg_bench.annotations.conversion import GROUPS, SCALES, SPLIT
    from nanoseg_bench.annotations.left_out import WAY_OUT, list_kinds

    totals = report.totals
    lines = [
        (f"{source.format} -> {report.to}", str(destination)),
        ("images", f"{totals['images']} ({totals['background']} without particles)"),
        ("particles", str(totals["instances"])),
        ("classes", ", ".join(report.classes)),
        ("IoU with the truth", f"worst {totals['worst_iou']:.4f}, mean {totals['mean_iou']:.4f}"),
    ]
    lines += [
        (name, str(totals[key]))
        for key, name in (
            ("holes_lost", "holes lost"),
            ("parts_joined", "parts joined"),
            ("points_clipped", "points clipped"),
            ("overlapped_pixels", "pixels overlapped"),
            ("vanished", "particles vanished"),
            ("outside", "particles outside"),
            ("ignored_lost", "ignore regions lost"),
            ("rewritten_images", "images written anew"),
        )
        if totals[key]
    ]
    if totals["simplified"]:
        lines.append(("masks to polygons", _simplification(totals)))
    if report.without_area:
        lines.append(("shapes without area", f"{list_kinds(report.without_area)}, left out; {WAY_OUT}"))
    if report.not_carried_over:
        keys = report.not_carried_over.most_common(_SHOWN)
        more = [f"{len(report.not_carried_over) - _SHOWN} more"] if len(report.not_carried_over) > _SHOWN else []
        shown = [f"{key} ({counted(number, 'image')})" for key, number in keys]
        lines.append(("not carried over", ", ".join(shown + more)))
    counts = (("images not annotated", report.unannotated), ("other files", report.passed_over))
    lines += [(name, str(len(found))) for name, found in counts if found]
    for name, file in (("scales", SCALES), ("source groups", GROUPS), ("split of the source", SPLIT)):
        if (destination / file).is_file():
            lines.append((name, str(destination / file)))
    lines.append(("report", str(report.path)))
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        print(f"{name:<{width}}  {value}")
    for warning in report.warnings:
        print(f"warning: {warning}")
    for problem in report.of_files:
        print(f"left out: {problem.error}")
    if not report.problems:
        return
    print(f"{counted(len(report.problems), 'file')} left out; the report lists all:")
    for problem in report.problems[:_SHOWN]:
        print(f"  {problem.error}")
    if len(report.problems) > _SHOWN:
        print(f"  and {len(report.problems) - _SHOWN} more")
