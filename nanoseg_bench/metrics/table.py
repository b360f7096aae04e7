"""All metrics, in the order of the CSV files. Tables, page, figures, model cards and documentation are made of this.

A new metric is a function and an entry here. One of the detections at the operating point gives its function as
``of_detections``; what needs more is added to its group in ``evaluation/``.
"""

from collections.abc import Callable, Sequence

from nanoseg_bench.metrics.aggregated_jaccard import aggregated_jaccard_index
from nanoseg_bench.metrics.boundary import matched_boundary_iou
from nanoseg_bench.metrics.matching import ImageOverlap
from nanoseg_bench.metrics.metric import Group, Metric, Shown, Terminal
from nanoseg_bench.metrics.unranked import unranked_average_precision

_CORRUPTIONS = (
    "blur", "defocus", "charging", "shot_noise", "low_contrast", "drift", "contamination", "down_sampling",
)  # fmt: skip


def _ap_unranked(kept: Sequence[ImageOverlap]) -> float | None:
    unranked = unranked_average_precision(kept)
    return None if unranked is None else unranked.ap


_PRECISION = (
    Metric(
        "map_50_95", "precision",
        "mask AP averaged over IoU 0.50:0.05:0.95 and classes (paper: Eq. 31–32), and its interval; empty for a model "
        "that knows no classes",
        hint="Mask AP over IoU 0.50 to 0.95, mean over the classes",
        heading="AP", title="AP50–95", better="higher", interval=True, also=("classes", "modality"),
        shown=Shown(bar=True, card=10),
    ),
    Metric(
        "map_50", "precision",
        "mask AP at IoU 0.50, with its interval, and 0.75",
        hint="Mask AP at IoU 0.50, mean over the classes",
        heading="AP50", better="higher", interval=True, also=("classes", "modality"), shown=Shown(card=20),
    ),
    Metric(
        "map_75", "precision", explained_with="map_50",
        heading="AP75", better="higher", also=("classes", "modality"), shown=Shown(card=30),
    ),
    Metric(
        "map_50_95_agnostic", "precision",
        "the same with all particles as one class",
        hint="Mask AP over IoU 0.50 to 0.95 with all particles as one class, whatever their class",
        heading="AP any", title="AP50–95, any class", better="higher", interval=True, also=("modality",),
        shown=Shown(bar=True, card=40),
    ),
    Metric(
        "map_50_agnostic", "precision", explained_with="map_50_95_agnostic",
        hint="Mask AP at IoU 0.50 with all particles as one class",
        heading="AP50 any", title="AP50, any class", better="higher", interval=True, also=("modality", "ood"),
        shown=Shown(markdown=10, card=80),
    ),
    Metric(
        "map_75_agnostic", "precision", explained_with="map_50_95_agnostic",
        heading="AP75 any", title="AP75, any class", better="higher", also=("modality",),
    ),
    Metric(
        "map_50_95_agnostic_small", "precision",
        "of particles with a diameter up to 16 px, 16 to 48 px, and from 48 px; as COCO's `areaRng`, particles of "
        "other sizes are neither truth nor false positives",
        title="AP of small particles", better="higher", shown=Shown(card=50),
    ),
    Metric(
        "map_50_95_agnostic_medium", "precision", explained_with="map_50_95_agnostic_small",
        title="AP of medium particles", better="higher", shown=Shown(card=60),
    ),
    Metric(
        "map_50_95_agnostic_large", "precision", explained_with="map_50_95_agnostic_small",
        title="AP of large particles", better="higher", shown=Shown(card=70),
    ),
    Metric("map_50_95_box", "precision", "of the boxes around the masks", better="higher", also=("classes",)),
    Metric("map_50_box", "precision", explained_with="map_50_95_box", better="higher", also=("classes",)),
    Metric("map_75_box", "precision", explained_with="map_50_95_box", better="higher", also=("classes",)),
    Metric("map_50_95_agnostic_box", "precision", explained_with="map_50_95_box", better="higher"),
    Metric("map_50_agnostic_box", "precision", explained_with="map_50_95_box", better="higher"),
    Metric("map_75_agnostic_box", "precision", explained_with="map_50_95_box", better="higher"),
)  # fmt: skip

