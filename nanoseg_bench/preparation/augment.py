"""Augmented copies of training images: rotation, flips, crop and scale, always isotropic.

Every transform keeps the aspect ratio, or spheres would become ellipses and cubes bricks.

Truth travels as label maps, warped by the very call that warps the image: holes and many-part particles survive, the
cost does not grow with the number of particles, and no second geometry has to agree with albumentations'. A label map
holds one particle per pixel, so particles that overlap are put into different layers.
"""

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Instance, Rle
from nanoseg_bench.annotations.raster import area, rle_to_window, window_to_rle
from nanoseg_bench.environment import isolate_libraries
from nanoseg_bench.errors import PreparationError
from nanoseg_bench.preparation.letterbox import PADDING_GREY

PAPER_FACTOR = 5.861
"""Images in all per original image: the paper turns 721 into 4226 (section 2.1)."""

SCALE_RANGE = (0.8, 1.25)
CROP_AREA_RANGE = (0.5, 1.0)
CROP_PROBABILITY = 0.5
FLIP_PROBABILITY = 0.5

MIN_VISIBLE = 0.2
"""A particle of which less than this fraction of its area stays on the canvas is dropped from the copy's truth: what is
left of it can hardly be told from background or from another class. Its pixels stay."""

# The same for every copy, or an array that the other parameters imply.
_CONSTANTS = {"shape", "interpolation", "mask_interpolation", "fill", "fill_mask", "border_mode", "output_shape"}


@dataclass(frozen=True, eq=False, slots=True)
class AugmentedCopy:
    """One augmented image with its truth.

    Attributes:
        pixels: (S, S) or (S, S, 3) uint8.
        instances: What is still visible, regions as ``Rle`` on the canvas.
        dropped: Particles that the transform cut below ``MIN_VISIBLE``.
        transforms: What was applied, in order, ready for JSON.
    """

    pixels: NDArray[np.uint8]
    instances: list[Instance]
    dropped: int
    transforms: list[dict[str, Any]]


def augmentation_parameters() -> dict[str, Any]:
    """What decides the copies, for the content hash and for readers."""
    return {
        "library": f"albumentations {version('albumentations')}",
        "rotation_degrees": [-180, 180],
        "scale": list(SCALE_RANGE),
        "crop_area": list(CROP_AREA_RANGE),
        "crop_probability": CROP_PROBABILITY,
        "flip_probability": FLIP_PROBABILITY,
        "min_visible": MIN_VISIBLE,
        "fill": PADDING_GREY,
    }


def augment_copy(pixels: NDArray[np.uint8], instances: Sequence[Instance], seed: int) -> AugmentedCopy:
    """Make one augmented copy.

    Args:
        pixels: (S, S) or (S, S, 3) canvas.
        instances: On the canvas, regions as ``Rle``.
        seed: Of this copy alone, see ``copy_seed``.
    """
    isolate_libraries()
    size = pixels.shape[0]
    layers, layer_of = _label_layers(instances, size)
    # Three corners come along, so that the copy's magnification is read off rather than derived per transform.
    corners = np.array([(0, 0), (size, 0), (0, size)], dtype=np.float64)
    result = _compose(size, seed)(image=pixels, masks=layers, keypoints=corners)
    origin, right, down = np.asarray(result["keypoints"], dtype=np.float64)[:, :2]
    magnification = abs(float(np.linalg.det(np.stack([right - origin, down - origin])))) / size**2
    kept, dropped = _visible_instances(instances, layer_of, result["masks"], magnification)
    transforms = [{"transform": name, **_serialisable(parameters)} for name, parameters in result["applied_transforms"]]
    return AugmentedCopy(np.ascontiguousarray(result["image"]), kept, dropped, transforms)


def copy_seed(set_seed: int, parent: str, number: int) -> int:
    """Seed of one copy from the set's seed, its parent and its number: independent of workers and of order."""
    digest = hashlib.sha256(f"{set_seed}/{parent}/{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def copies_per_image(
    train: Sequence[str], originals: int, seed: int, augment_to: int | None = None, augment_copies: int | None = None
) -> dict[str, int]:
    """How many copies each training image gets.

    Args:
        train: Names of the training images.
        originals: Original images in train, val and test together.
        seed: Decides which images get one copy more where the number does not divide.
        augment_to: Images in all, copies included; ``PAPER_FACTOR`` times ``originals`` by default.
        augment_copies: Exactly so many per training image instead.

    Raises:
        PreparationError: ``augment_to`` is below the number of originals, or ``augment_copies`` below 0.
    """
    if augment_copies is not None:
        if augment_copies < 0:
            raise PreparationError(f"--augment-copies {augment_copies}: give 0 or more")
        return dict.fromkeys(train, augment_copies)
    total = math.floor(PAPER_FACTOR * originals + 0.5) if augment_to is None else augment_to
    if total < originals:
        raise PreparationError(
            f"--augment-to {total}: there are {originals} originals already; give at least that, or --augment-copies 0"
        )
    each, one_more = divmod(total - originals, len(train))
    lucky = set(np.random.default_rng(seed).permutation(sorted(train))[:one_more].tolist())
    return {name: each + (name in lucky) for name in train}


