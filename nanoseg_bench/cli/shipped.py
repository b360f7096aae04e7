"""Models and weights on the command line: paths, those that ship by name, and those by leaving them out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from nanoseg_bench.cli.places import require_there
from nanoseg_bench.errors import UsageError

_WEIGHTS_HINT = "give a .safetensors file, or the name of weights that ship with this package"


def find_model(given: Path | None, hint: str, flag: str = "--model") -> Path:
    """The model that is meant, which is there.

    Args:
        given: A path, or the name of shipped weights where no path is called so; None for the default ones.
        hint: What to give, where there is nothing like it.
        flag: Of the option, for messages; empty where there is none.

    Raises:
        UsageError: It is not there.
    """
    from nanoseg_bench.inference.model_path import resolve_model

    try:
        path = resolve_model(given)
    except UsageError as error:
        if given is not None:
            raise
        raise UsageError(f"no model is given, and {error}: {f'{flag} RUN'.strip()}") from error
    require_there({flag: path}, _hint_at_shipped(given) or hint)
    return path


def find_initial_weights(given: str | None, models: Sequence[str]) -> Mapping[str, Path]:
    """The initial weights of each model; empty where they are trained from scratch.

    Args:
        given: A path, the name of shipped weights, or ``shipped``, which means each model's own.
        models: Their ids.

    Raises:
        UsageError: There are no such weights, or a model cannot start from them.
    """
    if given is None:
        return {}
    from nanoseg_bench.models.starting_weights import names_shipped_weights, starting_weights

    if not names_shipped_weights(given):
        require_there({"--weights": Path(given)}, _hint_at_shipped(Path(given)) or _WEIGHTS_HINT)
    return starting_weights(given, models, "--weights")


def _hint_at_shipped(given: Path | None) -> str:
    """``did you mean 'nsyolo'?``, where a bare word is nearly the name of shipped weights; else empty."""
    from nanoseg_bench.weights.shipped import shipped_names
    from nanoseg_bench.wording import did_you_mean

    return did_you_mean(str(given), shipped_names()).strip() if given is not None and len(given.parts) == 1 else ""