_OVER_FOLDS = (
    Metric("folds", "over_folds", "how many; empty where one training was judged", whole=True),
    Metric(
        "map_50_95_fold_mean", "over_folds",
        "AP within a fold, of each class over the folds that show it, then over the classes; ranks. `map_50_95` and "
        "`map_50` sort the detections of all folds together, and scores of differently trained networks rank badly "
        "together",
        hint="Mask AP over IoU 0.50 to 0.95, mean over the folds, then over the classes; ranks",
        heading="AP", title="AP50–95", better="higher", interval=True, shown=Shown(bar=True),
    ),
    Metric(
        "map_50_95_fold_sd", "over_folds",
        "standard deviation over the folds: of other images and other trainings. Not the error of the mean: folds "
        "share most of their training images",
        hint="Standard deviation of the AP over the folds: of other images and trainings, not the error of the mean",
        heading="SD of folds", better="lower",
    ),
    Metric(
        "map_50_fold_mean", "over_folds", explained_with="map_50_95_fold_mean",
        hint="Mask AP at IoU 0.50, mean over the folds, then over the classes",
        heading="AP50", better="higher", interval=True,
    ),
    Metric(
        "map_50_95_agnostic_fold_mean", "over_folds",
        "`map_50_95_fold_mean` and `map_50_fold_mean` with all particles as one class",
        hint="AP over IoU 0.50 to 0.95 with all particles as one class, mean over the folds",
        heading="AP any", title="AP50–95, any class", better="higher", interval=True, shown=Shown(bar=True),
    ),
    Metric(
        "map_50_95_agnostic_fold_sd", "over_folds", explained_with="map_50_95_fold_sd",
        hint="Standard deviation of AP any over the folds",
        heading="SD of folds", better="lower",
    ),
    Metric(
        "map_50_agnostic_fold_mean", "over_folds", explained_with="map_50_95_agnostic_fold_mean",
        hint="AP at IoU 0.50 with all particles as one class, mean over the folds",
        heading="AP50 any", title="AP50, any class", better="higher", interval=True,
    ),
)  # fmt: skip

_OPERATING_POINT = (
    Metric(
        "confidence", "operating_point",
        "operating point: detections count from this confidence on",
        hint="Confidence from which detections count; below, the 95 % interval of val's choice over its source groups",
        heading="operating point", shown=Shown(page=10),
    ),
)  # fmt: skip

