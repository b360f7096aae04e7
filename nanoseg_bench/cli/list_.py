"""``nanoseg-bench list``: models, data sets and presets."""

import argparse

from nanoseg_bench.errors import UsageError


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "list",
        help="show the models, their presets, and the data sets",
        description="Shows the models, those of installed plug-ins too, their presets, and the data sets that have a "
        "card: ours, and your own in datasets/NAME/card.yaml below the working directory.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print both tables."""
    from rich.table import Table

    from nanoseg_bench.catalog.registry import cards
    from nanoseg_bench.models.registry import BUILT_IN, available
    from nanoseg_bench.terminal import open_console

    models = Table("model", "title", "presets", title="Models", title_justify="left")
    for name in (*BUILT_IN, *sorted(set(available()) - set(BUILT_IN))):
        models.add_row(name, *_title_and_presets(name))
    datasets = Table("data set", "what it is", "classes", "licence", title="Data sets", title_justify="left")
    for card in cards():
        datasets.add_row(card.name, card.title, ", ".join(card.classes), card.licence)
    console = open_console()
    console.print(models)
    console.print(datasets)
    return 0


def _title_and_presets(name: str) -> tuple[str, str]:
    """As the recipe has them; of a plug-in whose recipe cannot be read, what is wrong with it."""
    from nanoseg_bench.files import read_yaml
    from nanoseg_bench.models.registry import recipe_folder

    try:
        recipe = read_yaml(recipe_folder(name) / f"{name}.yaml")
        return str(recipe["title"]), ", ".join(map(str, recipe["presets"]))
    except (OSError, ValueError, KeyError, TypeError, UsageError) as error:
        return "(plug-in)", f"baselines/{name}.yaml is no recipe: {error}"
