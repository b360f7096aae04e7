"""The microscopes' own formats, through RosettaSciIO: Gatan's DM3 and DM4, EMD of Velox and of NCEM."""

import importlib
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.errors import ImageError
from nanoseg_bench.extras import way_to
from nanoseg_bench.images.acquisition import Acquisition, em_acquisition
from nanoseg_bench.images.errors import check_size
from nanoseg_bench.images.notes import ImageNotes
from nanoseg_bench.images.pixels import deep_to_8_bits, drop_equal_channels
from nanoseg_bench.images.scale import Scale, stated_scale
from nanoseg_bench.images.trial import require_readable

_LOG = logging.getLogger(__name__)
_READERS = {".dm3": "rsciio.digitalmicrograph", ".dm4": "rsciio.digitalmicrograph", ".emd": "rsciio.emd"}
EM_SUFFIXES = tuple(_READERS)

_BEST_RATIO = 1100  # no compression of HDF5 makes a micrograph smaller than this, so that fewer bytes cannot hold it
_OWN_BYTES = 2**29  # what imports, buffers of HDF5 and Python take, whatever the file
_PER_BYTE_OF_FILE, _PER_BYTE_OF_IMAGE = 8, 6  # copies of what was read: texts as Python's objects, pixels in pieces


@dataclass(frozen=True, eq=False, slots=True)
class _Signal:
    """One image or stack of a microscope's file.

    Attributes:
        data: (..., H, W), lazy; of a structured type where it is in colour.
        first: Running number of its first frame among all frames of the file.
        pages: Number of all frames of the file.
        alike: Of them, others that are as large.
        scale: Of its pixels.
        acquisition: How it was taken.
    """

    data: Any
    first: int
    pages: int
    alike: int
    scale: Scale | None
    acquisition: Acquisition

    @property
    def size(self) -> tuple[int, int]:
        return int(self.data.shape[-1]), int(self.data.shape[-2])

    @property
    def bytes(self) -> int:
        """Of the frame that is read."""
        return math.prod(self.size) * int(self.data.dtype.itemsize)


def read_em(path: Path) -> tuple[NDArray[np.uint8], ImageNotes]:
    """Read the largest image, of a stack its first frame: (H, W) grey or (H, W, 3) RGB.

    Raises:
        ImageError: RosettaSciIO is not installed or cannot read the file, or there is no image in it.
    """
    signal = _largest_image(path)
    if signal.pages > 1:
        _LOG.info("%s: image %d of %d is read, the first frame of the largest", path, signal.first + 1, signal.pages)
    values = _values(signal)
    if values.dtype.names:
        values = np.stack([values[name] for name in values.dtype.names[:3]], axis=-1)
    bits = values.itemsize * 8
    notes = ImageNotes(signal.first, signal.pages, bits, alike=signal.alike, acquisition=signal.acquisition)
    notes = notes.with_scale(signal.scale)
    if values.dtype == np.bool_:
        return np.where(values, np.uint8(255), np.uint8(0)), notes
    if values.dtype == np.uint8:
        return drop_equal_channels(np.ascontiguousarray(values)), notes
    return deep_to_8_bits(values, notes)


def em_size(path: Path) -> tuple[int, int]:
    """(width, height) as ``read_em`` returns them; the pixels are not read."""
    return _largest_image(path).size


def read_em_scale(path: Path) -> Scale | None:
    """The scale of the image that ``read_em`` returns; the pixels are not read."""
    return _largest_image(path).scale


def read_untried(path: Path, limit_memory: Callable[[int], None]) -> None:
    """Everything of a file that the functions above read, for ``trial`` to see whether it comes to an end.

    Args:
        path: The file.
        limit_memory: Called with the bytes that may be taken from then on: HDF5 believes the lengths that it reads, and
            takes gigabytes for a text of a damaged file of some kilobytes.
    """
    for_texts = _OWN_BYTES + _PER_BYTE_OF_FILE * path.stat().st_size
    limit_memory(for_texts)
    signal = _choose_largest(path, path.suffix.lower())
    limit_memory(for_texts + _PER_BYTE_OF_IMAGE * signal.bytes)
    _values(signal)


def _largest_image(path: Path) -> _Signal:
    suffix = path.suffix.lower()
    with path.open("rb"):  # a missing file is told before a missing package
        if suffix == ".emd":
            require_readable(path)
        return _choose_largest(path, suffix)


