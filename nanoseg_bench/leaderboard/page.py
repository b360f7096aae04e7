"""``leaderboard --html``: one file that shows all that is known of the models on one prepared set.

Made of the records and the tables alone, but for the images, for which the prepared set and the runs must be at hand.
"""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nanoseg_bench.drawing.colours import css
from nanoseg_bench.errors import UsageError
from nanoseg_bench.files import write_text
from nanoseg_bench.leaderboard.albums import OUTLINES, build_albums
from nanoseg_bench.leaderboard.comparability import open_scored_set
from nanoseg_bench.leaderboard.entries import (
    LeaderboardRow,
    Row,
    build_entries,
    csv_rows,
    groups,
    several_devices,
    words_of,
)
from nanoseg_bench.leaderboard.grids import (
    Matrix,
    class_grid,
    confusion_grid,
    modality_grid,
    ood_grid,
    robustness_grid,
)
from nanoseg_bench.leaderboard.main_table import build_main_tables, rank_text
from nanoseg_bench.leaderboard.palette import model_looks
from nanoseg_bench.leaderboard.protocol import WORDS, protocol
from nanoseg_bench.leaderboard.set_remarks import POOLED_AP, POOLED_CURVES, fold_count, set_remarks
from nanoseg_bench.metrics.size_distribution import BORDER_RULE
from nanoseg_bench.metrics.table import METRICS
from nanoseg_bench.pages import number, render, script
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.record import Record
from nanoseg_bench.wording import counted, minus

_EVAL_SETS = {"test": "test set", "ood": "new shapes", "robustness": "corrupted images"}
"""Those with rows of their own, with their names on the page."""

_TOLD_AS_IT_IS = ("eval_set", "title", "preset", "reference", "seeds")
_STARTS = ("started_from", "reference_started_from")


@dataclass(frozen=True, slots=True)
class Pictures:
    """Where images with outlines are drawn from.

    Attributes:
        prepared: The set that was scored.
        runs: Folder of its runs, with the predictions that were kept.
    """

    prepared: PreparedSet
    runs: Path


def open_pictures(data: Path, runs: Path, records: Sequence[Record]) -> Pictures:
    """Open what images are drawn from.

    Args:
        data: The prepared set.
        runs: Folder of its runs.
        records: Of the page.

    Raises:
        DatasetError: There is no prepared set, or another one than the records were made on.
        UsageError: There is no folder of runs.
    """
    prepared = open_scored_set(data, records[0])
    if not runs.is_dir():
        raise UsageError(f"--runs {runs}: no such folder")
    return Pictures(prepared, runs)


def write_page(
    path: Path, records: Sequence[Record], tables: Mapping[str, pd.DataFrame], pictures: Pictures | None = None
) -> None:
    """Write the page, atomically; same records, set and predictions: same bytes.

    Args:
        path: The HTML file.
        records: Of one prepared set; at least one.
        tables: Their tables, from ``build_tables``.
        pictures: None leaves images out.

    Raises:
        DatasetError, ImageError, PredictionsError: What images are drawn from is malformed.
        OSError: The page cannot be written.
    """
    # Importing the charts loads matplotlib.
    from nanoseg_bench.leaderboard.page_sections import curve_sections, severity_charts

    shown = {name: tables[name] for name in _EVAL_SETS if name in tables}
    looks = model_looks(model for table in shown.values() for model in table["model"])
    entries = {name: build_entries(records, table, name, looks) for name, table in shown.items()}
    test, ood, robustness = (entries.get(name, []) for name in _EVAL_SETS)
    scored, seen_ood, seen_corrupted = (_succeeded(each) for each in (test, ood, robustness))
    first = records[0]
    cross_validated = fold_count(records) is not None
    page = render(
        "nanoseg_bench.leaderboard",
        "leaderboard.html",
        script=script("nanoseg_bench.leaderboard", "leaderboard.js"),
        set_name=first.set_name,
        facts=_facts(records, pictures.prepared if pictures else None),
        rows=test,
        tables=build_main_tables(test, one_class=len(first.classes) == 1),
        several_devices=several_devices(test),
        rank_text=rank_text,
        references=_references(test),
        declared=[entry.name for entry in scored if entry.record.confidence_source == "declared"],
        defaulted=[(entry.name, entry.row["confidence_reason"]) for entry in scored if _is_default(entry)],
        began=[(entry.name, entry.record.truth_begun_by) for entry in test if entry.record.truth_begun_by],
        remarks=set_remarks(records),
        seeds=csv_rows(tables["seeds"]) if "seeds" in tables else [],
        differences=csv_rows(tables["differences"]) if "differences" in tables else [],
        pooled_ap=POOLED_AP if cross_validated else "",
        pooled_curves=POOLED_CURVES if cross_validated else "",
        curves=curve_sections(groups(test)),
        border_rule=BORDER_RULE,
        matrices=_matrices(scored),
        classes=class_grid(scored),
        modalities=modality_grid(scored, [record for record in records if record.eval_set == "hrtem"]),
        ood=ood_grid(seen_ood) if seen_ood else None,
        ood_matrices=_matrices(seen_ood),
        robustness=robustness_grid(seen_corrupted) if seen_corrupted else None,
        severities=severity_charts(seen_corrupted),
        robustness_entries=seen_corrupted,
        albums=build_albums(scored, pictures.prepared, pictures.runs) if pictures else None,
        outlines={name: css(colour) for name, colour in OUTLINES.items()},
        images_command=_images_command(first.set_name),
        words=WORDS,
        told=_told,
        protocol=protocol(first.evaluator, cross_validated=cross_validated),
        as_json=_as_json,
        numbers=[(_EVAL_SETS[name], list(each[0].row), each) for name, each in entries.items() if each],
    )
    write_text(path, page)


