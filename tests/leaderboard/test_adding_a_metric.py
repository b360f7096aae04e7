"""A metric is added as a contributor would: a function, and an entry in the table. Nothing else is changed."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nanoseg_bench

FUNCTION = '''

def _split_share(kept: Sequence[ImageOverlap]) -> float | None:
    """Share of the particles that several predictions touch."""
    touched = [int((overlap.iou[:, place] > 0).sum()) for overlap in kept for place in range(overlap.iou.shape[1])]
    return sum(count > 1 for count in touched) / len(touched) if touched else None

'''

ENTRY = """
    Metric(
        "split_share", "detection", "share of the particles that several predictions touch",
        heading="split", unit="%", digits=1, factor=100, better="lower", also=("modality",),
        shown=Shown(page=75, terminal=Terminal(75, 1), markdown=55, figure=45, card=125),
        of_detections=_split_share,
    ),"""

SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, sys.argv[1])
import conftest
from nanoseg_bench.cli import main
from nanoseg_bench.evaluation.scoring import evaluate
from nanoseg_bench.leaderboard.build import build_tables
from nanoseg_bench.leaderboard.column_docs import metrics_table
from nanoseg_bench.leaderboard.figures.bars import draw_bars
from nanoseg_bench.leaderboard.figures.contenders import read_contenders
from nanoseg_bench.leaderboard.markdown import markdown_table
from nanoseg_bench.weights.model_card import SCORES

eval_set, predictions = conftest.build_small_test()
twice = replace(predictions.images["a"][0], score=0.7)
predictions.images["a"].append(twice)
evaluation = evaluate(eval_set, predictions, 0.5, resamples=5)
record = conftest.build_record("yolo11n", scores=evaluation.scores, details=evaluation.details)
folder = Path("leaderboards")
conftest.keep(folder, record)
assert main(["leaderboard", "toy", "--leaderboards", str(folder), "--html"]) == 0
print(markdown_table([record], build_tables([record])["test"]))
print(metrics_table(["detection"]))
print("figure:", [row[4:6] for row in draw_bars(read_contenders(folder, "toy"), record.classes).rows])
print("card:", [each.in_words for each in SCORES])
"""


def with_the_metric(folder: Path) -> Path:
    """A copy of the package of which the table of metrics alone differs."""
    package = Path(nanoseg_bench.__file__).parent
    copy = shutil.copytree(package, folder / "nanoseg_bench", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("baselines", "datasets", "pyproject.toml"):
        (folder / name).symlink_to(package.parent / name)
    table = copy / "metrics" / "table.py"
    text = table.read_text(encoding="utf-8")
    for place, added in (
        ("\n_PRECISION = (", f"{FUNCTION}\n_PRECISION = ("),
        ("\n_DETECTION = (", f"\n_DETECTION = ({ENTRY}"),
    ):
        assert text.count(place) == 1
        text = text.replace(place, added)
    table.write_text(text, encoding="utf-8")
    return folder


def test_a_function_and_an_entry_are_all_that_a_metric_takes(tmp_path):
    folder = with_the_metric(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(Path(__file__).parent)],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = done.stdout

    # One of four particles is predicted twice.
    (row,) = csv.DictReader((folder / "leaderboards" / "toy-test.csv").read_text(encoding="utf-8").splitlines())
    assert row["split_share"] == "0.25"
    modality = (folder / "leaderboards" / "toy-modality.csv").read_text(encoding="utf-8").splitlines()
    assert [each["split_share"] for each in csv.DictReader(modality)] == ["0.5", "0.0"]
    terminal = next(line for line in shown.splitlines() if line.startswith("rank"))
    assert "split %" in terminal and "   25.0   " in shown
    page = (folder / "leaderboards" / "toy.html").read_text(encoding="utf-8")
    assert 'title="share of the particles that several predictions touch"><span>split</span> <small>%</small>' in page
    assert 'data-sort="0.25">25.0</td>' in page
    assert "| split % |" in shown and "| 25.0 |" in shown, "Markdown"
    assert "| `split_share` | lower | share of the particles that several predictions touch |" in shown, "documentation"
    assert "('split_share', 0.25)" in shown.partition("figure: ")[2]
    assert "'split'" in shown.partition("card: ")[2]
