"""VGG Image Annotator as one of the formats."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.annotations.format import JSON, Format, ReadOptions

if TYPE_CHECKING:
    from nanoseg_bench.annotations.source import Source


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
