"""What reading did to a micrograph."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from nanoseg_bench.images.acquisition import Acquisition
from nanoseg_bench.images.scale import Scale
from nanoseg_bench.wording import counted


@dataclass(frozen=True, slots=True)
class ImageNotes:
    """What was chosen, mapped and turned when an image was read.

    Attributes:
        page: Which of the file's images was read, from 0.
        pages: How many it holds: pages of a TIFF, frames of all images of a microscope's file.
        bits: Per sample, as stored.
        low: The stored value that became 0; None where 8 bits stayed as they are.
        high: The stored value that became 255; below ``low`` where the file says that 0 is white.
        orientation: EXIF's number of the stored image, 1 to 8; it has been applied. 1 is as stored.
        nm_per_px: The file's own scale in nanometres per pixel, None where it has none. Print resolution is no scale.
        scale_from: Who wrote the scale, see ``Scale``; None where there is none.
        uneven_nm: Nanometres per pixel along a row and along a column, where pixels are not square.
        unknown_unit: The unit that the file states its scale in, where it is not understood.
        invisible: Whether every pixel is wholly transparent, so that nothing but white is left.
        alike: Further images of the file that are as large as the one that was read: other frames of a stack, no
            thumbnails. They change nothing about what was read, and are not in ``as_json``.
        acquisition: How the micrograph was taken; not in ``as_json``, either.
    """

    page: int = 0
    pages: int = 1
    bits: int = 8
    low: float | None = None
    high: float | None = None
    orientation: int = 1
    nm_per_px: float | None = None
    scale_from: str | None = None
    uneven_nm: tuple[float, float] | None = None
    unknown_unit: str | None = None
    invisible: bool = False
    alike: int = 0
    acquisition: Acquisition = Acquisition()  # noqa: RUF009, it is frozen

    @property
    def states_scale(self) -> bool:
        """Whether the file says something of the extent of its pixels, understood or not."""
        return (self.nm_per_px, self.uneven_nm, self.unknown_unit) != (None, None, None)

    def with_scale(self, scale: Scale | None) -> "ImageNotes":
        """The same, with what the file states about the extent of its pixels."""
        if scale is None:
            return self
        source = None if scale.nm_per_px is None else scale.source
        return replace(
            self,
            nm_per_px=scale.nm_per_px,
            scale_from=source,
            uneven_nm=scale.uneven_nm,
            unknown_unit=scale.unknown_unit,
        )

    def as_json(self) -> dict[str, Any]:
        """What differs from a plain single 8-bit image, as JSON types; of several pages, also which one."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.uneven_nm is not None:
            values["uneven_nm"] = list(self.uneven_nm)
        return {
            field.name: values[field.name]
            for field in fields(self)
            if field.name not in ("alike", "acquisition")
            and (values[field.name] != field.default or (field.name == "page" and self.pages > 1))
        }


def warn_of_invisible(images: Sequence[str]) -> list[str]:
    """One sentence on all images that are transparent everywhere; nothing where there is none.

    Args:
        images: Their names; the first one is told.
    """
    if not images:
        return []
    return [
        f"transparent everywhere, and so read as white: {counted(len(images), 'image')} (the first is {images[0]}); "
        "save them again without transparency (alpha channel)"
    ]
