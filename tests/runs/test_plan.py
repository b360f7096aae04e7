import re

import pytest

from nanoseg_bench.errors import RecipeError, UsageError
from nanoseg_bench.models.options import BUILT_IN_OPTIONS, SemanticOptions
from nanoseg_bench.models.overrides import parse_overrides
from nanoseg_bench.models.recipe import CONTINUED, Augmentation, Prediction, Recipe, Side, Training, load_recipe
from nanoseg_bench.runs.inputs import input_differences, training_hash
from nanoseg_bench.runs.plan import RunSpec, from_scratch_lines, plan_runs

VALUES = {"epochs": 50, "canvas": 320, "augmentation.mosaic": 0.3, "options.neck": 0.8}


class FakeSet:
    """All that planning reads of a prepared set."""

    content_hash = "s"
    folds = range(0)
    canvas = 96
    classes = ("disc",)
    max_instances = 5


class FoldedSet(FakeSet):
    """The same with folds."""

    folds = range(1, 4)

    def of_fold(self, fold):
        view = FakeSet()
        view.content_hash = f"s{fold}"
        return view


def spec(**changes):
    values = {"recipe": load_recipe("unet", "smoke"), "seed": 0, "weights": None, "weights_sha256": None}
    return RunSpec(**{**values, "set_hash": "s", **changes})


def test_the_run_id_tells_runs_apart():
    assert spec().run_id == "unet-smoke-seed0"
    assert spec(seed=None).run_id == "unet-smoke-unseeded"
    assert spec(weights_sha256="0123456789").run_id == "unet-smoke-from-01234567-seed0"


def test_every_fold_is_a_run_of_its_own_and_they_share_a_row():
    specs = plan_runs(FoldedSet(), ["unet", "otsu"], "smoke", [0, 1])
    assert [each.run_id for each in specs][:4] == [
        "unet-smoke-seed0-fold1",
        "unet-smoke-seed0-fold2",
        "unet-smoke-seed0-fold3",
        "unet-smoke-seed1-fold1",
    ]
    assert len(specs) == 12
    assert {each.row_id for each in specs[:3]} == {"unet-smoke-seed0"}
    assert [each.set_hash for each in specs[:3]] == ["s1", "s2", "s3"]
    assert len({training_hash(each.inputs()) for each in specs}) == 12
    (final,) = plan_runs(FoldedSet(), ["unet"], "smoke", [0], final=True)
    assert (final.run_id, final.row_id, final.set_hash) == ("unet-smoke-seed0-final", "unet-smoke-seed0", "s")


def test_a_run_without_folds_is_what_it_was_before_there_were_folds():
    assert "fold" not in spec().inputs()
    assert training(fold=None) == training()
    assert training(fold=1) != training()
    found = input_differences({**spec().inputs(), "fold": None}, spec().inputs())
    assert not found


def training(**changes):
    return training_hash(spec(**changes).inputs())


def with_recipe(**values):
    recipe = spec().recipe
    return spec(recipe=recipe.model_copy(update=values))


def test_seed_0_is_a_seed():
    assert training(seed=0) != training(seed=None)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed 0 -> 1"),
        ({"set_hash": "t"}, "content of the prepared set s -> t"),
        ({"weights_sha256": "x"}, "initial weights (sha256) none -> x"),
    ],
)
def test_every_input_of_the_training_counts_and_is_named(change, named):
    assert training(**change) != training()
    found = input_differences(spec().inputs(), spec(**change).inputs())
    assert ([str(each) for each in found.training], found.prediction, found.names) == ([named], (), ())


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"learning_rate": 0.5}, "learning_rate 0.001 -> 0.5"),
        ({"options": {"encoder": "resnet18", "dice_weight": 1.0}}, "options.encoder resnet34 -> resnet18"),
        ({"augmentation": Augmentation()}, "augmentation none -> "),
        ({"images_seen": None, "epochs": 3}, "images_seen 32 -> none"),
    ],
)
def test_training_values_of_the_recipe_train_anew(values, named):
    changed = with_recipe(**values)
    assert training_hash(changed.inputs()) != training()
    found = input_differences(spec().inputs(), changed.inputs())
    assert str(found.training[0]).startswith(named)
    assert not found.prediction


