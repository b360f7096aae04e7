"""``nanoseg-bench leaderboard``: rebuild the CSV files from the records and print, draw or check them."""

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.cli.names import split_names
from nanoseg_bench.cli.places import require_there
from nanoseg_bench.cli.sets import add_set, find_name, find_set, sets_with_records
from nanoseg_bench.cli.shared import set_name_at, told_as
from nanoseg_bench.errors import RecordError, StorageError, UsageError
from nanoseg_bench.storage import is_url, name_of, path_or_url
from nanoseg_bench.terminal import command_line

if TYPE_CHECKING:
    from nanoseg_bench.runs.stored_records import StoredRecords

_LOG = logging.getLogger(__name__)


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "leaderboard",
        help="rebuild and print the leaderboards",
        usage="%(prog)s [SET] [--html [FILE] | --markdown | --check | --publish | --drop RUN ...] [options]",
        epilog="examples:\n  nanoseg-bench leaderboard emps --reference unet\n"
        "  nanoseg-bench leaderboard emps --html                 one page with everything -> leaderboards/emps.html\n"
        "  nanoseg-bench leaderboard data/emps --html page.html --runs runs/emps      with images, too\n"
        "  nanoseg-bench leaderboard emps --markdown             the table for a README\n"
        "  nanoseg-bench leaderboard --check\n"
        "  nanoseg-bench leaderboard emps --leaderboards s3://lab/leaderboards    records of several machines\n"
        "  nanoseg-bench leaderboard emps --publish              what each row was scored from, beside the records\n"
        "  nanoseg-bench leaderboard emps --drop unet-paper-seed0\n"
        "                                                        without the row of a run that failed",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--leaderboards",
        type=path_or_url,
        default=Path("leaderboards"),
        help="records and CSVs, a folder or its URL (default: %(default)s)",
    )
    add_set(parser, "every set with records")
    parser.add_argument(
        "--reference",
        metavar="MODEL",
        help="model that the paired differences are taken to (default: yolo11n, where it has a row)",
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        "--html",
        metavar="FILE",
        nargs="?",
        const="",
        help="also write one self-contained page (default: LEADERBOARDS/SET.html)",
    )
    shown.add_argument("--markdown", action="store_true", help="print the test set's table in Markdown, nothing else")
    shown.add_argument(
        "--check",
        action="store_true",
        help="write nothing; fail where a CSV file is not, byte for byte, what the records give",
    )
    shown.add_argument(
        "--publish",
        action="store_true",
        help="copy what every good row was scored from (run.json, fit.json, predictions) from --runs to "
        "LEADERBOARDS/predictions/SET, for `score`; what has no row any more goes",
    )
    shown.add_argument(
        "--drop",
        metavar="RUN",
        nargs="+",
        help="remove the records of runs that did not end well, such as unet-quick-seed0, and write the tables "
        "without them; what they trained stays in their folders, and `run` goes on with it",
    )
    parser.add_argument("--force", action="store_true", help="with --drop: also runs that ended well")
    parser.add_argument(
        "--runs",
        type=Path,
        metavar="DIR",
        help="folder of the set's runs: with --html for images on the page, with --publish (default: runs/SET)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the tables of the records and print them; where the folder cannot be written, only print them."""
    url = arguments.leaderboards if is_url(arguments.leaderboards) else None
    names = _names(arguments, url)
    _require_consistent(arguments, names)
    stored = {} if url is None else _fetch_records(url, arguments, names)
    if arguments.check:
        _check(arguments, names)
        return 0
    if arguments.drop is not None:
        return _drop(arguments, names)
    if arguments.publish:
        return _publish(arguments, names)
    with told_as(arguments.leaderboards, url):
        _write_and_show(arguments, names, stored, url)
    return 0


def _write_and_show(
    arguments: argparse.Namespace, names: list[str], stored: "Mapping[str, StoredRecords]", url: str | None
) -> None:
    from nanoseg_bench.leaderboard.build import leaderboard_texts, write_leaderboards
    from nanoseg_bench.leaderboard.dropping import failed_runs

    for name in names:
        texts = None
        try:
            write_leaderboards(arguments.leaderboards, name, arguments.reference)
        except OSError as error:
            texts = leaderboard_texts(arguments.leaderboards, name, arguments.reference)
            _LOG.warning(
                "%s: the CSV files cannot be written (%s), so the tables are only shown",
                arguments.leaderboards,
                error.strerror or error,
            )
        if arguments.markdown:
            heading = f"**{name}**\n\n" if len(names) > 1 else ""  # nothing in a table says of which set it is
            print(heading + _markdown(arguments, name), end="\n" if heading else "")
            continue
        if name in stored:
            _share_tables(stored[name], arguments.leaderboards, name)
        print_tables(arguments.leaderboards, name, texts, url)
        failed = failed_runs(arguments.leaderboards, name) if url is None else {}  # nothing is dropped from a URL
        place = (
            [] if arguments.leaderboards == Path("leaderboards") else ["--leaderboards", str(arguments.leaderboards)]
        )
        for run_id, status in failed.items():
            way = command_line(["nanoseg-bench", "leaderboard", name, *place, "--drop", run_id])
            print(f"{run_id}: {status}; without its row: {way}")
        if arguments.html is not None:
            # The folder of a URL is a cache, where nobody looks for a page.
            _write_page(arguments, name, arguments.leaderboards if url is None else Path())


def _names(arguments: argparse.Namespace, url: str | None) -> list[str]:
    """The sets that were asked for, of those that have records in a folder or at a URL.

    Raises:
        UsageError: There are no records of them.
    """
    known = sets_with_records(arguments.leaderboards) if url is None else _sets_at(url, arguments)
    return known if arguments.set is None else [_find_name(arguments.set, known)]


def _find_name(given: str, known: list[str]) -> str:
    """The name among those that have records; of a set at a URL, the name that it has there."""
    return find_name((set_name_at(given) or name_of(given)) if is_url(given) else given, known, "records")


def _sets_at(url: str, arguments: argparse.Namespace) -> list[str]:
    """Names of the sets that have records at a URL."""
    from nanoseg_bench.runs.stored_records import stored_sets

    if arguments.drop is not None or arguments.publish:
        option = "--publish" if arguments.publish else "--drop"
        raise UsageError(
            f"{option}: works on a folder of this machine; what lies at {url} is written once, and a run that is "
            "repeated writes the record that follows"
        )
    known = stored_sets(url)
    if not known:
        raise UsageError(
            f"{url}: no records; look at the URL, or write some: nanoseg-bench run SET --leaderboards {url}"
        )
    return known


def _fetch_records(url: str, arguments: argparse.Namespace, names: list[str]) -> dict[str, "StoredRecords"]:
    """Fetch what lies at a URL; from here on ``arguments.leaderboards`` is the folder that stands for it."""
    from nanoseg_bench.leaderboard.build import table_paths
    from nanoseg_bench.runs.stored_records import StoredRecords

    stored = {name: StoredRecords(url, name) for name in names}
    for name, records in stored.items():
        records.sync(publish=False)
        if arguments.check:
            records.fetch_tables([path.name for path in table_paths(records.local, name)])
        arguments.leaderboards = records.local
    return stored


def _share_tables(records: "StoredRecords", leaderboards: Path, name: str) -> None:
    from nanoseg_bench.leaderboard.build import table_paths

    try:
        records.share_tables(table_paths(leaderboards, name))
    except StorageError as error:
        _LOG.warning("the tables are only shown: %s", error)


def _require_consistent(arguments: argparse.Namespace, names: list[str]) -> None:
    if arguments.html in names and arguments.set is None:
        name = command_line([arguments.html])
        raise UsageError(f"--html {name}: is a set; write it first: nanoseg-bench leaderboard {name} --html")
    if arguments.html and len(names) > 1:
        raise UsageError(f"--html {arguments.html}: a page is of one set; name one of {', '.join(names)}")
    if arguments.drop is not None and len(names) > 1:
        raise UsageError(f"--drop: name the set that is meant, one of {', '.join(names)}")
    if arguments.force and arguments.drop is None:
        raise UsageError("--force: goes with --drop RUN")
    if arguments.runs is None:
        return
    if arguments.html is None and not arguments.publish:
        raise UsageError("--runs: only for the images of --html, or for --publish")
    if len(names) > 1:
        raise UsageError(f"--runs: is of one set; name one of {', '.join(names)}")
    if arguments.html is not None:
        _set_of_images(arguments, names[0])
    require_there({"--runs": arguments.runs})


def _set_of_images(arguments: argparse.Namespace, name: str) -> Path:
    return find_set(arguments.set or name)


def _drop(arguments: argparse.Namespace, names: list[str]) -> int:
    from nanoseg_bench.leaderboard.build import clear_leaderboards, write_leaderboards
    from nanoseg_bench.leaderboard.dropping import drop_runs
    from nanoseg_bench.locks import hold
    from nanoseg_bench.runs.record import find_records

    name = names[0]
    with hold(arguments.leaderboards / name, wait=True):
        for path in drop_runs(arguments.leaderboards, name, split_names(arguments.drop), force=arguments.force):
            print(f"removed: {path}")
        if not find_records(arguments.leaderboards, name):
            clear_leaderboards(arguments.leaderboards, name)
            print(f"{name}: no record is left, and so no table")
            return 0
        write_leaderboards(arguments.leaderboards, name, arguments.reference)
    print_tables(arguments.leaderboards, name)
    return 0


def _publish(arguments: argparse.Namespace, names: list[str]) -> int:
    from nanoseg_bench.leaderboard.build import write_leaderboards
    from nanoseg_bench.runs.publishing import publish_runs

    for name in names:
        write_leaderboards(arguments.leaderboards, name, arguments.reference)
        for path in publish_runs(arguments.leaderboards, name, arguments.runs or Path("runs") / name):
            print(path)
    return 0


def _markdown(arguments: argparse.Namespace, name: str) -> str:
    from nanoseg_bench.leaderboard.build import build_tables
    from nanoseg_bench.leaderboard.comparability import comparable_records
    from nanoseg_bench.leaderboard.markdown import markdown_table

    records = comparable_records(arguments.leaderboards, name)
    return markdown_table(records, build_tables(records, arguments.reference)["test"])


def _write_page(arguments: argparse.Namespace, name: str, folder: Path) -> None:
    from nanoseg_bench.files import require_writable
    from nanoseg_bench.leaderboard.build import build_tables
    from nanoseg_bench.leaderboard.comparability import comparable_records
    from nanoseg_bench.leaderboard.page import open_pictures, write_page

    records = comparable_records(arguments.leaderboards, name)
    path = Path(arguments.html) if arguments.html else folder / f"{name}.html"
    require_writable(path.parent, "--html FILE")
    pictures = (
        None if arguments.runs is None else open_pictures(_set_of_images(arguments, name), arguments.runs, records)
    )
    write_page(path, records, build_tables(records, arguments.reference), pictures)
    print(path)


def _check(arguments: argparse.Namespace, names: list[str]) -> None:
    from nanoseg_bench.leaderboard.checking import check_leaderboards, stray_tables

    faults = [
        fault for name in names for fault in check_leaderboards(arguments.leaderboards, name, arguments.reference)
    ]
    if arguments.set is None:
        faults += stray_tables(arguments.leaderboards, names)
    if faults:
        raise RecordError(
            "\n".join(faults)
            + "\nCSV files are made of the records and not edited: `nanoseg-bench leaderboard` writes "
            "them again. Files with differences to another model are checked with its --reference"
        )
    print(f"{', '.join(names)}: the CSV files are what the records give")


def print_tables(
    leaderboards: Path, set_name: str, texts: Mapping[Path, str | None] | None = None, url: str | None = None
) -> None:
    """Print the CSV files of a set as tables that fit a terminal: the columns a reader looks at first.

    Args:
        leaderboards: Folder of the files and the records that they are made of.
        set_name: Whose.
        texts: What the files would hold, where they could not be written; by default they are read.
        url: What the folder stands for, if it does.
    """
    import csv
    import io

    from rich.text import Text

    from nanoseg_bench.leaderboard.comparability import comparable_records
    from nanoseg_bench.leaderboard.set_remarks import set_remarks
    from nanoseg_bench.leaderboard.terminal_table import build_terminal_tables, footnotes
    from nanoseg_bench.terminal import open_console, print_sentence

    console = open_console(piped_width=190)
    for kind, title in _TITLES.items():
        path = leaderboards / f"{set_name}-{kind}.csv"
        kept = path.read_text(encoding="utf-8") if texts is None and path.is_file() else None
        text = kept if texts is None else texts.get(path)
        if text is None:
            continue
        rows = list(csv.DictReader(io.StringIO(text)))
        console.print(Text(f"{set_name}: {title}", style="bold"))
        for each in build_terminal_tables(rows, kind, console.width):
            console.print(Text(each.title, style="italic"))
            # Numbers are never cut; a terminal that is too narrow for them breaks the lines itself.
            console.print(each.table, crop=False)
            console.print()
        of_the_set = set_remarks(comparable_records(leaderboards, set_name)) if kind == "test" else []
        for note in [*footnotes(rows), *of_the_set]:
            print_sentence(note)
        place = path if url is None else f"{url}/{path.name}"
        told = f"all columns: {place}" if texts is None else f"{place} (not written)"
        console.print(Text(told, style="dim"), soft_wrap=True)
        console.print()


_TITLES = {
    "test": "test set (AP: masks in original pixels, 95 % interval over source groups; size error: of the particles "
    "found, bias ± spread)",
    "ablation": "ablation",
    "ood": "out of distribution: share of particles found (IoU ≥ 0.5, any class) at confidence ≥ 0.25 / 0.5 / 0.75",
    "robustness": "robustness: AP of all particles as one class, clean and corrupted, and the share that is lost",
}
