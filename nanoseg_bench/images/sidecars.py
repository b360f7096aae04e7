"""What scanning microscopes write into a text file beside an image, and not into the image: scale, voltage, date.

JEOL's ``a.txt`` has lines such as ``$$SM_MICRON_BAR 180`` and ``$$SM_MICRON_MARKER 1um``, Hitachi's ``a.txt`` a section
``[SemImageFile]`` with ``PixelSize=`` in nm, TESCAN's ``a-tif.hdr`` or ``a.hdr`` a section ``[MAIN]`` with
``PixelSizeX=`` in m.
"""

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.images.acquisition import (
    Acquisition,
    joined_text,
    kilovolts,
    one_line,
    sourced,
    tescan_acquisition,
)
from nanoseg_bench.images.named_values import leading_number, named_values, plain_text
from nanoseg_bench.images.scale import Scale, nm_per_unit, square_scale, tescan_extent

MOST_TEXT_BYTES = 2**20
"""Of a text that is looked at; those of microscopes have a few thousand."""

_TEXT_SUFFIXES = (".txt", ".TXT", ".Txt")
_HEADER_SUFFIXES = (".hdr", ".HDR", ".Hdr")

_JEOL_LINE = re.compile(r"^\$+([A-Z]+_\w+)[ \t]+(\S.*)$", re.MULTILINE)
_MARKER = re.compile(r"([\d.]+)[ \t]*([^\d. \t]\D*)")


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What a text beside an image says.

    Attributes:
        acquisition: How the image was taken.
        scale: The extent of its pixels; None where the text says none.
        width: Columns that the microscope stored; None where the text does not say. The scale is that of an image of
            this width: one that was resized since has another.
    """

    acquisition: Acquisition
    scale: Scale | None
    width: int | None

    def scale_at(self, width: int) -> Scale | None:
        """The scale, where an image of ``width`` columns is as the microscope stored it."""
        return self.scale if self.width in (None, width) else None


def read_sidecar(path: Path) -> Sidecar | None:
    """The text that a microscope put beside an image; None where there is none, or it is of something else.

    Args:
        path: Of the image.
    """
    for beside in _beside(path):
        text = _read(beside)
        for understand in (_jeol, _hitachi, _tescan):
            found = understand(text)
            if found is not None:
                return found
    return None


def ending_beside(text: str, image: str) -> str | None:
    """What a text's name has after the stem of an image, where a microscope calls its text so; None for another file.

    Args:
        text: File name, with its folder.
        image: The same of an image.

    Returns:
        ``.txt``, ``.hdr`` or ``-tif.hdr``, in small letters: names that differ in capitals alone are one to the
        microscope's computer.
    """
    stem, _, suffix = image.lower().rpartition(".")
    endings = {f"{stem}{each}": each for each in (".txt", ".hdr", f"-{suffix}.hdr")}
    return endings.get(text.lower())


def _beside(path: Path) -> Iterator[Path]:
    for suffix in (*_TEXT_SUFFIXES, *_HEADER_SUFFIXES):
        if path.suffix != suffix:
            yield path.with_suffix(suffix)
    for suffix in _HEADER_SUFFIXES:
        yield path.with_name(f"{path.stem}-{path.suffix[1:]}{suffix}")


def _read(path: Path) -> str:
    """Empty where it cannot be read. Of the operator's language, which nothing tells, only ASCII stays."""
    try:
        if path.stat().st_size > MOST_TEXT_BYTES:
            return ""
        data = path.read_bytes()
    except OSError:
        return ""
    unicode = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return plain_text(data, "utf-16" if unicode else "ascii")


def _jeol(text: str) -> Sidecar | None:
    stated = dict(_JEOL_LINE.findall(text))
    if not any(name.startswith("CM_") for name in stated):
        return None
    acquisition = Acquisition(
        instrument=one_line(stated.get("CM_INSTRUMENT")),
        voltage_kv=kilovolts(stated.get("CM_ACCEL_VOLT")),
        taken=joined_text(stated.get("CM_DATE"), stated.get("CM_TIME")),
    )
    bar, marker = leading_number(stated.get("SM_MICRON_BAR")), _MARKER.fullmatch(stated.get("SM_MICRON_MARKER", ""))
    length, unit = (None, None) if marker is None else (leading_number(marker[1]), nm_per_unit(marker[2]))
    nm_per_px = length * unit / bar if bar and length and unit else None
    return _sidecar("jeol", acquisition, (nm_per_px, None), stated.get("CM_FULL_SIZE"))


def _hitachi(text: str) -> Sidecar | None:
    stated = _ini(text, "SemImageFile")
    if stated is None:
        return None
    acquisition = Acquisition(
        instrument=one_line(stated.get("InstructName")),  # so it is spelt
        voltage_kv=kilovolts(leading_number(stated.get("AcceleratingVoltage")), factor=1e-3),
        taken=joined_text(stated.get("Date"), stated.get("Time")),
    )
    return _sidecar("hitachi", acquisition, (leading_number(stated.get("PixelSize")), None), stated.get("DataSize"))


def _tescan(text: str) -> Sidecar | None:
    stated = _ini(text, "MAIN")
    if stated is None or "PixelSizeX" not in stated:
        return None
    return _sidecar("tescan", tescan_acquisition(stated), tescan_extent(stated), None)


def _sidecar(
    maker: str, acquisition: Acquisition, nm_per_px: tuple[float | None, float | None], size: str | None
) -> Sidecar:
    width = leading_number(size)
    scale = square_scale(*nm_per_px, f"{maker}, in the text beside it")
    return Sidecar(sourced(acquisition, f"the text file beside it ({maker})"), scale, int(width) if width else None)


def _ini(text: str, section: str) -> Mapping[str, str] | None:
    """Lines of an INI file by their names; None where it has no such section."""
    return named_values(text) if f"[{section}]" in text else None
