"""The tables of ``leaderboards/README.md`` that explain metrics, written from the table of metrics.

``python -m nanoseg_bench.leaderboard.column_docs leaderboards/README.md`` brings the file up to date; a test compares.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from nanoseg_bench.files import write_text
from nanoseg_bench.leaderboard.columns import DIFFERENCE, DIFFERENCE_50
from nanoseg_bench.metrics.metric import Metric
from nanoseg_bench.metrics.table import METRICS

_SECTION = re.compile(r"(<!-- metrics: ([a-z_ ]+) -->\n).*?(<!-- end of metrics -->)", re.DOTALL)
"""Between the two comments stand the metrics of these groups."""

_HEAD = "| column | better | meaning |\n|---|---|---|\n"

_BETTER = {"higher": "higher", "lower": "lower", "zero": "near 0", "": ""}


def with_metrics(document: str) -> str:
    """The document with its tables of metrics as they have to be; what stands around them stays."""
    return _SECTION.sub(lambda found: f"{found[1]}{metrics_table(found[2].split())}{found[3]}", document)


def metrics_table(groups: Sequence[str]) -> str:
    """What the metrics of some groups mean, in Markdown, a line for all that are explained together."""
    metrics = (*METRICS, DIFFERENCE, DIFFERENCE_50)
    lead = [each for group in groups for each in metrics if each.group == group and not each.explained_with]
    lines = (_line([first, *(each for each in metrics if each.explained_with == first.name)]) for first in lead)
    return f"\n{_HEAD}{''.join(lines)}\n"


def _line(together: Sequence[Metric]) -> str:
    columns = ", ".join(f"`{column}`" for each in together for column in each.columns)
    better = ", ".join(dict.fromkeys(_BETTER[each.better] for each in together if each.better))
    return f"| {columns} | {better} | {together[0].meaning} |\n"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        write_text(Path(name), with_metrics(Path(name).read_text(encoding="utf-8")))
