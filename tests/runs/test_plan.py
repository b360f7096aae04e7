import pytest

from nanoseg_bench.errors import RecipeError
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.runs.plan import RunSpec


def spec(**changes):
    values = {"recipe": load_recipe("unet", "smoke"), "seed": 0, "weights": None, "weights_sha256": None}
    return RunSpec(**{**values, "set_hash": "s", **changes})


def test_the_run_id_tells_runs_apart():
    assert spec().run_id == "unet-smoke-seed0"
    assert spec(seed=None).run_id == "unet-smoke-unseeded"
    assert spec(weights_sha256="0123456789").run_id == "unet-smoke-from-01234567-seed0"


def test_seed_0_is_a_seed():
    assert spec(seed=0).inputs_hash != spec(seed=None).inputs_hash


@pytest.mark.parametrize("change", [{"seed": 1}, {"set_hash": "t"}, {"weights_sha256": "x"}])
def test_the_hash_follows_every_input(change):
    assert spec(**change).inputs_hash != spec().inputs_hash


def test_the_hash_follows_the_recipe():
    recipe = load_recipe("unet", "smoke").model_copy(update={"learning_rate": 0.5})
    assert spec(recipe=recipe).inputs_hash != spec().inputs_hash


def test_an_unknown_preset_is_named():
    with pytest.raises(RecipeError, match="no preset 'huge'"):
        load_recipe("unet", "huge")
