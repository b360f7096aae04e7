"""``nanoseg-bench score``: records and leaderboards from kept predictions, or from those of another tool."""

import argparse
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.annotations.registry import PREDICTED
from nanoseg_bench.cli.executor_options import add_executor, open_cluster, pool_of
from nanoseg_bench.cli.mask_flags import add_mask_flags, mask_options_of
from nanoseg_bench.cli.places import require_there
from nanoseg_bench.cli.sets import DEFAULT, find_set
from nanoseg_bench.cli.sources import parse_classes
from nanoseg_bench.errors import UsageError
from nanoseg_bench.evaluation.external import OURS
from nanoseg_bench.preparation.set_names import DATA, is_set
from nanoseg_bench.wording import counted

if TYPE_CHECKING:
    from nanoseg_bench.cluster import Cluster
    from nanoseg_bench.evaluation.external.reading import External
    from nanoseg_bench.preparation.prepared_set import PreparedSet
    from nanoseg_bench.runs.folder import RunFolder
    from nanoseg_bench.runs.rescoring import Rescored

_EPILOG = """\
examples:
  nanoseg-bench score emps                                 every record of its runs again, and the CSV files
  nanoseg-bench score emps nanosynth --check               write nothing; fail where a record is not what its
                                                           predictions give
  nanoseg-bench score emps --predictions masks/ --as cellpose
  nanoseg-bench score mine --predictions unet/ --as unet-elsewhere --mask-kind binary --threshold 128
                                                           black-and-white masks: every piece is a particle
  nanoseg-bench score mine --predictions test.json --val-predictions val.json --as sam
  nanoseg-bench score mine --predictions ann/second-annotator --as second-annotator

Neither weights nor a GPU are needed. Predictions of other tools are read from COCO results or a COCO file, masks
(PNG, TIFF: instance maps, or what --mask-kind says), YOLO-seg labels, LabelMe files, or this package's own .json.gz;
files go by the names of the images, and every image of the eval set needs one. They are kept in runs/SET/external-NAME
and scored as all others, and their rows stand in the tables without a rank. baselines/external.md shows how to export
them from common tools.
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "score",
        help="score kept predictions again, or those of another tool; no GPU needed",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths",
        nargs="*",
        type=Path,
        metavar="SET_OR_RUNS",
        help=f"prepared sets, by name or path, folders of runs, or single runs (default: {DEFAULT})",
    )
    places = parser.add_argument_group("places")
    places.add_argument("--data", metavar="SET", help="the prepared set of the runs (default: of the same name)")
    places.add_argument("--runs", type=Path, help="folder of the runs (default: runs/<set name>)")
    places.add_argument(
        "--leaderboards", type=Path, default=Path("leaderboards"), help="records and CSVs (default: %(default)s)"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail where a record is not what its predictions give"
    )
    outside = parser.add_argument_group("predictions of another tool")
    outside.add_argument("--predictions", type=Path, metavar="PATH", help="file, or folder with a file for each image")
    outside.add_argument(
        "--as", dest="name", metavar="TOOL", help="what the tool, or the person, is called in the tables"
    )
    outside.add_argument("--eval-set", metavar="PART", help="what they are for (default: test)")
    outside.add_argument(
        "--val-predictions", type=Path, metavar="PATH", help="those for val: the operating point is chosen on them"
    )
    outside.add_argument("--confidence", type=float, metavar="C", help="operating point, declared instead of chosen")
    outside.add_argument(
        "--from",
        dest="format",
        choices=("auto", OURS, *PREDICTED),
        default="auto",
        help="format (default: %(default)s)",
    )
    outside.add_argument(
        "--classes",
        nargs="+",
        metavar="A,B,...",
        help="class names in the order of their numbers, for YOLO and COCO results",
    )
    outside.add_argument("--class-less", action="store_true", help="disregard the classes of the predictions")
    add_mask_flags(parser, label=None)
    add_executor(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Score kept predictions, or those that are handed in.

    Returns:
        1 when a run could not be scored, or a record is not what its predictions give.
    """
    arguments.data = None if arguments.data is None else find_set(arguments.data)
    if arguments.predictions is not None:
        if arguments.executor != "local":
            raise UsageError(
                f"--executor {arguments.executor}: goes with kept predictions, not with --predictions PATH"
            )
        return _score_external(arguments)
    for flag, value in (
        ("--as", arguments.name),
        ("--val-predictions", arguments.val_predictions),
        ("--eval-set", arguments.eval_set),
        ("--confidence", arguments.confidence),
        ("--classes", arguments.classes),
        ("--class-less", arguments.class_less or None),
    ):
        if value is not None:
            raise UsageError(f"{flag}: goes with --predictions PATH")
    if given := mask_options_of(arguments, None).given:
        raise UsageError(f"{', '.join(given)}: goes with --predictions PATH")
    with open_cluster(arguments) as cluster:
        return max(_score_runs(arguments, path, cluster) for path in arguments.paths or [None])