_DETECTION = (
    Metric(
        "precision", "detection",
        "Hungarian matching, IoU > 0.5, any class, pooled over all particles (Eq. 27–29)",
        hint="Precision at the operating point, IoU > 0.5, any class",
        heading="P", title="precision", better="higher", also=("modality",),
        shown=Shown(page=20, terminal=Terminal(10, 6), markdown=20, figure=10, card=90),
    ),
    Metric(
        "recall", "detection", explained_with="precision",
        hint="Recall at the operating point, IoU > 0.5, any class",
        heading="R", title="recall", better="higher", also=("modality",),
        shown=Shown(page=30, terminal=Terminal(20, 5), markdown=30, figure=20, card=100),
    ),
    Metric(
        "f1", "detection", explained_with="precision",
        hint="F1 at the operating point, IoU > 0.5, any class",
        heading="F1", better="higher", interval=True, also=("modality",),
        shown=Shown(page=40, terminal=Terminal(30, 1), markdown=40, figure=30, card=110),
    ),
    Metric(
        "iou_matched", "detection", "mean IoU of the matched pairs",
        heading="IoU", title="IoU of pairs", better="higher", also=("modality",),
        shown=Shown(terminal=Terminal(60, 11)),
    ),
    Metric(
        "boundary_iou", "detection",
        "mean boundary IoU of the matched pairs (Cheng et al. 2021), outlines 0.5 % of the image's diagonal thick",
        hint="Mean boundary IoU of the matched pairs",
        heading="boundary IoU", better="higher", also=("modality",), shown=Shown(page=70),
        of_detections=matched_boundary_iou,
    ),
    Metric(
        "iou_pixel", "detection",
        "of foreground and background, pooled over all pixels of all images (Eq. 30)",
        heading="pixel IoU", better="higher", also=("modality",),
        shown=Shown(terminal=Terminal(70, 12), markdown=50, figure=40, card=130),
    ),
    Metric("dice_pixel", "detection", explained_with="iou_pixel", better="higher"),
    Metric(
        "aji", "detection", "aggregated Jaccard index (Kumar et al. 2017), mean over images", better="higher",
        of_detections=aggregated_jaccard_index,
    ),
    Metric(
        "pq", "detection",
        "panoptic quality and its factors with all particles as one class; `sq` is `iou_matched` and `rq` is `f1`",
        hint="Panoptic quality, any class",
        heading="PQ", title="panoptic quality", better="higher", also=("modality",),
        shown=Shown(page=60, figure=110, card=120),
    ),
    Metric("sq", "detection", explained_with="pq", better="higher"),
    Metric("rq", "detection", explained_with="pq", better="higher"),
    Metric("pq_aware", "detection", "the same class by class, averaged", better="higher"),
    Metric("sq_aware", "detection", explained_with="pq_aware", better="higher"),
    Metric("rq_aware", "detection", explained_with="pq_aware", better="higher"),
    Metric(
        "ece", "detection",
        "expected calibration error of the confidences at and above the operating point, ten bins; empty where scores "
        "only rank",
        better="lower",
    ),
)  # fmt: skip

_MARKS = (
    Metric(
        "precision_marks_excused", "marks",
        "precision, F1 and `count_error_relative` without the detections that match no particle and lie with more than "
        "half of their area on information bars, scale bars or lettering, which `prepare` finds by shape and keeps in "
        "the manifest (`marks`); the same rule for every model. Beside the columns of the literature, not in their "
        "place; recall is the same in both. Empty for a set that was prepared before marks were looked for",
        better="higher",
    ),
    Metric(
        "f1_marks_excused", "marks", explained_with="precision_marks_excused",
        hint="F1 without the false positives that lie mostly on information bars, scale bars or lettering",
        heading="F1, marks excused", better="higher", shown=Shown(page=50),
    ),
    Metric(
        "count_error_relative_marks_excused", "marks", explained_with="precision_marks_excused",
        unit="%", digits=1, factor=100, signed=True, better="zero",
    ),
)  # fmt: skip

_COUNTS = (
    Metric(
        "count_error_relative", "counts",
        "(predicted − true) / true number of particles, all images pooled; negative: particles missed",
        hint="(predicted − true) / true number of particles, all images pooled",
        heading="count error, pooled", short="count error %", title="count error",
        unit="%", digits=1, factor=100, signed=True, better="zero", also=("modality",),
        shown=Shown(page=110, terminal=Terminal(50, 8), figure=120, card=140),
    ),
    Metric(
        "count_error_absolute", "counts", "mean over images of the absolute count error, in particles", better="lower",
    ),
    Metric(
        "count_error_image_bias", "counts",
        "relative count error of single images: median of the signed errors, median of the absolute ones",
        unit="%", digits=1, factor=100, signed=True, better="zero",
    ),
    Metric(
        "count_error_image_typical", "counts", explained_with="count_error_image_bias",
        hint="Median over the images of the absolute relative error",
        heading="count error, typical image", unit="%", digits=1, factor=100, better="lower",
        shown=Shown(page=120),
    ),
)  # fmt: skip