def test_prediction_values_and_names_leave_the_training_alone():
    changed = with_recipe(title="Other", options={"encoder": "resnet34", "dice_weight": 1.0, "neck": 0.6})
    assert training_hash(changed.inputs()) == training()
    found = input_differences(spec().inputs(), changed.inputs())
    assert not found.training
    assert [str(each) for each in found.prediction] == ["options.neck 0.75 -> 0.6"]
    assert [str(each) for each in found.names] == ["title U-Net -> Other"]


def test_options_at_their_default_are_as_if_not_named():
    plain = with_recipe(options={})
    assert training_hash(plain.inputs()) == training()
    assert not input_differences(spec().inputs(), plain.inputs())


def test_a_default_that_moved_is_noticed():
    earlier = spec().inputs()
    earlier["recipe"]["warmup_fraction"] = 0.1  # what the default was when it was trained
    assert [str(each) for each in input_differences(earlier, spec().inputs()).training] == [
        "warmup_fraction 0.1 -> 0.05"
    ]


@pytest.fixture
def crop(monkeypatch):
    """Stands for a field that a later version adds to the recipe, with a default."""

    class Later(Recipe):
        crop: Training[int | None] = None
        tiles: Prediction[int] = 1

    monkeypatch.setattr(Recipe, "model_fields", Later.model_fields)


def test_a_new_field_at_its_default_changes_nothing(crop):
    earlier, later = spec().inputs(), spec().inputs()
    later["recipe"] = {**later["recipe"], "crop": None, "tiles": 1}
    assert training_hash(later) == training_hash(earlier)
    assert not input_differences(earlier, later)
    later["recipe"] |= {"crop": 320, "tiles": 4}
    found = input_differences(earlier, later)
    assert [str(each) for each in found.training] == ["crop none -> 320"]
    assert [str(each) for each in found.prediction] == ["tiles 1 -> 4"]


@pytest.mark.parametrize("kind", [Recipe, *dict.fromkeys(BUILT_IN_OPTIONS.values())])
def test_every_field_says_on_which_side_it_stands(kind):
    unmarked = [name for name, field in kind.model_fields.items() if not set(Side) & set(field.metadata)]
    assert unmarked == []


def test_values_from_the_command_line_are_a_run_of_their_own():
    (plain,), (other,) = (plan_runs(FakeSet(), ["unet"], "quick", [0], overrides=each) for each in (None, VALUES))
    assert plain.run_id == "unet-quick-seed0"
    assert other.recipe.preset == "quick+augmentation.mosaic=0.3+canvas=320+epochs=50+options.neck=0.8"
    assert re.fullmatch(r"unet-quick\+[0-9a-f]{8}-seed0", other.run_id)
    recipe = other.recipe
    assert (recipe.epochs, recipe.images_seen, recipe.canvas) == (50, None, 320)
    assert recipe.augmentation == Augmentation(mosaic=0.3, scale=(0.35, 1.25)), "the rest as in the preset"
    assert recipe.options == SemanticOptions(neck=0.8).model_dump(), "complete, whatever the recipe names"
    (again,) = plan_runs(FakeSet(), ["unet"], "quick", [0], overrides=dict(reversed(VALUES.items())))
    assert again == other


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["epochs=5", "images_per_epoch=10"], "epochs takes the place of images_seen and images_per_epoch; leave out"),
        (["epochs=5", "images_seen=10"], "leave out epochs or images_seen$"),
        (["judged_views=yes"], "judged_views: true is no number"),
        (["weight_decay=inf"], "weight_decay inf: Input should be a finite number"),
        (["options.min_depth=inf"], "options.min_depth inf: Input should be a finite number"),
        (["crop=[1"], r"crop=\[1: the value cannot be read \(line 1, column 3: expected [^\n]*\)$"),
    ],
)
def test_what_a_value_of_the_command_line_lacks_is_told_in_one_line(words, message):
    with pytest.raises(UsageError, match=message):
        plan_runs(FakeSet(), ["unet"], "quick", [0], overrides=parse_overrides(words))


