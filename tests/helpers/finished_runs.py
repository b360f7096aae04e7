"""Runs that are finished, without a training."""

from nanoseg_bench.files import write_json
from nanoseg_bench.models.recipe import load_recipe


def write_otsu_run(parent, canvas=640):
    """A finished run of Otsu below a folder, which is made: Otsu needs no training."""
    folder = parent / "otsu-smoke-seed0"
    folder.mkdir(parents=True)
    recipe = load_recipe("otsu", "smoke").model_copy(update={"canvas": canvas}).model_dump(mode="json")
    write_json(folder / "run.json", {"inputs": {"recipe": recipe}})
    write_json(folder / "fit.json", {"report": {"checkpoint": None}})
    return folder