_SIZES = (
    Metric(
        "diameter_median_error_relative", "sizes",
        "(predicted − true) / true median diameter, all images pooled; positive: particles drawn too large",
        hint="Error of the median diameter of all images pooled, relative to the true median",
        heading="median diameter error, pooled", title="median diameter error",
        unit="%", digits=1, factor=100, signed=True, better="zero", interval=True, needs_recall=True,
        also=("modality",), shown=Shown(page=150, figure=130, card=150),
    ),
    Metric(
        "diameter_d10_error_relative", "sizes", "the same of the 10th and 90th percentile",
        unit="%", digits=1, factor=100, signed=True, better="zero", needs_recall=True,
    ),
    Metric(
        "diameter_d90_error_relative", "sizes", explained_with="diameter_d10_error_relative",
        unit="%", digits=1, factor=100, signed=True, better="zero", needs_recall=True,
    ),
    Metric(
        "diameter_w1_relative", "sizes",
        "Wasserstein-1 distance of the two diameter distributions, all images pooled, over the true mean diameter, and "
        "in px",
        unit="%", digits=1, factor=100, better="lower", needs_recall=True,
    ),
    Metric(
        "diameter_w1_px", "sizes", explained_with="diameter_w1_relative",
        hint="Wasserstein-1 distance of the diameter distributions of all images pooled",
        heading="W1, pooled", title="diameters, W1", unit="px", digits=2, better="lower", needs_recall=True,
        also=("modality",), shown=Shown(page=160, figure=140),
    ),
    Metric(
        "diameter_median_error_nm", "sizes",
        "signed errors and distance in nm, of the images whose scale is known",
        unit="nm", digits=2, signed=True, better="zero", needs_recall=True,
    ),
    Metric(
        "diameter_d10_error_nm", "sizes", explained_with="diameter_median_error_nm",
        unit="nm", digits=2, signed=True, better="zero", needs_recall=True,
    ),
    Metric(
        "diameter_d90_error_nm", "sizes", explained_with="diameter_median_error_nm",
        unit="nm", digits=2, signed=True, better="zero", needs_recall=True,
    ),
    Metric(
        "diameter_w1_nm", "sizes", explained_with="diameter_median_error_nm",
        hint="Wasserstein-1 distance of the diameter distributions of all images pooled",
        heading="W1, pooled", title="diameters, W1", unit="nm", digits=2, better="lower", needs_recall=True,
        also=("modality",), shown=Shown(page=170, figure=150),
    ),
    Metric(
        "diameter_pair_error_bias", "sizes",
        "median of (predicted − true) / true diameter over the matched pairs (IoU > 0.5, both sides whole): how the "
        "particles that are found are measured, whatever was missed or invented. Of fewer than 10 pairs nothing is "
        "said",
        hint="Median of (predicted − true) / true diameter of the particles that are found",
        heading="size error of pairs, bias", short="size error %",
        unit="%", digits=1, factor=100, signed=True, better="zero", interval=True, also=("modality",),
        shown=Shown(page=130, terminal=Terminal(40, 2), card=160),
    ),
    Metric(
        "diameter_pair_error_spread", "sizes",
        "half the distance of the 16th and the 84th percentile of the same errors; of normal errors, their standard "
        "deviation",
        hint="Half the distance of the 16th and the 84th percentile of the errors of pairs",
        heading="size error of pairs, spread", unit="%", digits=1, factor=100, better="lower", also=("modality",),
        shown=Shown(page=140),
    ),
    Metric(
        "diameter_pair_error_bias_px", "sizes",
        "bias and spread of predicted − true diameter, in px, and in nm of the images whose scale is known",
        unit="px", digits=2, signed=True, better="zero",
    ),
    Metric(
        "diameter_pair_error_spread_px", "sizes", explained_with="diameter_pair_error_bias_px",
        unit="px", digits=2, better="lower",
    ),
    Metric(
        "diameter_pair_error_bias_nm", "sizes", explained_with="diameter_pair_error_bias_px",
        unit="nm", digits=2, signed=True, better="zero",
    ),
    Metric(
        "diameter_pair_error_spread_nm", "sizes", explained_with="diameter_pair_error_bias_px",
        unit="nm", digits=2, better="lower",
    ),
    Metric("diameter_pairs", "sizes", "pairs in these columns", whole=True, digits=0, also=("modality",)),
    Metric(
        "diameter_median_error_image_bias", "sizes",
        "relative error of the median diameter of single images: median of the signed errors, median of the absolute "
        "ones. In the second an image without a predicted diameter counts as infinitely wrong, in the first it is left "
        "out",
        unit="%", digits=1, factor=100, signed=True, better="zero",
    ),
    Metric(
        "diameter_median_error_image_typical", "sizes", explained_with="diameter_median_error_image_bias",
        hint="Median over the images of the absolute relative error of the image's median diameter",
        heading="median diameter error, typical image", title="median diameter error of the typical image",
        unit="%", digits=1, factor=100, better="lower", shown=Shown(page=145, card=170),
    ),
    Metric(
        "diameter_d10_error_image_bias", "sizes", "the same of the 10th and 90th percentile",
        unit="%", digits=1, factor=100, signed=True, better="zero",
    ),
    Metric(
        "diameter_d10_error_image_typical", "sizes", explained_with="diameter_d10_error_image_bias",
        unit="%", digits=1, factor=100, better="lower",
    ),
    Metric(
        "diameter_d90_error_image_bias", "sizes", explained_with="diameter_d10_error_image_bias",
        unit="%", digits=1, factor=100, signed=True, better="zero",
    ),
    Metric(
        "diameter_d90_error_image_typical", "sizes", explained_with="diameter_d10_error_image_bias",
        unit="%", digits=1, factor=100, better="lower",
    ),
    Metric(
        "diameter_w1_image_typical", "sizes",
        "median over images of the Wasserstein-1 distance over the true mean diameter",
        unit="%", digits=1, factor=100, better="lower",
    ),
    Metric(
        "diameter_images_unanswered", "sizes", "images with a true diameter and no predicted one",
        whole=True, digits=0, better="lower",
    ),
)  # fmt: skip

