"""Images that another tool's file names: found where people put them, and checked to be what was annotated."""

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from nanoseg_bench.annotations.errors import ImageMismatchError
from nanoseg_bench.annotations.json_values import is_storable
from nanoseg_bench.files import broken_link
from nanoseg_bench.images import IMAGE_SUFFIXES, UNREAD_SUFFIXES, image_orientation, image_size
from nanoseg_bench.wording import shortened

_ROBOFLOW = re.compile(r"_(?:jpe?g|png|bmp|webp|tiff?)\.rf\.\w+$", re.IGNORECASE)
_SHOWN = 3
_FOLDERS_KEPT = 64


@dataclass(frozen=True, slots=True)
class ImageFile:
    """Where the image is that a file names.

    Attributes:
        name: The future ``Micrograph.name``.
        path: The image; None when it was not found.
        fault: Why there is no path, or why it must not be used; empty when all is well.
    """

    name: str
    path: Path | None
    fault: str = ""


class ImageFinder:
    """Looks for images by the names that annotation tools write: relative, absolute, of another machine, or a URL.

    Args:
        folders: Where to look, in this order. In each, the name as it stands is tried; then its last part in each.
        below: Where to look last, for the last part at any depth; it must then be unique. These are folders that the
            user gave: one that a file names may be the root of the disk.
    """

    def __init__(self, folders: Iterable[Path], below: Iterable[Path] = ()) -> None:
        self._folders = [folder for folder in dict.fromkeys(folders) if _is_folder(folder)]
        self._below = tuple(dict.fromkeys(below))

    def find(self, file_name: str) -> ImageFile:
        """Look for one image."""
        relative = clean_path(file_name)
        if not relative.name or not is_storable(file_name):
            return ImageFile(ascii(file_name), None, f"{file_name!a} is no name of an image")
        name = without_suffix(_inside(relative).as_posix())
        candidates = self._candidates(file_name, relative)
        for folder, candidate in candidates:
            found = find_file(folder, candidate)
            if found is not None and found.suffix.lower() not in UNREAD_SUFFIXES:
                return ImageFile(name, found)
        namesakes = self._by_name.get(_comparable(relative.name), [])
        if len(namesakes) == 1:
            return ImageFile(name, namesakes[0])
        if namesakes:
            shown = shortened([str(path) for path in namesakes], _SHOWN)
            fault = f"{relative.name!r} is there {len(namesakes)} times ({shown}); give the folder that is meant"
            return ImageFile(name, None, fault)
        unusable = next((text for place in candidates if (text := unusable_image(*place))), "")
        if unusable:
            return ImageFile(name, None, f"its image {unusable}")
        places = ", ".join(str(folder) for folder in self._folders)
        remote = "is remote; download it" if "://" in file_name else "is not found; put it"
        return ImageFile(name, None, f"its image {file_name!r} {remote} into one of {places}, or give its folder")

    def find_all(self, file_names: Sequence[str]) -> list[ImageFile]:
        """Look for images; those that two names lead to, and those that would have one name, get a fault."""
        found = [self.find(file_name) for file_name in file_names]
        by_path: dict[Path | str, list[int]] = {}
        for position, image in enumerate(found):
            by_path.setdefault(image.name, []).append(position)
            if image.path is not None:
                by_path.setdefault(Path(os.path.realpath(image.path)), []).append(position)
        for what, positions in by_path.items():
            if len(positions) == 1:
                continue
            names = shortened([ascii(file_names[position]) for position in positions], _SHOWN)
            why = f"{names} are one and the same image" if isinstance(what, Path) else f"{names} would have one name"
            for position in positions:
                image = found[position]
                if not image.fault:
                    found[position] = ImageFile(image.name, image.path, f"{why}; keep one of them or rename")
        return found

    def _candidates(self, file_name: str, relative: PurePosixPath) -> list[tuple[Path, str]]:
        """Folders, and the name to look for in each."""
        candidates = [] if relative.is_absolute() else [(folder, str(relative)) for folder in self._folders]
        candidates += [(folder, relative.name) for folder in self._folders]
        if "%" in relative.name:
            candidates += [(folder, unquote(relative.name)) for folder in self._folders]
        if relative.is_absolute():
            candidates.append((Path(file_name).parent, Path(file_name).name))
        return candidates

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        files: dict[str, dict[Path, None]] = {}
        for top in self._below:
            for folder, inner, names in os.walk(top):
                inner[:] = sorted(name for name in inner if not name.startswith("."))
                for name in sorted(names):
                    if name.lower().endswith(IMAGE_SUFFIXES):
                        path = os.path.realpath(os.path.join(folder, name))  # noqa: PTH118, there may be many
                        if os.path.isfile(path):  # noqa: PTH113, a link may lead nowhere
                            files.setdefault(_comparable(name), {})[Path(path)] = None
        return {name: list(paths) for name, paths in files.items()}


