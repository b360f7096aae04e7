"""The device that a network runs on, by its name on the command line."""

from nanoseg_bench.errors import UsageError


def resolve_device(name: str) -> str:
    """``auto``, ``cpu``, ``cuda`` or ``cuda:N`` to a torch device name; ``auto`` is the first GPU, where there is one.

    Raises:
        UsageError: It is none of these, or there is no such GPU.
    """
    if name == "cpu":
        return name  # without the seconds that the import of torch takes where nothing else needs it

    import torch

    if name == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device {name}: not a device; use auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"--device {name}: not supported; use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"--device {name}: this machine shows {torch.cuda.device_count()} CUDA devices; use cpu")
    return "cpu" if device.type == "cpu" else f"cuda:{device.index or 0}"
