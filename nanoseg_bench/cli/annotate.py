"""``nanoseg-bench annotate``: check a folder of annotations and open it in LabelMe with the right class list."""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.cli.places import require_there
from nanoseg_bench.cli.sources import CLASS_WITH_COMMA, parse_classes
from nanoseg_bench.errors import UsageError
from nanoseg_bench.extras import require_packages
from nanoseg_bench.wording import counted

if TYPE_CHECKING:
    from nanoseg_bench.annotations.labelme.validation import FolderCheck

_EPILOG = """\
examples:
  nanoseg-bench annotate MY_FOLDER --classes cube,rod       check the files, then draw in LabelMe
  nanoseg-bench annotate MY_FOLDER --dataset nanosynth      with the classes of a data set's card
  nanoseg-bench annotate MY_FOLDER --check                  check only; ends with 1 if a file must be mended

The label `ignore` is always there: what it covers is neither particle nor background. Your files and LabelMe's own
settings (.labelmerc) are left as they are.
"""

_PIPED_WIDTH = 200
_LAUNCH = "from nanoseg_bench.cli.annotate import start_labelme; start_labelme()"


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "annotate",
        help="check a folder of LabelMe files, then open it in LabelMe with the right classes",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="micrographs and their LabelMe files, if there are any"
    )
    labels = parser.add_mutually_exclusive_group()
    labels.add_argument("--dataset", metavar="NAME", help="take the classes of a data set's card, see `list`")
    labels.add_argument(
        "--classes",
        nargs="+",
        metavar="A,B,...",
        help=f"the classes (default: every label in the files); {CLASS_WITH_COMMA}",
    )
    parser.add_argument("--check", action="store_true", help="only check; 1 if a file must be mended")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Open LabelMe, or check what was drawn; 1 when there are errors, or LabelMe did not end well."""
    from nanoseg_bench.annotations.labelme.validation import check_labelme_folder

    folder: Path = arguments.folder
    classes = _classes(arguments)
    require_there({"": folder}, "give the folder that holds the micrographs")
    if not folder.is_dir():
        raise UsageError(f"{folder}: no folder; give the folder that holds the micrographs")
    if not arguments.check:
        _check_display()
        require_packages("drawing", "labelme", otherwise="or check the files only: --check")
    found = check_labelme_folder(folder, classes)
    _show(folder, found)
    if arguments.check:
        return int(any(finding.severity == "error" for finding in found.findings))
    labels = classes or tuple(sorted(found.labels))
    if not labels:
        raise UsageError(f"{folder}: nothing is annotated yet, so say what is to be: --classes cube,rod or --dataset")
    return _open(folder, labels)


def labelme_command(folder: Path, classes: Sequence[str], scratch: Path) -> list[str]:
    """The command that opens LabelMe on a folder, with these classes and ``ignore`` and no others.

    Args:
        folder: Of the micrographs.
        classes: Their labels.
        scratch: Folder for a list of the labels, where they cannot stand on the command line.
    """
    from nanoseg_bench.annotations.instance import IGNORE_LABEL

    names = list(dict.fromkeys((*classes, IGNORE_LABEL)))
    labels = ",".join(names)
    # LabelMe takes every comma for the end of a label, but reads them from a file.
    if any("," in name for name in names):
        labels = str(scratch / "labels.txt")
        Path(labels).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    # These spellings are understood by LabelMe 5 and 6; 6 says of some that they have become the default.
    options = ["--labels", labels, "--validatelabel", "exact", "--nosortlabels", "--nodata"]
    options += ["--logger-level", "warning"]
    return [sys.executable, "-W", "ignore::FutureWarning", "-c", _LAUNCH, str(folder.resolve()), *options]


def start_labelme() -> None:
    """Run LabelMe in this process on the arguments in ``sys.argv``, without the ``.labelmerc`` that it would make.

    LabelMe writes that file into the home folder at every start where there is none; one that is there is obeyed.
    """
    # LabelMe loads ONNX Runtime, which sends usage data and keeps a device id unless told not to before its import.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import labelme.config

    make_or_find = labelme.config.get_user_config_file
    labelme.config.get_user_config_file = lambda: make_or_find(create_if_missing=False)
    if not Path(make_or_find(create_if_missing=False)).is_file():
        # LabelMe ends at a config file that is not there; a text is taken for the settings themselves.
        sys.argv += ["--config", "{}"]
    sys.argv[0] = "labelme"
    from labelme.__main__ import main

    main()


def _classes(arguments: argparse.Namespace) -> tuple[str, ...] | None:
    if arguments.dataset is not None:
        from nanoseg_bench.catalog.registry import load_card

        card = load_card(arguments.dataset)
        return (*card.classes, *card.ood_classes)
    return parse_classes(arguments.classes)


def _check_display() -> None:
    has_own = sys.platform in ("win32", "darwin")
    if not has_own and not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")):
        raise UsageError(
            "LabelMe needs a screen, and this session has none (neither DISPLAY nor WAYLAND_DISPLAY is set); run it on "
            "your desktop, connect with ssh -X, or check the files only: --check"
        )


def _show(folder: Path, found: "FolderCheck") -> None:
    from rich.table import Table
    from rich.text import Text

    from nanoseg_bench.terminal import open_console

    console = open_console(piped_width=_PIPED_WIDTH)
    if found.findings:
        table = Table("", "file", "what")
        table.columns[1].overflow = "fold"
        for finding in found.findings:
            path = finding.path.relative_to(folder) if finding.path.is_relative_to(folder) else finding.path
            shown = "(all files)" if finding.path == folder else path.as_posix()
            style = "red" if finding.severity == "error" else "yellow"
            table.add_row(Text(finding.severity, style=style), Text(shown), Text(finding.message))
        console.print(table)
    errors = [finding for finding in found.findings if finding.severity == "error"]
    labels = ", ".join(f"{label} {number}" for label, number in sorted(found.labels.items())) or "none"
    console.print(
        Text(
            f"{counted(found.files, 'LabelMe file')}, {len({finding.path for finding in errors})} to be mended: "
            f"{counted(len(errors), 'error')}, {counted(len(found.findings) - len(errors), 'warning')}. "
            f"Particles: {labels}"
        )
    )


def _open(folder: Path, classes: Sequence[str]) -> int:
    print(
        f"LabelMe opens with the labels {', '.join(classes)} and ignore; this command ends when you close it",
        flush=True,
    )
    try:
        with tempfile.TemporaryDirectory() as scratch:
            command = labelme_command(folder, classes, Path(scratch))
            code = subprocess.run(command, check=False).returncode  # noqa: S603 - our own command
    except KeyboardInterrupt:
        return 0
    if code != 0:
        print(
            f"nanoseg-bench: LabelMe ended with code {code}; if no window opened, the screen cannot be reached from "
            "here or Qt lacks a library, see its messages above",
            file=sys.stderr,
        )
        return 1
    return 0
