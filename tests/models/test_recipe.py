import pytest

from nanoseg_bench.errors import RecipeError
from nanoseg_bench.models.recipe import load_recipe

GOOD = """
model: unet
title: U-Net
batch: 4
options: {encoder: resnet34, dice_weight: 1.0}
presets:
  smoke: {canvas: 96, images_seen: 8}
  paper: {canvas: 640, batch: 16, epochs: 300, options: {dice_weight: 0.5}}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "unet.yaml").write_text(GOOD)
    return tmp_path


def test_a_preset_overrides_what_stands_above_it(folder):
    smoke, paper = load_recipe("unet", "smoke", folder), load_recipe("unet", "paper", folder)
    assert (smoke.batch, paper.batch) == (4, 16)
    assert smoke.options == {"encoder": "resnet34", "dice_weight": 1.0}
    assert paper.options == {"encoder": "resnet34", "dice_weight": 0.5}
    assert (smoke.preset, paper.preset) == ("smoke", "paper")


def test_an_unknown_preset_is_answered_with_the_known_ones(folder):
    with pytest.raises(RecipeError, match=r"unet\.yaml.*'best'.*smoke, paper"):
        load_recipe("unet", "best", folder)


def test_an_unknown_model_names_the_file(folder):
    with pytest.raises(RecipeError, match=r"sam\.yaml"):
        load_recipe("sam", "smoke", folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("images_seen: 8", "images_seen: 8, epochs: 2", "either images_seen or epochs"),
        ("images_seen: 8", "learning_rate: 1.0", "either images_seen or epochs"),
        ("images_seen: 8", "images_seen: 8, learning_rte: 0.1", "learning_rte"),
        ("canvas: 96", "canvas: -96", "canvas"),
        ("images_seen: 8", "images_seen: 8, optimizer: lion", "optimizer"),
    ],
)
def test_a_wrong_value_is_named_with_its_file_and_preset(folder, old, new, message):
    (folder / "unet.yaml").write_text(GOOD.replace(old, new))
    with pytest.raises(RecipeError, match=rf"(?s)unet\.yaml, preset 'smoke'.*{message}"):
        load_recipe("unet", "smoke", folder)


@pytest.mark.parametrize("text", ["", "- a list", "model: unet", "model: [unclosed"])
def test_what_is_no_recipe_is_refused(folder, text):
    (folder / "unet.yaml").write_text(text)
    with pytest.raises(RecipeError, match=r"unet\.yaml: not a recipe"):
        load_recipe("unet", "smoke", folder)


@pytest.mark.parametrize("model", ["otsu", "unet", "deeplabv3plus", "mask-rcnn"])
@pytest.mark.parametrize("preset", ["smoke", "quick", "paper"])
def test_every_shipped_recipe_reads(model, preset):
    recipe = load_recipe(model, preset)
    assert (recipe.model, recipe.preset) == (model, preset)
    if preset == "paper":
        assert recipe.canvas == 640