def find_file(folder: Path, relative: str) -> Path | None:
    """The file of a name below a folder; also where only the Unicode form of a character differs.

    macOS and its archives write an accent as a sign of its own, most tools write the letter as one character.

    Args:
        folder: Where to look.
        relative: A name or path below it, with ``/``.
    """
    found = folder / relative
    if os.path.isfile(found):  # noqa: PTH113 - Path.is_file raises on a name that is too long
        return found
    other = find_other_form(folder, relative)
    return other if other is not None and other.is_file() else None


def find_other_form(folder: Path, relative: str) -> Path | None:
    """What has that name below a folder, but for the Unicode form of its characters; None where nothing has."""
    if relative.isascii() or PurePosixPath(relative).is_absolute():
        return None
    place = folder
    for part in PurePosixPath(relative).parts:
        name = part if part == ".." else _names_in(place).get(composed(part))
        if name is None:
            return None
        place = place / name
    return place


def unusable_image(folder: Path, name: str) -> str:
    """Why the image of a name, or one of that name but for its suffix, is there and cannot be read; empty otherwise."""
    if not name:
        return ""
    stem = without_suffix(name)
    for candidate in (name, *(stem + suffix for suffix in (*IMAGE_SUFFIXES, *UNREAD_SUFFIXES))):
        path = folder / candidate
        link = broken_link(path)
        if link:
            return f"{path} is {link}"
        if path.suffix.lower() in UNREAD_SUFFIXES and os.path.isfile(path):  # noqa: PTH113, as above
            return f"{path} is of a format that is not read; save it as one that is ({', '.join(IMAGE_SUFFIXES)})"
    return ""


def same_name(first: str, second: str) -> bool:
    """Whether two file names differ in case and Unicode form at most."""
    return _comparable(first) == _comparable(second)


def clean_path(file_name: str) -> PurePosixPath:
    r"""The path in a file name: ``a\b.png``, ``C:\x\b.png``, ``http://host/data/local-files/?d=a/b.png``."""
    if "://" in file_name or file_name.startswith("/data/local-files/"):
        try:
            parts = urlsplit(file_name)
        except ValueError:
            return PurePosixPath("")
        local = parse_qs(parts.query).get("d", [""])[0]
        return PurePosixPath(local or unquote(parts.path))
    posix = file_name.replace("\\", "/")
    return PurePosixPath(posix[2:] if posix[1:3] == ":/" else posix)


def without_suffix(name: str) -> str:
    """A name without its image suffix; other dots stay (``b.v2``)."""
    suffix = next((suffix for suffix in IMAGE_SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def original_name(name: str) -> str:
    """The name of the image that one was made from: Roboflow hands out several altered versions of each image.

    Args:
        name: Without suffix: ``train/a_png.rf.0123abcd``, which becomes ``train/a``; any other stays as it is.
    """
    return _ROBOFLOW.sub("", name)


def checked_size(path: Path, stated: tuple[int, int] | None, where: str) -> tuple[int, int]:
    """(width, height) of an image, which must be what the annotations were made on.

    Some tools draw on the image as EXIF turns it, some on the pixels as stored. Where the stated size does not tell
    which, nothing can be trusted.

    Args:
        path: The image.
        stated: The size that the annotation file states; None where it states none.
        where: File and image, for messages.

    Raises:
        ImageError: The image cannot be read.
        AnnotationError: The sizes differ, or EXIF turns the image and it is not clear what was annotated.
    """
    size: tuple[int, int] = image_size(path)
    orientation = image_orientation(path)
    if orientation != 1 and (stated is None or stated != size or orientation < 5 or size[0] == size[1]):
        raise ImageMismatchError(
            f"{where}: EXIF turns {path.name} (orientation {orientation}), and nothing says whether the regions were "
            "drawn on the turned image; save the image upright without EXIF and look at the regions on it"
        )
    if stated is not None and stated != size:
        raise ImageMismatchError(
            f"{where}: annotated on {stated[0]}x{stated[1]} px, but {path.name} is {size[0]}x{size[1]} px; "
            "put the image back that was annotated, or export the annotations again for this one"
        )
    return size


def _inside(path: PurePosixPath) -> PurePosixPath:
    """A path below the root; the last part alone where it leads elsewhere."""
    return PurePosixPath(path.name) if path.is_absolute() or ".." in path.parts else path


def composed(name: str) -> str:
    """A name with accents in the letters that bear them: macOS hands them out as signs of their own."""
    return unicodedata.normalize("NFC", name)


def _comparable(name: str) -> str:
    return composed(name.lower())


def _names_in(folder: Path) -> dict[str, str]:
    """Names as they stand on disk, by their composed form."""
    try:
        return _list_names(folder, folder.stat().st_mtime_ns)
    except OSError:
        return {}


@lru_cache(maxsize=_FOLDERS_KEPT)
def _list_names(folder: Path, changed: int) -> dict[str, str]:
    """``changed`` is only there so that a folder is listed anew when it has changed."""
    return {composed(name): name for name in sorted(os.listdir(folder))}  # noqa: PTH208, names are wanted


def _is_folder(path: Path) -> bool:
    """Whether there is such a folder; none has a name that is longer than the system allows."""
    try:
        return path.is_dir()
    except OSError:
        return False
