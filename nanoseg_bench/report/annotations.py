"""The outlines for other programs, and for a person who corrects them: LabelMe, COCO, instance maps."""

from collections.abc import Sequence
from pathlib import Path

from nanoseg_bench.annotations.begun_by import BegunBy
from nanoseg_bench.annotations.conversion import convert
from nanoseg_bench.annotations.instance import Micrograph
from nanoseg_bench.annotations.source import Loaded, Source
from nanoseg_bench.report.report_input import Method, ReportedImage


def write_annotations(
    folder: Path, to: str, images: Sequence[ReportedImage], method: Method, classes: Sequence[str]
) -> None:
    """Write the outlines of all micrographs in one format, as ``convert`` does it.

    LabelMe gets polygons whose vertices can be dragged, scores, the scale, and which model began them: what a person
    corrects becomes training data by ``prepare``. An information bar or lettering that was taken for a particle is
    flagged there.

    Args:
        folder: To be written; it is replaced where an earlier call wrote it.
        to: ``labelme``, ``coco`` or ``masks``.
        images: With their outlines; those below the confidence are left out.
        method: What found them.
        classes: In the order of their indices.

    Raises:
        NanosegError: The folder cannot be written, or holds other things.
    """
    begun_by = BegunBy(method.model_id, method.run, method.weights_sha256) if method.model_id else None
    entries = tuple(
        Loaded(
            Micrograph(
                image.name,
                image.path,
                image.width,
                image.height,
                tuple(each for each in image.instances if not _is_below(each.score, method.confidence)),
                nm_per_px=image.nm_per_px,
                begun_by=begun_by,
            )
        )
        for image in images
    )
    convert(Source("predictions", entries, tuple(classes)), folder, to, classes=tuple(classes), overwrite=True)


def _is_below(score: float | None, confidence: float | None) -> bool:
    return score is not None and confidence is not None and score < confidence
