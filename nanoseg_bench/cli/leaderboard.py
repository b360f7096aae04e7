"""``nanoseg-bench leaderboard``: rebuild the CSV files from the records and print them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanoseg_bench.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "leaderboard",
        help="rebuild and print the leaderboards",
        epilog="example:\n  nanoseg-bench leaderboard --set emps",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--leaderboards", type=Path, default=Path("leaderboards"), help="records and CSVs (default: %(default)s)"
    )
    parser.add_argument("--set", dest="set_name", help="name of the prepared set (default: every set with records)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry out the verb."""
    from nanoseg_bench.leaderboard.build import write_leaderboards

    records = arguments.leaderboards / "records"
    known = sorted(folder.name for folder in records.iterdir() if folder.is_dir()) if records.is_dir() else []
    if not known:
        raise UsageError(f"{records}: no records; run `nanoseg-bench run` first, or give --leaderboards DIR")
    if arguments.set_name is not None and arguments.set_name not in known:
        raise UsageError(f"--set {arguments.set_name}: no records of that name; there are {', '.join(known)}")
    for name in [arguments.set_name] if arguments.set_name else known:
        write_leaderboards(arguments.leaderboards, name)
        print_tables(arguments.leaderboards, name)
    return 0


def print_tables(leaderboards: Path, set_name: str) -> None:
    """Print the CSV files of a set as tables that fit a terminal: the columns a reader looks at first."""
    import pandas as pd
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=190)
    for kind, columns in _SHOWN.items():
        path = leaderboards / f"{set_name}-{kind}.csv"
        if path.is_file():
            console.print(_table(pd.read_csv(path), columns, f"{set_name}: {_TITLES[kind]}"))
            console.print(f"[dim]{path}[/dim]")


_TITLES = {
    "test": "test set (mask AP in original pixels; 95 % interval over source groups)",
    "ablation": "ablation",
    "ood": "out of distribution: share of particles found (IoU ≥ 0.5, any class) at confidence ≥ 0.25 / 0.5 / 0.75",
}

_QUALITY = {
    "rank": "rank",
    "title": "model",
    "preset": "preset",
    "seed": "seed",
    "map_50_95": "AP",
    "map_50": "AP50",
    "map_50_95_agnostic": "AP any",
    "map_50_agnostic": "AP50 any",
    "precision": "P",
    "recall": "R",
    "f1": "F1",
    "iou_matched": "IoU",
    "iou_pixel": "pixel IoU",
}
_SHOWN = {
    "test": {
        **_QUALITY,
        "parameters": "parameters",
        "latency_ms_per_image": "ms/image",
        "training_seconds": "training s",
    },
    "ablation": _QUALITY,
    "ood": {
        "rank": "rank",
        "title": "model",
        "preset": "preset",
        "seed": "seed",
        **{
            f"detection_rate_{shape}{level}": f"{shape}{level.replace('_', ' ≥ .')}"
            for shape in ("triangle", "pentagon")
            for level in ("", "_25", "_50", "_75")
        },
        "map_50_agnostic": "AP50 any",
    },
}
"""Columns shown, by table, with their short headings; the CSV holds all of them."""


def _table(frame: "pd.DataFrame", columns: dict[str, str], title: str) -> "Table":
    from rich import box
    from rich.table import Table

    columns = {name: heading for name, heading in columns.items() if frame[name].notna().any()}
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in columns.values():
        text = heading in ("model", "preset")
        table.add_column(heading, justify="left" if text else "right", no_wrap=text)
    reasons = []
    for _, row in frame.iterrows():
        cells = [_cell(name, row) for name in columns]
        if row["status"] != "ok":
            cells[list(columns).index("title")] += f" ({row['status']})"
            reasons.append(f"{row['title']}: {row['status']}: {row['reason']}")
        table.add_row(*cells)
    if reasons:
        table.caption = "\n".join(reasons)
        table.caption_justify = "left"
    return table


def _cell(name: str, row: "pd.Series[Any]") -> str:
    value = row[name]
    if value is None or value != value:  # NaN: not measured
        return ""
    if isinstance(value, str):
        return value
    if name in ("rank", "seed"):
        return str(int(value))
    if name == "parameters":
        return f"{int(value):,}"
    if name in ("latency_ms_per_image", "training_seconds"):
        return f"{value:.0f}"
    text = f"{value:.3f}"
    low, high = row.get(f"{name}_lo"), row.get(f"{name}_hi")
    if name == "map_50_95" and low == low and high == high and low is not None:
        text += f" [{low:.3f}, {high:.3f}]"
    return text
