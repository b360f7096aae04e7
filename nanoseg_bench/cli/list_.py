"""``nanoseg-bench list``: models, data sets and presets."""

import argparse


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
    import yaml
    from rich.table import Table

    from nanoseg_bench.catalog.registry import cards
    from nanoseg_bench.models.registry import BUILT_IN, available, recipe_folder
    from nanoseg_bench.terminal import open_console

    models = Table("model", "title", "presets", title="Models", title_justify="left")
    for name in (*BUILT_IN, *sorted(set(available()) - set(BUILT_IN))):
        path = recipe_folder(name) / f"{name}.yaml"
        recipe = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
        models.add_row(name, recipe.get("title", "(plug-in)"), ", ".join(recipe.get("presets", {})))
    datasets = Table("data set", "what it is", "classes", "licence", title="Data sets", title_justify="left")
    for card in cards():
        datasets.add_row(card.name, card.title, ", ".join(card.classes), card.licence)
    console = open_console()
    console.print(models)
    console.print(datasets)
    return 0
