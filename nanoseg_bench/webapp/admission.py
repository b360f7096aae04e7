"""Which files are taken as micrographs: looked at by their headers, before anything is decoded."""

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import tifffile

from nanoseg_bench.errors import ImageError
from nanoseg_bench.images import IMAGE_SUFFIXES, image_size
from nanoseg_bench.images.sidecars import MOST_TEXT_BYTES
from nanoseg_bench.report.texts import one_line
from nanoseg_bench.webapp.errors import RequestError
from nanoseg_bench.webapp.settings import Limits
from nanoseg_bench.wording import counted

MICROSCOPE_SUFFIXES = (".dm3", ".dm4", ".emd")
"""Formats whose reader loads much and reads far: the worker alone looks into them, which can be stopped."""

_LONGEST_NAME = 200
_BLOCK = 2**20


def display_name(given: str | None) -> str:
    """What an upload is called: its file name, with the folder that was dropped; safe to show and to write anywhere.

    Control characters and those that turn the direction of writing are taken out, ``..`` and drive letters too, and a
    name is at most 200 characters long. Nothing on the disk is ever called so.
    """
    line = one_line(given or "").replace("\\", "/")
    # Cc, Cf, Cs, Co, Cn: controls, marks of direction, halves of pairs, private and unassigned characters.
    visible = "".join(sign for sign in line if unicodedata.category(sign)[0] != "C")
    parts = [part.strip() for part in visible.split("/")]
    kept = [part for part in parts if part not in ("", ".", "..") and not re.fullmatch("[A-Za-z]:", part)]
    name = "/".join(kept) or "micrograph"
    return name if len(name) <= _LONGEST_NAME else f"…{name[1 - _LONGEST_NAME :]}"


def suffix_of(name: str) -> str:
    """The ending that says how a file is read.

    Raises:
        RequestError: It is none of a micrograph.
    """
    suffix = Path(name).suffix.lower()
    if is_text(name):
        raise RequestError(
            "a text; that of a microscope is taken together with its image, and is called like it: add both at once, "
            "and delete the image that is here without it",
            415,
        )
    if suffix == ".zip":
        raise RequestError("an archive; unpack it, and add the PNG, TIFF or other images that are in it", 415)
    if suffix not in IMAGE_SUFFIXES:
        known = ", ".join(each.lstrip(".").upper() for each in (".png", ".jpg", ".tif", ".bmp", ".webp"))
        raise RequestError(
            f"not a micrograph that is read here: {suffix or 'its name has no ending'}; save it as {known}, or upload "
            f"the file of the microscope ({', '.join(each.lstrip('.').upper() for each in MICROSCOPE_SUFFIXES)})",
            415,
        )
    return suffix


def is_text(name: str) -> bool:
    """Whether a file may be what a microscope writes beside an image."""
    return name.lower().endswith((".txt", ".hdr"))


def keep_texts(texts: Mapping[str, BinaryIO], image: Path) -> None:
    """Lay the texts of a microscope beside an image, where whoever reads the image looks for them.

    Args:
        texts: By what their names have after the stem of the image. What is too long for one is left out.
        image: Where the image lies.
    """
    for ending, text in texts.items():
        text.seek(0)  # it may have been kept with an image of the same name before
        data = text.read(MOST_TEXT_BYTES + 1)
        if len(data) <= MOST_TEXT_BYTES:
            image.with_name(f"{image.stem}{ending}").write_bytes(data)


def copy_limited(source: BinaryIO, target: Path, most: int) -> None:
    """Write what is uploaded, and stop when it is too much.

    Raises:
        RequestError: It has more than ``most`` bytes, or none.
    """
    written = 0
    with target.open("wb") as file:
        while block := source.read(_BLOCK):
            written += len(block)
            if written > most:
                raise RequestError(f"larger than {most / 2**20:.0f} MB; save it without layers, or cut it", 413)
            file.write(block)
    if not written:
        raise RequestError("an empty file; copy it again from the microscope", 422)


def require_readable(path: Path, name: str, limits: Limits) -> None:
    """Refuse what is no image or larger than is taken, by its headers alone.

    Args:
        path: The file.
        name: That the user knows it by, for messages.
        limits: Pixels, and pages of a TIFF.

    Raises:
        RequestError: It is refused; the sentence says why, without a path.
    """
    _require_few_pages(path, limits.pages)
    try:
        width, height = image_size(path)
    except ImageError as error:
        raise RequestError(without_path(str(error), path, name), 422) from error
    if width * height > limits.pixels:
        raise RequestError(
            f"{width} × {height} pixels, more than the {limits.pixels / 1e6:.0f} million that are taken; cut it into "
            "fields, or save it smaller",
            413,
        )


def without_path(message: str, path: Path, name: str) -> str:
    """An error's sentence for the user, who knows the file by its name and not by where it lies here."""
    # All at once: the name may hold what the file is called here.
    places = "|".join(map(re.escape, (str(path), str(path.parent), path.name)))
    sentence = re.sub(places, lambda found: "" if found[0] == str(path.parent) else name, message)
    return sentence.removeprefix(f"{name}: ")


def _require_few_pages(path: Path, most: int) -> None:
    """Refuse a TIFF with more pages than anybody means, before all of them are looked at."""
    try:
        tiff = tifffile.TiffFile(path)
    except Exception:  # tifffile lets through whatever a broken file leads to
        return  # no TIFF, or a broken one: ``image_size`` says so
    with tiff:
        try:
            tiff.pages.get(most)  # the chain of pages is read no further than this
        except IndexError:
            return
        except Exception as error:  # there is such a page, whatever is in it
            raise _too_many_pages(most) from error
    raise _too_many_pages(most)


def _too_many_pages(most: int) -> RequestError:
    return RequestError(f"a stack of more than {counted(most, 'page')}; save the image itself", 413)
