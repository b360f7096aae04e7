"""Whether a finished model lies at a path, by the names of its files alone: nothing is opened, and torch not needed.

Whoever starts a server is told before it starts, and not those who upload to it.
"""

from collections.abc import Iterator
from pathlib import Path

from nanoseg_bench.errors import ModelError
from nanoseg_bench.models.run_files import FIT_FILE, STATE_FILE, WEIGHTS_FILE
from nanoseg_bench.wording import shortened

_SHOWN = 5  # folders named in an error
_SAFETENSORS, _OTHERS = ".safetensors", (".pt", ".onnx")


def require_finished(path: Path, *, trust_pickle: bool = True) -> None:
    """Refuse a path at which no finished model lies.

    Args:
        path: A run's folder, weights (``.safetensors``, ``.pt``), or an ``.onnx`` file.
        trust_pickle: A ``.pt`` may be read, which runs whatever code stands in it.

    Raises:
        ModelError: There is nothing, a training that is not finished, or something else; the message names the way out.
    """
    if path.is_dir():
        if (path / WEIGHTS_FILE).is_file():
            return
        if (path / STATE_FILE).is_file():
            raise ModelError(f"{path}: the training is not finished; the same `nanoseg-bench run` goes on with it")
        if not (path / FIT_FILE).is_file():
            raise ModelError(f"{path}: holds no {WEIGHTS_FILE}{_did_you_mean(path)}")
        return
    if not path.exists():
        raise ModelError(f"{path}: no such file or folder{_did_you_mean(path.parent)}")
    if path.suffix == ".json" and path.with_suffix(_SAFETENSORS).is_file():
        raise ModelError(f"{path}: describes weights; give {path.with_suffix(_SAFETENSORS)} instead")
    if path.suffix != _SAFETENSORS and path.suffix.lower() not in _OTHERS:
        raise ModelError(f"{path}: weights are a {_SAFETENSORS} file with its .json beside it")
    if path.suffix.lower() == ".pt" and not trust_pickle:
        raise ModelError(
            f"{path}: a .pt is a pickle, and reading it runs whatever code stands in it; if you trust its source, say "
            "trust_pickle=True (--trust-pickle on the command line)"
        )


def _did_you_mean(folder: Path) -> str:
    """Runs in or one below ``folder`` that have weights."""
    found = [str(weights.parent) for weights in _runs_below(folder)]
    if not found:
        return "; give a run's folder, a .safetensors file, or a .pt that you trust"
    return f"; did you mean {shortened(found, _SHOWN, last='or')}?"


def _runs_below(folder: Path) -> Iterator[Path]:
    for pattern in (f"*/{WEIGHTS_FILE}", f"*/*/{WEIGHTS_FILE}"):
        yield from sorted(folder.glob(pattern))