_PARTICLES = (
    Metric(
        "instances_truth", "particles", "particles in truth, and predicted",
        whole=True, digits=0, also=("ood", "classes", "modality"),
    ),
    Metric(
        "instances_predicted", "particles", explained_with="instances_truth", whole=True, digits=0, also=("modality",),
    ),
)  # fmt: skip

_PROTOCOL = (
    Metric(
        "max_detections", "protocol",
        "predictions of one image that AP takes into account, best score first: twice the densest image of the "
        "prepared set, at least 100; the same for every model",
        whole=True, digits=0, also=("ood",),
    ),
)  # fmt: skip

_LITERATURE = (
    Metric(
        "ap_unranked", "literature",
        "the \"AP\" of the EMPS paper's code (doi:10.1021/acs.jcim.0c01455): per image, without ranking. **Not COCO's "
        "AP**: for literature only, it can fall when outlines become better",
        better="higher", of_detections=_ap_unranked,
    ),
)  # fmt: skip


def _detection_rates(shape: str, place: int | None) -> tuple[Metric, ...]:
    """Of a shape, or of all, without a threshold and at three."""
    name = f"detection_rate_{shape}" if shape else "detection_rate"
    turns = {"": 5, "_25": 3, "_50": 1, "_75": 4}
    meanings = {
        "detection_rate": "share of all particles, of the triangles and of the pentagons that is found (IoU ≥ 0.5, any "
        "class) by any prediction: for models whose score is no probability (Otsu)",
        "detection_rate_25": "share of all particles found by predictions of confidence ≥ 0.25, 0.50, 0.75",
        "detection_rate_triangle_25": "share of the triangles",
        "detection_rate_pentagon_25": "share of the pentagons",
    }
    return tuple(
        Metric(
            f"{name}{level}", "ood", meanings.get(f"{name}{level}", ""),
            explained_with="" if f"{name}{level}" in meanings else f"{name}_25" if level else "detection_rate",
            heading=f"{shape or 'all shapes'}{level.replace('_', ' ≥ .')}", better="higher",
            shown=Shown(terminal=None if place is None else Terminal(place + step, turn)),
        )
        for step, (level, turn) in enumerate(turns.items())
    )  # fmt: skip


