"""Values of a recipe from the command line: ``epochs=50 canvas=320 augmentation.mosaic=0.3 options.neck=0.8``."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from nanoseg_bench.errors import RecipeError, UsageError
from nanoseg_bench.files import parse_yaml
from nanoseg_bench.models.options import Options, check_options
from nanoseg_bench.models.recipe import Augmentation, Recipe, Side, explain, unknown_name

Overrides = Mapping[str, Any]
"""Values by dotted name."""

FLAG = "--recipe"
_NAMES = tuple(name for name, field in Recipe.model_fields.items() if Side.NAME in field.metadata or name == "model")
_BUDGETS = {"epochs": ("images_seen", "images_per_epoch"), "images_seen": ("epochs",)}
"""A budget takes the place of the other one."""


def parse_overrides(words: Sequence[str]) -> dict[str, Any]:
    """Read ``name=value`` words; values are written as in a recipe's YAML.

    Raises:
        UsageError: A word is none, or a name stands there twice.
    """
    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not name or not equals:
            raise UsageError(f"{FLAG} {word}: write NAME=VALUE, such as epochs=50 or augmentation.mosaic=0.3")
        if name in found:
            raise UsageError(f"{FLAG} {word}: {name} stands there twice; give one value")
        found[name] = _value(word, text)
    return found


def override(recipe: Recipe, overrides: Overrides, options: type[Options]) -> Recipe:
    """A recipe with other values; its preset says so: ``quick+canvas=320+epochs=50``.

    ``epochs`` takes the place of ``images_seen``, and the other way round. Single values of an augmentation change the
    preset's, or, where it has none, the one that all models share.

    Args:
        recipe: Of a preset.
        overrides: From ``parse_overrides``.
        options: What the model knows.

    Raises:
        UsageError: A name is unknown, and the nearest is named, or a value is not allowed.
    """
    if not overrides:
        return recipe
    values = recipe.model_dump(mode="json")
    for name in sorted(overrides):
        _set(values, name, overrides[name], options)
    for given, other in _BUDGETS.items():
        if overrides.get(given) is None:
            continue
        if beside := [each for each in other if overrides.get(each) is not None]:
            raise UsageError(
                f"{FLAG}: {given} takes the place of {' and '.join(other)}; leave out {given} or {' and '.join(beside)}"
            )
        values |= dict.fromkeys(other)
    try:
        changed = Recipe(**values)
        known = check_options(changed, options).model_dump(mode="json")
    except ValidationError as error:
        raise UsageError(f"{FLAG}: {recipe.model}: {explain(error, Recipe)}") from error
    except RecipeError as error:
        raise UsageError(f"{FLAG}: {error}") from error
    valid = changed.model_dump(mode="json") | {"options": known}
    # `augmentation=shared`, and not what it stands for.
    shown = {name: overrides[name] if name == "augmentation" else _value_of(valid, name) for name in sorted(overrides)}
    words = [f"{name}={_text(value)}" for name, value in shown.items()]
    return changed.model_copy(update={"preset": "+".join((recipe.preset, *words))})


def require_use(recipes: Sequence[Recipe], overrides: Overrides) -> None:
    """Refuse values of the training where none of the models trains.

    Beside models that train, one that does not takes them for its name alone: it is to stand in their table.

    Args:
        recipes: Of the models, as their presets have them.
        overrides: From ``parse_overrides``.

    Raises:
        UsageError: Names the values.
    """
    fields = Recipe.model_fields
    firsts = {name: name.partition(".")[0] for name in overrides}
    of_training = [
        name
        for name, first in firsts.items()
        if first != "options" and first in fields and Side.TRAINING in fields[first].metadata
    ]
    if of_training and recipes and not any(recipe.trains for recipe in recipes):
        models = " and ".join(recipe.model for recipe in recipes)
        raise UsageError(
            f"{FLAG} {', '.join(of_training)}: {models} {'train' if len(recipes) > 1 else 'trains'} nothing, on the "
            "prepared set's canvas as it is; leave it out, or name a model that trains"
        )


def _set(values: dict[str, Any], name: str, value: Any, options: type[Options]) -> None:
    first, dot, rest = name.partition(".")
    groups: dict[str, type[BaseModel]] = {"augmentation": Augmentation, "options": options}
    _check_name(name, groups)
    if not dot:
        values[first] = value
        return
    inside = values[first] if isinstance(values[first], dict) else {}
    values[first] = {**inside, rest: value}


def _check_name(name: str, groups: Mapping[str, type[BaseModel]]) -> None:
    first, dot, rest = name.partition(".")
    if first in _NAMES:
        raise UsageError(f"{FLAG} {name}: is no hyper-parameter; choose it with --models or --preset")
    if first not in Recipe.model_fields:
        inside = [f"{group}.{name}" for group, kind in groups.items() if name in kind.model_fields]
        known = [each for each in Recipe.model_fields if each not in _NAMES]
        hint = f"no {name!r}; did you mean {inside[0]!r}?" if inside else unknown_name(first, known)
        raise UsageError(f"{FLAG} {name}: {hint}")
    if not dot and first == "options":
        example = next(iter(groups[first].model_fields), "x")
        raise UsageError(f"{FLAG} options: name one of them, such as options.{example}")
    if dot and first not in groups:
        raise UsageError(f"{FLAG} {name}: {first} is one value; write {first}=VALUE")
    if dot and rest not in groups[first].model_fields and groups[first].model_config.get("extra") != "allow":
        raise UsageError(f"{FLAG} {name}: {unknown_name(rest, list(groups[first].model_fields), f'{first}.')}")


def _value(word: str, text: str) -> Any:
    try:
        value = parse_yaml(text)
    except ValueError as error:
        raise UsageError(f"{FLAG} {word}: the value cannot be read ({error})") from error
    if isinstance(value, str):
        try:
            return float(value)  # YAML takes 1e-3 for a text
        except ValueError:
            return value
    return value


def _value_of(values: Mapping[str, Any], name: str) -> Any:
    first, dot, rest = name.partition(".")
    return values[first][rest] if dot else values[first]


def _text(value: Any) -> str:
    """A value as the preset shows it; what is equal is written alike: 1000 for 1e3 and 1000.0."""
    if isinstance(value, str):
        return value
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