def _succeeded(entries: Sequence[LeaderboardRow]) -> list[LeaderboardRow]:
    return [entry for entry in entries if entry.record.status == "ok"]


def _is_default(entry: LeaderboardRow) -> bool:
    return entry.record.confidence_source == "default"


def _facts(records: Sequence[Record], prepared: PreparedSet | None) -> dict[str, str]:
    """What all rows have in common; without what nobody recorded."""
    first = records[0]
    own = [record for record in records if not record.external]
    facts = {
        "data set": first.dataset,
        "content hash": first.set_hash,
        "judged on": _judged_on([record for record in records if record.eval_set == "test"], prepared),
        "classes": ", ".join(first.classes),
        "presets": _listed(record.preset for record in own),
        "seeds": _listed("unseeded" if record.seed is None else str(record.seed) for record in own),
        "devices": _listed(record.device for record in own),
        "evaluator": f"version {first.evaluator}",
        "package": _listed(record.versions.get("nanoseg-bench", "") for record in own),
        "finished": _listed(record.finished[:10] for record in records),
    }
    return {name: value for name, value in facts.items() if value}


def _judged_on(records: Sequence[Record], prepared: PreparedSet | None) -> str:
    if not records:
        return ""
    words = counted(records[0].images, "test image")
    if prepared is not None:
        words += f" of {counted(len({image.source_group for image in prepared.judged_images('test')}), 'source group')}"
    particles = next((value for record in records if (value := record.scores.get("instances_truth"))), None)
    return words if particles is None else f"{words}, {number(particles)} particle{'' if particles == 1 else 's'}"


def _listed(values: Iterable[str]) -> str:
    return ", ".join(sorted({value for value in values if value}))


def _references(entries: Sequence[LeaderboardRow]) -> list[str]:
    """Titles of the models that differences are taken to."""
    titles = {entry.record.model: entry.title for entry in entries}
    models = {entry.row.get("reference", "") for entry in entries} - {""}
    return sorted(titles.get(model, model) for model in models)


def _matrices(entries: Sequence[LeaderboardRow]) -> list[Matrix]:
    """Confusion matrices, of the first seed of each model."""
    return [matrix for entry in entries if entry.leads and (matrix := confusion_grid(entry)) is not None]


def _images_command(set_name: str) -> str:
    return f"nanoseg-bench leaderboard {shlex.quote(set_name)} --html --runs {shlex.quote(f'runs/{set_name}')}"


def _told(row: Row, column: str) -> str:
    """A cell of the tables of seeds: metrics by their titles, numbers as exact as they are worth."""
    text = row[column]
    if column in _TOLD_AS_IT_IS or not text:
        return text
    of = next((each for each in METRICS if each.name == row["metric"]), None)
    if column == "metric":
        return text if of is None else of.in_words
    if column in _STARTS:
        return words_of("started_from", text)
    digits = 4 if of is None else of.digits_unscaled + 1
    return minus(f"{float(text):.{digits}f}")


def _as_json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)
