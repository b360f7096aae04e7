"""What is printed of a prepared set: its parts, what was left out, the audit, what it cannot carry, what comes next."""

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nanoseg_bench.cli.audit import show_audit
from nanoseg_bench.cli.sets import short_name
from nanoseg_bench.preparation.set_names import NANOSYNTH, with_ending
from nanoseg_bench.terminal import command_line
from nanoseg_bench.wording import counted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from nanoseg_bench.preparation.prepared_set import PreparedSet


def show_set(prepared: "PreparedSet", arguments: argparse.Namespace, url: str | None = None) -> int:
    """Print what a set is; 1 where its parts share a source.

    Args:
        prepared: The set.
        arguments: Of ``prepare``: what is advised is the same command with other options.
        url: What its folder stands for, if it does.
    """
    from nanoseg_bench.files import read_json
    from nanoseg_bench.preparation.audit import read_audit
    from nanoseg_bench.preparation.begun_truth import begun_truth
    from nanoseg_bench.preparation.prepared_set import AUDIT_FILE, PREVIEW, REPORT_FILE
    from nanoseg_bench.terminal import open_console

    console = open_console(soft_wrap=True)
    summary = prepared.summary
    console.print(_table_of_folds(prepared) if prepared.folds else _table_of_splits(prepared))
    shown = ", ".join(f"{label} {count}" for label, count in summary["class_images"].items())
    console.print(f"images that show: {shown}")
    report = read_json(prepared.file(REPORT_FILE))
    told = (
        ("without a particle, kept as background", report["background"]),
        ("that cannot be used, left out", report["skipped"]),
        ("that no annotation names, left out", report["unannotated"]),
        ("with a note on what reading left out or mended", {note["file"] for note in report["notes"]}),
    )
    for what, files in told:
        if files:
            console.print(f"{counted(len(files), 'image')} {what}: see prepare_report.json")
    if report.get("blank"):  # sets of before have none
        blank = counted(len(report["blank"]), "image")
        console.print(f"{blank} of one grey value on which nothing is drawn, left out: see prepare_report.json")
    if not any(image.nm_per_px for image in prepared.all_images):
        console.print(
            "scale: known of no image, so sizes are in pixels only; give nanometres per pixel with --scale-csv "
            "(columns name, nm_per_px)",
        )
    _tell_losses(summary["losses"], console)
    for fault in report.get("faults_of_files", []):
        console.print(f"left out: {fault['message']}")
    for each in begun_truth(prepared):
        console.print(
            f"warning: {each.begun_by} began the truth of {each.words}: its outlines flatter it, corrected or not, and "
            "its rows are marked",
        )
    if summary["parameters"].get("ignore_banners"):
        banners = sum(any(mark.kind == "banner" for mark in image.marks or ()) for image in prepared.all_images)
        console.print(f"{counted(banners, 'image')} whose information bar is an ignore region")
    if prepared.dataset != NANOSYNTH:  # rendered here, so nobody trained on it elsewhere
        from nanoseg_bench.weights.known_warnings import warn_of_known_images

        for sentence in warn_of_known_images(prepared, workers=arguments.workers):
            console.print(f"warning: {sentence}")
    code = show_audit(read_audit(prepared.root / AUDIT_FILE), prepared.root, url)
    if code == 0:
        _advise_folds(prepared, arguments)
        page = prepared.root / PREVIEW
        # An existing set is kept by `--overwrite never`, and written anew by `always`; neither is meant.
        more = ["nanoseg-bench", *_without(arguments.given, "--overwrite")]
        more += [] if arguments.preview else ["--preview"]
        seen_at = page if url is None else f"{url}/{page.name}"
        console.print(f"pictures: {seen_at}" if page.is_file() else f"pictures: {command_line(more)}")
        console.print(f"next: nanoseg-bench run {command_line([url or short_name(prepared.root)])} --models all")
    return code


def _tell_losses(losses: Mapping[str, int], console: "Console") -> None:
    """Particles of the annotations that a model will not see, where there are any."""
    for key, what in (
        ("outside_image", "without a pixel inside the image: not in the truth"),
        ("too_small_for_canvas", "without a pixel on the canvas: in the truth, but not to be learnt"),
        ("yolo_vanished", "without an outline in the YOLO labels, copies included: in the truth, but not to be learnt"),
    ):
        if losses.get(key):
            console.print(f"{counted(losses[key], 'particle')} {what}")


def _table_of_splits(prepared: "PreparedSet") -> "Table":
    from rich.table import Table

    table = Table(title=_title(prepared))
    table.add_column("split")
    for column in ("images", "copies", "particles", "groups"):
        table.add_column(column, justify="right")
    for split, counts in prepared.summary["counts"].items():
        table.add_row(split, *(str(counts[key]) for key in ("images", "copies", "instances", "groups")))
    return table


def _table_of_folds(prepared: "PreparedSet") -> "Table":
    """One row for each fold, in 80 columns; the last one says what is tested in all of them."""
    from rich.table import Table

    from nanoseg_bench.preparation.prepared_set import ASIDE

    table = Table(title=_title(prepared))
    table.add_column("fold")
    for column in ("train", "copies", "val", "test", "particles tested", "groups tested"):
        table.add_column(column, justify="right")
    for fold in prepared.folds:
        counts = prepared.of_fold(fold).summary["counts"]
        train, val, test = (counts[part] for part in ("train", "val", "test"))
        cells = (train["images"], train["copies"], val["images"], test["images"], test["instances"], test["groups"])
        table.add_row(str(fold), *map(str, cells))
    for split, counts in prepared.summary["counts"].items():
        tested = (str(counts[key]) for key in ("images", "instances", "groups"))
        table.add_row(split if split in ASIDE else "all", "", "", "", *tested)
    return table


def _title(prepared: "PreparedSet") -> str:
    return f"{prepared.name}: {prepared.canvas} px canvas, {', '.join(prepared.classes)}"


def _without(given: Sequence[str], option: str) -> list[str]:
    """The words of a command without an option and its value."""
    kept, words = [], iter(given)
    for word in words:
        if word == option:
            next(words, None)
        elif not word.startswith(f"{option}="):
            kept.append(word)
    return kept


def _advise_folds(prepared: "PreparedSet", arguments: argparse.Namespace) -> None:
    """Say how to test every micrograph where the test part is small."""
    from nanoseg_bench.preparation.shortcomings import advised_folds
    from nanoseg_bench.terminal import open_console, print_sentence

    folds = advised_folds(prepared)
    if folds is None:
        return
    given = _without(arguments.given, "--out")
    if arguments.out is not None:  # another set, so another folder
        given += ["--out", with_ending(str(arguments.out), f"-{folds}fold")]
    command = ["nanoseg-bench", *given, "--folds", str(folds)]
    print_sentence(
        f"advice: the test part is small; test every micrograph once instead, at {folds} trainings per model:"
    )
    open_console(soft_wrap=True).print(f"  {command_line(command)}")
