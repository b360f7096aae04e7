"""What a user decides about a prepared set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nanoseg_bench.errors import UsageError
from nanoseg_bench.preparation.audit import ReviewedPair
from nanoseg_bench.preparation.folds import check_folds
from nanoseg_bench.preparation.grouping import GroupRule
from nanoseg_bench.preparation.scales import ScaleTable


@dataclass(frozen=True, slots=True)
class PrepareConfig:
    """What a user decides about a prepared set.

    Attributes:
        canvas: Side of the canvas images in pixels.
        ratios: Parts for train, val and test.
        assignment: Split by micrograph name, instead of ``ratios``.
        extend: Images that ``assignment`` does not name get a split too, and move no image that it names; otherwise
            they are an error.
        folds: Folds for cross-validation instead of one split; the first two of ``ratios`` share out what a fold does
            not test.
        seed: Of split and augmentation.
        images: Take about so many micrographs only, whole source groups at a time.
        augment_to: Images in all, copies included; the paper's 5.861 per original by default.
        augment_copies: Exactly so many copies per training image instead; 0 for none.
        group_by: Source groups by a rule, which wins over those that the annotations name.
        scales: nm per pixel by a table, which wins over annotations and image metadata.
        reviewed: Pairs that a person looked at and found to have no common source.
        max_loss: Largest 1 - IoU between a particle's YOLO label and its truth on the canvas; more is an error.
        skip_faulty: Go on without the files that cannot be used; otherwise they are an error.
        ignore_banners: Make ignore regions of the information bars that nobody labelled.
        preview: Write ``preview.html`` too.
        tile: Cut larger micrographs into tiles of about so many pixels; see ``tiling``.
        shards: Write images, labels and instances into shards of about so many bytes instead of files of their own;
            None for single files. The content is the same, and so is its hash; see ``shards``.
    """

    canvas: int = 640
    ratios: tuple[int, int, int] = (8, 1, 1)
    assignment: Mapping[str, str] | None = None
    extend: bool = False
    folds: int | None = None
    seed: int = 0
    images: int | None = None
    augment_to: int | None = None
    augment_copies: int | None = None
    group_by: GroupRule | None = None
    scales: ScaleTable | None = None
    reviewed: Sequence[ReviewedPair] = ()
    max_loss: float | None = None
    skip_faulty: bool = False
    ignore_banners: bool = False
    preview: bool = False
    tile: int | None = None
    shards: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be had together.

        Raises:
            UsageError: Folds of a split that is given, or folds that cannot be made of any set; a subset in tiles.
        """
        if self.tile is not None and self.images is not None:
            raise UsageError(f"--tile {self.tile}: of whole sets only; leave --images out")
        if self.folds is None:
            return
        check_folds(self.folds, self.ratios)
        if self.assignment is not None:
            raise UsageError(
                f"--folds {self.folds}: the split is given, by the data set's card, --keep-split or --split-file, and "
                "folds would test what it trains on; leave out one of them, or set the card's split aside with --split"
            )
