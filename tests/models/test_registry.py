import pytest

from nanoseg_bench.errors import UsageError
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.registry import BUILT_IN, available, build, resolve


def test_all_is_every_model_of_the_paper_in_order():
    assert resolve(["all"]) == list(BUILT_IN)
    assert resolve(["unet", "all", "unet"]) == ["unet", *(name for name in BUILT_IN if name != "unet")]


@pytest.mark.parametrize(("typo", "meant"), [("yolo12", "yolo11n"), ("mask_rcnn", "mask-rcnn"), ("U-net", "unet")])
def test_a_typo_is_answered_with_the_nearest_name(typo, meant):
    with pytest.raises(UsageError, match=rf"'{typo}': did you mean '{meant}'"):
        resolve([typo])


def test_a_name_like_no_other_is_answered_with_the_list():
    with pytest.raises(UsageError) as error:
        resolve(["qqqq"])
    assert "did you mean" not in str(error.value)
    assert "mask-rcnn" in str(error.value)


def test_ours_cannot_be_replaced_by_a_plugin():
    assert available()["unet"] == BUILT_IN["unet"]


@pytest.mark.parametrize("name", ["otsu", "unet", "deeplabv3plus", "mask-rcnn"])
def test_builds_the_model_that_the_recipe_names(name):
    model = build(load_recipe(name, "smoke"), ("a", "b"), 70)
    assert f"{type(model).__module__}:{type(model).__name__}" == BUILT_IN[name]
    assert model.max_detections == 140


def test_a_recipe_of_a_model_that_is_not_installed_is_refused():
    recipe = load_recipe("unet", "smoke").model_copy(update={"model": "stardist"})
    with pytest.raises(UsageError, match="unknown model 'stardist'"):
        build(recipe, ("a",), 70)
