"""The weights that come with the package, by name: ``nsyolo``, the default, and others beside it for comparison."""

from pathlib import Path

from nanoseg_bench.errors import UsageError
from nanoseg_bench.wording import did_you_mean

FOLDER = Path(__file__).resolve().parent
DEFAULT = "nsyolo"
SHIPPED = "shipped"
"""``run --weights shipped``: each model from its own."""

_SUFFIX = ".safetensors"


def shipped_names() -> list[str]:
    """Names of the weights that are there, the default first."""
    names = sorted(path.stem for path in FOLDER.glob(f"[!.]*{_SUFFIX}"))
    return sorted(names, key=lambda name: name != DEFAULT)


def shipped_weights(name: str = DEFAULT) -> Path:
    """The file of shipped weights.

    Raises:
        UsageError: There are none of this name.
    """
    path = FOLDER / f"{name}{_SUFFIX}"
    if path.is_file():
        return path
    names = shipped_names()
    if not names:
        raise UsageError(
            f"no weights come with this installation ({FOLDER} holds none); train a model with `nanoseg-bench run`, "
            "and give its folder"
        )
    hint = did_you_mean(name, names).rstrip() or f"there are {', '.join(names)}"
    raise UsageError(f"no weights called {name!r} come with this installation; {hint}")


def is_shipped(weights: Path) -> bool:
    """Whether this file is one of the shipped ones."""
    return weights.suffix == _SUFFIX and weights.resolve().parent == FOLDER.resolve()
