"""Reading micrographs: every format becomes 8-bit grey or RGB, and says what was done to it.

PNG, JPEG, BMP, WebP and TIFF are told apart by their content; ``.dm3``, ``.dm4`` and ``.emd`` by their suffix, and need
the extra ``em``. Pillow reads what it can read without loss; tifffile chooses the page of a TIFF and reads what Pillow
cannot; RosettaSciIO reads the formats of the microscopes.

What every reader keeps to:

- 8 bits stay as they are. More are mapped by the 0.1 and 99.9 percentiles, both of which stand in ImageNotes.
- EXIF rotation is applied, transparency is laid on white, equal channels become grey. An image that is transparent
  everywhere is white, and ImageNotes says so.
- Of several pages the largest grey one is read; of a stack, the first frame.
- An image has at most twice ``PIL.Image.MAX_IMAGE_PIXELS`` pixels (13,377 × 13,377) and 2 GiB of samples, whatever its
  header claims.
- Whatever the bytes: a result, or an ImageError that names the file and the way out.
"""

from nanoseg_bench.images.acquisition import Acquisition
from nanoseg_bench.images.errors import image_errors
from nanoseg_bench.images.notes import ImageNotes, warn_of_invisible
from nanoseg_bench.images.pixels import as_grey, as_rgb
from nanoseg_bench.images.raster_formats import open_image
from nanoseg_bench.images.reading import (
    IMAGE_SUFFIXES,
    UNREAD_SUFFIXES,
    image_orientation,
    image_size,
    read_image,
    read_image_bytes,
    read_scale,
    read_with_notes,
)
from nanoseg_bench.images.scale import Scale, warn_of_uneven_pixels, warn_of_unknown_units

__all__ = [
    "IMAGE_SUFFIXES",
    "UNREAD_SUFFIXES",
    "Acquisition",
    "ImageNotes",
    "Scale",
    "as_grey",
    "as_rgb",
    "image_errors",
    "image_orientation",
    "image_size",
    "open_image",
    "read_image",
    "read_image_bytes",
    "read_scale",
    "read_with_notes",
    "warn_of_invisible",
    "warn_of_uneven_pixels",
    "warn_of_unknown_units",
]
