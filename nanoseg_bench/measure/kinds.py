"""Which particles have a size of their own: rods a length and a width, cubes an edge."""

import re

_CUBE = re.compile(r"(nano[\s_-]?)?cub(e|es|oid|oids|ic)", re.IGNORECASE)
_ROD = re.compile(r"(nano[\s_-]?)?(rod|rods|wire|wires|needle|needles)", re.IGNORECASE)


def is_cube(name: str | None) -> bool:
    """Whether a class or a shape is that of cubes: ``cube``, ``nanocubes``, ``Nano-Cube``."""
    return name is not None and _CUBE.fullmatch(name.strip()) is not None


def is_rod(name: str | None) -> bool:
    """Whether a class or a shape is that of rods, wires or needles."""
    return name is not None and _ROD.fullmatch(name.strip()) is not None
