"""What is kept of an image to recognise it, or a part of it, in another one."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.errors import PreparationError
from nanoseg_bench.images import as_grey
from nanoseg_bench.preparation.features import LocalFeatures, local_features
from nanoseg_bench.preparation.letterbox import Letterbox
from nanoseg_bench.preparation.perceptual import perceptual_hashes

_SIDE = 640  # px


@dataclass(frozen=True, eq=False, slots=True)
class Fingerprint:
    """Of one image.

    Attributes:
        hashes: (8, 64) bool, see ``perceptual.perceptual_hashes``.
        features: Local features and a small view.
    """

    hashes: NDArray[np.bool_]
    features: LocalFeatures


def compared_at(width: int, height: int) -> Letterbox:
    """How a micrograph of ``width`` x ``height`` pixels is scaled to be compared, whatever canvas it is read from."""
    return Letterbox(width, height, _SIDE)


def fingerprint(content: NDArray[np.uint8]) -> Fingerprint:
    """Take the fingerprint of an image.

    Args:
        content: (H, W) or (H, W, 3) uint8, without padding, resized as ``compared_at`` says.
    """
    grey = as_grey(content)
    with one_opencv_thread():
        return Fingerprint(perceptual_hashes(grey), local_features(grey))


def canvas_fingerprint(box: Letterbox, canvas: NDArray[np.uint8]) -> Fingerprint:
    """Take the fingerprint of a micrograph from its canvas (H, W) or (H, W, 3)."""
    return fingerprint(compared_at(box.width, box.height).resize(box.content(canvas)))


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Keep OpenCV to one thread: an image is too small to gain from more, and the processes share the cores already."""
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def write_fingerprint(path: Path, of: Fingerprint) -> None:
    """Write a fingerprint as npz (about 130 kB): same fingerprint, same bytes.

    It does not outlive the command, so it is written without the care of ``files.atomic_path``.
    """
    features = of.features
    with path.open("wb") as stream:
        np.savez(
            stream,
            hashes=of.hashes,
            points=np.column_stack([features.positions, features.sizes, features.angles]).astype(np.float32),
            descriptors=features.descriptors,
            view=features.view,
            covered=features.covered,
            size=np.array([features.width, features.height], dtype=np.int32),
        )


def read_fingerprint(path: Path) -> Fingerprint:
    """Read what ``write_fingerprint`` wrote.

    Raises:
        PreparationError: The file is missing or something else.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:  # one read, not a hundred
            points = stored["points"]
            width, height = (int(value) for value in stored["size"])
            features = LocalFeatures(
                positions=points[:, :2],
                sizes=points[:, 2],
                angles=points[:, 3],
                descriptors=stored["descriptors"],
                view=stored["view"],
                covered=stored["covered"],
                width=width,
                height=height,
            )
            return Fingerprint(stored["hashes"], features)
    except Exception as error:  # zipfile, zlib and NumPy raise another type for every kind of damage
        raise PreparationError(f"{path}: not a fingerprint of this package ({error}); take it again") from error
