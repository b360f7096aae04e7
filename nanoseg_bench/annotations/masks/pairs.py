"""Which mask belongs to which image: by folders, or by what is added to the image's name."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.annotations.errors import NoAnnotationsError, UnclearFormatError
from nanoseg_bench.annotations.image_files import composed
from nanoseg_bench.files import visible_files
from nanoseg_bench.images import IMAGE_SUFFIXES
from nanoseg_bench.wording import shortened

IMAGE_FOLDERS = ("images", "image", "imgs", "img")
MASK_FOLDERS = ("masks", "mask", "segmaps", "labels", "instances")

_MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".jpg", ".jpeg")
_ADDED = re.compile(r"[_-](cp_masks|masks?|labels?|seg|segmentation|instances?)$", re.IGNORECASE)
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class MaskPair:
    """The files of one name.

    Attributes:
        name: Path below the folder of the images, without suffix.
        images: Image files; more than one is a fault.
        masks: Mask files; more than one is a fault, none says that the image is not annotated.
    """

    name: str
    images: tuple[Path, ...]
    masks: tuple[Path, ...]

    @property
    def fault(self) -> str:
        """Why mask and image do not make a pair; empty when they do."""
        if len(self.masks) > 1:
            return f"{self.name!r} has several masks ({_names(self.masks)}); keep one"
        if len(self.images) > 1:
            return f"{self.name!r} is the name of several images ({_names(self.images)}); rename or keep one"
        return "" if self.images else f"there is no image {self.name!r} to this mask; add the image or remove the mask"


def find_mask_pairs(folder: Path, mask_folder: Path | None = None) -> list[MaskPair]:
    """All images and masks by name, sorted.

    Args:
        folder: The folder of the images, or one that holds both.
        mask_folder: The folder of the masks.

    Raises:
        AnnotationError: A folder is missing, or there are no masks, or two folders of masks.
    """
    for place in (folder, mask_folder):
        if place is not None and not place.is_dir():
            raise NoAnnotationsError(f"{place}: no such folder; give the folders of the images and of their masks")
    if mask_folder is None:
        image_folder, mask_folder = find_mask_folders(folder)
    else:
        image_folder = folder
    if mask_folder is None:
        images, masks = _in_one_folder(folder)
    else:
        images = _by_name(visible_files(image_folder, IMAGE_SUFFIXES, mask_folder), image_folder)
        masks = _matched(_by_name(visible_files(mask_folder, _MASK_SUFFIXES), mask_folder), images)
    if not masks:
        raise NoAnnotationsError(
            f"{folder}: no masks; lay them into a folder 'masks' beside 'images', under the images' names, or call "
            "them NAME_mask.png beside NAME.png"
        )
    names = sorted(images.keys() | masks.keys())
    return [MaskPair(name, tuple(images.get(name, ())), tuple(masks.get(name, ()))) for name in names]


def find_mask_folders(folder: Path) -> tuple[Path, Path | None]:
    """The folders of images and masks inside a folder; the folder itself and None where there are no such.

    Raises:
        AnnotationError: There are several folders of masks.
    """
    inner = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    images = next((inner[name] for name in IMAGE_FOLDERS if name in inner), None)
    masks = [
        inner[name] for name in MASK_FOLDERS if name in inner and next(visible_files(inner[name], _MASK_SUFFIXES), None)
    ]
    if images is None or not masks:
        return folder, None
    if len(masks) > 1:
        names = ", ".join(path.name for path in masks)
        raise UnclearFormatError(f"{folder}: masks in {names}; give the folder of the masks that are meant")
    return images, masks[0]


def is_mask_name(path: Path) -> bool:
    """Whether a file's name says that it is the mask of another (``a_mask.png``)."""
    return path.suffix.lower() in _MASK_SUFFIXES and _ADDED.search(path.stem) is not None


def image_name_of(mask_name: str) -> str:
    """The name of the image that a mask's name says it belongs to: ``a`` for ``a_mask``."""
    return _ADDED.sub("", mask_name)


def _in_one_folder(folder: Path) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    files = list(visible_files(folder, IMAGE_SUFFIXES))
    images = _by_name([path for path in files if not is_mask_name(path)], folder)
    return images, _matched(_by_name([path for path in files if is_mask_name(path)], folder), images)


def _matched(masks: Mapping[str, list[Path]], images: Mapping[str, list[Path]]) -> dict[str, list[Path]]:
    """Masks by the name of their image: their own, or without what is added to it, in any Unicode form."""
    known = {composed(name): name for name in images}
    matched: dict[str, list[Path]] = {}
    for name, paths in masks.items():
        spellings = (name, image_name_of(name))
        image = next((known[each] for each in map(composed, spellings) if each in known), name)
        matched.setdefault(image, []).extend(paths)
    return matched


def _by_name(paths: Iterable[Path], folder: Path) -> dict[str, list[Path]]:
    named: dict[str, list[Path]] = {}
    for path in paths:
        named.setdefault(path.relative_to(folder).with_suffix("").as_posix(), []).append(path)
    return named


def _names(paths: tuple[Path, ...]) -> str:
    return shortened([path.name for path in paths], _SHOWN)
