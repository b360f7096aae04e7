"""The formats of annotations, a line for each. Whatever reads or writes annotations asks here."""

from nanoseg_bench.annotations.coco.format import Coco
from nanoseg_bench.annotations.format import Format
from nanoseg_bench.annotations.labelme.format import Labelme
from nanoseg_bench.annotations.masks.format import Masks
from nanoseg_bench.annotations.via.format import Via
from nanoseg_bench.annotations.yolo.format import Yolo
from nanoseg_bench.errors import UsageError

FORMATS: tuple[Format, ...] = (
    Labelme(),
    Via(),
    Coco(),
    Yolo(),
    Masks(),
)

READ = tuple(each.name for each in FORMATS)
"""What annotations can be read from."""

WRITTEN = tuple(each.name for each in FORMATS if each.writes)
"""What annotations can be written as."""

PREDICTED = tuple(each.name for each in FORMATS if each.reads_predictions)
"""What predictions of other tools can be read from."""


def get_format(name: str) -> Format:
    """The format of a name.

    Raises:
        UsageError: There is none.
    """
    found = next((each for each in FORMATS if each.name == name), None)
    if found is None:
        raise UsageError(f"format {name!r} is not one of {', '.join(READ)}")
    return found


def taking(option: str) -> str:
    """The formats that have a use for one of the ``ReadOptions``, for the help of its flag."""
    return ", ".join(each.name for each in FORMATS if option in each.options)
