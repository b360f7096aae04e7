"""What the values of a folder's masks look like: instances, particles against background, or neither.

Read as instances, a class map of 320 particles has 2, a smoothed black-and-white mask has one for each of its grey
levels, ids that were cut to 8 bits come twice, and a black-on-white mask has 1. Such folders are recognised here by
some of their masks, and refused with the options that say what is meant. Options that the user gave are obeyed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy  # its parts are loaded where they are used: not every command has masks
from numpy.typing import NDArray

from nanoseg_bench.annotations.errors import MaskKindError
from nanoseg_bench.annotations.masks.values import read_mask_values
from nanoseg_bench.errors import NanosegError
from nanoseg_bench.wording import counted, shortened

_MASKS_LOOKED_AT = 16
_PIXELS_LOOKED_AT = 100_000_000
_EIGHT_BITS = 255
# On the 465 instance maps of EMPS, each looked at alone, no value lies in more than 1.75 pieces on average.
_PIECES_OF_A_CLASS = 2.0
_FEWEST_EXTRA_PIECES = 3
_PIECE_SHARE = 0.1  # of the largest piece of its value; what is smaller is a slip of the brush
_TABLED = 2**24  # values below are looked up in a table
_SHARE_OF_BACKGROUND = 0.9  # that its largest piece holds
_RIM_SHARE = 0.7
_SMALLEST_WHITE = 16  # of a picture in grey levels; below, values are numbers
_EXTREME_SHARE = 0.9
_FEWEST_GREY_LEVELS = 8
_NEIGHBOURHOOD = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True, eq=False)
class _Look:
    """One mask, looked at.

    Attributes:
        values: (H, W), not negative.
    """

    values: NDArray[Any]

    @cached_property
    def numbers(self) -> NDArray[Any]:
        """The values that occur, without 0."""
        found = np.unique(self.values)
        return np.asarray(found[found > 0])

    @cached_property
    def pieces(self) -> NDArray[np.int64]:
        """Pieces by value, in the order of ``numbers``, without specks beside a larger piece of their value."""
        from skimage.measure import label

        places = self._places()
        pieces = label(places, background=0, connectivity=2)
        sizes = np.bincount(pieces.ravel())[1:]
        value_of = np.zeros(len(sizes) + 1, dtype=np.int64)
        value_of[pieces.ravel()] = places.ravel()
        largest = np.zeros(len(self.numbers) + 1, dtype=np.int64)
        np.maximum.at(largest, value_of[1:], sizes)
        counts = np.bincount(
            value_of[1:][sizes >= _PIECE_SHARE * largest[value_of[1:]]], minlength=len(self.numbers) + 1
        )
        return np.asarray(counts[1:])

    def _places(self) -> NDArray[np.int32]:
        """(H, W) place of each pixel's value in ``numbers``, from 1; 0 where the value is 0."""
        if self.values.dtype.kind == "u" and self.values.max(initial=0) < _TABLED:
            # A table instead of a sorted copy, which takes seconds and a gigabyte for tens of millions of pixels.
            table = np.zeros(int(self.values.max(initial=0)) + 1, dtype=np.int32)
            table[self.numbers] = np.arange(1, len(self.numbers) + 1)
            return np.asarray(table[self.values])
        _, places = np.unique(self.values, return_inverse=True)
        return np.asarray(places.reshape(self.values.shape) + (0 if self._has_zero else 1), dtype=np.int32)

    @cached_property
    def between(self) -> NDArray[np.bool_]:
        """Pixels that are neither 0 nor of the largest value."""
        return np.asarray((self.values > 0) & (self.values < self.values.max()))

    @cached_property
    def rim(self) -> int:
        """Of those, the ones with both a smaller and a larger value beside them."""
        if not self.between.any():
            return 0
        lower = scipy.ndimage.minimum_filter(self.values, footprint=_NEIGHBOURHOOD, mode="nearest") < self.values
        higher = scipy.ndimage.maximum_filter(self.values, footprint=_NEIGHBOURHOOD, mode="nearest") > self.values
        return int((self.between & lower & higher).sum())

    @cached_property
    def extreme(self) -> int:
        """Pixels in the lowest or highest eighth of the range."""
        white = float(self.values.max())
        return int(((self.values < white / 8) | (self.values > white * 7 / 8)).sum())

    @cached_property
    def border(self) -> NDArray[Any]:
        """Values of the pixels at the four edges."""
        return np.concatenate([self.values[0], self.values[-1], self.values[1:-1, 0], self.values[1:-1, -1]])

    @property
    def seems_inverted(self) -> bool:
        """Whether what is not 0 is one piece that fills most of all four edges, as backgrounds do."""
        sides = (self.values[0], self.values[-1], self.values[:, 0], self.values[:, -1])
        if (self.border > 0).mean() <= 0.5 or not all(side.any() for side in sides):
            return False
        pieces, _ = scipy.ndimage.label(self.values, structure=_NEIGHBOURHOOD)
        sizes = np.bincount(pieces.ravel())[1:]
        return bool(sizes.max() >= _SHARE_OF_BACKGROUND * sizes.sum())

    @property
    def _has_zero(self) -> bool:
        return bool((self.values == 0).any())


def recognise(paths: Sequence[Path]) -> str:
    """``binary`` or ``instance``, by masks spread over a folder; those that cannot be read are left to their entry.

    Binary where no mask that is looked at (up to 16) holds more than one value besides 0.

    Raises:
        AnnotationError: The values are neither numbers of particles nor particles against a background of 0; the
            message says what they look like and which options read them.
    """
    looks = _look_at(paths)
    if not looks:
        return "binary"
    where = paths[0].parent
    if all(len(look.numbers) < 2 for look in looks):
        _refuse_black_on_white(looks, where)
        return "binary"
    _refuse_other_background(looks, where)
    _refuse_grey_levels(looks, where)
    for look in looks:
        _refuse_wrapped(look, f"{where}: at least one mask")
    _refuse_classes(looks, where)
    return "instance"


