"""The columns of the table of particles, each declared once. Tables, workbooks, charts and reports are made of this.

A length or an area is declared as one quantity and becomes two columns, in px and in nm. Both always stand in the
table; those in nm are empty where the scale is unknown. Empty means not measured.
"""

from dataclasses import dataclass
from typing import Literal

from nanoseg_bench.errors import MeasurementError
from nanoseg_bench.wording import did_you_mean

Kind = Literal["text", "whole", "number", "flag"]

SHAPE_FROM_PX = 10.0
"""Diameter below which a particle has too few pixels for anything but its area and diameter."""

SHAPE_SURE_FROM_PX = 20.0
"""Diameter below which its shape is flagged: one pixel more or less along the outline still changes it."""


OVERLAPS_FROM = 0.05
"""Share of a particle's area in another one above which they overlap. Half of a model's outlines on EMPS share a pixel
with a neighbour's, an eighth this much."""

SQUARE_UP_TO = 1.2
"""Aspect ratio above which the outline of a cube is not that of a face."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column, and all that is said of it anywhere.

    Attributes:
        name: In tables and CSV files, with its unit.
        quantity: The name without its unit: ``diameter`` of ``diameter_px`` and ``diameter_nm``.
        heading: For people, without unit.
        unit: As it is printed; empty for a ratio, a text or a flag.
        dimension: Power of a length: 1 for a length, 2 for an area, else 0.
        kind: What the values are.
        digits: After the decimal point, where it is shown; files keep all.
        meaning: Formula and source, in a sentence.
    """

    name: str
    quantity: str
    heading: str
    unit: str = ""
    dimension: Literal[0, 1, 2] = 0
    kind: Kind = "number"
    digits: int = 0
    meaning: str

    @property
    def dtype(self) -> str:
        """Of its values in a table of pandas."""
        return {"text": "str", "whole": "int64", "flag": "bool", "number": "float64"}[self.kind]

    @property
    def title(self) -> str:
        """Heading with its unit, in one line."""
        return f"{self.heading} ({self.unit})" if self.unit else self.heading


def _measured(quantity: str, heading: str, meaning: str, *, dimension: Literal[1, 2] = 1) -> tuple[Column, Column]:
    """The two columns of a length or an area."""
    power = "" if dimension == 1 else "2"
    in_nm, in_px = (
        Column(
            name=f"{quantity}_{unit}{power}",
            quantity=quantity,
            heading=heading,
            unit=unit + ("" if dimension == 1 else "²"),
            dimension=dimension,
            digits=digits,
            meaning=meaning,
        )
        for unit, digits in (("nm", 2 if dimension == 1 else 1), ("px", 2 if dimension == 1 else 0))
    )
    return in_nm, in_px


def _text(name: str, heading: str, meaning: str) -> Column:
    return Column(name=name, quantity=name, heading=heading, kind="text", meaning=meaning)


def _flag(name: str, heading: str, meaning: str) -> Column:
    return Column(name=name, quantity=name, heading=heading, kind="flag", meaning=meaning)


def _ratio(name: str, heading: str, meaning: str) -> Column:
    return Column(name=name, quantity=name, heading=heading, digits=3, meaning=meaning)


