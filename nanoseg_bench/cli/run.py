"""``nanoseg-bench run``: train and score models on a prepared set."""

import argparse
import re
import time
from pathlib import Path

from nanoseg_bench.cli.names import split_names
from nanoseg_bench.errors import UsageError

ROBUST_IMAGES = 20

_EPILOG = """\
examples:
  nanoseg-bench run                                        every model of the paper on data/nanosynth, preset quick
  nanoseg-bench run --data data/mine --models nsyolo unet  two of them on your own data
  nanoseg-bench run --preset paper --device cuda:0 --seeds 0 1 2
  nanoseg-bench run --preset paper --dry-run               what is done, what is to do, how long it will take
  nanoseg-bench run --recipe epochs=50 canvas=320 augmentation.mosaic=0.3 options.neck=0.8
                                                           other values than the preset's, as rows of their own
  nanoseg-bench run --robustness 20                        also judge them under 8 corruptions at 5 severities
  nanoseg-bench run --time-limit 9m                        stop cleanly after 9 minutes; repeat to go on

Every step whose output is there and whose inputs have not changed is skipped, so the same command goes on after
Ctrl-C, a kill or a time limit. Where a recipe's post-processing changed, only predictions and scores are made anew.
Where the training would be another one (prepared set, initial weights, a training value of the recipe), what changed is
named, the earlier run moves to RUNS/replaced/, and a new one begins; it moves back when its inputs do.
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "run",
        help="train, predict and score models; write records and leaderboards",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, default=Path("data/nanosynth"), help="prepared set (default: %(default)s)")
    parser.add_argument(
        "--models", nargs="+", default=["all"], metavar="MODEL", help="`all` or names, see `list` (default: all)"
    )
    parser.add_argument(
        "--preset", default="quick", help="smoke, quick (minutes on a CPU) or paper (GPU) (default: %(default)s)"
    )
    parser.add_argument(
        "--recipe",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="values of the recipe other than the preset's; they stand in the preset's column, and the run is one of "
        "its own. epochs takes the place of images_seen; options.NAME is what only one model knows",
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="N", help="one run per seed (default: 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")
    parser.add_argument("--weights", type=Path, help="initial weights (.safetensors); default: train from scratch")
    parser.add_argument("--runs", type=Path, help="folder of the runs (default: runs/<set name>)")
    parser.add_argument(
        "--leaderboards", type=Path, default=Path("leaderboards"), help="records and CSVs (default: %(default)s)"
    )
    parser.add_argument(
        "--time-limit",
        metavar="T",
        help="stop with a checkpoint after this time (90s, 9m, 2h), at the end of the epoch",
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
        "--dry-run", action="store_true", help="print what would be done and how long that takes; write nothing"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry out the verb; 1 when any model did not end well."""
    if arguments.robustness < 0:
        raise UsageError(f"--robustness {arguments.robustness}: give a number of test images, such as {ROBUST_IMAGES}")
    deadline_at, limit = _deadline(arguments.time_limit)
    from nanoseg_bench.environment import isolate_libraries

    isolate_libraries()
    from nanoseg_bench.cli.audit import print_shortcomings
    from nanoseg_bench.cli.device import resolve_device
    from nanoseg_bench.leaderboard.build import write_leaderboards
    from nanoseg_bench.models.base import Deadline
    from nanoseg_bench.models.overrides import parse_overrides
    from nanoseg_bench.models.registry import resolve
    from nanoseg_bench.preparation.prepared_set import PreparedSet
    from nanoseg_bench.preparation.shortcomings import split_shortcomings
    from nanoseg_bench.runs.plan import plan_runs
    from nanoseg_bench.runs.runner import Places, run_plan

    negative = [seed for seed in arguments.seeds if not 0 <= seed < 2**32]
    if negative:
        raise UsageError(f"--seeds {negative[0]}: a seed lies between 0 and 2^32 - 1")
    models = resolve(split_names(arguments.models))
    prepared = PreparedSet(arguments.data)
    if arguments.weights is not None and not arguments.weights.is_file():
        raise UsageError(f"--weights {arguments.weights}: no such file")
    overrides = parse_overrides(arguments.recipe)
    specs = plan_runs(prepared, models, arguments.preset, arguments.seeds, arguments.weights, overrides)
    places = Places(arguments.data, arguments.runs or Path("runs") / prepared.name, arguments.leaderboards)
    device = resolve_device(arguments.device)
    if arguments.dry_run:
        from nanoseg_bench.cli.forecast import print_forecast

        print_forecast(specs, places, device, arguments.overwrite, arguments.robustness)
        return 0
    print_shortcomings(split_shortcomings(prepared))
    outcomes = run_plan(
        specs,
        places,
        device,
        Deadline(deadline_at, limit),
        arguments.overwrite,
        after_each=lambda: write_leaderboards(places.leaderboards, prepared.name),
        robust_images=arguments.robustness,
    )
    from nanoseg_bench.cli.leaderboard import print_tables

    print_tables(places.leaderboards, prepared.name)
    stopped = [outcome for outcome in outcomes.values() if outcome.status in ("timeout", "skipped")]
    if stopped and arguments.overwrite == "always":
        print("to go on from here, repeat the command without --overwrite always")
    return 0 if all(outcome.status == "ok" for outcome in outcomes.values()) else 1


def _deadline(text: str | None) -> tuple[float | None, str]:
    if text is None:
        return None, ""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)", text)
    if not match:
        raise UsageError(f"--time-limit {text}: write a number with s, m or h, such as 90s, 9m or 2h")
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
    return time.monotonic() + seconds, text
