"""How all charts look: thin lines, small letters, and the hues of the overlays."""

from typing import TYPE_CHECKING, Any

from nanoseg_bench.report.texts import one_line

if TYPE_CHECKING:
    from pptx.chart.chart import Chart

# The hues of the outlines in the overlays, in their order, dark enough for white paper.
CLASS_COLOURS = ("008FA6", "E08A00", "C23A9C", "4C9A1C", "A39200", "5B65C9", "D23B2B", "009E73")
CURVE_COLOUR = "333333"
FIT_COLOUR = "8C510A"
GRID_COLOUR = "D9D9D9"
AXIS_COLOUR = "7F7F7F"

FONT = "Calibri"
_LETTERS = 9  # pt
_LINE = 0.75  # pt


def class_colour(position: int) -> str:
    """RGB in hexadecimal digits of the class at a position; colours come again where there are more than eight."""
    return CLASS_COLOURS[position % len(CLASS_COLOURS)]


def style_chart(chart: "Chart", legend: bool) -> None:
    """Letters, legend below or none, no title: a caption says what it is."""
    from pptx.enum.chart import XL_LEGEND_POSITION
    from pptx.util import Pt

    chart.font.size = Pt(_LETTERS)
    chart.font.name = FONT
    chart.has_title = False
    chart.has_legend = legend
    if legend:
        chart.legend.position = XL_LEGEND_POSITION.BOTTOM
        chart.legend.include_in_layout = False


def style_axis(axis: Any, title: str, *, grid: bool, number_format: str = "General") -> None:
    """Title, ticks and lines of an axis.

    Args:
        axis: Of python-pptx.
        title: Quantity with its unit.
        grid: Whether lines go through the chart at its ticks.
        number_format: Of the numbers, as in Excel.
    """
    from pptx.enum.chart import XL_TICK_MARK
    from pptx.util import Pt

    axis.has_title = True
    axis.axis_title.text_frame.text = one_line(title)
    run = axis.axis_title.text_frame.paragraphs[0].runs[0]
    run.font.bold, run.font.size = False, Pt(_LETTERS)
    axis.major_tick_mark, axis.minor_tick_mark = XL_TICK_MARK.OUTSIDE, XL_TICK_MARK.NONE
    axis.tick_labels.number_format, axis.tick_labels.number_format_is_linked = number_format, False
    colour_line(axis.format.line, AXIS_COLOUR, _LINE)
    axis.has_major_gridlines = grid
    if grid:
        colour_line(axis.major_gridlines.format.line, GRID_COLOUR, _LINE)


def colour_line(line: Any, colour: str, width: float) -> None:
    """A solid line of a width in points."""
    from pptx.dml.color import RGBColor
    from pptx.util import Pt

    line.width = Pt(width)
    line.color.rgb = RGBColor.from_string(colour)


def colour_fill(fill: Any, colour: str, opacity: float = 1.0) -> None:
    """A solid fill; with less than 1, what lies below shows through."""
    from lxml import etree
    from pptx.dml.color import RGBColor

    fill.solid()
    fill.fore_color.rgb = RGBColor.from_string(colour)
    if opacity < 1:
        # python-pptx knows no transparency.
        element = fill._xPr.find(".//{*}srgbClr")
        etree.SubElement(element, element.tag.replace("srgbClr", "alpha")).set("val", str(round(opacity * 100_000)))