_OOD = (*_detection_rates("", None), *_detection_rates("triangle", 10), *_detection_rates("pentagon", 20))

_ROBUSTNESS = (
    Metric(
        "map_50_95_agnostic_clean", "robustness",
        "AP with all particles as one class on the images that are corrupted, as they are: the same images for every "
        "model",
        heading="clean", better="higher", shown=Shown(terminal=Terminal(10, 0)),
    ),
    Metric(
        "map_50_95_agnostic_corrupted", "robustness",
        "mean over corruptions of the means over severities (mPC, arXiv:1907.07484)",
        heading="corrupted", better="higher", interval=True, shown=Shown(terminal=Terminal(20, 0)),
    ),
    Metric(
        "degradation", "robustness",
        "share of the clean AP that is lost: 1 − corrupted / clean; negative where corruption helps; says little where "
        "the clean AP is near 0",
        heading="lost", better="lower", interval=True, shown=Shown(terminal=Terminal(30, 0)),
    ),
    *(
        Metric(
            f"map_50_95_agnostic_{each}", "robustness",
            "" if number else "of one corruption, mean over its five severities",
            explained_with=f"map_50_95_agnostic_{_CORRUPTIONS[0]}" if number else "", better="higher",
        )
        for number, each in enumerate(_CORRUPTIONS)
    ),
    *(
        Metric(
            f"degradation_{each}", "robustness",
            "" if number else "share of the clean AP that this corruption costs",
            explained_with=f"degradation_{_CORRUPTIONS[0]}" if number else "", better="lower",
        )
        for number, each in enumerate(_CORRUPTIONS)
    ),
)  # fmt: skip

_TIMING = (
    Metric(
        "latency_ms_per_image", "timing",
        "median wall time of one image: pre-processing, network, post-processing, back to original pixels. Batch 1, "
        "images in memory, 3 predictions as warm-up, the device's clock synchronised; 50 measurements, of images "
        "spread over the eval set or, of a small one, of each several times, and at least 5 where they take longer "
        "than 20 seconds; PyTorch for all networks, each on a rectangle of the longer side of its recipe's input, "
        "padded to multiples of 32 px",
        hint="Median time of one image at batch 1, on the device of the row",
        heading="latency", short="ms/image", unit="ms", digits=0, better="lower", of_the_device=True,
        shown=Shown(page=220, terminal=Terminal(110, 13), markdown=110),
    ),
    Metric(
        "latency_pre_ms_per_image", "timing",
        "medians of the three parts, which need not add up to the median of the whole; empty for a model without a "
        "network",
        unit="ms", digits=0, better="lower", of_the_device=True,
    ),
    Metric(
        "latency_network_ms_per_image", "timing", explained_with="latency_pre_ms_per_image",
        unit="ms", digits=0, better="lower", of_the_device=True,
    ),
    Metric(
        "latency_post_ms_per_image", "timing", explained_with="latency_pre_ms_per_image",
        unit="ms", digits=0, better="lower", of_the_device=True,
    ),
    Metric("latency_measurements", "timing", "measurements in the medians", whole=True, digits=0),
    Metric(
        "energy_j_per_image", "timing",
        "energy of the GPU by its own counter (NVML), J; empty where there is none",
        unit="J", digits=2, better="lower", of_the_device=True,
    ),
)  # fmt: skip

