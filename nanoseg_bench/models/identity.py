"""What a recipe is to a run: which of its values the training depends on, which the predictions, and what differs.

Recipes are compared by value, as the JSON that a run keeps, never by one hash of everything: so what changed has a
name, a field that came later counts as its default, and a default that moved is noticed.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from nanoseg_bench.changes import MISSING, Change
from nanoseg_bench.errors import NanosegError
from nanoseg_bench.models.options import Options
from nanoseg_bench.models.recipe import Augmentation, Recipe, Side
from nanoseg_bench.models.registry import options_of

JSON = Mapping[str, Any]


def recipe_changes(old: JSON, new: JSON) -> dict[Side, list[Change]]:
    """What differs between two recipes, by what must be done again for it; a side without a change is empty.

    Args:
        old: ``Recipe.model_dump(mode="json")``, maybe of an earlier version, or a part of it.
        new: Likewise.
    """
    found: dict[Side, list[Change]] = defaultdict(list)
    for side, change in _changes(old, new, Recipe, _options_class(new, old)):
        found[side].append(change)
    return found


def training_values(recipe: JSON) -> dict[str, Any]:
    """What the training depends on, without what stands at its default: the same whatever fields came since."""
    return _chosen(recipe, Recipe, Side.TRAINING, _options_class(recipe), keep_defaults=False)


def prediction_values(recipe: JSON) -> dict[str, Any]:
    """What the predictions depend on beside the training; of an earlier recipe, what it names."""
    return _chosen(recipe, Recipe, Side.PREDICTION, _options_class(recipe), keep_defaults=True)


def with_prediction_of(recipe: Recipe, judged: JSON) -> Recipe:
    """A recipe as it was trained, with the values that it was judged with since.

    Args:
        recipe: Of the training.
        judged: ``prediction_values`` of the predictions that were scored.
    """
    values = recipe.model_dump(mode="json")
    _merge(values, judged)
    return Recipe(**values)


def _changes(
    old: JSON, new: JSON, kind: type[BaseModel], options: type[Options], prefix: str = "", around: Side = Side.TRAINING
) -> Iterator[tuple[Side, Change]]:
    for key in dict.fromkeys((*new, *old)):
        side, default = _side(kind, key, around), _default(kind, key)
        before, now = old.get(key, default), new.get(key, default)
        nested = _nested(kind, key, options)
        if nested is not None and isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from _changes(before, now, nested, options, f"{prefix}{key}.", side)
        elif before != now:
            yield side, Change(prefix + key, before, now)


def _chosen(
    values: JSON,
    kind: type[BaseModel],
    wanted: Side,
    options: type[Options],
    *,
    keep_defaults: bool,
    around: Side = Side.TRAINING,
) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for key, value in values.items():
        side, nested = _side(kind, key, around), _nested(kind, key, options)
        if nested is not None and isinstance(value, Mapping):
            part = _chosen(value, nested, wanted, options, keep_defaults=keep_defaults, around=side)
            # An augmentation at its defaults is another thing than none; options at theirs are none.
            if part or (side is wanted and value != _default(kind, key) and nested is Augmentation):
                chosen[key] = part
        elif side is wanted and (keep_defaults or value != _default(kind, key)):
            chosen[key] = value
    return chosen


def _options_class(*recipes: JSON) -> type[Options]:
    model = next((recipe["model"] for recipe in recipes if "model" in recipe), None)
    if model is None or not any(recipe.get("options") for recipe in recipes):
        return Options
    try:
        return options_of(model)
    except NanosegError:  # a plug-in that is not installed here: its options count as the training's
        return Options


def _side(kind: type[BaseModel], key: str, around: Side) -> Side:
    field = kind.model_fields.get(key)
    marks = [mark for mark in field.metadata if isinstance(mark, Side)] if field else []
    return marks[0] if marks else around


def _default(kind: type[BaseModel], key: str) -> Any:
    field = kind.model_fields.get(key)
    if field is None or field.is_required():
        return MISSING
    return to_jsonable_python(field.get_default(call_default_factory=True, validated_data={}))


def _nested(kind: type[BaseModel], key: str, options: type[Options]) -> type[BaseModel] | None:
    if not issubclass(kind, Recipe):
        return None
    kinds: dict[str, type[BaseModel]] = {"augmentation": Augmentation, "options": options}
    return kinds.get(key)


def _merge(into: dict[str, Any], values: JSON) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
