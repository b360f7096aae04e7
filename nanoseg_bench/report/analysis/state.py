"""What is kept of an analysed micrograph, so that the same call goes on where an earlier one ended."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from nanoseg_bench.annotations.instance import Instance, Rle
from nanoseg_bench.annotations.raster import to_rle
from nanoseg_bench.annotations.run_lengths import find_wrong_runs
from nanoseg_bench.files import read_json, write_bytes
from nanoseg_bench.images import Acquisition
from nanoseg_bench.measure.columns import COLUMNS
from nanoseg_bench.measure.field import Field
from nanoseg_bench.measure.length import Length
from nanoseg_bench.measure.particles import Decisions, Rules
from nanoseg_bench.measure.scale import FoundScale, LabelledBar
from nanoseg_bench.report.analysis.micrograph import AnalysedMicrograph
from nanoseg_bench.report.report_input import ReportedImage
from nanoseg_bench.seals import sealed, unsealed


def write_state(path: Path, analysed: AnalysedMicrograph, key: str) -> None:
    """Keep a micrograph.

    Args:
        path: A JSON file.
        analysed: What it gave.
        key: Of file, model and choices: with another one it is analysed anew.

    Raises:
        OSError: It cannot be written.
    """
    image = analysed.image
    document = {
        "key": key,
        "name": image.name,
        "path": str(image.path),
        "sha256": image.sha256,
        "width": image.width,
        "height": image.height,
        "bottom": image.bottom,
        "scale": asdict(analysed.scale),
        "used_nm_per_px": image.nm_per_px,
        "scale_source": image.scale_source,
        "acquisition": asdict(image.acquisition),
        "edited": image.edited,
        "file_name": image.file_name,
        "warnings": analysed.warnings,
        "rules": asdict(analysed.rules),
        "border": analysed.border,
        "field": None if analysed.field is None else asdict(analysed.field),
        "decisions": {name: sorted(numbers) for name, numbers in asdict(analysed.decisions).items()},
        "instances": [
            {
                "label": each.label,
                "score": each.score,
                "on_mark": each.on_mark,
                "origin": each.origin,
                "counts": to_rle(each, image.height, image.width).counts.decode("ascii"),
            }
            for each in image.instances
        ],
        "table": {
            name: [None if value != value else value for value in analysed.table[name].tolist()]
            for name in analysed.table.columns
        },
    }
    write_bytes(path, orjson.dumps(sealed(document)))


def read_key(path: Path) -> str | None:
    """The key that a micrograph was kept with; None where there is none, or the file is not as it was written."""
    try:
        key = unsealed(read_json(path))["key"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return key if isinstance(key, str) else None


def read_state(path: Path, *, outlines: bool = True) -> AnalysedMicrograph:
    """What ``write_state`` kept.

    Args:
        path: The JSON file.
        outlines: Whether the outlines are needed; without them a sample of a thousand micrographs stays small.

    Raises:
        OSError, ValueError, KeyError, TypeError: It is missing, damaged, or not as it was written.
    """
    kept: dict[str, Any] = unsealed(read_json(path))
    try:
        return _analysed(kept, outlines)
    except AttributeError as error:  # a number where a text belongs
        raise ValueError(f"{path}: is not as it was written ({error})") from error


def _analysed(kept: dict[str, Any], outlines: bool) -> AnalysedMicrograph:
    width, height = kept["width"], kept["height"]
    instances = tuple(
        Instance(
            each["label"],
            Rle(height, width, each["counts"].encode("ascii")),
            each["score"],
            on_mark=each["on_mark"],
            origin=each["origin"],
        )
        for each in (kept["instances"] if outlines else ())
    )
    # The C code that draws and measures them trusts them: with one other sign it may never end.
    if len(find_wrong_runs([each.region for each in instances if isinstance(each.region, Rle)])):
        raise ValueError("a mask does not add up to its micrograph")
    image = ReportedImage(
        name=kept["name"],
        path=Path(kept["path"]),
        sha256=kept["sha256"],
        width=width,
        height=height,
        instances=instances,
        nm_per_px=kept["used_nm_per_px"],
        scale_source=kept["scale_source"],
        bottom=kept["bottom"],
        acquisition=Acquisition(**kept["acquisition"]),
        edited=kept["edited"],
        file_name=kept["file_name"],
    )
    return AnalysedMicrograph(
        image=image,
        table=pd.DataFrame({each.name: pd.Series(kept["table"][each.name], dtype=each.dtype) for each in COLUMNS}),
        scale=_scale(kept["scale"]),
        warnings=tuple(kept["warnings"]),
        rules=_rules(kept["rules"]),
        border=kept["border"],
        field=None if kept["field"] is None else _field(kept["field"]),
        decisions=Decisions(**{name: frozenset(numbers) for name, numbers in kept["decisions"].items()}),
    )


def _field(kept: dict[str, Any]) -> Field:
    covered = tuple((left, top, right, bottom) for left, top, right, bottom in kept["covered"])
    return Field(**{**kept, "covered": covered})


def _scale(kept: dict[str, Any]) -> FoundScale:
    bars = [LabelledBar(**{**each, "ends": tuple(each["ends"])}) for each in kept["others"]]
    bar = None if kept["bar"] is None else tuple(kept["bar"])
    return FoundScale(**{**kept, "bar": bar, "others": tuple(bars), "warnings": tuple(kept["warnings"])})


def _rules(kept: dict[str, Any]) -> Rules:
    lengths = {name: Length(**value) for name, value in kept.items() if isinstance(value, dict)}
    rules = Rules(**{**kept, **lengths})
    if not isinstance(rules.min_diameter, Length | None) or not isinstance(rules.max_diameter, Length | None):
        raise ValueError("a diameter of its rules is no length")
    return rules
