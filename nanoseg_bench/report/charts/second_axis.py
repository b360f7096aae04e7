"""Lines over columns, with an axis of their own at the right: python-pptx mixes no kinds of chart, DrawingML does."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from nanoseg_bench.report.charts.native import CHART
from nanoseg_bench.report.charts.style import AXIS_COLOUR
from nanoseg_bench.report.texts import one_line

if TYPE_CHECKING:
    from pptx.chart.chart import Chart

_FIRST_ID = 510001  # of axes; python-pptx numbers its own otherwise
_NAMESPACES = f'xmlns:c="{CHART}" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'


@dataclass(frozen=True, slots=True)
class RightAxis:
    """A value axis at the right.

    Attributes:
        title: Quantity with its unit.
        low: Where it begins; None leaves it to the program.
        high: Where it ends.
        step: Between its ticks.
    """

    title: str
    low: float | None = None
    high: float | None = None
    step: float | None = None


def move_to_line(
    chart: "Chart", position: int, colour: str, *, axis: RightAxis | None = None, smooth: bool = False, dash: str = ""
) -> None:
    """Turn a series of columns into a line over the columns.

    Args:
        chart: Of columns. Call with descending positions: those behind move up.
        position: Of the series among the columns.
        colour: RGB in hexadecimal digits.
        axis: At the right; None for the axis of the columns.
        smooth: Whether the line is rounded.
        dash: DrawingML's name of a dash, such as ``dash``.
    """
    area = chart._chartSpace.find(f".//{{{CHART}}}plotArea")
    columns = area.find(f"{{{CHART}}}barChart")
    series = columns.findall(f"{{{CHART}}}ser")[position]
    if axis is None:
        ids = [each.get("val") for each in columns.findall(f"{{{CHART}}}axId")]
    else:
        ids = [str(_FIRST_ID), str(_FIRST_ID + 1)]
        for element in _axes(ids, axis):
            area.findall(f"{{{CHART}}}valAx")[-1].addnext(element)
    lines = _line_chart(ids)
    _as_line(series, colour, smooth, dash)
    lines.insert(2, series)
    columns.addnext(lines)


def _line_chart(axes: list[str]) -> Any:
    from pptx.oxml import parse_xml

    ids = "".join(f'<c:axId val="{axis}"/>' for axis in axes)
    return parse_xml(
        f'<c:lineChart {_NAMESPACES}><c:grouping val="standard"/><c:varyColors val="0"/><c:marker val="1"/>{ids}'
        "</c:lineChart>"
    )


def _as_line(series: Any, colour: str, smooth: bool, dash: str) -> None:
    """A column's ``c:ser`` as a line's, with the elements in the order of the schema."""
    from pptx.oxml import parse_xml

    for tag in ("spPr", "invertIfNegative"):
        for element in series.findall(f"{{{CHART}}}{tag}"):
            series.remove(element)
    dashes = f'<a:prstDash val="{dash}"/>' if dash else ""
    title = series.find(f"{{{CHART}}}tx")
    title.addnext(parse_xml(f'<c:marker {_NAMESPACES}><c:symbol val="none"/></c:marker>'))
    title.addnext(
        parse_xml(
            f'<c:spPr {_NAMESPACES}><a:ln w="19050" cap="rnd"><a:solidFill><a:srgbClr val="{colour}"/></a:solidFill>'
            f"{dashes}<a:round/></a:ln></c:spPr>"
        )
    )
    series.append(parse_xml(f'<c:smooth {_NAMESPACES} val="{int(smooth)}"/>'))


def _axes(ids: list[str], axis: RightAxis) -> list[Any]:
    """The axis of values, and one of categories under the columns' own, which is not drawn again."""
    from pptx.oxml import parse_xml

    line = f'<c:spPr><a:ln w="9525"><a:solidFill><a:srgbClr val="{AXIS_COLOUR}"/></a:solidFill></a:ln></c:spPr>'
    limits = "".join(
        f'<c:{tag} val="{value:g}"/>' for tag, value in (("max", axis.high), ("min", axis.low)) if value is not None
    )
    step = "" if axis.step is None else f'<c:majorUnit val="{axis.step:g}"/>'
    title = (
        '<c:title><c:tx><c:rich><a:bodyPr rot="-5400000" vert="horz"/><a:p><a:pPr><a:defRPr b="0" sz="900"/></a:pPr>'
        f'<a:r><a:rPr lang="en-GB" b="0" sz="900"/><a:t>{escape(one_line(axis.title))}</a:t></a:r></a:p></c:rich>'
        '</c:tx><c:overlay val="0"/></c:title>'
    )
    values = (
        f'<c:valAx {_NAMESPACES}><c:axId val="{ids[1]}"/><c:scaling><c:orientation val="minMax"/>{limits}</c:scaling>'
        f'<c:delete val="0"/><c:axPos val="r"/>{title}<c:numFmt formatCode="General" sourceLinked="0"/>'
        '<c:majorTickMark val="out"/><c:minorTickMark val="none"/><c:tickLblPos val="nextTo"/>'
        f'{line}<c:crossAx val="{ids[0]}"/><c:crosses val="max"/><c:crossBetween val="between"/>{step}</c:valAx>'
    )
    categories = (
        f'<c:catAx {_NAMESPACES}><c:axId val="{ids[0]}"/><c:scaling><c:orientation val="minMax"/></c:scaling>'
        '<c:delete val="1"/><c:axPos val="b"/><c:numFmt formatCode="General" sourceLinked="0"/><c:majorTickMark '
        f'val="none"/><c:minorTickMark val="none"/><c:tickLblPos val="nextTo"/><c:crossAx val="{ids[1]}"/>'
        '<c:crosses val="autoZero"/><c:auto val="1"/><c:lblAlgn val="ctr"/><c:lblOffset val="100"/>'
        '<c:noMultiLvlLbl val="0"/></c:catAx>'
    )
    return [parse_xml(categories), parse_xml(values)]
