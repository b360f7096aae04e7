"""A data set in YOLO-seg text: ``data.yaml``, ``images/`` and ``labels/``."""

import json
from collections.abc import Sequence
from pathlib import Path

from nanoseg_bench.annotations.instance import Micrograph
from nanoseg_bench.annotations.writer import IMAGES, Encoded, WriteOptions, Writer
from nanoseg_bench.annotations.yolo.label import yolo_label
from nanoseg_bench.files import write_text

_LABELS = "labels"


class YoloWriter(Writer):
    """A label for each image. It holds no holes, no particles of several parts and no ignore regions."""

    folders = (IMAGES, _LABELS)
    image_folder = IMAGES
    numbers_classes = True

    def encode(self, micrograph: Micrograph, stem: str, source: Path, options: WriteOptions) -> Encoded:
        """The label of one micrograph."""
        label = yolo_label(source, micrograph.instances, options.classes, micrograph.height, micrograph.width)
        return Encoded(label.loss(), f"{_LABELS}/{stem}.txt", lambda image: label.content())

    def finish(self, root: Path, classes: Sequence[str]) -> None:
        """Write ``data.yaml``."""
        # JSON texts are YAML texts, but for what cannot be printed.
        names = "".join(
            f"  {index}: {json.dumps(name, ensure_ascii=not name.isprintable())}\n"
            for index, name in enumerate(classes)
        )
        write_text(
            root / "data.yaml",
            "# All images stand under train, and val is missing on purpose: images of one specimen belong on one "
            "side.\n"
            "# `nanoseg-bench prepare` makes a split by that, and audits it.\n"
            f"train: {IMAGES}\nnames:\n{names}",
        )