def _score_runs(arguments: argparse.Namespace, path: Path | None, cluster: "Cluster | None") -> int:
    from nanoseg_bench.files import require_writable
    from nanoseg_bench.leaderboard.build import write_leaderboards
    from nanoseg_bench.runs.rescoring import check_runs, records_without_run, score_runs

    prepared, runs, is_whole = _find_runs(arguments, path)
    prepared.require_audit()
    if not arguments.check:
        require_writable(arguments.leaderboards, "--leaderboards")
    workers, open_pool = pool_of(cluster, None)
    rescored = (check_runs if arguments.check else score_runs)(
        runs, prepared, arguments.leaderboards, workers or 1, open_pool
    )
    lost = records_without_run(arguments.leaderboards, prepared.name, runs) if is_whole else []
    _report(rescored, "checked and found as recorded" if arguments.check else "scored")
    for record in lost:
        print(f"{record}: its predictions are not at hand, so the record stays as it is")
    if not arguments.check and rescored.scored:
        _print_paths(write_leaderboards(arguments.leaderboards, prepared.name))
    return 1 if rescored.faults or rescored.unfinished or (arguments.check and lost) else 0


def _find_runs(arguments: argparse.Namespace, path: Path | None) -> tuple["PreparedSet", list["RunFolder"], bool]:
    """The prepared set, its runs, and whether these are all that there are; without a path, those of ``--data``."""
    from nanoseg_bench.models.run_files import RUN_FILE
    from nanoseg_bench.preparation.prepared_set import PreparedSet
    from nanoseg_bench.runs.folder import RunFolder

    if path is None or not _holds_runs(path):
        if path is not None and len(path.parts) > 1:
            require_there({"": path}, "give a prepared set, a folder of runs, or a run")
        prepared = PreparedSet(find_set(path, arguments.data))
        return prepared, _runs_in(arguments.runs or Path("runs") / prepared.name), True
    # A folder of runs has the name of its prepared set.
    if (path / RUN_FILE).is_file():
        return PreparedSet(arguments.data or find_set(path.resolve().parent.name)), [RunFolder(path)], False
    runs = _runs_in(path)
    return PreparedSet(arguments.data or find_set(path.resolve().name)), runs, True


def _holds_runs(path: Path) -> bool:
    """Whether a path is meant as runs: it may be the name of a set, too, which has a folder of the same name."""
    from nanoseg_bench.models.run_files import RUN_FILE
    from nanoseg_bench.runs.folder import find_runs

    if not path.is_dir() or is_set(path):
        return False
    return (path / RUN_FILE).is_file() or any(find_runs(path)) or not is_set(DATA / path)


def _runs_in(folder: Path) -> list["RunFolder"]:
    from nanoseg_bench.runs.folder import find_runs

    runs = list(find_runs(folder))
    if not runs:
        raise UsageError(f"{folder}: no runs there; run `nanoseg-bench run` first, or give a folder that holds some")
    return runs


def _report(rescored: "Rescored", done: str) -> None:
    print(f"{counted(len(rescored.scored), 'run')} {done}: {', '.join(rescored.scored) or 'none'}")
    if rescored.unfinished:
        print(
            f"{counted(len(rescored.unfinished), 'run')} not finished, rows stay as they are: "
            f"{', '.join(rescored.unfinished)}"
        )
    for fault in rescored.faults:
        print(f"refused: {fault}")


