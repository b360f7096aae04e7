"""Numbers of README's prose that are in the published tables: nothing is computed but means and shares of them."""

import csv
import json
import statistics
from collections.abc import Callable, Iterator, Sequence

from figure_list import ROOT, figure

_SPLIT = "datasets/emps/splits/official.csv"
_PAIR = ("nsyolo", "yolo11n")
_EIGHT = "fine+judged_views=8"
"""The weights of ``fine``, looking from eight sides."""

_SCRATCH = "none"

Row = dict[str, str]


def published_figures() -> list[dict]:
    """Every figure of the part ``records``."""
    return [*_emps(), *_differences(), *_blocks(), *_pretraining(), *_shipped_views(), *_robustness(), *_nanosynth()]


def _release(model: str) -> dict:
    return json.loads((ROOT / "nanoseg_bench" / "weights" / f"{model}.json").read_text(encoding="utf-8"))["release"]


def _rows(table: str) -> list[Row]:
    with (ROOT / table).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


class _Table:
    """A published table of finished rows, and the figures that are read off it.

    Attributes:
        path: From the root of the repository.
        rows: By model, preset, seed and initial weights.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.rows = {
            (row["model"], row["preset"], row["seed"], row["initial_weights"]): row
            for row in _rows(path)
            if row["status"] == "ok"
        }

    def row(self, model: str, preset: str, seed: str = "0", start: str = _SCRATCH) -> Row:
        try:
            return self.rows[model, preset, seed, start]
        except KeyError:
            raise SystemExit(
                f"{self.path}: no finished row of {model}, {preset}, {seed}, {start} (model, preset, seed, initial "
                "weights), of which README tells; mend README"
            ) from None

    def seeds(self, model: str, preset: str = "cpu") -> list[Row]:
        return [
            row for (name, of, _, start), row in self.rows.items() if (name, of, start) == (model, preset, _SCRATCH)
        ]

    def shipped(self, model: str, preset: str = "fine") -> Row:
        """The row of the weights that ship."""
        return self.row(model, preset, start=_release(model)["initial_weights"])

    def pretrained(self, model: str) -> list[Row]:
        """The rows of ``cpu`` that start from rendered micrographs, by seed."""
        found = {
            seed: row
            for (name, preset, seed, start), row in self.rows.items()
            if (name, preset) == (model, "cpu") and start != _SCRATCH
        }
        return [found[seed] for seed in sorted(found)]

    def told(self, name: str, used: Sequence[Row], value: float, *, origin: str = "", spelled: bool = False,
             **more: object) -> dict:  # fmt: skip
        """A figure of some rows; ``more`` as of ``figure``."""
        finished = max(row["finished"] for row in used)[:10]
        devices = ", ".join(sorted({row["device"] for row in used}))
        about = {"date": finished, "processor": devices, "origin": origin or self.path, "spelled": spelled}
        return {**figure(name, value, **more), **about}

    def with_interval(self, name: str, row: Row, column: str, factor: float = 1, **more: object) -> dict:
        value, low, high = (factor * float(row[f"{column}{end}"]) for end in ("", "_lo", "_hi"))
        return self.told(name, [row], value, low=low, high=high, n=int(row["images"]), **more)

    def percent(self, name: str, used: Sequence[Row], column: str, choose: Callable = max) -> dict:
        value = 100 * choose(float(row[column]) for row in used)
        return self.told(name, used, value, unit="%", digits=0, n=int(used[0]["images"]))


_TEST = "leaderboards/emps-test.csv"
_AP = "map_50_95_agnostic"
_DIAMETER, _COUNT = "diameter_median_error_image_typical", "count_error_image_typical"


def _emps() -> Iterator[dict]:
    table = _Table(_TEST)
    every = [row for model in _PAIR for row in table.seeds(model)]
    parts = [row["split"] for row in _rows(_SPLIT)]
    for part in ("train", "val"):
        yield table.told(f"{part}-images", every, parts.count(part), origin=_SPLIT, digits=0)
    yield table.told("test-images", every, int(every[0]["images"]), digits=0)
    for model in _PAIR:
        runs = table.seeds(model)
        yield table.told(f"seeds-{model}", runs, len(runs), digits=0, spelled=True)
        yield table.with_interval(f"ap-{model}-fine", table.shipped(model), _AP)
        yield table.with_interval(f"ap-{model}-eight", table.shipped(model, _EIGHT), _AP)
    extractor = table.row("imagedataextractor", "external", "")
    yield table.with_interval("ap-imagedataextractor", extractor, _AP)
    typical, images = 100 * float(extractor[_DIAMETER]), int(extractor["images"])
    yield table.told("typical-imagedataextractor", [extractor], typical, unit="%", digits=1, n=images)
    hours = [float(row["training_core_seconds"]) / 3600 for row in every]
    yield table.told("core-hours", every, statistics.fmean(hours), unit="hours", digits=0, n=len(hours), spelled=True)
    fine = table.shipped("nsyolo")
    minutes = float(fine["training_core_seconds"]) / 60
    yield table.told("core-minutes-fine", [fine], minutes, unit="minutes", digits=0)
    for name, column in (("diameter", _DIAMETER), ("count", _COUNT)):
        yield table.percent(f"{name}-error-least", every, column, min)
        yield table.percent(f"{name}-error-most", every, column)
    for name, row in (("cpu", table.row("nsyolo", "cpu")), ("fine", table.shipped("nsyolo"))):
        yield table.told(f"ap-small-nsyolo-{name}", [row], float(row[f"{_AP}_small"]), n=int(row["images"]))
    for model in _PAIR:
        yield table.with_interval(f"ap-{model}-pretrained", table.pretrained(model)[0], _AP)


def _shipped_views() -> Iterator[dict]:
    """What the weights that ship reach from one side and from eight, and in diameters."""
    table = _Table(_TEST)
    shipped, eight = table.shipped("nsyolo"), table.shipped("nsyolo", _EIGHT)
    images = int(shipped["images"])
    for name, column, factor, unit, digits in (
        ("f1", "f1", 1, "", 3),
        ("ap75", "map_75_agnostic", 1, "", 3),
        ("typical", _DIAMETER, 100, "%", 1),
        ("seconds", "latency_ms_per_image", 0.001, "s", 1),
    ):
        for sides, row in (("one", shipped), ("eight", eight)):
            value = factor * float(row[column])
            yield table.told(f"{name}-{sides}-side", [row], value, unit=unit, digits=digits, n=images)
    for name, column, factor in (
        ("typical", _DIAMETER, 100),
        ("pooled", "diameter_median_error_relative", 100),
        ("pairs-smaller", "diameter_pair_error_bias", -100),
    ):
        value = factor * float(shipped[column])
        yield table.told(f"diameter-{name}-shipped", [shipped], value, unit="%", digits=1, n=images)


def _differences() -> Iterator[dict]:
    """NSYOLO minus YOLO11n, over images and seeds."""
    table, path = _Table(_TEST), "leaderboards/emps-differences.csv"
    every = [row for model in _PAIR for row in table.seeds(model)]
    paired = {
        row["metric"]: row
        for row in _rows(path)
        if (row["eval_set"], row["model"], row["preset"], row["started_from"]) == ("test", "nsyolo", "cpu", _SCRATCH)
    }
    for name, metric in (("ap", _AP), ("ap50", "map_50_agnostic")):
        row = paired[metric]
        value, low, high = (float(row[column]) for column in ("difference", "both_lo", "both_hi"))
        seeds = int(row["seeds"])
        yield table.told(f"difference-{name}", every, value, low=low, high=high, n=seeds, origin=path)


def _blocks() -> Iterator[dict]:
    """What each of NSYOLO's blocks, and C3DS, does alone, over images: YOLO11n with it minus YOLO11n."""
    table = _Table(_TEST)
    for block in ("c3bads", "c2psa-bra", "c3ds"):
        yield table.with_interval(f"difference-{block}", table.row(f"yolo11n-{block}", "cpu"), "difference")


