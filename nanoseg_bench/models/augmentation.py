"""What a batch shows: which training images, and where on its canvases.

Augmentation is drawn here, from the seed and an image's position in the whole training alone. So a resumed training
draws what an uninterrupted one would have drawn, and all models of one seed see the same canvases, whatever their batch
size. ``models.batches`` carries it out.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.models.recipe import Augmentation

_STREAM = 1  # beside the stream that ``models.budget`` draws the order from
_TILES = 4  # of a mosaic
_LEAST_TILE = 0.25  # of the canvas

# Random numbers of one canvas, then of each of its tiles.
_OF_CANVAS = ("mosaic", "centre_x", "centre_y", "contrast", "brightness", "partner_1", "partner_2", "partner_3")
_OF_TILE = ("flip", "turn", "turns", "rotate", "angle", "scale", "shift_x", "shift_y")
_NUMBERS = len(_OF_CANVAS) + _TILES * len(_OF_TILE)

_COSINE = np.array([1.0, 0.0, -1.0, 0.0])  # of quarter turns, without the rounding of np.cos
_SINE = np.array([0.0, 1.0, 0.0, -1.0])


class Draw(NamedTuple):
    """The images of one batch.

    Attributes:
        images: Indices into the training set.
        position: Images that the whole training draws before the first of them.
        total: Images that the whole training draws.
    """

    images: list[int]
    position: int
    total: int


@dataclass(frozen=True, eq=False, slots=True)
class Views:
    """Images laid on the B canvases of a batch, V in all: one per canvas, or the four tiles of a mosaic.

    Attributes:
        image: (V,) indices of images.
        canvas: (V,) canvas that each lies on, rising.
        tile: (V,) number of the tile on its canvas, from 0.
        bounds: (V, 4) int64 x0, y0, x1, y1, pixels: the tile.
        matrix: (V, 2, 3) float64: from the image's coordinates to the canvas', pixels; pixel (0, 0) has its centre at
            (0.5, 0.5).
        contrast: (B,) factor about the grey of the padding.
        brightness: (B,) grey levels added.
        size: Side of the canvases in pixels.
        moved: False where every image lies on a canvas of its own as it is.
    """

    image: NDArray[np.int64]
    canvas: NDArray[np.int64]
    tile: NDArray[np.int64]
    bounds: NDArray[np.int64]
    matrix: NDArray[np.float64]
    contrast: NDArray[np.float64]
    brightness: NDArray[np.float64]
    size: int
    moved: bool


def plain_views(images: list[int], size: int) -> Views:
    """Each image as it is, on canvases of ``size`` px."""
    number = len(images)
    return Views(
        image=np.array(images, dtype=np.int64),
        canvas=np.arange(number),
        tile=np.zeros(number, dtype=np.int64),
        bounds=np.tile(np.array([0, 0, size, size]), (number, 1)),
        matrix=np.tile(np.eye(2, 3), (number, 1, 1)),
        contrast=np.ones(number),
        brightness=np.zeros(number),
        size=size,
        moved=False,
    )


def draw_views(
    augmentation: Augmentation,
    draw: Draw,
    training_images: int,
    size: int,
    seed: int | None,
    *,
    crop: int | None = None,
) -> Views:
    """Draw the augmented canvases of a batch.

    An image is mirrored, turned and scaled about its centre, and then lies at random as far as it covers its tile, or,
    where it is smaller, lies within it. On canvases smaller than the images (``crop``) the magnification stays relative
    to the image: at 1, particles are as large as on the image, and the canvas shows a window of it.

    Args:
        augmentation: What may happen.
        draw: The batch.
        training_images: Size of the training set, from which a mosaic's other three images are drawn.
        size: Side of the images in pixels.
        seed: Of the training; None is unseeded.
        crop: Side of the canvases in pixels; that of the images by default.
    """
    side = size if crop is None else crop
    positions = draw.position + np.arange(len(draw.images))
    numbers = np.stack([_random_numbers(seed, int(position)) for position in positions])
    of_canvas = dict(zip(_OF_CANVAS, numbers.T, strict=False))
    mosaic = (of_canvas["mosaic"] < augmentation.mosaic) & (positions < augmentation.mosaic_until * draw.total)

    tiles = np.where(mosaic, _TILES, 1)
    canvas = np.repeat(np.arange(len(positions)), tiles)
    tile = np.arange(len(canvas)) - np.repeat(np.cumsum(tiles) - tiles, tiles)
    partners = np.stack([of_canvas[name] for name in _OF_CANVAS[-(_TILES - 1) :]], axis=1)
    shown = np.column_stack([np.array(draw.images), np.floor(partners * training_images).astype(np.int64)])

    # Where the four tiles meet; in the last corner where there is one tile only.
    centre = np.stack([of_canvas["centre_x"], of_canvas["centre_y"]], axis=1)
    centre = np.floor((_LEAST_TILE + (1 - 2 * _LEAST_TILE) * centre) * side + 0.5).astype(np.int64)
    centre = np.where(mosaic[:, None], centre, side)[canvas]
    second = np.stack([tile % 2, tile // 2], axis=1).astype(bool)
    bounds = np.concatenate([np.where(second, centre, 0), np.where(second, side, centre)], axis=1)

    per_tile = numbers[:, len(_OF_CANVAS) :].reshape(-1, _TILES, len(_OF_TILE))[canvas, tile]
    return Views(
        image=shown[canvas, tile],
        canvas=canvas,
        tile=tile,
        bounds=bounds,
        matrix=_matrices(augmentation, dict(zip(_OF_TILE, per_tile.T, strict=True)), bounds, size),
        contrast=1 + augmentation.contrast * (2 * of_canvas["contrast"] - 1),
        brightness=255 * augmentation.brightness * (2 * of_canvas["brightness"] - 1),
        size=side,
        moved=True,
    )


def _random_numbers(seed: int | None, position: int) -> NDArray[np.float64]:
    return np.random.default_rng(None if seed is None else [seed, position, _STREAM]).random(_NUMBERS)


def _matrices(
    augmentation: Augmentation, numbers: dict[str, NDArray[np.float64]], bounds: NDArray[np.int64], size: int
) -> NDArray[np.float64]:
    turns = np.where(numbers["turn"] < augmentation.turn, np.floor(4 * numbers["turns"]), 0).astype(np.int64)
    angle = np.where(numbers["rotate"] < augmentation.rotate, 2 * np.pi * (numbers["angle"] - 0.5), 0.0)
    mirror = np.where(numbers["flip"] < augmentation.flip, -1.0, 1.0)
    smallest, largest = np.log(augmentation.scale)
    scale = np.exp(smallest + (largest - smallest) * numbers["scale"])

    linear = scale[:, None, None] * _rotation(np.cos(angle), np.sin(angle)) @ _rotation(_COSINE[turns], _SINE[turns])
    linear[:, :, 0] *= mirror[:, None]
    slack = np.abs(scale[:, None] * size - (bounds[:, 2:] - bounds[:, :2])) / 2
    shift = slack * (2 * np.stack([numbers["shift_x"], numbers["shift_y"]], axis=1) - 1)
    middle = (bounds[:, :2] + bounds[:, 2:]) / 2 + shift
    offset = middle - linear @ np.full(2, size / 2)
    return np.concatenate([linear, offset[:, :, None]], axis=2)


def _rotation(cosine: NDArray[np.float64], sine: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.stack([cosine, -sine], axis=1), np.stack([sine, cosine], axis=1)], axis=1)
