"""The options that say how the values of masks are to be read, shared by all verbs that read some."""

import argparse
from collections.abc import Sequence

from nanoseg_bench.annotations.masks.options import ANCHORS, CONNECTIVITIES, KINDS, MaskOptions, mask_options


def add_mask_flags(parser: argparse.ArgumentParser, label: str | None = "particle") -> None:
    """Add the group ``reading masks``.

    Args:
        parser: Of the verb.
        label: Class of the particles where the user gives none.
    """
    masks = parser.add_argument_group(
        "reading masks",
        "0 is background. What values mean is found out where it can be told, and else refused with the option to give",
    )
    masks.add_argument(
        "--mask-kind",
        choices=KINDS,
        default="auto",
        help="instance: a value for each particle; binary: particles against background; classes: a value for each "
        "class; colour: a colour for each particle. Of binary and classes every connected piece is a particle "
        "(default: %(default)s)",
    )
    masks.add_argument(
        "--threshold",
        type=float,
        metavar="T",
        help="binary: the least value of a particle, e.g. 128 where edges are smoothed, 0.5 for probabilities "
        "(default: all but 0)",
    )
    masks.add_argument("--invert", action="store_true", help="binary: particles are black, the background is white")
    masks.add_argument(
        "--connectivity",
        type=int,
        choices=CONNECTIVITIES,
        default=8,
        help="binary, classes: whether pieces that touch at corners are one; 4 where one-pixel gaps separate particles "
        "(default: %(default)s)",
    )
    masks.add_argument(
        "--min-area", type=int, default=1, metavar="PX", help="leave out particles of fewer pixels (default: none)"
    )
    masks.add_argument(
        "--anchor",
        choices=ANCHORS,
        help="masks of fewer rows than their images lie at this edge; what they do not cover is an ignore region",
    )
    masks.add_argument(
        "--label",
        default=label,
        metavar="NAME",
        help="class of all particles; for classes also VALUE=NAME,... "
        f"(default: {label or 'none'}; for classes their values, or --classes in their order)",
    )


def mask_options_of(arguments: argparse.Namespace, classes: Sequence[str] | None) -> MaskOptions:
    """The options of a parser with ``add_mask_flags``.

    Args:
        arguments: Of that parser.
        classes: The class list, where the user gives one.

    Raises:
        UsageError: They do not go together.
    """
    return mask_options(
        arguments.mask_kind,
        threshold=arguments.threshold,
        invert=arguments.invert,
        connectivity=arguments.connectivity,
        min_area=arguments.min_area,
        anchor=arguments.anchor,
        label=arguments.label,
        classes=classes,
    )
