"""The scale of a micrograph, from what the microscope or ImageJ wrote into its TIFF."""

import html
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nanoseg_bench.images.named_values import leading_number, named_values
from nanoseg_bench.images.tiff_tags import FEI_HELIOS, FEI_SFEG, FEI_TITAN, TESCAN, ZEISS, tag_text
from nanoseg_bench.wording import counted

if TYPE_CHECKING:
    import tifffile

# Keys as ``plain_unit`` gives them; the full names in small letters and the singular.
_NM_PER = {
    "pm": 1e-3,
    "picometer": 1e-3,
    "picometre": 1e-3,
    "Å": 0.1,
    "å": 0.1,
    "A": 0.1,
    "ang": 0.1,
    "angstrom": 0.1,
    "ångström": 0.1,
    "ångstrom": 0.1,
    "angström": 0.1,
    "nm": 1.0,
    "nanometer": 1.0,
    "nanometre": 1.0,
    "um": 1e3,
    "\N{GREEK SMALL LETTER MU}m": 1e3,
    "micron": 1e3,
    "micrometer": 1e3,
    "micrometre": 1e3,
    "mm": 1e6,
    "millimeter": 1e6,
    "millimetre": 1e6,
    "m": 1e9,
    "meter": 1e9,
    "metre": 1e9,
}
# Units of print, which ImageJ takes over from the resolution of a page, and words for none.
_WITHOUT_LENGTH = frozenset(
    (
        *("inch", "inches", "in", "cm", "centimeter", "centimetre", "dpi", "pixel", "pixels", "px"),
        "",
        "none",
        "undefined",
    )
)
_ESCAPE = re.compile(r"(?<!\\)\\+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))")
_LARGEST_DIFFERENCE = 0.01  # between the two axes of a pixel that is taken for a square

PLAUSIBLE_NM_PER_PX = (1e-4, 1e6)
"""From a tenth of the finest TEM sampling to a millimetre per pixel: what lies outside is in another unit."""

_UNITS_SHOWN = 3

_X_RESOLUTION, _Y_RESOLUTION = 282, 283
_OLYMPUS_INI, _OLYMPUS_SIS, _TVIPS = 33471, 33560, 37706

