"""Which weights the training of each model starts from: a file, shipped ones by name, or each model's own of those."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from nanoseg_bench.errors import UsageError
from nanoseg_bench.files import require_path
from nanoseg_bench.models.options import BUILT_IN_OPTIONS, OtsuOptions, YoloOptions
from nanoseg_bench.models.run_files import WEIGHTS_FILE
from nanoseg_bench.weights.shipped import SHIPPED, is_shipped, shipped_names, shipped_weights


def shippable_models() -> list[str]:
    """Ids of the models whose weights may ship: the YOLO family."""
    return [model for model, options in BUILT_IN_OPTIONS.items() if options is YoloOptions]


def names_shipped_weights(given: Path | str) -> bool:
    """Whether shipped weights are meant, by name or by ``shipped``: a path that is there comes first."""
    return not Path(given).exists() and str(given) in {SHIPPED, *shipped_names(), *shippable_models()}


def starting_weights(given: Path | str, models: Sequence[str], option: str) -> Mapping[str, Path]:
    """The initial weights of each model that trains.

    Args:
        given: A file, the name of shipped weights, or ``shipped``, which means each model's own.
        models: Their ids.
        option: What ``given`` was given as, for messages.

    Raises:
        UsageError: There is no such file, there are no such weights, or a model cannot start from them.
    """
    require_path(given, option)
    without_training = [model for model in models if BUILT_IN_OPTIONS.get(model) is OtsuOptions]
    models = [model for model in models if model not in without_training]
    if not models:
        raise UsageError(f"{option} {given}: {', '.join(without_training)} needs no training, and starts from nothing")
    networks = shippable_models()
    models_option = option.replace("weights", "models")
    if not names_shipped_weights(given):
        if Path(given).is_dir():
            raise UsageError(f"{option} {given}: is a folder; give the file {Path(given) / WEIGHTS_FILE}")
        if not Path(given).is_file():
            raise UsageError(
                f"{option} {given}: no such file; give a .safetensors file, or the name of weights that ship with this "
                "package"
            )
        chosen = dict.fromkeys(models, Path(given))
    elif str(given) == SHIPPED:
        shipped_weights()  # says it where there are none at all
        chosen = {model: shipped_weights(model) for model in models if model in shipped_names()}
        if lacking := [model for model in models if model in networks and model not in chosen]:
            able = list(chosen) or shipped_names()
            raise UsageError(
                f"{option} {SHIPPED}: none of {', '.join(lacking)} ship; start from those of another network with "
                f"{option} {shipped_names()[0]}, which takes what agrees, or give {models_option} {' '.join(able)}"
            )
    else:
        chosen = dict.fromkeys(models, shipped_weights(str(given)))
    if all(map(is_shipped, chosen.values())) and (others := [model for model in models if model not in networks]):
        able = [model for model in models if model in networks] or ["nsyolo"]
        raise UsageError(
            f"{option} {given}: start networks of the YOLO family, and not {', '.join(others)}; give "
            f"{models_option} {' '.join(able)}"
        )
    return chosen
