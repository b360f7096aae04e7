"""From the values of a mask to particles."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy  # its parts are loaded where they are used: not every command has masks
from numpy.typing import NDArray

from nanoseg_bench.annotations.errors import ImageMismatchError, MaskKindError
from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Rle
from nanoseg_bench.annotations.masks.options import MaskOptions
from nanoseg_bench.annotations.masks.patterns import has_one_value, require_numbers
from nanoseg_bench.annotations.masks.specks import SPECK_AREA
from nanoseg_bench.annotations.masks.values import read_mask_values
from nanoseg_bench.annotations.raster import area, window_to_rle
from nanoseg_bench.errors import AnnotationError
from nanoseg_bench.wording import counted

_MOST_WINDOWS = 65535
_MOST_PARTICLES = 250_000  # of one mask; noise and dithering have millions of pieces, at some 50 µs and 1 kB each
_NEIGHBOURS = {4: np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool), 8: np.ones((3, 3), dtype=bool)}


@dataclass(frozen=True, eq=False, slots=True)
class MaskParticles:
    """What a mask shows.

    Attributes:
        instances: Its particles, and an ignore region where it does not reach.
        notes: What was decided or left out, one sentence each.
        pieces: ``Micrograph.pieces``.
    """

    instances: list[Instance]
    notes: tuple[str, ...] = ()
    pieces: Mapping[str, int] = field(default_factory=dict)


def read_values(path: Path, options: MaskOptions) -> NDArray[Any]:
    """The (H, W) values of a mask, as its kind needs them.

    Raises:
        AnnotationError, ImageError: As ``read_mask_values`` does.
    """
    return read_mask_values(
        path, colours=options.kind == "colour", graded=options.threshold is not None, inverted=options.invert
    )


def made_for(values: NDArray[Any], size: tuple[int, int], options: MaskOptions, path: Path) -> tuple[int, int]:
    """(width, height) of the image that a mask belongs to: the mask's own, unless the image was cropped for it.

    Args:
        values: Of the mask.
        size: (width, height) of the image of its name.
        options: Say at which edge a cropped mask lies.
        path: The mask.

    Raises:
        AnnotationError: The mask has fewer rows than the image, and nobody says where it lies.
    """
    height, width = values.shape
    if width != size[0] or height >= size[1]:
        return width, height
    if options.anchor is None:
        raise ImageMismatchError(
            f"{path}: a mask of {width}x{height} px, but its image has {size[0]}x{size[1]} px; if it was made on the "
            "image cropped above the information bar, give --anchor top (bottom, if the image was cropped at the top)"
        )
    return size


def find_particles(
    values: NDArray[Any],
    options: MaskOptions,
    path: Path,
    *,
    chosen: bool = False,
    size: tuple[int, int] | None = None,
    labels: Mapping[int, str] | None = None,
) -> MaskParticles:
    """The particles of a mask.

    Args:
        values: As ``read_values`` gives them.
        options: How; the kind is not ``auto``.
        path: The mask, for messages.
        chosen: Whether the kind was found, not given: a mask that contradicts it is refused.
        size: (width, height) as ``made_for`` gives it; None is the mask's own.
        labels: Class name by value, of instance maps; values that it lacks have the options' label.

    Raises:
        AnnotationError: The mask is not of its kind.
    """
    notes: tuple[str, ...] = ()
    rows = values.shape[0] if size is None else size[1]
    top = rows - values.shape[0] if options.anchor == "bottom" else 0
    if options.kind == "binary":
        numbers, notes = _number_pieces(values, options, chosen, path)
        instances = values_to_instances(_placed(numbers, top, rows), options.label, path)
    elif options.kind == "classes":
        instances = _classes(values, options, path, top, rows)
    else:
        if chosen:
            require_numbers(values, path)
            notes = ("taken for an instance map, since the folder's masks hold several values",)
        instances = _labelled(values_to_instances(_placed(values, top, rows), options.label, path), values, labels)
    kept = [each for each in instances if _pixels(each) >= options.min_area]
    small = len(instances) - len(kept)
    if small:
        notes += (f"left out {counted(small, 'particle')} of less than {options.min_area} px",)
    counts = {}
    if options.kind in ("binary", "classes") or small:
        specks = sum(_pixels(each) <= SPECK_AREA for each in kept)
        counts = {"pieces": len(kept), "specks": specks, "left_out": small}
    if rows > values.shape[0]:
        kept.append(_uncovered(values.shape, top, rows))
        notes += (f"the mask lies at the {options.anchor} of its image; the rest is an ignore region",)
    return MaskParticles(kept, notes, counts)


def values_to_instances(values: NDArray[Any], label: str | None, path: Path) -> list[Instance]:
    """One instance for every value but 0, in their order.

    Args:
        values: (H, W) whole numbers, not negative.
        label: Class name of all.
        path: The mask, for messages.

    Raises:
        AnnotationError: There are more than any mask of a micrograph has.
    """
    if values.max() > _MOST_PARTICLES:  # numbers may be left out
        _require_few(int(np.count_nonzero(np.unique(values))), path)
    return [Instance(label, region) for region in regions_of_values(values)]


def regions_of_values(values: NDArray[Any]) -> list[Rle]:
    """The pixels of every value but 0, in their order.

    Args:
        values: (H, W) whole numbers, not negative.
    """
    if values.max() > _MOST_WINDOWS:
        # The windows come as a list as long as the highest number: count the numbers that occur instead.
        found, numbers = np.unique(values, return_inverse=True)
        values = numbers.reshape(values.shape) + int(found[0] != 0)
    values = values.astype(np.int32)
    height, width = values.shape
    return [
        window_to_rle(values[window] == number, window[1].start, window[0].start, height, width)
        for number, window in enumerate(scipy.ndimage.find_objects(values), start=1)
        if window is not None
    ]


def _number_pieces(
    values: NDArray[Any], options: MaskOptions, chosen: bool, path: Path
) -> tuple[NDArray[Any], tuple[str, ...]]:
    if chosen and not has_one_value(values):
        raise MaskKindError(
            f"{path}: holds several values, while the masks of its folder that were looked at are binary; "
            "say with --mask-kind which kind they are: instance or binary"
        )
    particle = values != 0 if options.threshold is None else values >= options.threshold
    particle = ~particle if options.invert else particle
    found = {neighbours: scipy.ndimage.label(particle, structure=_NEIGHBOURS[neighbours]) for neighbours in (4, 8)}
    numbers, count = found[options.connectivity]
    other = 12 - options.connectivity
    notes = []
    if chosen:
        pieces = counted(count, "connected piece")
        notes.append(f"taken for a binary mask: {pieces}, each of them a particle")
    if found[other][1] != count:
        notes.append(
            f"{options.connectivity}-connectivity makes {counted(count, 'particle')}, {other}-connectivity "
            f"{found[other][1]}"
        )
    return numbers, tuple(notes)


def _classes(values: NDArray[Any], options: MaskOptions, path: Path, top: int, rows: int) -> list[Instance]:
    names = dict(options.names)
    instances: list[Instance] = []
    for value in np.unique(values[values > 0]).tolist():
        if names and value not in names:
            known = ", ".join(f"{number}={name}" for number, name in names.items())
            raise AnnotationError(
                f"{path}: the value {value} has no name ({known}); give all with --label VALUE=NAME,..."
            )
        label = names.get(value, f"{options.label}-{value}" if options.label else str(value))
        numbers, _ = scipy.ndimage.label(values == value, structure=_NEIGHBOURS[options.connectivity])
        instances += values_to_instances(_placed(numbers, top, rows), label, path)
        _require_few(len(instances), path)
    return instances


def _require_few(particles: int, path: Path) -> None:
    if particles > _MOST_PARTICLES:
        raise AnnotationError(
            f"{path}: {particles} particles or more, as many as in noise or in a dithered picture; save the mask "
            "itself, or give another --mask-kind or --threshold"
        )


def _labelled(instances: list[Instance], values: NDArray[Any], labels: Mapping[int, str] | None) -> list[Instance]:
    if not labels:
        return instances
    numbers = [int(value) for value in np.unique(values) if value]
    return [
        Instance(labels.get(value, each.label), each.region) for each, value in zip(instances, numbers, strict=True)
    ]


def _placed(numbers: NDArray[Any], top: int, rows: int) -> NDArray[Any]:
    below = rows - top - numbers.shape[0]
    return np.pad(numbers, ((top, below), (0, 0))) if top or below else numbers


def _uncovered(shape: tuple[int, ...], top: int, rows: int) -> Instance:
    """What nobody looked at is neither particle nor background."""
    height, width = shape
    strip = np.ones((rows - height, width), dtype=bool)
    return Instance(IGNORE_LABEL, window_to_rle(strip, 0, 0 if top else height, rows, width))


def _pixels(instance: Instance) -> int:
    region = instance.region
    return area(region) if isinstance(region, Rle) else 0