def _print_paths(paths: list[Path]) -> None:
    print("written: " + ", ".join(map(str, paths)))


def _score_external(arguments: argparse.Namespace) -> int:
    _check_external(arguments)
    require_there({"--predictions": arguments.predictions, "--val-predictions": arguments.val_predictions})
    from nanoseg_bench.evaluation.eval_sets import load_eval_set
    from nanoseg_bench.evaluation.external.reading import read_external
    from nanoseg_bench.evaluation.operating_point import default_in_words
    from nanoseg_bench.files import require_writable
    from nanoseg_bench.leaderboard.build import write_leaderboards
    from nanoseg_bench.preparation.prepared_set import PreparedSet
    from nanoseg_bench.runs.handed_in import confidence_origin, keep_predictions
    from nanoseg_bench.runs.record import read_record, record_path
    from nanoseg_bench.runs.scored import KeptTruth, score_run, scored_sets

    prepared = PreparedSet(find_set(*arguments.paths, arguments.data))
    prepared.require_audit()
    eval_set = arguments.eval_set or "test"
    if eval_set not in scored_sets(prepared):
        raise UsageError(
            f"--eval-set {eval_set}: predictions of other tools are scored on "
            f"{', '.join(scored_sets(prepared))} of {prepared.root}"
        )
    if prepared.folds and arguments.val_predictions is not None:
        raise UsageError(
            f"--val-predictions: each fold of {prepared.root} has a val of its own, and what is handed in answers to "
            "all micrographs; declare its operating point with --confidence"
        )
    classes = parse_classes(arguments.classes)
    masks = mask_options_of(arguments, classes)
    runs = arguments.runs or Path("runs") / prepared.name
    require_writable(runs, "--runs")
    require_writable(arguments.leaderboards, "--leaderboards")

    def read(path: Path, part: str) -> "External":
        external = read_external(
            path,
            arguments.name,
            prepared,
            load_eval_set(prepared, part),
            format=arguments.format,
            classes=classes,
            class_less=arguments.class_less,
            masks=masks,
        )
        for note in external.notes:
            print(note)
        return external

    external = read(arguments.predictions, eval_set)
    val = None if arguments.val_predictions is None else read(arguments.val_predictions, "val")
    origin = confidence_origin(external, arguments.confidence, val)
    run = keep_predictions(runs, arguments.name, prepared, external, origin, val)
    score_run(run, KeptTruth(prepared), arguments.leaderboards)
    told = "declared with --confidence" if arguments.confidence is not None else _ORIGINS[origin.source]
    record = read_record(record_path(arguments.leaderboards, prepared.name, run.run_id, eval_set))
    if record.operating_point is not None and record.operating_point.source == "default":
        point_used = record.operating_point
        told = f"{default_in_words(point_used.confidence)}, the default, since val cannot decide: {point_used.reason}"
    print(f"operating point: {told}; predictions kept in {run.path}")
    _print_paths(write_leaderboards(arguments.leaderboards, prepared.name))
    return 0


_ORIGINS = {
    "val": "chosen on val",
    "declared": "every particle counts, since the tool gives no scores",
    "none": "none, so its columns stay empty; give --val-predictions or --confidence",
}


def _check_external(arguments: argparse.Namespace) -> None:
    if len(arguments.paths) > 1 or arguments.check:
        raise UsageError(
            "--predictions: scores what is handed in for one SET; give it without further ones and --check"
        )
    if arguments.name is None:
        raise UsageError("--predictions: needs --as, what the tool is called in the tables")
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", arguments.name):
        raise UsageError(f"--as {arguments.name!r}: small letters, digits, '-', '_' and '.', e.g. cellpose-3")
    from nanoseg_bench.models.registry import available

    if arguments.name in available():
        raise UsageError(f"--as {arguments.name}: is a model of ours; give another, e.g. {arguments.name}-elsewhere")
    if arguments.confidence is not None and not math.isfinite(arguments.confidence):
        raise UsageError(f"--confidence {arguments.confidence:g}: give a finite number, in the unit of the scores")
    if arguments.confidence is not None and arguments.val_predictions is not None:
        raise UsageError("--confidence and --val-predictions: the operating point is declared or chosen; give one")
