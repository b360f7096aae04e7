"""Words of ``--recipe``; what becomes of them in a run, ``tests/cli/test_run.py`` and ``tests/runs`` look at."""

import pytest

from nanoseg_bench.errors import UsageError
from nanoseg_bench.models.overrides import override, parse_overrides
from nanoseg_bench.models.recipe import Augmentation, load_recipe
from nanoseg_bench.models.registry import options_of


def test_values_are_written_as_in_a_recipe():
    words = ["learning_rate=1e-3", "augmentation.scale=[0.5, 1]", "options.distance=true", "title=a=b"]
    assert parse_overrides(words) == {
        "learning_rate": 0.001,
        "augmentation.scale": [0.5, 1],
        "options.distance": True,
        "title": "a=b",
    }


def test_a_changed_recipe_says_so():
    changed = override(
        load_recipe("unet", "cpu"), parse_overrides(["options.neck=0.7", "epochs=3"]), options_of("unet")
    )
    assert changed.preset == "cpu+epochs=3+options.neck=0.7"
    assert (changed.epochs, changed.images_seen) == (3, None)
    assert changed.options["neck"] == 0.7 and changed.options["score"] == "fit", "the others stay"


@pytest.mark.parametrize(
    ("ways", "written"),
    [
        (["canvas=192", "canvas=1.92e2", "canvas=192.0"], "canvas=192"),
        (["learning_rate=1e-3", "learning_rate=0.001", "learning_rate=0.0010"], "learning_rate=0.001"),
        (["options.min_depth=2", "options.min_depth=2.0"], "options.min_depth=2"),
        (["augmentation.scale=[0.5, 1]", "augmentation.scale=[5e-1, 1.0]"], "augmentation.scale=[0.5,1]"),
        (["augmentation=shared"], "augmentation=shared"),
        (["crop=null"], "crop=null"),
    ],
)
def test_equal_values_are_one_preset(ways, written):
    changed = [override(load_recipe("unet", "quick"), parse_overrides([way]), options_of("unet")) for way in ways]
    assert {each.preset for each in changed} == {f"quick+{written}"}
    assert all(each == changed[0] for each in changed)


@pytest.mark.parametrize("whole", ["shared", "null"])
def test_a_single_value_beside_a_whole_augmentation(whole):
    words = [f"augmentation={whole}", "augmentation.mosaic=0.3"]
    changed = override(load_recipe("unet", "quick"), parse_overrides(words), options_of("unet"))
    assert changed.preset == f"quick+{'+'.join(words)}"
    assert changed.augmentation == Augmentation(mosaic=0.3)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["epochs"], "write NAME=VALUE"),
        (["=3"], "write NAME=VALUE"),
        (["epochs=3", "epochs=4"], "stands there twice"),
        (["epochs=[3"], "the value cannot be read"),
        (["options.neck=&a [*a]"], r"cannot be read \(line 1, column 1: a value that holds itself; write out what is"),
        (["augmentation={flip: 0, flip: 1}"], r"cannot be read \(line 1, column 11: 'flip' stands there twice; keep"),
    ],
)
def test_what_is_no_value_is_refused_with_its_word(words, says):
    with pytest.raises(UsageError, match=says):
        parse_overrides(words)
