"""``prepare --preview``: one HTML page that shows what a prepared set holds, to be looked at before a model is trained.

A contact sheet per split with the outlines that models will be trained on, distributions of classes, sizes and counts
that let the splits be compared, and everything that was lost, warned of or left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from nanoseg_bench.drawing.colours import IGNORE_COLOUR, Colour, class_colours, css
from nanoseg_bench.drawing.outlines import class_outlines
from nanoseg_bench.drawing.picture import draw_outlines, resized
from nanoseg_bench.files import read_json, write_text
from nanoseg_bench.pages import data_uri, render, svg
from nanoseg_bench.preparation.prepared_set import (
    AUDIT_FILE,
    AUDIT_PAGE,
    REPORT_FILE,
    PreparedImage,
    PreparedSet,
)
from nanoseg_bench.preparation.set_statistics import SplitStatistics, class_shares, split_statistics

MAX_ORIGINALS = 24
MAX_COPIES = 12

_SIDE = 440  # px; shown at half of it, so that outlines are crisp on dense screens
# 108 pictures at most, a third larger as text: the page stays below 7 MB.
_MAX_PICTURE_BYTES = 45_000
_MAX_LISTED = 300
_LARGEST_GROUPS = 10

_LOSSES = {
    "outside_image": "particles drawn wholly outside their image; they are in no truth.",
    "too_small_for_canvas": "particles of the truth with no pixel left on the canvas: models cannot learn them, "
    "scoring still asks for them.",
    "cut_by_augmentation": "particles that an augmented copy cut below the minimum visible area; they are left out of "
    "that copy, the original keeps them.",
    "yolo_parts_joined": "parts of particles tied to the rest by a bridge of no width in the YOLO text, which knows "
    "one outline per particle. Truth and canvas masks keep the parts.",
    "yolo_holes_lost": "holes that are filled in the YOLO text. Truth and canvas masks keep them.",
    "yolo_vanished": "particles missing from the YOLO text, because fewer than three points of their outline remain "
    "inside the canvas.",
}

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class _Thumbnail:
    image: PreparedImage
    particles: int
    ignored: int
    picture: str


@dataclass(frozen=True, slots=True)
class _Bar:
    split: str
    percent: float  # of the split's particles
    width: float  # percent of the longest bar


def write_preview(prepared: PreparedSet, path: Path) -> None:
    """Write the preview of a prepared set, atomically; same set, same bytes.

    Only the pictures that are shown are read, so memory does not grow with their number.

    Args:
        prepared: The set. Its ``prepare_report.json`` and ``split_audit.json`` are shown where they are there.
        path: The HTML file.

    Raises:
        DatasetError: The set's files are malformed.
        ImageError: A canvas is missing or cannot be read.
        OSError: The page cannot be written.
    """
    from nanoseg_bench.preparation.preview_charts import SPLIT_COLOURS

    statistics = split_statistics(prepared)
    ood_classes = tuple(prepared.summary.get("ood_classes", ()))
    classes = (*prepared.classes, *(name for name in ood_classes if name not in prepared.classes))
    colours = class_colours(classes)
    page = render(
        "nanoseg_bench.preparation",
        "preview.html",
        prepared=prepared,
        statistics=statistics,
        classes=classes,
        only_ood=set(ood_classes) - set(prepared.classes),
        colours={name: css(colour) for name, colour in colours.items()},
        ignore_colour=css(IGNORE_COLOUR),
        split_colours=SPLIT_COLOURS,
        sheets=[_sheet(prepared, each, colours) for each in statistics],
        class_bars=_class_bars(statistics, classes),
        charts=_charts(statistics),
        sizes=_size_rows(statistics),
        largest_groups=_largest_groups(statistics),
        losses=_losses(prepared),
        report=_read(prepared, REPORT_FILE),
        audit=_read(prepared, AUDIT_FILE),
        audit_page=AUDIT_PAGE if (prepared.root / AUDIT_PAGE).is_file() else None,
        max_listed=_MAX_LISTED,
    )
    write_text(path, page)


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most ``count`` items, evenly spaced over all of them, in their order."""
    if len(items) <= count:
        return list(items)
    return [items[(2 * number + 1) * len(items) // (2 * count)] for number in range(count)]


def _sheet(prepared: PreparedSet, statistics: SplitStatistics, colours: Mapping[str, Colour]) -> dict[str, Any]:
    images = prepared.images(statistics.split)
    originals = spread([image for image in images if image.parent is None], MAX_ORIGINALS)
    copies = spread([image for image in images if image.parent is not None], MAX_COPIES)
    names = {image.name for image in (*originals, *copies)}
    instances = prepared.instances_of("canvas", statistics.split, names)
    thumbnails = {image.name: _thumbnail(image, instances[image.name], colours) for image in (*originals, *copies)}
    return {
        "split": statistics.split,
        "statistics": statistics,
        "originals": [thumbnails[image.name] for image in originals],
        "copies": [thumbnails[image.name] for image in copies],
    }


def _thumbnail(image: PreparedImage, instances: Sequence[Any], colours: Mapping[str, Colour]) -> _Thumbnail:
    size = image.letterbox.canvas_size
    picture = draw_outlines(
        resized(image.read_canvas(), (_SIDE, _SIDE)), class_outlines(instances, size, colours), size
    )
    ignored = sum(each.ignored for each in instances)
    return _Thumbnail(image, len(instances) - ignored, ignored, data_uri(picture, _MAX_PICTURE_BYTES))


def _class_bars(statistics: Sequence[SplitStatistics], classes: Sequence[str]) -> list[tuple[str, list[_Bar]]]:
    """Class and bars of the splits: drawn by the browser, which has a font for every class name."""
    shares = class_shares(statistics, classes)
    longest = max((share for _, of_splits in shares for share in of_splits), default=0.0) or 1.0
    return [
        (
            name,
            [_Bar(each.split, share, 100 * share / longest) for each, share in zip(statistics, of_splits, strict=True)],
        )
        for name, of_splits in shares
    ]


def _charts(statistics: Sequence[SplitStatistics]) -> dict[str, Markup]:
    # matplotlib is loaded only where a preview is asked for.
    from nanoseg_bench.drawing.charts import chart_style
    from nanoseg_bench.preparation.preview_charts import count_chart, size_chart

    splits = ", ".join(each.split for each in statistics)
    with chart_style():
        figures = {
            "pixels": (
                size_chart([(each.split, each.diameters_px) for each in statistics], "px of the original"),
                f"Diameters in pixels in {splits}",
            ),
            "particles": (
                count_chart([(each.split, each.particles_per_image) for each in statistics], "particles per image",
                            "% of the split's images"),
                f"Particles per image in {splits}",
            ),
            "groups": (
                count_chart([(each.split, _group_sizes(each)) for each in statistics], "images per source group",
                            "% of the split's groups"),
                f"Images per source group in {splits}",
            ),
        }  # fmt: skip
        if any(len(each.diameters_nm) for each in statistics):
            figures["nanometres"] = (
                size_chart([(each.split, each.diameters_nm) for each in statistics], "nm"),
                f"Diameters in nanometres in {splits}",
            )
        return {name: svg(figure, f"chart-{name}", description) for name, (figure, description) in figures.items()}


def _group_sizes(statistics: SplitStatistics) -> NDArray[np.int64]:
    return np.array(list(statistics.group_sizes.values()), dtype=np.int64)


def _size_rows(statistics: Sequence[SplitStatistics]) -> list[dict[str, Any]]:
    return [
        {
            "split": each.split,
            "particles": each.particles,
            "pixels": _percentiles(each.diameters_px),
            "nanometres": _percentiles(each.diameters_nm),
            "scaled_images": each.scaled_images,
            "images": each.images,
        }
        for each in statistics
    ]


def _percentiles(values: NDArray[np.float64]) -> list[float] | None:
    """10th, 50th and 90th percentile; None without values."""
    return [float(value) for value in np.percentile(values, (10, 50, 90))] if len(values) else None


def _largest_groups(statistics: Sequence[SplitStatistics]) -> list[tuple[int, str, str]]:
    """(images, source group, split), the largest first."""
    groups = [(images, name, each.split) for each in statistics for name, images in each.group_sizes.items()]
    return sorted(groups, key=lambda group: (-group[0], group[1], group[2]))[:_LARGEST_GROUPS]


def _losses(prepared: PreparedSet) -> list[tuple[str, int, str]]:
    """(name, count, what it means)."""
    losses = prepared.summary.get("losses", {})
    return [(name, count, _LOSSES.get(name, "counted by prepare under this name.")) for name, count in losses.items()]


def _read(prepared: PreparedSet, name: str) -> dict[str, Any] | None:
    path = prepared.file(name)
    document: dict[str, Any] | None = read_json(path) if path.is_file() else None
    return document
