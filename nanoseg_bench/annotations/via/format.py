"""VGG Image Annotator as one of the formats."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.annotations.format import JSON, Format, ReadOptions

if TYPE_CHECKING:
    from nanoseg_bench.annotations.source import Source


CSV_NOT_READ = (
    "VIA's CSV is not read; import it in VIA (menu Annotation), and export the annotations as JSON, or save the project"
)

_CSV_START = re.compile(rb"(\xef\xbb\xbf)?#?filename,file_size,file_attributes,region_count")


def is_csv_export(path: Path) -> bool:
    """Whether it is a table of annotations as VIA 1 or 2 exports it."""
    if path.suffix.lower() != ".csv":
        return False
    try:
        with path.open("rb") as stream:
            return _CSV_START.match(stream.read(100)) is not None
    except OSError:
        return False  # a link that leads nowhere, or a file that may not be looked at


class Via(Format):
    """One JSON for all images."""

    name = "via"
    title = "VIA"
    single_file = JSON
    json_start = re.compile(rb'"_via_img_metadata"\s*:')
    options = frozenset({"image_folder", "label_attribute"})

    def is_json(self, document: object) -> bool:
        """Whether it looks like a project or an export of VIA 1 or 2."""
        from nanoseg_bench.annotations.via.reading import is_via

        return is_via(document)

    def open(self, path: Path, options: ReadOptions) -> "Source":
        """List the images of a VIA file; see ``open_via``."""
        from nanoseg_bench.annotations.via.reading import open_via

        return open_via(path, options.image_folder, options.label_attribute)
