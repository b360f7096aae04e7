"""How the values of masks are to be read, as the user says it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from nanoseg_bench.errors import UsageError

KINDS = ("auto", "instance", "binary", "classes", "colour")
"""What the values of a folder's masks mean."""

ANCHORS = ("top", "bottom")
"""Which edge of its image a mask shares that is cropped in height."""

CONNECTIVITIES = (4, 8)

DEFAULT_CONNECTIVITY, DEFAULT_LABEL = 8, "particle"


@dataclass(frozen=True, slots=True)
class MaskOptions:
    """How masks are read.

    Attributes:
        kind: ``instance``: every value but 0 is a particle. ``binary``: every connected piece of what is not
            background is one. ``classes``: values are classes, and every connected piece of a value is a particle.
            ``colour``: every colour but black is a particle. ``auto``: instance or binary, whichever it looks like.
        threshold: Binary masks: the least value of a particle; None takes every value but 0.
        invert: Binary masks: particles are what is below ``threshold``, or 0.
        connectivity: 4 or 8, of pieces. Some public masks separate touching particles by gaps of one pixel that only
            4-connectivity sees.
        min_area: Particles of fewer pixels are left out, and counted.
        anchor: ``top`` or ``bottom``: a mask of fewer rows than its image lies at this edge of it. None refuses it.
        label: Class name of the particles; None where nobody knows. Of kind ``classes``, each is called
            ``label-value``, unless ``names`` names it.
        names: Class name by value, of kind ``classes``.
    """

    kind: str = "auto"
    threshold: float | None = None
    invert: bool = False
    connectivity: int = DEFAULT_CONNECTIVITY
    min_area: int = 1
    anchor: str | None = None
    label: str | None = DEFAULT_LABEL
    names: tuple[tuple[int, str], ...] = field(default=())

    def __post_init__(self) -> None:
        for value, allowed, what in (
            (self.kind, KINDS, "kind"),
            (self.connectivity, CONNECTIVITIES, "connectivity"),
            (self.anchor, (*ANCHORS, None), "anchor"),
        ):
            if value not in allowed:
                raise ValueError(f"{what} {value!r} is not one of {', '.join(map(str, allowed))}")

    @property
    def given(self) -> list[str]:
        """The flags that only masks have a use for and that differ from their defaults."""
        flags = {
            "--mask-kind": self.kind != "auto" and self.threshold is None and not self.invert,
            "--threshold": self.threshold is not None,
            "--invert": self.invert,
            "--connectivity": self.connectivity != DEFAULT_CONNECTIVITY,
            "--min-area": self.min_area > 1,
            "--anchor": self.anchor is not None,
            "--label": bool(self.names) or self.label not in (None, DEFAULT_LABEL),
        }
        return [flag for flag, used in flags.items() if used]


def mask_options(
    kind: str = "auto",
    *,
    threshold: float | None = None,
    invert: bool = False,
    connectivity: int = DEFAULT_CONNECTIVITY,
    min_area: int = 1,
    anchor: str | None = None,
    label: str | None = DEFAULT_LABEL,
    classes: Sequence[str] | None = None,
) -> MaskOptions:
    """The options as a user gives them, each explained with ``MaskOptions``.

    Args:
        kind: ``threshold`` and ``invert`` make ``binary`` of ``auto``.
        threshold: See ``MaskOptions``.
        invert: See ``MaskOptions``.
        connectivity: See ``MaskOptions``.
        min_area: See ``MaskOptions``.
        anchor: See ``MaskOptions``.
        label: A class name; of kind ``classes`` also ``1=cube,2=rod``, which names every value that occurs.
        classes: Of kind ``classes``, names of the values 1, 2, ..., unless ``label`` names them.

    Raises:
        UsageError: Options do not go together, or a number is out of range.
        ValueError: ``kind``, ``connectivity`` or ``anchor`` is not one of its values.
    """
    if (threshold is not None or invert) and kind not in ("auto", "binary"):
        flag = "--invert" if threshold is None else "--threshold"
        raise UsageError(f"{flag}: cuts particles from background, so it goes with --mask-kind binary, not {kind}")
    if threshold is not None and not threshold > 0:
        raise UsageError(f"--threshold {threshold:g}: the least value of a particle lies above 0, e.g. 128")
    if min_area < 1:
        raise UsageError(f"--min-area {min_area}: give at least 1 px")
    label = label and label.strip()
    if label == "" and kind != "classes":
        raise UsageError("--label: is empty; give the class of the particles")
    options = MaskOptions(
        "binary" if threshold is not None or invert else kind, threshold, invert, connectivity, min_area, anchor, label
    )
    if kind != "classes":
        return options
    if label is not None and "=" in label:
        return replace(options, label=None, names=_names(label))
    return replace(options, names=tuple(enumerate(classes, start=1)) if classes else ())


def _names(text: str) -> tuple[tuple[int, str], ...]:
    """``1=cube,2=rod`` to ((1, "cube"), (2, "rod"))."""
    names: dict[int, str] = {}
    for part in text.split(","):
        value, _, name = (each.strip() for each in part.partition("="))
        if not value.isdecimal() or not name or int(value) in names or int(value) == 0:
            raise UsageError(
                f"--label {text!r}: {part.strip()!r} names no value; write VALUE=NAME with commas between them, each "
                "value once, e.g. --label 1=cube,2=rod"
            )
        names[int(value)] = name
    return tuple(sorted(names.items()))
