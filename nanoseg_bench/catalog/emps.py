"""The layout of EMPS: ``images/``, ``segmaps/`` and ``metadata.csv``."""

import csv
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.annotations.instance import Micrograph, Rle
from nanoseg_bench.annotations.masks.reading import read_instance_map
from nanoseg_bench.annotations.source import Source
from nanoseg_bench.errors import DatasetError
from nanoseg_bench.images import image_size

# The outlines of an image are one cell of the table, far beyond csv's 128 KiB.
_LONGEST_CELL = 2**27
_COLUMNS = ("filename", "doi", "locator")
_NAMES_SHOWN = 5


@dataclass(frozen=True, eq=False, slots=True)
class EmpsRef:
    """One image of EMPS that is not read yet.

    Attributes:
        path: The image.
        map_path: Its instance map.
        doi: Of the paper; the source group.
        figure: Where in the paper.
        label: Class name of all particles.
    """

    path: Path
    map_path: Path
    doi: str
    figure: str
    label: str

    @property
    def name(self) -> str:
        """The image's file name without suffix."""
        return self.path.stem

    def read(self) -> Micrograph:
        """Read the instance map and the image's size.

        Raises:
            DatasetError: The instance map is not of its image's size.
            AnnotationError: The instance map is malformed.
            ImageError: The image cannot be read.
        """
        width, height = image_size(self.path)
        instances = tuple(read_instance_map(self.map_path, self.label))
        for region in (instance.region for instance in instances):
            if isinstance(region, Rle) and (region.width, region.height) != (width, height):
                size = f"{region.width}x{region.height}"
                raise DatasetError(
                    f"{self.map_path}: {size} px, its image {width}x{height} px; copy the repository again"
                )
        return Micrograph(
            name=self.name,
            image_path=self.path,
            width=width,
            height=height,
            instances=instances,
            source_group=self.doi,
            attributes={"doi": self.doi, "figure": self.figure},
        )


def open_emps(source: Path, label: str) -> Source:
    """Find the images of EMPS in its repository's folder.

    Truth are the instance maps. The outlines in ``metadata.csv`` are in the coordinates of the published figures, not
    of the images, and are not used. The source group is the paper's DOI.

    Args:
        source: The folder.
        label: Class name of all particles: EMPS tells no shapes apart.

    Raises:
        DatasetError: Files are missing.
    """
    rows = sorted(read_metadata(source), key=lambda row: row["filename"])
    paths = [source / folder / row["filename"] for row in rows for folder in ("images", "segmaps")]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        names = ", ".join(path.relative_to(source).as_posix() for path in missing[:_NAMES_SHOWN])
        raise DatasetError(f"{source}: {len(missing)} files are missing: {names}; copy the whole repository again")
    entries = tuple(
        EmpsRef(image, segmap, row["doi"], row["locator"], label)
        for row, image, segmap in zip(rows, paths[::2], paths[1::2], strict=True)
    )
    return Source("emps", entries)


def read_metadata(source: Path) -> list[dict[str, str]]:
    """Rows of ``metadata.csv``: ``filename``, ``doi``, ``locator`` (the figure).

    Raises:
        DatasetError: The file is missing, cut off, no CSV in UTF-8, or lacks a column.
    """
    path = source / "metadata.csv"
    if not path.is_file():
        raise DatasetError(f"{path}: missing; give the folder of the EMPS repository, with images/ and segmaps/")
    limit = csv.field_size_limit(_LONGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            lacking = set(_COLUMNS) - set(reader.fieldnames or ())
            if lacking:
                raise DatasetError(f"{path}: no column {', '.join(sorted(lacking))}; copy the file again")
            rows = [{column: row[column] for column in _COLUMNS} for row in reader]
    except (csv.Error, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: is no table in UTF-8 ({error}); copy the file again") from error
    finally:
        csv.field_size_limit(limit)
    # What a short row lacks, the reader gives as None.
    short = next((number for number, row in enumerate(rows, start=1) if None in row.values()), None)
    if short is not None:
        raise DatasetError(f"{path}: row {short} ends too early; copy the file again")
    return rows
