"""What ``run --dry-run`` and ``campaign --dry-run`` print."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nanoseg_bench.runs.forecast import RunForecast
    from nanoseg_bench.runs.plan import RunSpec
    from nanoseg_bench.runs.runner import BenchmarkFolders


def print_forecast(
    specs: Sequence["RunSpec"],
    places: "BenchmarkFolders",
    device: str,
    overwrite: str,
    robust_images: int = 0,
    jobs: int = 1,
) -> None:
    """Print what a plan would do; nothing is written.

    Args:
        specs: The plan.
        places: Where it would read and write.
        device: torch device name.
        overwrite: As of ``run_plan``.
        robust_images: As of ``run_plan``.
        jobs: Runs side by side; what that gains is not known, and not told.

    Raises:
        AuditError, DatasetError: The plan could not be carried out on this set.
    """
    from nanoseg_bench.runs.forecast import Forecaster
    from nanoseg_bench.runs.provenance import device_name
    from nanoseg_bench.runs.runner import open_set

    prepared, name = open_set(places.data), device_name(device)
    forecaster = Forecaster(prepared, places.runs, places.leaderboards, name, overwrite, robust_images)
    forecasts = forecaster.forecast(specs)
    print_runs(forecasts, f"{prepared.name} on {name}")
    print(total_text(forecasts, jobs))


def print_runs(forecasts: Sequence["RunForecast"], title: str | None = None) -> None:
    """Print what would be done of each run, why it failed earlier, and what has changed since.

    Args:
        forecasts: Of the runs.
        title: Of the table.
    """
    from rich import box
    from rich.table import Table

    from nanoseg_bench.terminal import open_console

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("run", "fit", "predict", "score", "expected"):
        table.add_column(heading, no_wrap=True)
    for each in forecasts:
        table.add_row(each.run_id, *(step.state for step in each.steps), time_text(each.seconds, each.estimated))
    open_console(piped_width=140).print(table)
    for each in forecasts:
        if each.reason:
            print(f"{each.run_id}: failed earlier: {each.reason}")
        if each.changes:
            print(f"{each.run_id}: {each.changes}")


def total_text(forecasts: Sequence["RunForecast"], jobs: int = 1) -> str:
    """One sentence on how long runs take altogether."""
    known = [each.seconds for each in forecasts if each.seconds is not None]
    unknown = len(forecasts) - len(known)
    estimated = any(each.estimated for each in forecasts)
    order = ", one run after the other" if jobs > 1 else ""
    text = f"expected: {time_text(sum(known) if known else None, estimated)}{order}, without scoring"
    if estimated:
        text += " (~: from the model's speed in another preset, or with other threads; take it as a rough guess)"
    if unknown:
        text += f", and {unknown} of {len(forecasts)} runs that no record on this device tells the time of"
    return f"{text}; nothing was done"


def time_text(seconds: float | None, estimated: bool = False) -> str:
    """``45 s``, ``12 min``, or, where it is estimated, ``~3.4 h``."""
    if seconds is None:
        return "not known"
    about = "~" if estimated else ""
    if seconds < 100:
        return f"{about}{seconds:.0f} s"
    return f"{about}{seconds / 60:.0f} min" if seconds < 6000 else f"{about}{seconds / 3600:.1f} h"
