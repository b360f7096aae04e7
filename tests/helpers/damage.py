"""Files as a failing disk, a broken copy or another version leave them."""

import random


def empty(data, _):
    return b""


def cut_off(data, _):
    return data[: len(data) // 2]


def bit_flipped(data, chance):
    changed = bytearray(data)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def zeroed(data, chance):
    """A block of zeros, as a power cut leaves in a file that was not on disk yet."""
    start = chance.randrange(len(data))
    return data[:start] + bytes(len(data[start : start + 512])) + data[start + 512 :]


def of_another_format(data, _):
    """The number of the format, where a JSON document has one; else another document."""
    return data.replace(b'"nanoseg-', b'"nanoseg-of-tomorrow-', 1) if b'"nanoseg-' in data else b'{"format": "other/9"}'


KINDS = {each.__name__: each for each in (empty, cut_off, bit_flipped, zeroed, of_another_format)}


def damage(path, kind, seed=0):
    """Damage a file; the same seed gives the same bytes."""
    path.write_bytes(KINDS[kind](path.read_bytes(), random.Random(f"{path.name} {kind} {seed}")))
