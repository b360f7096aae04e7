"""The device that a network runs on, or the devices that train one, as the user names them."""

from numbers import Integral

from nanoseg_bench.errors import UsageError
from nanoseg_bench.wording import counted


def resolve_device(name: str | int) -> str:
    """``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``N`` to a torch device name; ``auto`` is the first GPU, where one is.

    Raises:
        UsageError: It is none of these, or there is no such GPU.
    """
    if name == "cpu":
        return name  # without the seconds that the import of torch takes where nothing else needs it

    import torch

    if name == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(f"cuda:{name}" if _is_number(name) else name)
    except (RuntimeError, TypeError) as error:
        raise UsageError(f"device {name}: not a device; use auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"device {name}: not supported; use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise _no_such_gpu(name, torch.cuda.device_count())
    return "cpu" if device.type == "cpu" else f"cuda:{device.index or 0}"


def resolve_devices(name: str | int) -> tuple[str, ...]:
    """What ``resolve_device`` takes, or several that train one network together: ``0,1`` or ``cuda:0,cuda:1``.

    ``cpu,cpu`` is there to try it out: two processes on the cores of this machine.

    Raises:
        UsageError: One is no device or not there, a GPU is named twice, or CPU and GPU are mixed.
    """
    words = [word.strip() for word in name.split(",")] if isinstance(name, str) else []
    if len(words) < 2:
        return (resolve_device(name),)
    devices = tuple(_one_of_several(word, name) for word in words)
    if len({device.partition(":")[0] for device in devices}) > 1:
        raise UsageError(f"device {name}: CPU and GPU do not train together; name GPUs alone, such as 0,1")
    if devices[0] != "cpu" and len(set(devices)) < len(devices):
        raise UsageError(f"device {name}: names a GPU twice; each takes one share of every batch")
    return devices


def _one_of_several(word: str, name: str | int) -> str:
    import torch

    there = torch.cuda.device_count()
    if word == "cpu":
        return word
    number = word.removeprefix("cuda:")
    if not _is_number(number):
        raise UsageError(f"device {name}: {word or 'nothing'!r} is not one of several devices; write such as 0,1")
    if int(number) >= there:
        raise _no_such_gpu(name, there)
    return f"cuda:{int(number)}"


def _no_such_gpu(name: str | int, there: int) -> UsageError:
    numbers = f", 0 to {there - 1}" if there > 1 else ""
    way_out = "cuda:0" if there else "cpu"
    return UsageError(f"device {name}: this machine shows {counted(there, 'CUDA device')}{numbers}; use {way_out}")


def _is_number(name: str | int) -> bool:
    return isinstance(name, Integral) or (isinstance(name, str) and name.isascii() and name.isdigit())
