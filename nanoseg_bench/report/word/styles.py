"""Page, letters and styles of the report. All looks are styles, so that a reader changes them in one place."""

from typing import TYPE_CHECKING, Any

from nanoseg_bench.report.charts.style import FONT
from nanoseg_bench.report.word.tables import STYLE

if TYPE_CHECKING:
    from docx.document import Document

TEXT_WIDTH_MM = 170.0
"""Of an A4 page with margins of 20 mm."""

INK, ACCENT, RULE, SHADE = "1F1F1F", "0B3C5D", "7F7F7F", "F2F5F8"
TABLE_TEXT, SMALL_TABLE_TEXT, TABLE_NOTE = "Table Text", "Table Text Small", "Table Note"
NOTE, FIGURE = "Note", "Figure"
_MARGIN_MM = 20


def start_document() -> "Document":
    """An empty document with the report's page and styles."""
    import docx
    from docx.shared import Mm

    document = docx.Document()
    section = document.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    for side in ("left_margin", "right_margin", "top_margin", "bottom_margin"):
        setattr(section, side, Mm(_MARGIN_MM))
    section.header_distance = section.footer_distance = Mm(10)
    _set_language(document)
    _paragraphs(document)
    document.styles.element.append(_table_style())
    _drop_thumbnail(document)
    return document


def _set_language(document: "Document") -> None:
    from docx.oxml.ns import qn

    defaults = document.styles.element.find(qn("w:docDefaults")).find(qn("w:rPrDefault")).find(qn("w:rPr"))
    defaults.find(qn("w:lang")).set(qn("w:val"), "en-GB")


def _paragraphs(document: "Document") -> None:
    from docx.enum.style import WD_STYLE_TYPE
    from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_TAB_ALIGNMENT
    from docx.shared import Mm

    styles = document.styles
    for name, size, before, after in (
        ("Normal", 10.5, 0, 6),
        ("Title", 22, 0, 2),
        ("Subtitle", 12, 0, 10),
        ("Heading 1", 14, 16, 6),
        ("Heading 2", 11.5, 12, 4),
        ("Caption", 9, 4, 10),
        ("Footer", 8.5, 0, 0),
        ("List Bullet", 10.5, 0, 3),
    ):
        _set(styles[name], size, before, after)
    for name, size, around in (
        (TABLE_TEXT, 9.5, 1),
        (SMALL_TABLE_TEXT, 8, 1),
        (NOTE, 10, 2),
        (TABLE_NOTE, 9, 4),
        (FIGURE, 10, 4),
    ):
        style = styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
        style.base_style = styles["Normal"]
        _set(style, size, around, around)
    figure = styles[FIGURE].paragraph_format
    figure.alignment, figure.keep_with_next = WD_ALIGN_PARAGRAPH.CENTER, True
    for name in ("Title", "Heading 1", "Heading 2"):
        _colour(styles[name], ACCENT)
        styles[name].font.bold = True
    _colour(styles["Subtitle"], RULE)
    styles["Subtitle"].font.italic = False
    _colour(styles["Caption"], INK)
    styles["Caption"].font.bold = False
    _without_rule(styles["Title"])
    _box(styles[NOTE])
    tabs = styles["Footer"].paragraph_format.tab_stops
    tabs.clear_all()
    tabs.add_tab_stop(Mm(TEXT_WIDTH_MM), WD_TAB_ALIGNMENT.RIGHT)


def _set(style: Any, size: float, before: float, after: float) -> None:
    from docx.oxml.ns import qn
    from docx.shared import Pt

    style.font.name, style.font.size = FONT, Pt(size)
    fonts = style.element.get_or_add_rPr().find(qn("w:rFonts"))
    # The template's headings take their letters from the theme, which would go before the name.
    for attribute in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
        fonts.attrib.pop(qn(f"w:{attribute}"), None)
    for script in ("cs", "eastAsia"):
        fonts.set(qn(f"w:{script}"), FONT)
    style.paragraph_format.space_before, style.paragraph_format.space_after = Pt(before), Pt(after)
    style.paragraph_format.line_spacing = 1.08


def _colour(style: Any, colour: str) -> None:
    from docx.shared import RGBColor

    style.font.color.rgb = RGBColor.from_string(colour)


def _without_rule(style: Any) -> None:
    from docx.oxml.ns import qn

    properties = style.element.get_or_add_pPr()
    for border in properties.findall(qn("w:pBdr")):
        properties.remove(border)


def _box(style: Any) -> None:
    """A line at the left and a light ground, for what must not be overlooked."""
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    properties = style.element.get_or_add_pPr()
    for xml in (
        f'<w:shd {nsdecls("w")} w:val="clear" w:color="auto" w:fill="FFF4E0"/>',
        f'<w:pBdr {nsdecls("w")}><w:left w:val="single" w:sz="24" w:space="6" w:color="E69F00"/></w:pBdr>',
    ):
        # Both come before the spacing; pBdr before shd.
        properties.insert(0, parse_xml(xml))


def _table_style() -> Any:
    """Lines below head and last row, light bands, bold head: as journals print tables."""
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    rule = f'w:val="single" w:sz="6" w:space="0" w:color="{RULE}"'
    return parse_xml(
        f'<w:style {nsdecls("w")} w:type="table" w:customStyle="1" w:styleId="{STYLE}"><w:name w:val="Nanoseg Table"/>'
        '<w:basedOn w:val="TableNormal"/><w:uiPriority w:val="99"/><w:qFormat/><w:pPr><w:spacing w:before="20" '
        f'w:after="20" w:line="240" w:lineRule="auto"/></w:pPr><w:tblPr><w:tblStyleRowBandSize w:val="1"/>'
        f"<w:tblBorders><w:top {rule}/><w:bottom {rule}/></w:tblBorders>"
        '<w:tblCellMar><w:left w:w="80" w:type="dxa"/><w:right w:w="80" w:type="dxa"/></w:tblCellMar></w:tblPr>'
        f'<w:tblStylePr w:type="firstRow"><w:rPr><w:b/></w:rPr><w:tcPr><w:tcBorders><w:bottom {rule}/></w:tcBorders>'
        '<w:vAlign w:val="bottom"/></w:tcPr></w:tblStylePr><w:tblStylePr w:type="firstCol"><w:rPr><w:b/></w:rPr>'
        f'</w:tblStylePr><w:tblStylePr w:type="band2Horz"><w:tcPr><w:shd w:val="clear" w:color="auto" '
        f'w:fill="{SHADE}"/></w:tcPr></w:tblStylePr></w:style>'
    )


def _drop_thumbnail(document: "Document") -> None:
    """The template's first page, which is not this document's."""
    relations = document.part.package.rels
    for identifier in [each for each, relation in relations.items() if relation.reltype.endswith("/thumbnail")]:
        del relations[identifier]
