"""What the numbers do not say, and what each of them means."""

from nanoseg_bench.measure.columns import COLUMNS, OVERLAPS_FROM, SHAPE_FROM_PX, SHAPE_SURE_FROM_PX, column_of
from nanoseg_bench.measure.resampling import MIN_IMAGES
from nanoseg_bench.measure.shape_names.main_part import RAGGED_BELOW, count_ragged
from nanoseg_bench.measure.statistics import STATISTICS
from nanoseg_bench.report.word.page import Page
from nanoseg_bench.report.word.styles import TEXT_WIDTH_MM
from nanoseg_bench.report.word.tables import TableColumn, add_table
from nanoseg_bench.wording import counted

_PAPER = "NSYOLO, https://doi.org/10.55092/aimat20260006, section 3.4"

_OF_SEGMENTATION = (
    "Outlines are as good as the edges in the micrograph. Where edges are blurred, or particles touch or overlap, "
    "masks get worse quickly; defocus and charging, which take edges away, do the same. Irregular shapes with clear "
    "edges are no difficulty.",
    "Particles of weak contrast, as in dark-field TEM, are missed. Where contrast comes from lattice fringes and phase "
    "(HRTEM), segmentation is not reliable.",
    "Shapes that the model has not been trained on are found with a lower confidence, so that a high threshold removes "
    "them first. A lower one finds more of them, and more that are no particles.",
    "Microscopes, detectors, magnifications and materials other than those of the training data: how good the outlines "
    "are is unknown until it is measured on micrographs that were annotated by hand.",
)
_OF_MEASURING = (
    "A micrograph shows projections (TEM) or what is visible from one side (SEM). A particle that is hidden in part is "
    "measured as what is seen of it, and a rod or plate that stands upright as its end.",
    f"Below a diameter of {SHAPE_FROM_PX:g} px only area and diameter are given; below {SHAPE_SURE_FROM_PX:g} px the "
    "shape is uncertain, since one pixel along the outline changes it.",
    "Intervals tell how far a value may be off because the sample is small: of many samples like this one, 95 of 100 "
    f"such intervals would hold the true value of the specimen; of fewer than {MIN_IMAGES} images, that of these "
    "images alone, since images of one specimen differ. They hold no error of the calibration, of the outlines, or of "
    "how the specimen was prepared and chosen.",
)

_IN_CHARTS = ("diameter", "area", "circularity", "aspect_ratio")


def write_limits(page: Page) -> None:
    """Known limits of method and model (section 3.4 of the paper), and what holds for this sample."""
    page.heading("Limits")
    for sentence in _of_this_sample(page):
        page.text(sentence, "List Bullet")
    for sentence in page.report.method.quality:
        page.text(sentence, "List Bullet")
    if not page.report.method.annotated:
        page.text(
            f"Where segmentation by such a network fails, as found or expected by its authors ({_PAPER}):",
            keep_with_next=True,
        )
        for sentence in _OF_SEGMENTATION:
            page.text(sentence, "List Bullet")
    page.text("Of any measurement in micrographs:", keep_with_next=True)
    for sentence in _OF_MEASURING:
        page.text(sentence, "List Bullet")


def write_definitions(page: Page) -> None:
    """The formulas of the numbers that this report shows."""
    page.heading("Definitions")
    page.captions.table(
        "Quantities of this report, and the statistics of each. Words follow ISO 9276-6, ISO 13322-1 and ISO 21363."
    )
    ragged = ("convexity",) if count_ragged(page.counted) else ()
    shown = {*_IN_CHARTS, *page.report.statistics.by_group["quantity"], *ragged}
    columns = [column_of(quantity, page.unit) for quantity in dict.fromkeys(each.quantity for each in COLUMNS)]
    add_table(
        page.document,
        (TableColumn("Quantity", 36), TableColumn("Meaning", TEXT_WIDTH_MM - 36)),
        [
            *((column.title, column.meaning) for column in columns if column.quantity in shown),
            *((statistic.heading, statistic.meaning) for statistic in STATISTICS),
        ],
        description="The formula of each quantity and statistic.",
        bold_first=True,
        may_break=True,
    )


def _of_this_sample(page: Page) -> list[str]:
    table, particles = page.counted, len(page.counted)
    sentences = []
    uncertain = int(table["shape_uncertain"].sum())
    if uncertain:
        share = 100 * uncertain / particles
        sentences.append(
            f"The diameter of {counted(uncertain, 'particle')} of {particles} ({share:.0f} %) is below "
            f"{SHAPE_SURE_FROM_PX:g} px, so that the shape is uncertain."
        )
    ragged = count_ragged(table)
    if ragged:
        sentences.append(
            f"The outline of {counted(ragged, 'particle')} of {particles} ({100 * ragged / particles:.0f} %) is ragged "
            f"or hollow (convexity below {RAGGED_BELOW:g}). Look at it before you use perimeter and circularity, which "
            "are those of the outline with its steps and teeth. The shape is named by the main part."
        )
    overlapping = int(table["overlaps"].sum())
    if overlapping:
        sentences.append(
            f"For {counted(overlapping, 'particle')} of {particles}, more than {100 * OVERLAPS_FROM:g} % of the area "
            "lies in another one."
        )
    return sentences
