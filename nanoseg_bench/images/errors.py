"""Everything that libraries raise on broken images, as one error; and the limit of what is read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from nanoseg_bench.errors import ImageError
from nanoseg_bench.files import broken_link
from nanoseg_bench.wording import counted

_MAX_BYTES = 2**31
_MAX_PIXELS_WITHOUT_PILLOWS = 500_000_000


@contextmanager
def image_errors(path: Path) -> Iterator[None]:
    """Turn whatever an image library raises inside into an ImageError that names ``path``."""
    try:
        yield
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{path}: {broken_link(path) or 'no such image'}") from error
    except (IsADirectoryError, PermissionError) as error:
        raise ImageError(f"{path}: cannot be opened ({error.strerror}); name a file that you may read") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{path}: not an image that Pillow can read; export it as PNG or TIFF") from error
    except Image.DecompressionBombError as error:
        raise too_large(path) from error
    except MemoryError as error:
        raise ImageError(f"{path}: does not fit into memory; cut it into tiles") from error
    except Exception as error:
        if link := broken_link(path):
            raise ImageError(f"{path}: {link}") from error
        # On a broken header image libraries raise nearly anything: SyntaxError, OverflowError, TypeError, ...
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ImageError(f"{path}: cannot be read ({reason}); the file may be truncated, copy it again") from error


def check_size(path: Path, width: int, height: int, bytes_per_pixel: int = 1) -> None:
    """Refuse what would fill the memory, before any of it is allocated.

    The limit is the one at which Pillow itself refuses, and moves with ``PIL.Image.MAX_IMAGE_PIXELS``.

    Raises:
        ImageError: The image is empty, or has more than the limit's pixels or bytes.
    """
    if width < 1 or height < 1:
        raise ImageError(f"{path}: an image of {width} × {height} pixels; the file may be damaged, copy it again")
    limit = 2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS else _MAX_PIXELS_WITHOUT_PILLOWS
    if width * height > limit or width * height * bytes_per_pixel > _MAX_BYTES:
        raise too_large(path, f" ({width} × {height} pixels of {counted(bytes_per_pixel, 'byte')})")


def too_large(path: Path, what: str = "") -> ImageError:
    """The error of an image beyond the limit."""
    return ImageError(
        f"{path}: its header claims more pixels than are read{what}; cut the image into tiles, or copy it again if it "
        "should be smaller"
    )
