"""What is kept of an analysed micrograph, so that the same call goes on where an earlier one ended."""

from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from nanoseg_bench.annotations.instance import Instance, Rle
from nanoseg_bench.annotations.raster import to_rle
from nanoseg_bench.files import read_json, write_bytes
from nanoseg_bench.measure.columns import COLUMNS
from nanoseg_bench.measure.scale import FoundScale
from nanoseg_bench.report.analysis.micrograph import AnalysedMicrograph
from nanoseg_bench.report.report_input import Acquisition, ReportedImage

_KINDS = {"text": "str", "whole": "int64", "flag": "bool", "number": "float64"}


def write_state(path: Path, analysed: AnalysedMicrograph, key: str) -> None:
    """Keep a micrograph.

    Args:
        path: A JSON file.
        analysed: What it gave.
        key: Of file, model and choices: with another one it is analysed anew.

    Raises:
        OSError: It cannot be written.
    """
    image, scale = analysed.image, analysed.scale
    document = {
        "key": key,
        "name": image.name,
        "path": str(image.path),
        "sha256": image.sha256,
        "width": image.width,
        "height": image.height,
        "bottom": image.bottom,
        "scale": {"nm_per_px": scale.nm_per_px, "source": scale.source, "confidence": scale.confidence,
                  "text": scale.text, "relative_uncertainty": scale.relative_uncertainty, "bar": scale.bar},
        "used_nm_per_px": image.nm_per_px,
        "scale_source": image.scale_source,
        "acquisition": {"instrument": image.acquisition.instrument, "voltage_kv": image.acquisition.voltage_kv,
                        "taken": image.acquisition.taken},
        "warnings": analysed.warnings,
        "instances": [
            {"label": each.label, "score": each.score, "on_mark": each.on_mark,
             "counts": to_rle(each, image.height, image.width).counts.decode("ascii")}
            for each in image.instances
        ],
        "table": {name: [None if value != value else value for value in analysed.table[name].tolist()]
                  for name in analysed.table.columns},
    }  # fmt: skip
    write_bytes(path, orjson.dumps(document))


def read_key(path: Path) -> str | None:
    """The key that a micrograph was kept with; None where there is none, or the file is no state."""
    try:
        key = read_json(path)["key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return key if isinstance(key, str) else None


def read_state(path: Path, *, outlines: bool = True) -> AnalysedMicrograph:
    """What ``write_state`` kept.

    Args:
        path: The JSON file.
        outlines: Whether the outlines are needed; without them a sample of a thousand micrographs stays small.
    """
    kept: dict[str, Any] = read_json(path)
    width, height = kept["width"], kept["height"]
    instances = tuple(
        Instance(
            each["label"],
            Rle(height, width, each["counts"].encode("ascii")),
            each["score"],
            on_mark=each["on_mark"],
        )
        for each in (kept["instances"] if outlines else ())
    )
    bar = kept["scale"]["bar"]
    scale = FoundScale(**{**kept["scale"], "bar": None if bar is None else tuple(bar)})
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
    )
    table = pd.DataFrame(
        {column.name: pd.Series(kept["table"][column.name], dtype=_KINDS[column.kind]) for column in COLUMNS}
    )
    return AnalysedMicrograph(image=image, table=table, scale=scale, warnings=tuple(kept["warnings"]))
