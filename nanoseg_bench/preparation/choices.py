"""Which choices of ``prepare`` do not go together, or are out of range: told before anything is read or rendered."""

from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from typing import Any

from nanoseg_bench.errors import UsageError
from nanoseg_bench.preparation.set_names import NANOSYNTH, slug

OVERWRITE = ("never", "missing", "always")

# How annotations are read; of a dataset, its card says it.
_READING = ("image_folder", "label_attribute", "iscrowd", "drop_duplicates")
_TEXTS = {"dataset": "emps", "name": "gold", "split": "8:1:1", "group_by": "folder"}
"""Choices that are words, each with an example: Python lets anything through."""

# In smaller tiles, seams cut nearly everything.
_LEAST = {"images": 1, "size": 32, "tile": 64, "workers": 1, "seed": 0, "augment_to": 1, "augment_copies": 0}


def check_choices(given: Mapping[str, Any], *, own: bool, rendered: bool) -> None:
    """Refuse choices that do not go together, or are out of range.

    Args:
        given: By their names in ``prepare_micrographs``; None and False are no choice, and others are passed over.
        own: The user's own annotations are prepared.
        rendered: nanosynth is prepared.

    Raises:
        UsageError: Names the choice.
    """
    chosen = {name: value for name, value in given.items() if value is not None and value is not False}
    for name, fits, partner in (
        ("source", not own and not rendered, "a dataset that is not rendered here"),
        ("easy", rendered, f"the dataset {NANOSYNTH} only"),
        ("classes", own, "your own annotations; a dataset's classes stand in its card"),
        ("keep_split", own, "your own annotations; a dataset with a card keeps its split, unless another is given"),
        *((name, own, "your own annotations") for name in ("tile", *_READING)),
    ):
        if name in chosen and not fits:
            raise UsageError(f"{_spelt(name, chosen[name])}: goes with {partner}")
    for name, example in _TEXTS.items():
        if not isinstance(chosen.get(name, example), str):
            raise UsageError(f"{_option(name)} {chosen[name]!r}: give a text, such as {example!r}")
    for name, least in _LEAST.items():
        if name in chosen and not isinstance(chosen[name], Integral):
            raise UsageError(f"{_option(name)} {chosen[name]!r}: give a whole number")
        if name in chosen and chosen[name] < least:
            raise UsageError(f"{_spelt(name, chosen[name])}: give at least {least}")
    if "augment_to" in chosen and "augment_copies" in chosen:
        raise UsageError("--augment-to, --augment-copies: give one of both")
    if isinstance(chosen.get("classes"), str) or chosen.get("classes") == []:
        raise UsageError(f"--classes {chosen['classes']!r}: give a list of names, such as ['cube', 'rod']")
    called = chosen.get("name")
    if called is not None and called != slug(called):
        raise UsageError(f"--name {called!r}: letters, digits, dot, - and _ only, e.g. {slug(called)}")
    if not 0 <= chosen.get("max_loss", 0) <= 1:
        raise UsageError(f"--max-loss {chosen['max_loss']:g}: give a share between 0 and 1")
    if chosen.get("overwrite", OVERWRITE[0]) not in OVERWRITE:
        raise UsageError(f"--overwrite {chosen['overwrite']!r}: is one of {', '.join(OVERWRITE)}")
    if "shards" in chosen:
        from nanoseg_bench.preparation.shard_writing import parse_size

        parse_size(str(chosen["shards"]))
    out = chosen.get("out")
    if isinstance(out, Path) and out.name in ("", ".."):
        raise UsageError(f"--out {out}: give the folder by its name, such as {out.resolve()}")


def _spelt(name: str, value: Any) -> str:
    option = _option(name)
    return f"{option} {value}" if isinstance(value, int | str | Path) and value is not True else option


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