# A text may be as long as its file: none of these goes through the same signs twice, whatever stands there.
_FEI_EXTENT = re.compile(r"""<([XY])\s([^<>]*)>([^<]*)</\1>""")
_OME_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b([^<>]*)>")
_XML_ATTRIBUTE = re.compile(r"""(?<![\w:])([\w:]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


@dataclass(frozen=True, slots=True)
class Scale:
    """What a file states about the extent of its pixels.

    Attributes:
        nm_per_px: Nanometres per pixel; None where pixels are not square, so that no single scale holds.
        source: Who says so: ``imagej``, ``fei``, ``zeiss``, ``tescan``, ``ome``, ``sis``, ``tvips``, ``dm``,
            ``emd``.
        uneven_nm: Nanometres per pixel along a row and along a column, where pixels are not square.
        unknown_unit: The unit that the extent is stated in, where it is not understood; there is no scale then.
    """

    nm_per_px: float | None
    source: str
    uneven_nm: tuple[float, float] | None = None
    unknown_unit: str | None = None


def nm_per_unit(unit: str) -> float | None:
    """Nanometres per unit of length, None for what is none or is a unit of print (inch, cm)."""
    name = plain_unit(unit)
    return _NM_PER.get(name) or _NM_PER.get(name.lower().removesuffix("s"))


def unknown_unit(unit: str) -> str | None:
    """The unit itself where it is not understood; None where it is, or is one of print, or there is none."""
    name = plain_unit(unit)
    known = nm_per_unit(name) is not None or name.lower().strip("<>") in _WITHOUT_LENGTH
    return None if known else name


def plain_unit(unit: str) -> str:
    r"""A unit as one character per sign, whoever wrote it.

    ImageJ writes what is not ASCII as Java does (``\u00B5m``, ``\u03BCm``, ``\u00C5``), XML as ``&#181;m``; UTF-8 that
    was read as Latin-1 or Windows-1252 is ``Âµm``. There are two signs for micro and two for ångström.
    """
    name = _ESCAPE.sub(lambda match: chr(int(match[1] or match[2], 16)), html.unescape(unit)).replace("\0", "")
    for misread in ("latin-1", "cp1252"):
        if not name.isascii():
            try:
                name = name.encode(misread).decode("utf-8")
            except UnicodeError:
                continue
    return unicodedata.normalize("NFKC", name).strip()


def square_scale(x: float | None, y: float | None, source: str) -> Scale | None:
    """The scale from the nm per pixel of both axes; None where there is none.

    Args:
        x: nm per pixel along a row.
        y: nm per pixel along a column; None where only one is known.
        source: Who says so.
    """
    if x is None or not math.isfinite(x) or x <= 0:
        return None
    if y is not None and math.isfinite(y) and y > 0 and abs(x - y) > _LARGEST_DIFFERENCE * max(x, y):
        return Scale(None, source, (float(x), float(y)))
    return Scale(float(x), source)


def stated_scale(x: tuple[Any, str] | None, y: tuple[Any, str] | None, source: str) -> Scale | None:
    """The scale from the extents of a pixel in units of length; None where there is none.

    Args:
        x: (extent along a row, its unit); None where the file is silent.
        y: The same along a column.
        source: Who says so.
    """
    unit = None if x is None else unknown_unit(x[1])
    return Scale(None, source, unknown_unit=unit) if unit else square_scale(_in_nm(x), _in_nm(y), source)


def warn_of_uneven_pixels(images: Sequence[tuple[str, tuple[float, float]]]) -> list[str]:
    """One sentence on all images whose pixels are not square; nothing where there is none.

    Args:
        images: Name and ``uneven_nm`` of each; the first one is told.
    """
    if not images:
        return []
    name, (x, y) = images[0]
    number = counted(len(images), "image")
    return [
        f"pixels are not square in {number} (the first is {name}, {x:g} × {y:g} nm), so no single scale is taken from "
        "the file; resample the image, or give its scale yourself (--scale-csv of prepare)"
    ]


def warn_of_unknown_units(images: Sequence[tuple[str, str]]) -> list[str]:
    """One sentence on all images whose scale is stated in a unit that is not understood; nothing where there is none.

    Args:
        images: Name and ``unknown_unit`` of each; the first one of each unit is told.
    """
    if not images:
        return []
    first: dict[str, str] = {}
    for name, unit in images:
        first.setdefault(unit, name)
    units = ", ".join(f"{unit!r} (the first is {name})" for unit, name in list(first.items())[:_UNITS_SHOWN])
    return [
        f"{counted(len(images), 'image')} without a scale, since its unit is not understood: {units}; give the scale "
        "yourself (--scale-csv of prepare)"
    ]


def tiff_scale(page: "tifffile.TiffPage") -> Scale | None:
    """The scale that a page's own tags tell; a plain print resolution (dpi) is none.

    A scale that one program wrote goes before unequal ones of another, and before one in a unit that is not understood.
    """
    uneven = unknown = None
    for find in (_fei, _fei_xml, _zeiss, _tescan, _sis, _tvips, _ome, _imagej):
        try:
            found = find(page)
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError, ZeroDivisionError):
            # Tags of other programs that only look alike: no scale, and no reason to refuse the image.
            found = None
        if found is not None and found.nm_per_px is not None:
            return found
        if found is not None and found.uneven_nm is not None:
            uneven = uneven or found
        unknown = unknown or found
    return uneven or unknown


def _fei(page: "tifffile.TiffPage") -> Scale | None:
    for code in (FEI_SFEG, FEI_HELIOS):
        sections = page.tags.valueof(code)
        if not isinstance(sections, Mapping):
            continue
        for name in ("Scan", "EScan", "IScan", "SScan"):
            scan = sections.get(name, {})
            if "PixelWidth" in scan:
                return square_scale(_metres(scan["PixelWidth"]), _metres(scan.get("PixelHeight")), "fei")
    return None


def _fei_xml(page: "tifffile.TiffPage") -> Scale | None:
    """Newer programs: ``<PixelSize><X unit="m" unitPrefixPower="1">2.5e-09</X>``, the power being a factor of 1."""
    _, _, behind = tag_text(page, FEI_TITAN, "utf-8").partition("<PixelSize>")
    stated, end, _ = behind.partition("</PixelSize>")
    extents: dict[str, tuple[str, str]] = {}
    for axis, written, size in _FEI_EXTENT.findall(stated if end else ""):
        attributes = dict(_attributes(written))
        if attributes.get("unitPrefixPower", "1") == "1":
            extents[axis] = (size, attributes.get("unit", ""))
    return stated_scale(extents.get("X"), extents.get("Y"), "fei")


def _zeiss(page: "tifffile.TiffPage") -> Scale | None:
    values = page.tags.valueof(ZEISS)
    if not isinstance(values, Mapping):
        return None
    # Not AP_PIXEL_SIZE, which is that of the screen.
    _, size, unit, *_ = values["ap_image_pixel_size"]  # ("Image Pixel Size", 2.5, "nm")
    return stated_scale((size, unit), None, "zeiss")


def _tescan(page: "tifffile.TiffPage") -> Scale | None:
    return square_scale(*tescan_extent(named_values(tag_text(page, TESCAN))), "tescan")


def tescan_extent(stated: Mapping[str, str]) -> tuple[float | None, float | None]:
    """Extent along a row and a column in nm, where TESCAN's programs wrote ``PixelSizeX=2.5e-9``, in metres."""
    x, y = (leading_number(stated.get(f"PixelSize{axis}")) for axis in "XY")
    return None if x is None else x * 1e9, None if y is None else y * 1e9


def _sis(page: "tifffile.TiffPage") -> Scale | None:
    for code in (_OLYMPUS_INI, _OLYMPUS_SIS):
        values = page.tags.valueof(code)
        if isinstance(values, Mapping) and "pixelsizex" in values:
            return square_scale(_metres(values["pixelsizex"]), _metres(values.get("pixelsizey")), "sis")
    return None


def _tvips(page: "tifffile.TiffPage") -> Scale | None:
    values = page.tags.valueof(_TVIPS)
    if not isinstance(values, Mapping) or values.get("Version") != 2:
        return None
    return square_scale(float(values["PixelSizeX"]), float(values["PixelSizeY"]), "tvips")


def _ome(page: "tifffile.TiffPage") -> Scale | None:
    if "<OME" not in page.description and ":OME" not in page.description:
        return None
    for match in _OME_PIXELS.finditer(page.description):
        attributes = dict(_attributes(match[1]))
        if (attributes.get("SizeX"), attributes.get("SizeY")) == (str(page.imagewidth), str(page.imagelength)):
            x, y = (
                (attributes[f"PhysicalSize{axis}"], attributes.get(f"PhysicalSize{axis}Unit", "µm"))
                if f"PhysicalSize{axis}" in attributes
                else None
                for axis in "XY"
            )
            return stated_scale(x, y, "ome")
    return None


def _imagej(page: "tifffile.TiffPage") -> Scale | None:
    if not page.description.startswith("ImageJ="):
        return None
    values = dict(line.split("=", 1) for line in page.description.splitlines() if "=" in line)
    unit = values.get("unit", "")
    x, y = (
        (1 / pixels_per_unit, unit) if pixels_per_unit else None
        for pixels_per_unit in (_ratio(page.tags.valueof(_X_RESOLUTION)), _ratio(page.tags.valueof(_Y_RESOLUTION)))
    )
    return stated_scale(x, y if values.get("yunit", unit) == unit else None, "imagej")


def _attributes(text: str) -> Iterator[tuple[str, str]]:
    for name, double, single in _XML_ATTRIBUTE.findall(text):
        yield name, html.unescape(double or single)


def _ratio(value: Any) -> float | None:
    if value is None:
        return None
    numerator, denominator = value
    return float(numerator / denominator) if denominator else None


def _in_nm(stated: tuple[Any, str] | None) -> float | None:
    factor = None if stated is None else nm_per_unit(stated[1])
    return None if stated is None or factor is None else float(stated[0]) * factor


def _metres(size: Any) -> float | None:
    return None if size is None else float(size) * 1e9
