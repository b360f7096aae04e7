import json

import pytest

from nanoseg_bench.errors import RecipeError, UsageError
from nanoseg_bench.models.options import SemanticOptions, check_options
from nanoseg_bench.models.recipe import Augmentation, Recipe, load_recipe
from nanoseg_bench.models.registry import BUILT_IN

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
    with pytest.raises(UsageError, match=r"unet\.yaml.*'long'.*smoke, paper"):
        load_recipe("unet", "long", folder)


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
        ("images_seen: 8", "images_seen: 8, loader: fast", "loader.*'stock' or 'gpu'"),
        ("images_seen: 8", "images_seen: 8, compile: max", "compile.*False, True or 'always'"),
        ("images_seen: 8", "images_seen: 8, augmentation: strong", "augmentation.*'strong': write `shared`"),
        ("images_seen: 8", "images_seen: 8, augmentation: {mosiac: 0.5}", "augmentation.mosiac"),
        ("images_seen: 8", "images_seen: 8, augmentation: {scale: [2, 1]}", r"augmentation.scale.*\[2.0, 1.0\]"),
        ("canvas: 96, ", "", "canvas is missing; add it"),
        ("images_seen: 8", "images_seen: 8, judged_views: yes", "judged_views: true is no number"),
        ("images_seen: 8", "images_seen: 8, crop: on", "crop: true is no number"),
        ("images_seen: 8", "images_seen: 8, learning_rate: .inf", "learning_rate inf: Input should be a finite number"),
    ],
)
def test_a_wrong_value_is_named_with_its_file_and_preset(folder, old, new, message):
    (folder / "unet.yaml").write_text(GOOD.replace(old, new))
    with pytest.raises(RecipeError, match=rf"(?s)unet\.yaml, preset 'smoke'.*{message}"):
        load_recipe("unet", "smoke", folder)


def test_a_flag_is_one_where_it_may_be(folder):
    (folder / "unet.yaml").write_text(GOOD.replace("images_seen: 8", "images_seen: 8, copies: no, compile: yes"))
    recipe = load_recipe("unet", "smoke", folder)
    assert (recipe.copies, recipe.compile) == (False, True)
    assert check_options(recipe.model_copy(update={"options": {"distance": True}}), SemanticOptions).distance
    with pytest.raises(RecipeError, match=r"options\.neck: true is no number"):
        check_options(recipe.model_copy(update={"options": {"neck": True}}), SemanticOptions)


def test_a_recipe_copied_from_another_model_is_refused(folder):
    """It would run that model, under that model's name."""
    (folder / "sam.yaml").write_text(GOOD)
    with pytest.raises(RecipeError, match=r"sam\.yaml: model is 'unet'; write `model: sam`"):
        load_recipe("sam", "smoke", folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("batch: 4", "\tbatch: 4"), r"\(line 4, column 1: found character '\\t' [^\n]*\); mend it"),
        (GOOD.replace("96, images", "96 images"), r"\(line 7, column 33: expected ',' or '}', but got ':'\); mend it"),
        (
            GOOD.replace("batch: 4", "batch: 4\nbatch: 8"),
            r"\(line 5, column 1: 'batch' stands there twice; keep one\); mend it",
        ),
        (
            GOOD + "augmentation: &own {x: *own}\n",
            r"\(line 9, column 15: a value that holds itself; write out .*\); mend it",
        ),
    ],
)
def test_a_slip_in_the_yaml_is_named_by_its_line(folder, text, message):
    (folder / "unet.yaml").write_text(text)
    with pytest.raises(RecipeError, match=rf"unet\.yaml: not a recipe: not YAML in UTF-8 {message}$"):
        load_recipe("unet", "smoke", folder)


@pytest.mark.parametrize("text", ["", "- a list", "model: unet", "model: [unclosed"])
def test_what_is_no_recipe_is_refused(folder, text):
    (folder / "unet.yaml").write_text(text)
    with pytest.raises(RecipeError, match=r"unet\.yaml: not a recipe"):
        load_recipe("unet", "smoke", folder)


@pytest.mark.parametrize("model", ["otsu", "unet", "deeplabv3plus", "mask-rcnn"])
@pytest.mark.parametrize("preset", ["smoke", "quick", "paper", "best"])
def test_every_shipped_recipe_reads(model, preset):
    recipe = load_recipe(model, preset)
    assert (recipe.model, recipe.preset) == (model, preset)
    if preset in ("paper", "best"):
        assert recipe.canvas == 640
    if preset != "best":
        assert (recipe.loader, recipe.compile) == ("stock", False)
    if preset in ("smoke", "paper"):
        assert recipe.augmentation is None


@pytest.mark.parametrize("preset", ["quick", "cpu"])
def test_what_is_drawn_is_the_same_for_every_network(preset):
    names = ["nsyolo", "yolo11n", "unet", "deeplabv3plus", "mask-rcnn"]
    recipes = [load_recipe(name, preset) for name in names]
    assert {recipe.augmentation for recipe in recipes} == {Augmentation(mosaic=0.3, scale=(0.35, 1.25))}
    assert {(recipe.crop < recipe.canvas, recipe.copies) for recipe in recipes} == {(True, False)}
    assert len({(recipe.canvas, recipe.crop) for recipe in recipes}) == 1
    assert len({recipe.images_seen for recipe in recipes[:2]}) == 1


def test_augmentation_is_shared_listed_or_nothing():
    common = {"model": "unet", "title": "T", "preset": "best", "canvas": 32, "epochs": 1}
    assert Recipe(**common).augmentation is None
    shared = Recipe(**common, augmentation="shared")
    assert shared.augmentation == Augmentation()
    listed = Recipe(**common, augmentation={"mosaic": 0.25})
    assert listed.augmentation == Augmentation(mosaic=0.25)
    # The numbers themselves are what a record keeps, and what decides whether a run is still good.
    saved = json.loads(json.dumps(shared.model_dump(mode="json")))
    assert saved["augmentation"]["scale"] == [0.5, 1.5]
    assert Recipe(**saved) == shared


def test_a_crop_is_drawn_by_the_augmentation_and_fits_the_canvas():
    common = {"model": "unet", "title": "T", "preset": "cpu", "canvas": 640, "epochs": 1}
    assert Recipe(**common, crop=320, augmentation="shared").crop == 320
    with pytest.raises(ValueError, match="crop: views are drawn by the augmentation"):
        Recipe(**common, crop=320)
    with pytest.raises(ValueError, match="crop: 960 is larger than the canvas, 640"):
        Recipe(**common, crop=960, augmentation="shared")


def test_all_models_are_augmented_alike_in_the_preset_best():
    trained = [name for name in BUILT_IN if name != "otsu"]
    assert {str(load_recipe(name, "best").augmentation) for name in trained} == {str(Augmentation())}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("presets: {smoke: mask}", "preset 'smoke': it and its options are names with values"),
        ("presets: {smoke: 7}", "preset 'smoke': it and its options are names with values"),
        ("presets: {smoke: {options: [1]}}", "preset 'smoke': it and its options are names with values"),
        ("options: 3\npresets: {smoke: {}}", "preset 'smoke': it and its options are names with values"),
        ("presets: [smoke]", "not a recipe"),
        ("presets: 3", "not a recipe"),
        ("1: 2\npresets: {smoke: {}}", "no '1'"),
    ],
)
def test_values_where_names_belong_are_refused_in_words(tmp_path, text, message):
    (tmp_path / "unet.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError, match=rf"unet\.yaml.*{message}"):
        load_recipe("unet", "smoke", tmp_path)
