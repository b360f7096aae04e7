"""Fig. 11 and 12: what the networks see in one micrograph: confidence, mask probability and instance boundaries.

The maps come from the room ``explanation``; this module draws them and knows no network. All of them lie between 0 and
1 and have the same colours, so panels can be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Rle
from nanoseg_bench.drawing.axes import draw_scale_bar, frame_only, show_micrograph
from nanoseg_bench.drawing.charts import INK
from nanoseg_bench.drawing.scale_bar import place_scale_bar
from nanoseg_bench.leaderboard.figures.contenders import IDENTITY, Contender
from nanoseg_bench.leaderboard.figures.drawn import Drawn
from nanoseg_bench.leaderboard.figures.page_grid import PageGrid
from nanoseg_bench.leaderboard.figures.style import SMALL_SIZE, WIDTH, lettered
from nanoseg_bench.preparation.prepared_set import PreparedImage
from nanoseg_bench.wording import counted, without_middle

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = (*IDENTITY, "seed", "image", "particles", "map", "min", "mean", "max")
"""The whole maps are in the ``.npz`` beside the CSV, as ``<number of the contender>:<model>:<map>``."""

MAPS = {
    "confidence": "Confidence",
    "mask_probability": "Mask probability",
    "instance_boundary": "Instance boundaries",
}

_NORM = Normalize(0.0, 1.0)
_COLOURS = "inferno"  # perceptually uniform
_KEY_HEIGHT, _BAR, _BAR_LENGTH = 0.42, 0.09, 2.4  # inches


@dataclass(frozen=True, eq=False, slots=True)
class NetworkMaps:
    """What one contender's network made of a micrograph, read at its operating point.

    Attributes:
        contender: Whose network; its lowest seed.
        pixels: (h, w[, 3]) uint8, the micrograph as the network was given it, without padding.
        particles: How many it found.
        ignored: Ignore regions of the micrograph, in original pixels.
        maps: (h, w) float32 in [0, 1], by the names of ``MAPS``.
    """

    contender: Contender
    pixels: NDArray[np.uint8]
    particles: int
    ignored: tuple[Rle, ...]
    maps: dict[str, NDArray[np.float32]]


def draw_heat_maps(seen: Sequence[NetworkMaps], image: PreparedImage) -> Drawn:
    """Fig. 11: one row per contender, the micrograph and its three maps side by side.

    Args:
        seen: At least one.
        image: The micrograph.
    """
    titles = ["Micrograph", *MAPS.values()]
    grid = PageGrid(titles, [_aspect(image)] * len(seen), 1, "", _KEY_HEIGHT)
    for number, each in enumerate(seen):
        panels = grid.add_row(number)
        _show_image(panels[0], each, image)
        for axes, name in zip(panels[1:], MAPS, strict=True):
            _show_map(axes, each.maps[name], image)
        particles = counted(each.particles, "particle")
        grid.add_captions([without_middle(lettered(number, each.contender.label), grid.letters), particles, "", ""])
    _draw_key(grid)
    return _drawn("heat-maps", grid, seen, image, tuple(MAPS))


def draw_boundaries(seen: Sequence[NetworkMaps], image: PreparedImage) -> Drawn:
    """Fig. 12: the micrograph, then the instance boundaries of every contender.

    Args:
        seen: At least one.
        image: The micrograph.
    """
    names = ["Micrograph", *(each.contender.label for each in seen)]
    grid = PageGrid([lettered(number, name) for number, name in enumerate(names)], [_aspect(image)], 1, "", _KEY_HEIGHT)
    panels = grid.add_row(0)
    _show_image(panels[0], seen[0], image)
    for axes, each in zip(panels[1:], seen, strict=True):
        _show_map(axes, each.maps["instance_boundary"], image)
    grid.add_captions(
        [without_middle(image.name, grid.letters), *(counted(each.particles, "particle") for each in seen)]
    )
    _draw_key(grid)
    return _drawn("boundaries", grid, seen, image, ("instance_boundary",))


def _drawn(
    name: str, grid: PageGrid, seen: Sequence[NetworkMaps], image: PreparedImage, shown: tuple[str, ...]
) -> Drawn:
    rows, arrays = [], {}
    for number, each in enumerate(seen):
        for key in shown:
            values = each.maps[key]
            numbers = (float(values.min()), float(values.mean(dtype=np.float64)), float(values.max()))
            rows.append(
                (*each.contender.identity, each.contender.first.seed, image.name, each.particles, key, *numbers)
            )
            arrays[f"{number}:{each.contender.model}:{key}"] = values
    return Drawn(name, grid.figure, COLUMNS, rows, arrays=arrays)


def _show_image(axes: "Axes", each: NetworkMaps, image: PreparedImage) -> None:
    show_micrograph(axes, each.pixels, _size(image))
    if image.nm_per_px is not None:
        draw_scale_bar(axes, place_scale_bar(_size(image), image.nm_per_px, each.ignored), SMALL_SIZE)


def _show_map(axes: "Axes", values: NDArray[np.float32], image: PreparedImage) -> None:
    width, height = _size(image)
    axes.imshow(values, cmap=_COLOURS, norm=_NORM, extent=(0.0, width, height, 0.0), aspect="auto")
    frame_only(axes)


def _draw_key(grid: PageGrid) -> None:
    top = grid.add_note()
    bar_axes = grid.place((WIDTH - _BAR_LENGTH) / 2, top + 0.05, _BAR_LENGTH, _BAR)
    bar = grid.figure.colorbar(ScalarMappable(_NORM, _COLOURS), cax=bar_axes, orientation="horizontal")
    bar.set_ticks([0.0, 0.25, 0.5, 0.75, 1.0], labels=["0", "0.25", "0.5", "0.75", "1"])
    bar.ax.tick_params(labelsize=SMALL_SIZE, colors=INK, length=2, pad=1.5)
    bar.outline.set_visible(False)


def _size(image: PreparedImage) -> tuple[int, int]:
    return image.letterbox.width, image.letterbox.height


def _aspect(image: PreparedImage) -> float:
    return image.letterbox.height / image.letterbox.width
