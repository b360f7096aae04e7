"""Who stands in a figure: the models of the leaderboard in its order, each with its runs and their records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nanoseg_bench.errors import UsageError
from nanoseg_bench.leaderboard.build import best_first
from nanoseg_bench.leaderboard.comparability import comparable_files
from nanoseg_bench.leaderboard.entries import words_of
from nanoseg_bench.leaderboard.palette import Look, model_looks
from nanoseg_bench.leaderboard.series import Series
from nanoseg_bench.metrics.bootstrap import percentile_interval
from nanoseg_bench.runs.record import Record
from nanoseg_bench.wording import did_you_mean


@dataclass(frozen=True, eq=False, slots=True)
class ScoredRun:
    """One run that ended well.

    Attributes:
        run_id: Name of its folder.
        records: By eval set; ``test`` is always there.
    """

    run_id: str
    records: Mapping[str, Record]

    @property
    def test(self) -> Record:
        """The record on the test set."""
        return self.records["test"]

    @property
    def seed(self) -> int | None:
        """Of the training; None where it was unseeded, or from outside."""
        return self.test.seed

    @property
    def confidence(self) -> float | None:
        """Its operating point; None for predictions from outside that declare none."""
        return self.test.scores.get("confidence")


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric of a contender.

    Attributes:
        value: Mean over the seeds.
        interval: 95 % interval of it over source groups; None where it was not resampled.
        seeds: The value of each seed.
    """

    value: float
    interval: tuple[float, float] | None
    seeds: tuple[float, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Contender:
    """All seeds of one model, preset and initial weights.

    Attributes:
        label: Title of the model; with preset and initial weights where another contender differs in them only.
        look: Colour, dashes and marker.
        runs: By seed, the lowest first; at least one.
    """

    label: str
    look: Look
    runs: tuple[ScoredRun, ...]

    @property
    def first(self) -> ScoredRun:
        """The run of the lowest seed: stands for the model where only one can be shown."""
        return self.runs[0]

    @property
    def model(self) -> str:
        """Id of the model."""
        return self.first.test.model

    @property
    def identity(self) -> tuple[str, str, str]:
        """Model, label and preset, with which every row of a figure's CSV begins."""
        return self.model, self.label, self.first.test.preset

    def series(self, eval_set: str) -> list[Series]:
        """Its records of an eval set as lines of a chart, by seed."""
        return [
            Series(run.records[eval_set], self.look, run is self.first, self.look.marker)
            for run in self.runs
            if eval_set in run.records
        ]

    def measured(self, metric: str) -> Measured | None:
        """A metric on the test set; None where a seed lacks it."""
        records = [run.test for run in self.runs]
        values = [value for each in records if (value := each.scores.get(metric)) is not None]
        if len(values) < len(records):
            return None
        return Measured(float(np.mean(values)), _interval(records, metric), tuple(values))


IDENTITY = ("model", "title", "preset")
"""Columns for ``Contender.identity``."""


def read_contenders(leaderboards: Path, set_name: str) -> list[Contender]:
    """The contenders of a prepared set's name, in the order of its leaderboard; runs that failed are left out.

    Raises:
        RecordError: There are no records, one is malformed, or they do not belong in one table.
    """
    comparable = comparable_files(leaderboards, set_name)
    runs: dict[str, dict[str, Record]] = {}
    for path, record in comparable:
        if record.status == "ok":
            runs.setdefault(path.stem.removesuffix(f"-{record.eval_set}"), {})[record.eval_set] = record
    of_record = {id(records["test"]): ScoredRun(run, records) for run, records in runs.items() if "test" in records}
    grouped: dict[tuple[str, str, str], list[ScoredRun]] = {}
    for record in best_first([record for _, record in comparable], "test"):
        if id(record) in of_record:
            group = (record.model, record.preset, record.started_from)
            grouped.setdefault(group, []).append(of_record[id(record)])
    looks = model_looks(model for model, _, _ in grouped)
    return [
        Contender(_label(group[0].test, grouped), looks[model], tuple(sorted(group, key=_by_seed)))
        for (model, _, _), group in grouped.items()
    ]


def choose_contenders(
    contenders: Sequence[Contender], models: Sequence[str] | None, preset: str | None
) -> list[Contender]:
    """Those of the models and the preset that were asked for, in the leaderboard's order; None means all.

    Raises:
        UsageError: A model or preset has no record; the message offers the nearest.
    """
    for model in models or ():
        _require(model, "--models", [each.model for each in contenders], "run `nanoseg-bench run --models {}` for it")
    if preset is not None:
        _require(preset, "--preset", [each.first.test.preset for each in contenders], "run `--preset {}` for it")
    return [
        each
        for each in contenders
        if (models is None or each.model in models) and preset in (None, each.first.test.preset)
    ]


def left_out(contenders: Sequence[Contender], drawn: Sequence[Contender], reason: str) -> tuple[str, ...]:
    """The sentence that names who is not drawn, for a figure's notes; none where all are."""
    names = [each.label for each in contenders if each not in drawn]
    # A label may hold a comma of its own: "UNET, paper, from scratch".
    return (f"Without {'; '.join(names)}: {reason}.",) if names else ()


def _require(name: str, flag: str, known: Sequence[str], way_out: str) -> None:
    known = list(dict.fromkeys(known))
    if name not in known:
        hint = did_you_mean(name, known, 0.4)
        raise UsageError(
            f"{flag} {name}: no scored run of it; {hint}there are {', '.join(known) or 'none'}; or "
            f"{way_out.format(name)}"
        )


def _by_seed(run: ScoredRun) -> tuple[bool, int]:
    return run.seed is None, run.seed or 0


def _label(record: Record, others: Mapping[tuple[str, str, str], Sequence[ScoredRun]]) -> str:
    """The title, and what is needed to tell it from the other contenders."""
    label = record.title
    titles = {model: group[0].test.title for (model, _, _), group in others.items()}
    if list(titles.values()).count(label) > 1:
        label += f" ({record.model})"
    if len({preset for _, preset, _ in others}) > 1:
        label += f", {record.preset}"
    if len({weights for model, _, weights in others if model == record.model}) > 1:
        label += f", {words_of('started_from', record.started_from)}"
    return label


def _interval(records: Sequence[Record], metric: str) -> tuple[float, float] | None:
    """As the table has it; else from the resamples, which are paired between seeds, so their mean can be taken."""
    if len(records) == 1:
        low, high = (records[0].scores.get(f"{metric}_{end}") for end in ("lo", "hi"))
        if low is not None and high is not None:
            return low, high
    resampled = [each.resampled.get(metric) for each in records]
    kept = [np.array(values, dtype=np.float64) for values in resampled if values]
    if len(kept) < len(records) or len({len(values) for values in kept}) > 1:
        return None
    return percentile_interval(np.mean(kept, axis=0))