_COST = (
    Metric(
        "parameters", "cost",
        "of the network at its recipe's square input; one multiply-add is two operations",
        hint="Parameters of the network",
        heading="params", short="parameters", unit="million", digits=2, factor=1e-6, whole=True, better="lower",
        shown=Shown(page=210, terminal=Terminal(120, 14)),
    ),
    Metric("gflops", "cost", explained_with="parameters", digits=1, better="lower"),
    Metric(
        "training_seconds", "cost",
        "wall time of the training, all sessions of a resumed run added up",
        hint="Wall time of the training",
        heading="training", unit="s", digits=0, better="lower", of_the_device=True,
        shown=Shown(page=230, terminal=Terminal(130, 15), markdown=120),
    ),
    Metric(
        "training_core_seconds", "cost",
        "time of all processor cores that the training's processes kept busy, those included that make the batches "
        "for a GPU; shown in hours on the page and in a wide terminal. Empty for trainings of earlier versions",
        hint="Time of all processor cores that training kept busy, and the precision of its arithmetic",
        heading="core hours", short="core hours", unit="h", digits=2, factor=1 / 3600, better="lower",
        of_the_device=True,
        shown=Shown(page=240, terminal=Terminal(150, 17, "core h"), markdown=140),
    ),
    Metric(
        "training_precision", "cost",
        "arithmetic of the training: `float32` or `bfloat16`; empty for a model that does not train",
        heading="precision", text=True, shown=Shown(terminal=Terminal(160, 18)),
    ),
    Metric(
        "training_epochs", "cost",
        "epochs, images through the network and interruptions, of all sessions. An epoch is what lies between two "
        "checkpoints",
        whole=True, digits=0,
    ),
    Metric(
        "training_images_seen", "cost", explained_with="training_epochs",
        hint="Training images through the network, repeats counted",
        heading="images seen", whole=True, digits=0,
        shown=Shown(page=250, terminal=Terminal(140, 16), markdown=130),
    ),
    Metric("training_resumes", "cost", explained_with="training_epochs", whole=True, digits=0),
)  # fmt: skip

METRICS: tuple[Metric, ...] = (
    *_PRECISION, *_OVER_FOLDS, *_OPERATING_POINT, *_DETECTION, *_MARKS, *_COUNTS, *_SIZES, *_PARTICLES, *_PROTOCOL,
    *_LITERATURE, *_OOD, *_ROBUSTNESS, *_TIMING, *_COST,
)  # fmt: skip
"""In the order of the columns within their group; the leaderboard decides in which order groups stand."""


def metric(name: str) -> Metric:
    """The metric of this name."""
    return next(each for each in METRICS if each.name == name)


def of_groups(*groups: Group) -> tuple[Metric, ...]:
    """The metrics of some groups, group by group."""
    return tuple(each for group in groups for each in METRICS if each.group == group)


def names(*groups: Group) -> tuple[str, ...]:
    """Names of the metrics of some groups, group by group."""
    return tuple(each.name for each in of_groups(*groups))


def with_interval(*groups: Group) -> tuple[str, ...]:
    """Names of the metrics of some groups that have an interval over resampled source groups."""
    return tuple(each.name for each in of_groups(*groups) if each.interval)


def columns(*groups: Group) -> tuple[str, ...]:
    """Columns of the metrics of some groups, those of their intervals included."""
    return tuple(column for each in of_groups(*groups) for column in each.columns)


def also_in(table: str) -> tuple[Metric, ...]:
    """The metrics of other groups that a table has, too."""
    return tuple(each for each in METRICS if table in each.also)


def in_order(place: Callable[[Shown], int | None]) -> list[Metric]:
    """Those that have a place in something that shows metrics, in the order of their places.

    Args:
        place: Of a metric there; None leaves it out.
    """
    placed = [(where, each) for each in METRICS if (where := place(each.shown)) is not None]
    return [each for _, each in sorted(placed, key=lambda one: one[0])]