def require_numbers(values: NDArray[Any], path: Path) -> None:
    """Refuse an instance map whose numbers were cut to 8 bits; a dense image shows it, its folder may not.

    Raises:
        AnnotationError: All 255 values occur, and particles far from each other share some.
    """
    if values.max() == _EIGHT_BITS:
        _refuse_wrapped(_Look(values), str(path))


def has_one_value(values: NDArray[Any]) -> bool:
    """Whether there is at most one value besides 0."""
    return bool(((values == 0) | (values == values.max())).all())


def _look_at(paths: Sequence[Path]) -> list[_Look]:
    step = max(1, len(paths) // _MASKS_LOOKED_AT)
    looks, pixels = [], 0
    for path in paths[::step][:_MASKS_LOOKED_AT]:
        try:
            values = read_mask_values(path)
        except NanosegError:
            continue
        pixels += values.size
        if values.any():  # an empty mask tells nothing
            looks.append(_Look(values))
        if pixels > _PIXELS_LOOKED_AT:
            break
    return looks


def _refuse_black_on_white(looks: Sequence[_Look], where: Path) -> None:
    inverted = [look for look in looks if look.seems_inverted]
    if 2 * len(inverted) <= len(looks):
        return
    black = sum(scipy.ndimage.label(look.values == 0)[1] for look in inverted)
    found = f"white around {counted(black, 'black piece')}" if black else "white only"
    raise MaskKindError(
        f"{where}: looks like black particles on white: {found}, in {len(inverted)} of {_masks(looks)}. Give --invert "
        "if particles are black, or --mask-kind binary if they are white all the same"
    )


def _refuse_other_background(looks: Sequence[_Look], where: Path) -> None:
    """Two values and no 0 anywhere: some tools number the background too."""
    numbers = np.unique(np.concatenate([look.numbers for look in looks]))
    if len(numbers) != 2 or any((look.values == 0).any() for look in looks):
        return
    edge = np.concatenate([look.border for look in looks])
    low, high = (f"{number:g}" for number in numbers)
    upper_is_background = bool((edge == numbers[1]).mean() > 0.5)
    background, flags = (high, f"--threshold {high} --invert") if upper_is_background else (low, f"--threshold {high}")
    raise MaskKindError(
        f"{where}: the values are {low} and {high} in {_masks(looks)}, never 0, which is the background here; most of "
        f"the border is {background}. Give {flags} if {background} is the background, or --mask-kind instance if "
        "each value is one particle"
    )


def _refuse_grey_levels(looks: Sequence[_Look], where: Path) -> None:
    """Values between black and white that lie on outlines, or that scatter around both."""
    between = sum(int(look.between.sum()) for look in looks)
    white = max(float(look.values.max()) for look in looks)
    if white < _SMALLEST_WHITE or not between:
        return
    smooth = sum(look.rim for look in looks) >= _RIM_SHARE * between
    levels = max(len(look.numbers) for look in looks)
    extremes = sum(look.extreme for look in looks) >= _EXTREME_SHARE * sum(look.values.size for look in looks)
    noisy = levels >= _FEWEST_GREY_LEVELS and extremes and _in_pieces(looks)
    if not smooth and not noisy:
        return
    edge = np.concatenate([look.border for look in looks])
    invert = " --invert" if (edge > white / 2).mean() > 0.5 else ""
    raise MaskKindError(
        f"{where}: looks like particles against background in grey levels: up to {levels} values, those between 0 and "
        f"{white:g} as smoothing, resizing or JPEG leaves them around particles. Give --threshold "
        f"{_half(white)}{invert}, or --mask-kind instance if each value is one particle"
    )


def _refuse_wrapped(look: _Look, what: str) -> None:
    if look.values.max() != _EIGHT_BITS or len(look.numbers) < _EIGHT_BITS - 1:
        return
    shared = int((look.pieces > 1).sum())
    if shared:
        raise MaskKindError(
            f"{what} holds all {_EIGHT_BITS} values of 8 bits, {shared} of them in several separate pieces: looks like "
            "more particles than 8 bits can number, so that different ones share a number and some have 0. Export the "
            "numbers with 16 bits, or give --mask-kind instance if each value is one particle all the same"
        )


def _refuse_classes(looks: Sequence[_Look], where: Path) -> None:
    if not _in_pieces(looks):
        return
    numbers = np.unique(np.concatenate([look.numbers for look in looks]))
    shown = shortened([f"{number:g}" for number in numbers])
    raise MaskKindError(
        f"{where}: looks like a class map: {counted(len(numbers), 'value')} ({shown}) in "
        f"{sum(int(look.pieces.sum()) for look in looks)} separate pieces in {_masks(looks)}. Give --mask-kind classes "
        "if values are classes and every piece is a particle (--label 1=cube,2=rod names them), --mask-kind binary if "
        "values mean nothing, or --mask-kind instance if each value is one particle"
    )


def _in_pieces(looks: Sequence[_Look]) -> bool:
    """Whether values lie in more pieces than the parts of single particles explain."""
    values, pieces = sum(len(look.numbers) for look in looks), sum(int(look.pieces.sum()) for look in looks)
    return pieces >= _PIECES_OF_A_CLASS * values and pieces - values >= _FEWEST_EXTRA_PIECES


def _half(white: float) -> str:
    return f"{white / 2:g}" if white <= 1 else f"{int(white) // 2 + 1}"


def _masks(looks: Sequence[_Look]) -> str:
    return f"the {counted(len(looks), 'mask')} looked at" if len(looks) > 1 else "the mask looked at"