COLUMNS: tuple[Column, ...] = (
    _text("image", "Image", "the micrograph"),
    Column(
        name="particle", quantity="particle", heading="Particle", kind="whole",
        meaning="its number within the micrograph, from 1",
    ),
    _text("class", "Class", "what the model or the annotator named it; empty where they know no classes"),
    _text(
        "shape", "Shape",
        "the name of its outline, by its silhouette alone: sphere, rod, cube, triangle, pentagon, or other where none "
        f"is sure; empty where outlines were not named, below {SHAPE_SURE_FROM_PX:g} px of diameter, and where the "
        "border cuts it",
    ),
    Column(
        name="shape_certainty", quantity="shape_certainty", heading="Shape certainty", digits=2,
        meaning="probability that this name is right, 0 to 1; low where it is other for want of a sure one",
    ),
    Column(
        name="confidence", quantity="confidence", heading="Confidence", digits=3,
        meaning="the model's, 0 to 1; empty for an annotation, and for what a person outlined",
    ),
    _text(
        "origin", "Origin",
        "who outlined it: model; changed, where a person changed the model's outline or its class, or had it count "
        "against a rule; drawn, by a person; empty where nobody says",
    ),
    _text("exclusion", "Left out", "why it does not count in the sample, all reasons; empty for one that counts"),
    _flag(
        "touches_border", "Touches border",
        "its box reaches an edge of the field, or what is written on it; the field of an analysis ends a pixel of the "
        "model's canvas before the micrograph does, since outlines often end before the border",
    ),
    _flag(
        "overlaps", "Overlaps",
        f"more than {100 * OVERLAPS_FROM:g} % of its area lies in another particle; outlines that touch share less",
    ),
    _flag(
        "shape_uncertain", "Shape uncertain",
        f"its diameter is below {SHAPE_SURE_FROM_PX:g} px, where one pixel along the outline changes its shape",
    ),
    Column(
        name="border_weight", quantity="border_weight", heading="Border weight", digits=3,
        meaning="how many particles of its extent it stands for, since large ones touch the border more often: "
        "W H / ((W − w)(H − h)) of a field of W × H px and a box of w × h px (Miles–Lantuéjoul, ISO 13322-1); here "
        "with W − 1 and H − 1 in the divisor, as many as a grid of pixels has places for it; 1 for what the border "
        "cuts and a person counts",
    ),
    *_measured("diameter", "Diameter", "of the circle of equal area, √(4 A / π)"),
    *_measured("area", "Area", "A, its pixels, without holes", dimension=2),
    *_measured(
        "feret_max", "Feret max",
        "the largest distance of two parallel lines that enclose it; hull of the pixels' centres, widened until it "
        "covers as many px² as there are pixels in it",
    ),
    *_measured("feret_min", "Feret min", "the smallest distance of two parallel lines that enclose it; hull as there"),
    *_measured(
        "length", "Length", "the longer side of the rectangle of least area around it (a rod's length); hull as there"
    ),
    *_measured("width", "Width", "the shorter side of that rectangle (a rod's width)"),
    *_measured(
        "edge_length", "Edge length",
        "of cubes: mean of length and width; empty for what is not named a cube, and for cubes that do not show a "
        f"square (aspect ratio above {SQUARE_UP_TO:g}): seen on an edge, or half covered"
    ),
    *_measured(
        "perimeter", "Perimeter",
        "P by Crofton's formula in 8 directions, holes included; by a sum over border pixels, circularity would hang "
        "on size",
    ),
    *_measured("major_axis", "Major axis", "of the ellipse with the same second moments (Legendre ellipse)"),
    *_measured("minor_axis", "Minor axis", "of that ellipse"),
    _ratio(
        "aspect_ratio", "Aspect ratio", "length / width of the rectangle of least area around it, from 1 upwards"
    ),
    _ratio(
        "feret_ratio", "Feret ratio", "Feret min / Feret max, up to 1: the “aspect ratio” of ISO 9276-6"
    ),
    _ratio("ellipse_ratio", "Ellipse ratio", "minor axis / major axis, up to 1 (ISO 9276-6)"),
    _ratio(
        "circularity", "Circularity",
        "4 π A / P², 1 for a disc: the “form factor” of ISO 9276-6, whose own “circularity” is its square root; called "
        "sphericity in some papers. Above 1 by up to 0.02 from the grain of the pixels",
    ),
    _ratio("roundness", "Roundness", "4 A / (π Feret max²), 1 for a disc (ISO 9276-6)"),
    _ratio("solidity", "Solidity", "A / pixels of its convex hull, up to 1 (ISO 9276-6)"),
    _ratio("convexity", "Convexity", "perimeter of its convex hull / P, both by Crofton's formula (ISO 9276-6)"),
    _ratio(
        "extent", "Extent",
        "A / (length × width): 1 for a rectangle, π / 4 for an ellipse; the “box ratio” of ISO 9276-6",
    ),
    Column(
        name="orientation_deg", quantity="orientation_deg", heading="Orientation", unit="°", digits=1,
        meaning="of the major axis, from 0 (along a row) anticlockwise to 180; says nothing of what is round or square",
    ),
    *_measured("x", "x", "of its centre of area, from the left edge of the micrograph"),
    *_measured("y", "y", "of its centre of area, from the upper edge of the micrograph"),
    *_measured(
        "nearest_neighbour", "Nearest neighbour",
        "from its centre to the centre of the nearest other particle of the micrograph; too large at the border, "
        "where a nearer one may lie outside",
    ),
    Column(
        name="nm_per_px", quantity="nm_per_px", heading="Scale", unit="nm/px", digits=4,
        meaning="of the micrograph; empty where it is unknown",
    ),
)  # fmt: skip
"""In the order of the table."""


def column_of(quantity: str, unit: Literal["px", "nm"]) -> Column:
    """The column of a quantity in a unit of length; that of a ratio is the same in both.

    Raises:
        MeasurementError: There is no such quantity.
    """
    for column in COLUMNS:
        if column.quantity == quantity and (not column.dimension or column.unit.startswith(unit)):
            return column
    known = list(dict.fromkeys(column.quantity for column in COLUMNS))
    hint = did_you_mean(quantity, known)
    raise MeasurementError(f"no quantity {quantity!r}; {hint}there are {', '.join(known)}")
