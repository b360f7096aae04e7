"""``nanoseg-bench run``: train and score models on a prepared set."""

import argparse
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.cli.executor_options import open_cluster
from nanoseg_bench.cli.names import split_integers, split_names
from nanoseg_bench.cli.next_commands import print_next
from nanoseg_bench.cli.sets import DEFAULT, add_set, find_set
from nanoseg_bench.cli.shared import fetch_set, open_shared, told_as
from nanoseg_bench.cli.shipped import find_initial_weights
from nanoseg_bench.cli.training_options import add_training_options, devices_of, executor_of, read_time_limit
from nanoseg_bench.errors import UsageError
from nanoseg_bench.preparation.set_names import is_set
from nanoseg_bench.storage import is_url, path_or_url
from nanoseg_bench.terminal import command_line

if TYPE_CHECKING:
    from nanoseg_bench.preparation.prepared_set import PreparedSet
    from nanoseg_bench.runs.failure import Outcome
    from nanoseg_bench.runs.plan import RunSpec
    from nanoseg_bench.runs.runner import BenchmarkFolders

ROBUST_IMAGES = 20

_EPILOG = """\
examples:
  nanoseg-bench run                                        every model of the paper on data/nanosynth, preset quick
  nanoseg-bench run mine --models nsyolo unet              two of them on your own data
  nanoseg-bench run --preset paper --device cuda:0 --seeds 0 1 2
  nanoseg-bench run --preset paper --device 0,1            each model on two GPUs at a time
  nanoseg-bench run --preset paper --dry-run               what is done, what is to do, how long it will take
  nanoseg-bench run --models unet --recipe epochs=50 canvas=320 augmentation.mosaic=0.3 options.neck=0.8
                                                           other values than the preset's, as rows of their own
  nanoseg-bench run mine --models nsyolo --weights shipped
                                                           start from the weights that ship with this package
  nanoseg-bench run --robustness 20                        also judge them under 8 corruptions at 5 severities
  nanoseg-bench run --time-limit 9m                        stop cleanly after 9 minutes; repeat to go on
  nanoseg-bench run --preset cpu --jobs 2                  two trainings side by side, each with half of the cores
  nanoseg-bench run --preset paper --seeds 0 1 2 --executor ray --address auto
                                                           on all machines of a Ray cluster
  nanoseg-bench run s3://lab/mine --runs s3://lab/runs --leaderboards s3://lab/leaderboards
                                                           all in a bucket that several machines share
  nanoseg-bench run mine-5fold --models unet               a set with folds: each fold is trained, one row per model
  nanoseg-bench run mine-5fold --models unet --final
                                                           then the model to use: trained on everything

Every step whose output is there and whose inputs have not changed is skipped, so the same command goes on after
Ctrl-C, a kill or a time limit. Where a recipe's post-processing changed, only predictions and scores are made anew.
Where the training would be another one (prepared set, initial weights, a training value of the recipe), what changed is
named, the earlier run moves to RUNS/replaced/, and a new one begins; it moves back when its inputs do.

On a set with folds (prepare --folds K) each model is trained K times, and each micrograph is tested once, by a network
that has not seen its source group. The row pools these answers; a row with folds missing says which. --final then
trains on all micrographs: that model has no test, so no row, and finds particles at the median operating point of the
folds.
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "run",
        help="train, predict and score models; write records and leaderboards",
        usage="%(prog)s [SET] [--models MODEL ...] [--preset PRESET] [options]",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_set(parser, DEFAULT)
    parser.add_argument(
        "--models", nargs="+", default=["all"], metavar="MODEL", help="`all` or names, see `list` (default: all)"
    )
    parser.add_argument(
        "--preset",
        default="quick",
        help="smoke, quick (minutes on a CPU), cpu (hours on one core), fine (goes on from weights of cpu), paper or "
        "best (GPU) (default: %(default)s)",
    )
    parser.add_argument(
        "--recipe",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="values of the recipe other than the preset's; they stand in the preset's column, and the run is one of "
        "its own. epochs takes the place of images_seen; options.NAME is what only one model knows",
    )
    parser.add_argument("--seeds", nargs="+", default=["0"], metavar="N", help="one run per seed (default: 0)")
    add_training_options(parser)
    parser.add_argument(
        "--weights",
        metavar="FILE_OR_NAME",
        help="initial weights: a .safetensors file; nsyolo or yolo11n, which ship with this package; or `shipped`, "
        "each model from its own (default: train from scratch)",
    )
    parser.add_argument("--runs", type=path_or_url, help="folder of the runs, or its URL (default: runs/<set name>)")
    parser.add_argument(
        "--leaderboards",
        type=path_or_url,
        default=Path("leaderboards"),
        help="records and CSVs, a folder or its URL (default: %(default)s)",
    )
    parser.add_argument(
        "--overwrite",
        choices=("never", "missing", "always"),
        default="missing",
        help="never: keep every record; missing: do what is not done; always: delete what these runs have and "
        "start anew (default: %(default)s)",
    )
    parser.add_argument(
        "--robustness",
        type=int,
        nargs="?",
        const=ROBUST_IMAGES,
        default=0,
        metavar="N",
        help="judge every model on N test images under 8 corruptions in 5 severities too: 40 N more predictions "
        f"(without N: {ROBUST_IMAGES})",
    )
    parser.add_argument(
        "--final",
        action="store_true",
        help="of a set with folds, once all folds are run: train on everything; the model to use with predict",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, predict and score what is not done yet, and print the tables; 1 when any model did not end well."""
    if arguments.robustness < 0:
        raise UsageError(f"--robustness {arguments.robustness}: give a number of test images, such as {ROBUST_IMAGES}")
    deadline_at, limit = read_time_limit(arguments)
    arguments.seeds = split_integers(arguments.seeds, "--seeds")
    names = split_names(arguments.models)
    if not names or not arguments.seeds:
        raise UsageError("--models, --seeds: give at least one of each")
    for name in names:
        if is_set(Path(name)):
            raise UsageError(f"--models {name}: is a prepared set; write it first: nanoseg-bench run {name} --models …")
    arguments.data = _find_set(arguments)
    from nanoseg_bench.environment import isolate_libraries

    isolate_libraries()
    from nanoseg_bench.leaderboard.benchmark import carry_out
    from nanoseg_bench.models.base import Deadline
    from nanoseg_bench.models.overrides import parse_overrides
    from nanoseg_bench.models.registry import resolve
    from nanoseg_bench.preparation.prepared_set import PreparedSet
    from nanoseg_bench.runs.plan import from_scratch_lines, plan_runs, require_seeds
    from nanoseg_bench.runs.runner import BenchmarkFolders
    from nanoseg_bench.terminal import print_sentence

    require_seeds(arguments.seeds, "--seeds")
    models = resolve(names)
    weights = find_initial_weights(arguments.weights, models)
    prepared = PreparedSet(arguments.data)
    _require_fitting(arguments, prepared)
    overrides = parse_overrides(arguments.recipe)
    specs = plan_runs(prepared, models, arguments.preset, arguments.seeds, weights, overrides, final=arguments.final)
    shared = open_shared(arguments, prepared.name)
    places = BenchmarkFolders(
        arguments.data,
        (shared and shared.runs) or arguments.runs or Path("runs") / prepared.name,
        (shared and shared.leaderboards) or arguments.leaderboards,
    )
    for line in from_scratch_lines(specs):
        print_sentence(f"warning: {line}")
    if arguments.dry_run:
        from nanoseg_bench.cli.forecast import print_forecast

        device, *_ = devices_of(arguments, None)
        with nullcontext() if shared is None else shared.open(specs, only_look=True):
            print_forecast(specs, places, device, arguments.overwrite, arguments.robustness, arguments.jobs or 1)
        return 0
    _tell_beforehand(specs, prepared, weights)
    with (
        told_as(places.leaderboards, arguments.leaderboards),
        told_as(places.runs, arguments.runs),
        open_cluster(arguments) as cluster,
        nullcontext() if shared is None else shared.open(specs),
    ):
        device, *beside = devices_of(arguments, cluster)
        outcomes = carry_out(
            specs,
            places,
            prepared.name,
            device,
            Deadline(deadline_at, limit),
            beside=beside,
            overwrite=arguments.overwrite,
            robust_images=arguments.robustness,
            executor=executor_of(arguments, cluster),
            shared=shared,
        )
    problems = [] if shared is None else shared.problems
    if arguments.final:
        return _print_models(specs, places, outcomes) or bool(problems)
    from nanoseg_bench.cli.leaderboard import print_tables

    url = str(arguments.leaderboards) if is_url(arguments.leaderboards) else None
    print_tables(places.leaderboards, prepared.name, url=url)
    stopped = [outcome for outcome in outcomes.values() if outcome.status in ("timeout", "skipped")]
    print_next(arguments, specs, places, outcomes, prepared.name)
    if stopped and arguments.overwrite == "always":
        print("to go on from here, repeat the command without --overwrite always")
    return 0 if all(outcome.status == "ok" for outcome in outcomes.values()) and not problems else 1


