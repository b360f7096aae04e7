"""What is wrong, or looks wrong, in a folder of LabelMe files; nothing is written."""

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.errors import NotAnAnnotationError
from nanoseg_bench.annotations.extents import extents_of, place_of
from nanoseg_bench.annotations.faults import SeveralFaultsError
from nanoseg_bench.annotations.instance import Instance, Micrograph, Rle
from nanoseg_bench.annotations.labelme.reading import OF_ITS_NAME, open_labelme
from nanoseg_bench.annotations.labels import is_in_order, not_in_classes, warn_of_similar_labels
from nanoseg_bench.annotations.raster import area, to_rle
from nanoseg_bench.annotations.source import Source
from nanoseg_bench.annotations.twins import find_twins
from nanoseg_bench.errors import AnnotationError, NanosegError
from nanoseg_bench.files import visible_files
from nanoseg_bench.images import IMAGE_SUFFIXES
from nanoseg_bench.progress import track
from nanoseg_bench.wording import counted

Severity = Literal["error", "warning"]
"""error: the file cannot be used as it is, or a particle of it is lost. warning: worth a look."""

_SMALLEST_DIAMETER = 3.0
# Outlines whose edges lie side by side in this many pairs are drawn by no one; they are not searched for crossings.
_MOST_PAIRS = 10_000_000
_PAIRS_AT_ONCE = 500_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at.

    Attributes:
        path: The LabelMe file, the image that has none, or the folder, where several files belong to it.
        message: What is wrong and what to do.
        severity: Whether it must be mended.
    """

    path: Path
    message: str
    severity: Severity


@dataclass(slots=True)
class FolderCheck:
    """What a validation went through and found.

    Attributes:
        findings: Errors first, then by path.
        files: LabelMe files that were read, faulty ones included.
        labels: Particles by label, over the files that could be read; without ignore regions.
    """

    findings: list[Finding] = field(default_factory=list)
    files: int = 0
    labels: Counter[str] = field(default_factory=Counter)

    def add(self, path: Path, severity: Severity, message: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(path, message, severity))


def check_labelme_folder(folder: Path, classes: Sequence[str] | None) -> FolderCheck:
    """Every finding in the LabelMe files below a folder.

    Args:
        folder: Searched with its sub-folders.
        classes: Labels that may occur, besides ``ignore``; None allows any.

    Raises:
        AnnotationError: There is no such folder.
    """
    check = FolderCheck()
    images: dict[Path, Path] = {}
    first_files: dict[str, str] = {}
    # An image that exists only inside its file has to be unpacked somewhere to be looked at.
    with tempfile.TemporaryDirectory() as unpacked:
        source = _open(folder, Path(unpacked))
        for entry in track(source.entries, "checking annotations"):
            try:
                micrograph = entry.read()
            except NotAnAnnotationError:
                continue
            except NanosegError as error:
                check.files += 1
                for fault in error.faults if isinstance(error, SeveralFaultsError) else (str(error),):
                    check.add(entry.path, "error", _without_path(fault, entry.path))
                continue
            check.files += 1
            image = Path(os.path.realpath(micrograph.image_path))
            if image in images:
                check.add(entry.path, "error", f"annotates {image.name}, and so does {images[image].name}; keep one")
            images.setdefault(image, entry.path)
            inside = micrograph.image_path.is_relative_to(unpacked)
            if inside:
                check.add(entry.path, "warning", "its image is missing and was found inside the file; put it beside it")
            labels = [each.label for each in micrograph.instances if each.label is not None and not each.ignored]
            check.labels.update(labels)
            for label in labels:
                first_files.setdefault(label, entry.name)
            try:
                findings = list(check_micrograph(micrograph, classes))
            except AnnotationError as error:
                findings = [("error", str(error))]
            for severity, message in findings:
                if inside and message.endswith(OF_ITS_NAME):
                    continue  # that name is the unpacked image's
                check.add(entry.path, severity, message)
    if classes is None:
        for message in warn_of_similar_labels(check.labels, first_files):
            check.add(folder, "warning", message)
    for path in source.unannotated:
        if Path(os.path.realpath(path)) not in images:
            message = "has no annotation and takes no part; annotate it (an empty annotation makes it background)"
            check.add(path, "warning", message)
    check.findings.sort(key=lambda finding: (finding.severity != "error", finding.path.as_posix()))
    return check


def check_micrograph(micrograph: Micrograph, classes: Sequence[str] | None) -> Iterator[tuple[Severity, str]]:
    """Severity and message of each finding in one micrograph that could be read.

    Raises:
        AnnotationError: Its outlines are too long or too many to be drawn.
    """
    if classes is not None:
        yield from _check_labels(micrograph.instances, classes)
    yield from (("warning", note) for note in micrograph.notes)
    masks = [to_rle(instance, micrograph.height, micrograph.width) for instance in micrograph.instances]
    for instance, mask in zip(micrograph.instances, masks, strict=True):
        yield from _check_size(instance, mask, micrograph)
        yield from _check_outline(instance)
    yield from _check_twins(micrograph.instances, masks, micrograph)


def first_crossing(outline: NDArray[np.float64]) -> tuple[float, float] | None:
    """A point at which a closed outline crosses itself; None where it does not.

    Edges that only touch, at a point or along a line, do not cross.

    Args:
        outline: (N, 2) array of x, y, not closed.
    """
    starts, ends = outline, np.roll(outline, -1, axis=0)
    for first, second in _overlapping_edges(starts, ends):
        # The edges cross where each has the ends of the other on different sides.
        sides = (
            _side(starts[first], ends[first], starts[second]) * _side(starts[first], ends[first], ends[second]),
            _side(starts[second], ends[second], starts[first]) * _side(starts[second], ends[second], ends[first]),
        )
        crossing = np.flatnonzero((sides[0] < 0) & (sides[1] < 0))
        if crossing.size:
            one, other = first[crossing[0]], second[crossing[0]]
            return _intersection(starts[one], ends[one], starts[other], ends[other])
    return None


def _open(folder: Path, extract_to: Path) -> Source:
    if not folder.is_dir() or any(path.is_file() for path in visible_files(folder, ".json")):
        return open_labelme(folder, extract_to)
    # Nothing is drawn yet: all that can be said is which images wait for it.
    images = sorted(path for path in visible_files(folder, IMAGE_SUFFIXES) if path.is_file())
    return Source("labelme", (), unannotated=tuple(images))


def _check_labels(instances: Sequence[Instance], classes: Sequence[str]) -> Iterator[tuple[Severity, str]]:
    known = frozenset(classes)
    unknown = Counter(each.label for each in instances if each.label is not None and not is_in_order(each, known))
    for label, number in sorted(unknown.items()):
        yield "error", f"label {label!r} ({counted(number, 'particle')}) {not_in_classes(label, classes)}"


def _check_size(instance: Instance, mask: Rle, micrograph: Micrograph) -> Iterator[tuple[Severity, str]]:
    pixels = area(mask)
    if pixels == 0 and _is_outside(instance, micrograph):
        size = f"{micrograph.width}x{micrograph.height} px"
        yield "error", f"{place_of(instance)} lies wholly outside the image ({size}); move or delete it"
    elif pixels == 0:
        yield "error", f"{place_of(instance)} covers no pixel; draw it again or delete it"
    elif not instance.ignored and 2 * (pixels / np.pi) ** 0.5 < _SMALLEST_DIAMETER:
        yield "warning", f"{place_of(instance)} covers {pixels} px; delete it if it is a slip"


def _check_outline(instance: Instance) -> Iterator[tuple[Severity, str]]:
    if isinstance(instance.region, Rle):
        return
    for polygon in instance.region:
        for outline in (polygon.exterior, *polygon.holes):
            point = first_crossing(outline)
            if point is not None:
                where = f"({point[0]:.0f}, {point[1]:.0f})"
                yield "warning", f"the outline of {place_of(instance)} crosses itself at {where}; move its points apart"


def _check_twins(
    instances: Sequence[Instance], masks: Sequence[Rle], micrograph: Micrograph
) -> Iterator[tuple[Severity, str]]:
    drawn = [replace(instance, region=mask) for instance, mask in zip(instances, masks, strict=True)]
    for pair in find_twins(drawn, micrograph.height, micrograph.width):
        first, second = instances[pair.first], instances[pair.second]
        yield (
            "warning",
            f"{place_of(first)} is outlined twice (as {first.label!r} and {second.label!r}, IoU {pair.iou:.2f}); "
            "delete one",
        )


def _is_outside(instance: Instance, micrograph: Micrograph) -> bool:
    if isinstance(instance.region, Rle):
        return False
    left, top, right, bottom = extents_of([instance]).boxes[0]
    return bool(right <= 0 or bottom <= 0 or left >= micrograph.width or top >= micrograph.height)


def _overlapping_edges(
    starts: NDArray[np.float64], ends: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Pairs of edges whose extents in x overlap, in bounded portions; nothing for outlines that have far too many."""
    left, right = np.minimum(starts[:, 0], ends[:, 0]), np.maximum(starts[:, 0], ends[:, 0])
    order = np.argsort(left, kind="stable")
    # In the order of their left ends, an edge overlaps those that follow it up to its own right end.
    followers = np.searchsorted(left[order], right[order], side="right") - np.arange(len(order)) - 1
    up_to = np.concatenate(([0], np.cumsum(followers)))
    if up_to[-1] > _MOST_PAIRS:
        return
    cuts = np.unique(np.append(np.searchsorted(up_to, np.arange(0, up_to[-1], _PAIRS_AT_ONCE)), len(order)))
    for begin, end in pairwise(cuts.tolist()):
        numbers = followers[begin:end]
        firsts = np.repeat(np.arange(begin, end), numbers)
        steps = np.arange(numbers.sum()) - np.repeat(up_to[begin:end] - up_to[begin], numbers)
        yield order[firsts], order[firsts + 1 + steps]


def _side(start: NDArray[np.float64], end: NDArray[np.float64], point: NDArray[np.float64]) -> NDArray[np.float64]:
    along, to = end - start, point - start
    result: NDArray[np.float64] = np.sign(along[:, 0] * to[:, 1] - along[:, 1] * to[:, 0])
    return result


def _intersection(
    start: NDArray[np.float64], end: NDArray[np.float64], other: NDArray[np.float64], other_end: NDArray[np.float64]
) -> tuple[float, float]:
    along, across, gap = end - start, other_end - other, other - start
    share = (gap[0] * across[1] - gap[1] * across[0]) / (along[0] * across[1] - along[1] * across[0])
    x, y = (start + share * along).tolist()
    return x, y


def _without_path(message: str, path: Path) -> str:
    return message.removeprefix(str(path)).lstrip(":, ")
