"""Which model is meant: a path, the name of weights that ship with the package, or none."""

from pathlib import Path

from nanoseg_bench.models.starting_weights import shippable_models
from nanoseg_bench.weights.shipped import shipped_names, shipped_weights


def resolve_model(given: Path | str | None) -> Path:
    """The path of a model.

    Args:
        given: A path, which need not be there, or the name of shipped weights where no path is called so; None for the
            default ones of those.

    Raises:
        UsageError: No such weights ship.
    """
    if given is None:
        return shipped_weights()
    path = Path(given)
    if path.exists() or str(given) not in {*shipped_names(), *shippable_models()}:
        return path
    return shipped_weights(str(given))