def _compose(size: int, seed: int) -> Any:
    import albumentations as A  # noqa: N812 - the library's own convention
    import cv2

    compose = A.Compose(
        [
            A.HorizontalFlip(p=FLIP_PROBABILITY),
            A.VerticalFlip(p=FLIP_PROBABILITY),
            A.Affine(
                rotate=(-180, 180),
                scale=SCALE_RANGE,
                keep_ratio=True,
                interpolation=cv2.INTER_LINEAR,
                mask_interpolation=cv2.INTER_NEAREST,
                border_mode=cv2.BORDER_CONSTANT,
                fill=PADDING_GREY,
                fill_mask=0,
                # Always, so that no copy is its parent over again.
                p=1.0,
            ),
            A.RandomResizedCrop(
                (size, size),
                scale=CROP_AREA_RANGE,
                ratio=(1, 1),
                interpolation=cv2.INTER_LINEAR,
                # Plain INTER_NEAREST of cv2.resize rounds down and shifts the truth by up to half a pixel.
                mask_interpolation=cv2.INTER_NEAREST_EXACT,
                p=CROP_PROBABILITY,
            ),
        ],
        keypoint_params=A.KeypointParams(format="xy", remove_invisible=False),
        seed=seed,
        save_applied_params=True,
    )
    # Compose(seed=...) alone starts every transform at the same random number, so that an image is flipped either both
    # ways or not at all; one stream shared by all of them makes the choices independent.
    compose.set_random_state(np.random.default_rng(seed), random.Random(seed))  # noqa: S311 - not a secret
    return compose


def _label_layers(instances: Sequence[Instance], size: int) -> tuple[list[NDArray[np.float32]], list[int]]:
    """Paint instance k as k + 1 into the first layer where it covers no other."""
    # float32, because OpenCV warps no int32 and int16 would set a limit.
    layers = [np.zeros((size, size), dtype=np.float32)]
    layer_of = []
    for number, instance in enumerate(instances, start=1):
        inside, x, y = rle_to_window(_as_rle(instance))
        window = (slice(y, y + inside.shape[0]), slice(x, x + inside.shape[1]))
        index = next((i for i, layer in enumerate(layers) if not layer[window][inside].any()), len(layers))
        if index == len(layers):
            layers.append(np.zeros((size, size), dtype=np.float32))
        layers[index][window][inside] = number
        layer_of.append(index)
    return layers, layer_of


def _visible_instances(
    instances: Sequence[Instance], layer_of: Sequence[int], layers: Sequence[NDArray[np.float32]], magnification: float
) -> tuple[list[Instance], int]:
    from scipy.ndimage import find_objects

    numbered = [np.asarray(layer).astype(np.int32) for layer in layers]
    windows = [find_objects(layer, max_label=len(instances)) for layer in numbered]
    kept: list[Instance] = []
    dropped = 0
    for index, (instance, layer) in enumerate(zip(instances, layer_of, strict=True)):
        window = windows[layer][index]
        visible = numbered[layer][window] == index + 1 if window is not None else np.zeros((0, 0), dtype=bool)
        # What is not to be judged stays not to be judged, however little of it is left.
        needed = 0.0 if instance.ignored else MIN_VISIBLE * area(_as_rle(instance)) * magnification
        if window is not None and visible.sum() >= needed:
            rle = window_to_rle(visible, window[1].start, window[0].start, *numbered[layer].shape)
            kept.append(replace(instance, region=rle, score=None))
        elif not instance.ignored:
            dropped += 1
    return kept, dropped


def _serialisable(value: Any) -> Any:
    """JSON of a transform's parameters: no arrays, no constants, numbers to 6 decimals."""
    if isinstance(value, Mapping):
        return {
            str(key): _serialisable(item)
            for key, item in value.items()
            if key not in _CONSTANTS and not isinstance(item, np.ndarray)
        }
    if isinstance(value, list | tuple):
        return [_serialisable(item) for item in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return round(float(value), 6)
    return value if value is None else str(value)


def _as_rle(instance: Instance) -> Rle:
    if not isinstance(instance.region, Rle):
        raise TypeError("augmentation takes rasterised instances")
    return instance.region