@pytest.mark.parametrize(
    ("model", "words", "message"),
    [
        ("otsu", ["judged_views=8"], "otsu, .*judged_views 8: its scores are no confidences .*; leave it out$"),
        ("otsu", ["judged_canvas=128"], "otsu, .*judged_canvas 128: this model has no network .*; leave it out$"),
        ("otsu", ["epochs=3"], "epochs: otsu trains nothing, .*; leave it out, or name a model that trains$"),
        ("otsu", ["augmentation.mosaic=0.3", "canvas=64"], "augmentation.mosaic, canvas: otsu trains nothing"),
        ("unet", ["canvas=200"], "canvas 200 must be a multiple of 32"),
    ],
)
def test_what_a_model_cannot_do_is_refused_before_anything_starts(model, words, message):
    with pytest.raises(UsageError, match=f"--recipe.* {message}"):
        plan_runs(FakeSet(), [model], "quick", [0], overrides=parse_overrides(words))


def test_beside_networks_otsu_takes_the_name_of_their_training():
    """It is to stand in their table; its own options are checked as ever."""
    otsu, unet = plan_runs(FakeSet(), ["otsu", "unet"], "quick", [0], overrides={"epochs": 3})
    assert otsu.recipe.preset == unet.recipe.preset == "quick+epochs=3"
    (other,) = plan_runs(FakeSet(), ["otsu"], "quick", [0], overrides={"options.neck": 0.5})
    assert other.recipe.options["neck"] == 0.5


def test_what_has_no_network_sees_the_canvas_of_the_set():
    otsu, unet = plan_runs(FakeSet(), ["otsu", "unet"], "quick", [0])
    assert otsu.recipe.canvas == FakeSet.canvas
    assert unet.recipe.canvas == load_recipe("unet", "quick").canvas != FakeSet.canvas


def test_a_faulty_option_is_named_with_its_file(tmp_path, monkeypatch):
    path = tmp_path / "unet.yaml"
    path.write_text("model: unet\ntitle: U\npresets: {smoke: {canvas: 64, images_seen: 8, options: {nek: 0.5}}}\n")
    monkeypatch.setattr("nanoseg_bench.runs.plan.recipe_folder", lambda model: tmp_path)
    with pytest.raises(RecipeError, match=rf"{re.escape(str(path))}: unet, preset 'smoke': .*'options.neck'"):
        plan_runs(FakeSet(), ["unet"], "smoke", [0])


def test_an_unknown_preset_is_named():
    with pytest.raises(UsageError, match="no preset 'huge'"):
        load_recipe("unet", "huge")


def test_a_preset_that_goes_on_from_weights_says_where_none_are_given(tmp_path):
    weights, models = tmp_path / "cpu.safetensors", ["nsyolo", "yolo11n"]
    weights.write_bytes(b"weights")

    def lines(preset, **start):
        return from_scratch_lines(plan_runs(FakeSet(), models, preset, [0, 1], overrides={"batch": 8}, **start))

    for preset, earlier in CONTINUED.items():
        assert lines(earlier) == lines(preset, weights=weights) == []
        (told,) = lines(preset, weights={"nsyolo": weights})
        title = load_recipe("yolo11n", preset).title
        assert f"preset {preset} goes on from weights of preset {earlier}, and none are given: {title} would" in told


def test_a_seed_that_is_named_twice_is_one_run():
    """Two would write the same folder: side by side, one of them was refused as busy, and with it the command."""
    assert [each.seed for each in plan_runs(FakeSet(), ["otsu"], "smoke", [1, 0, 1])] == [1, 0]