def _find_set(arguments: argparse.Namespace) -> Path:
    return fetch_set(arguments.set) if is_url(arguments.set) else find_set(arguments.set)


def _require_fitting(arguments: argparse.Namespace, prepared: "PreparedSet") -> None:
    """Refuse what means nothing on this kind of set."""
    if arguments.final and not prepared.folds:
        raise UsageError(
            f"--final: goes with a set with folds, and {prepared.root} has none; its models are ready to use: "
            "nanoseg-bench predict IMAGES --model RUN"
        )
    if arguments.robustness and prepared.folds:
        raise UsageError(
            f"--robustness: is of one network, and {prepared.root} has {len(prepared.folds)} folds; prepare the set "
            "without --folds for it"
        )
    from nanoseg_bench.preparation.prepared_set import ASIDE

    if prepared.folds and (aside := [name for name in ASIDE if prepared.has(name)]):
        print(
            f"{', '.join(aside)}: not judged; these images belong to no fold, and every fold has a network of its own"
        )


def _tell_beforehand(specs: Sequence["RunSpec"], prepared: "PreparedSet", weights: Mapping[str, Path]) -> None:
    """What is known of set, truth and initial weights, and bears on the rows, before hours are spent on them."""
    from nanoseg_bench.cli.audit import print_shortcomings
    from nanoseg_bench.preparation.shortcomings import split_shortcomings
    from nanoseg_bench.runs.cleaned_truth import cleaned_truth_lines
    from nanoseg_bench.terminal import print_sentence
    from nanoseg_bench.weights.known_warnings import warn_of_known_images
    from nanoseg_bench.weights.release import tell_release

    print_shortcomings(split_shortcomings(prepared))
    for line in cleaned_truth_lines([spec.recipe for spec in specs], prepared):
        print_sentence(line)
    for path in dict.fromkeys(weights.values()):
        tell_release(path)
    for sentence in warn_of_known_images(prepared, list(weights.values())):
        print_sentence(f"warning: {sentence}")


def _print_models(specs: Sequence["RunSpec"], places: "BenchmarkFolders", outcomes: Mapping[str, "Outcome"]) -> int:
    """Say where the models to use are; 1 when any did not end well."""
    for spec in specs:
        outcome = outcomes[spec.run_id]
        if outcome.status == "ok":
            model = command_line([str(places.runs / spec.run_id)])
            how = "trained on everything" if spec.recipe.trains else "at the operating point of all folds"
            print(f"{spec.recipe.title}, {how}: nanoseg-bench predict IMAGES --model {model}")
        else:
            print(f"{spec.recipe.title}: {outcome.status}: {outcome.reason}")
    return 0 if all(outcome.status == "ok" for outcome in outcomes.values()) else 1