def _choose_largest(path: Path, suffix: str) -> _Signal:
    images = [found for found in _signals(path, suffix) if _is_image(found)]
    if not images:
        raise ImageError(f"{path}: holds no two-dimensional image; export the image itself, as TIFF")
    frames = [int(np.prod(found["data"].shape[:-2], dtype=np.int64)) for found in images]
    chosen = max(
        range(len(images)), key=lambda index: images[index]["data"].shape[-1] * images[index]["data"].shape[-2]
    )
    data = images[chosen]["data"]
    check_size(path, int(data.shape[-1]), int(data.shape[-2]), data.dtype.itemsize)
    same_size = (each["data"].shape[-2:] == data.shape[-2:] for each in images)
    alike = sum(number for number, same in zip(frames, same_size, strict=True) if same)
    signal = _Signal(
        data,
        sum(frames[:chosen]),
        sum(frames),
        alike - 1,
        _scale(images[chosen]["axes"], suffix),
        em_acquisition(images[chosen], _source(suffix)),
    )
    if signal.bytes > _BEST_RATIO * path.stat().st_size:
        raise ImageError(
            f"{path}: claims an image of {signal.size[0]} × {signal.size[1]} pixels, which a file of "
            f"{path.stat().st_size} bytes cannot hold; it may be truncated, copy it again"
        )
    return signal


def _values(signal: _Signal) -> NDArray[Any]:
    data = signal.data[(0,) * (len(signal.data.shape) - 2)]
    return np.asarray(data.compute(scheduler="synchronous") if hasattr(data, "compute") else data)


def _signals(path: Path, suffix: str) -> list[dict[str, Any]]:
    try:
        return _by_rosettasciio(path, suffix)
    except ImportError as error:
        raise ImageError(
            f"{path}: {suffix} files need RosettaSciIO ({error}): {way_to('em')}, or export the image as TIFF"
        ) from error


def _by_rosettasciio(path: Path, suffix: str) -> list[dict[str, Any]]:
    reader = importlib.import_module(_READERS[suffix]).file_reader
    logging.getLogger("rsciio").setLevel(logging.CRITICAL)
    if suffix == ".emd":
        return list(reader(str(path), lazy=True, select_type="images"))
    _refuse_endless_tags(path)
    try:
        return list(reader(str(path), lazy=True))
    except ValueError:
        # It reads no colour image lazily.
        return list(reader(str(path), lazy=False))


def _is_image(signal: Mapping[str, Any]) -> bool:
    """Whether it is a real-valued image, or a stack of them; four dimensions are diffraction, not a micrograph."""
    data = signal["data"]
    if len(data.shape) not in (2, 3) or 0 in data.shape or data.dtype.kind not in "buifV":
        return False
    # Whether an axis counts spectra or frames is known of Gatan's and Velox' files; NCEM's tell by its unit alone.
    return not any(axis["navigate"] or str(axis["units"]) in ("eV", "keV") for axis in _image_axes(signal["axes"]))


def _image_axes(axes: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Rows and columns."""
    return sorted(axes, key=lambda axis: int(axis["index_in_array"]))[-2:]


def _scale(axes: Sequence[Mapping[str, Any]], suffix: str) -> Scale | None:
    rows, columns = _image_axes(axes)
    y, x = ((float(axis["scale"]), str(axis["units"] or "")) for axis in (rows, columns))
    return stated_scale(x, y, _source(suffix))


def _source(suffix: str) -> str:
    return "emd" if suffix == ".emd" else "dm"


def _refuse_endless_tags(path: Path) -> None:
    """Read the tags of a DM file once, refusing arrays of more elements than the file has bytes.

    RosettaSciIO goes through an array element by element, and an array of empty elements ends nowhere.
    """
    from rsciio.digitalmicrograph._api import DigitalMicrographReader  # type: ignore[import-untyped, import-not-found]

    most = path.stat().st_size

    class BoundedReader(DigitalMicrographReader):  # type: ignore[misc]
        def read_array(self, size: int, *arguments: Any, **options: Any) -> Any:
            if not 0 <= size <= most:
                raise ValueError(f"a tag claims {size} values")
            return super().read_array(size, *arguments, **options)

    with path.open("rb") as stream:
        BoundedReader(stream).parse_file()