def _pretraining() -> Iterator[dict]:
    """What starting from rendered micrographs brings, and NSYOLO minus YOLO11n after it, over papers and seeds."""
    table, path = _Table(_TEST), "leaderboards/emps-differences.csv"
    started = {model: table.pretrained(model) for model in _PAIR}
    paired = [
        row
        for row in _rows(path)
        if (row["eval_set"], row["preset"], row["metric"]) == ("test", "cpu", _AP) and row["started_from"] != _SCRATCH
    ]

    def told(name: str, used: list[Row], compared: str, model: str) -> dict:
        (row,) = (row for row in paired if (row["compared"], row["model"]) == (compared, model))
        value, low, high = (float(row[column]) for column in ("difference", "both_lo", "both_hi"))
        return table.told(name, used, value, low=low, high=high, n=int(row["seeds"]), origin=path)

    for model in _PAIR:
        scratch = [table.row(model, "cpu", row["seed"]) for row in started[model]]
        yield told(f"gain-pretrained-{model}", [*started[model], *scratch], "initial_weights", model)
    every = [row for rows in started.values() for row in rows]
    yield told("difference-pretrained", every, "model", "nsyolo")
    yield table.told("seeds-pretrained", every, len(started["nsyolo"]), digits=0, spelled=True)


def _robustness() -> Iterator[dict]:
    """What a microscope's faults cost."""
    table = _Table("leaderboards/emps-robustness.csv")
    for model in _PAIR:
        row = table.seeds(model)[0]
        yield table.with_interval(f"loss-{model}", row, "degradation", 100, unit="%", digits=0)
        yield table.told(f"corrupted-images-{model}", [row], int(row["images"]), digits=0)
        for fault in ("shot_noise", "defocus", "contamination"):
            yield table.percent(f"loss-{model}-{fault.replace('_', '-')}", [row], f"degradation_{fault}")


def _nanosynth() -> Iterator[dict]:
    """Three rendered shapes, and two that no training showed."""
    table, new_shapes = (_Table(f"leaderboards/nanosynth-{part}.csv") for part in ("test", "ood"))
    for model in _PAIR:
        row = table.row(model, "cpu")
        yield table.with_interval(f"nanosynth-ap-{model}", row, "map_50_95")
        yield table.with_interval(f"nanosynth-ap50-{model}", row, "map_50")
    yield table.told("nanosynth-images", [row], int(row["images"]), digits=0)
    row = new_shapes.row("nsyolo", "cpu")
    for shape in ("triangle", "pentagon"):
        for confidence in ("25", "75"):
            column = f"detection_rate_{shape}_{confidence}"
            yield new_shapes.percent(f"found-{shape}s-{confidence}", [row], column)
