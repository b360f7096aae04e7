"""The layout of EMPS: ``images/``, ``segmaps/`` and ``metadata.csv``."""

import csv
from pathlib import Path

from nanoseg_bench.annotations.instance import Micrograph, Rle
from nanoseg_bench.annotations.masks import read_instance_map
from nanoseg_bench.errors import DatasetError
from nanoseg_bench.imageio import image_size
from nanoseg_bench.progress import track

# The outlines of an image are one cell of the table, far beyond csv's 128 KiB.
_LONGEST_CELL = 2**27
_NAMES_SHOWN = 5


def read_emps(source: Path, label: str) -> list[Micrograph]:
    """Read EMPS from its repository's folder.

    Truth are the instance maps. The outlines in ``metadata.csv`` are in the coordinates of the published figures, not
    of the images, and are not used. The source group is the paper's DOI.

    Args:
        source: The folder.
        label: Class name of all particles: EMPS tells no shapes apart.

    Returns:
        Micrographs sorted by name, with the attributes ``doi`` and ``figure``.

    Raises:
        DatasetError: Files are missing, or an instance map is not of its image's size.
        AnnotationError: An instance map is malformed.
        ImageError: An image cannot be read.
    """
    rows = sorted(read_metadata(source), key=lambda row: row["filename"])
    paths = [source / folder / row["filename"] for row in rows for folder in ("images", "segmaps")]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        names = ", ".join(path.relative_to(source).as_posix() for path in missing[:_NAMES_SHOWN])
        raise DatasetError(f"{source}: {len(missing)} files are missing: {names}; copy the whole repository again")
    return [_read_micrograph(source, row, label) for row in track(rows, "read emps")]


def read_metadata(source: Path) -> list[dict[str, str]]:
    """Rows of ``metadata.csv``: ``filename``, ``doi``, ``locator`` (the figure).

    Raises:
        DatasetError: The file is missing or lacks a column.
    """
    path = source / "metadata.csv"
    if not path.is_file():
        raise DatasetError(f"{path}: missing; give the folder of the EMPS repository, with images/ and segmaps/")
    limit = csv.field_size_limit(_LONGEST_CELL)
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            lacking = {"filename", "doi", "locator"} - set(reader.fieldnames or ())
            if lacking:
                raise DatasetError(f"{path}: no column {', '.join(sorted(lacking))}; copy the file again")
            return [{key: row[key] for key in ("filename", "doi", "locator")} for row in reader]
    finally:
        csv.field_size_limit(limit)


def _read_micrograph(source: Path, row: dict[str, str], label: str) -> Micrograph:
    image_path, map_path = source / "images" / row["filename"], source / "segmaps" / row["filename"]
    width, height = image_size(image_path)
    instances = tuple(read_instance_map(map_path, label))
    for region in (instance.region for instance in instances):
        if isinstance(region, Rle) and (region.width, region.height) != (width, height):
            size = f"{region.width}x{region.height}"
            raise DatasetError(f"{map_path}: {size} px, its image {width}x{height} px; copy the repository again")
    return Micrograph(
        name=Path(row["filename"]).stem,
        image_path=image_path,
        width=width,
        height=height,
        instances=instances,
        source_group=row["doi"],
        attributes={"doi": row["doi"], "figure": row["locator"]},
    )
