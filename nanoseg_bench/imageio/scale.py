"""The scale of a micrograph, from what the microscope or ImageJ wrote into its TIFF."""

import html
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nanoseg_bench.wording import counted

if TYPE_CHECKING:
    import tifffile

_NM_PER = {
    "pm": 1e-3,
    "Å": 0.1,
    "A": 0.1,
    "angstrom": 0.1,
    "ångström": 0.1,
    "nm": 1.0,
    "nanometer": 1.0,
    "nanometre": 1.0,
    "um": 1e3,
    "µm": 1e3,
    "micron": 1e3,
    "micrometer": 1e3,
    "micrometre": 1e3,
    "mm": 1e6,
    "m": 1e9,
}
_LARGEST_DIFFERENCE = 0.01  # between the two axes of a pixel that is taken for a square

_X_RESOLUTION, _Y_RESOLUTION = 282, 283
_OLYMPUS_INI, _OLYMPUS_SIS, _ZEISS, _FEI_SFEG, _FEI_HELIOS, _TVIPS = 33471, 33560, 34118, 34680, 34682, 37706

_OME_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b([^>]*)>")
_XML_ATTRIBUTE = re.compile(r"""([\w:]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


@dataclass(frozen=True, slots=True)
class Scale:
    """What a file states about the extent of its pixels.

    Attributes:
        nm_per_px: Nanometres per pixel; None where pixels are not square, so that no single scale holds.
        source: Who says so: ``imagej``, ``fei``, ``zeiss``, ``ome``, ``sis``, ``tvips``, ``dm``, ``emd``.
        uneven_nm: Nanometres per pixel along a row and along a column, where pixels are not square.
    """

    nm_per_px: float | None
    source: str
    uneven_nm: tuple[float, float] | None = None


def nm_per_unit(unit: str) -> float | None:
    """Nanometres per unit of length, None for what is none or is a unit of print (inch, cm).

    ImageJ writes "inch" and "cm" where it found a print resolution, and the micro sign as an escape.
    """
    name = unit.strip().rstrip("\0").replace("\\u00B5", "µ").replace("μ", "µ")
    return _NM_PER.get(name) or _NM_PER.get(name.lower().removesuffix("s"))


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


def tiff_scale(page: "tifffile.TiffPage") -> Scale | None:
    """The scale that a page's own tags tell; a plain print resolution (dpi) is none.

    A scale that one program wrote goes before unequal ones of another.
    """
    uneven = None
    for find in (_fei, _zeiss, _sis, _tvips, _ome, _imagej):
        try:
            found = find(page)
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError, ZeroDivisionError):
            # Tags of other programs that only look alike: no scale, and no reason to refuse the image.
            found = None
        if found is not None and found.nm_per_px is not None:
            return found
        uneven = uneven or found
    return uneven


def _fei(page: "tifffile.TiffPage") -> Scale | None:
    for code in (_FEI_SFEG, _FEI_HELIOS):
        sections = page.tags.valueof(code)
        if not isinstance(sections, Mapping):
            continue
        for name in ("Scan", "EScan", "IScan", "SScan"):
            scan = sections.get(name, {})
            if "PixelWidth" in scan:
                return square_scale(_metres(scan["PixelWidth"]), _metres(scan.get("PixelHeight")), "fei")
    return None


def _zeiss(page: "tifffile.TiffPage") -> Scale | None:
    values = page.tags.valueof(_ZEISS)
    if not isinstance(values, Mapping):
        return None
    # Not AP_PIXEL_SIZE, which is that of the screen.
    _, size, unit, *_ = values["ap_image_pixel_size"]  # ("Image Pixel Size", 2.5, "nm")
    return square_scale(_in_nm(size, unit), None, "zeiss")


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
                _in_nm(attributes[f"PhysicalSize{axis}"], attributes.get(f"PhysicalSize{axis}Unit", "µm"))
                if f"PhysicalSize{axis}" in attributes
                else None
                for axis in "XY"
            )
            return square_scale(x, y, "ome")
    return None


def _imagej(page: "tifffile.TiffPage") -> Scale | None:
    if not page.description.startswith("ImageJ="):
        return None
    values = dict(line.split("=", 1) for line in page.description.splitlines() if "=" in line)
    unit = values.get("unit", "")
    x, y = (
        _in_nm(1 / pixels_per_unit, unit) if pixels_per_unit else None
        for pixels_per_unit in (_ratio(page.tags.valueof(_X_RESOLUTION)), _ratio(page.tags.valueof(_Y_RESOLUTION)))
    )
    return square_scale(x, y if values.get("yunit", unit) == unit else None, "imagej")


def _attributes(text: str) -> Iterator[tuple[str, str]]:
    for name, double, single in _XML_ATTRIBUTE.findall(text):
        yield name, html.unescape(double or single)


def _ratio(value: Any) -> float | None:
    if value is None:
        return None
    numerator, denominator = value
    return float(numerator / denominator) if denominator else None


def _in_nm(size: Any, unit: str) -> float | None:
    factor = nm_per_unit(unit)
    return None if factor is None else float(size) * factor


def _metres(size: Any) -> float | None:
    return None if size is None else float(size) * 1e9
