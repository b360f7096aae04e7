"""Columns of the leaderboards, in order. ``leaderboards/README.md`` says what each means; tests keep both in step."""

RANKED_AT = "ranked_at_images"
"""Training images seen of the rows that a row is ranked among: a model that saw more is no better for it."""

_IDENTITY = ("model", "title", "preset", "seed", "initial_weights", "external")

_RANK = ("rank", "rank_lo", "rank_hi", RANKED_AT)

_STATUS = ("status", "reason")

_DIFFERENCE = ("reference", "difference", "difference_lo", "difference_hi")

_DIFFERENCE_50 = ("difference_map_50", "difference_map_50_lo", "difference_map_50_hi")

_OPERATING_POINT = (
    "confidence",
    "confidence_source",
    "confidence_reason",
    "confidence_lo",
    "confidence_hi",
    "confidence_flat_lo",
    "confidence_flat_hi",
)

_PRECISION = (
    "map_50_95",
    "map_50_95_lo",
    "map_50_95_hi",
    "map_50",
    "map_50_lo",
    "map_50_hi",
    "map_75",
    "map_50_95_agnostic",
    "map_50_95_agnostic_lo",
    "map_50_95_agnostic_hi",
    "map_50_agnostic",
    "map_50_agnostic_lo",
    "map_50_agnostic_hi",
    "map_75_agnostic",
    "map_50_95_agnostic_small",
    "map_50_95_agnostic_medium",
    "map_50_95_agnostic_large",
    "map_50_95_box",
    "map_50_box",
    "map_75_box",
    "map_50_95_agnostic_box",
    "map_50_agnostic_box",
    "map_75_agnostic_box",
)

_OVER_FOLDS = (
    "folds",
    "map_50_95_fold_mean",
    "map_50_95_fold_mean_lo",
    "map_50_95_fold_mean_hi",
    "map_50_95_fold_sd",
    "map_50_fold_mean",
    "map_50_fold_mean_lo",
    "map_50_fold_mean_hi",
    "map_50_95_agnostic_fold_mean",
    "map_50_95_agnostic_fold_mean_lo",
    "map_50_95_agnostic_fold_mean_hi",
    "map_50_95_agnostic_fold_sd",
    "map_50_agnostic_fold_mean",
    "map_50_agnostic_fold_mean_lo",
    "map_50_agnostic_fold_mean_hi",
)
"""Of a cross-validation only."""

_DETECTION = (
    "precision",
    "recall",
    "f1",
    "f1_lo",
    "f1_hi",
    "iou_matched",
    "boundary_iou",
    "iou_pixel",
    "dice_pixel",
    "aji",
    "pq",
    "sq",
    "rq",
    "pq_aware",
    "sq_aware",
    "rq_aware",
    "ece",
)

_MARKS = ("precision_marks_excused", "f1_marks_excused", "count_error_relative_marks_excused")

_PHYSICS = (
    "count_error_relative",
    "count_error_absolute",
    "count_error_image_bias",
    "count_error_image_typical",
    "diameter_median_error_relative",
    "diameter_median_error_relative_lo",
    "diameter_median_error_relative_hi",
    "diameter_d10_error_relative",
    "diameter_d90_error_relative",
    "diameter_w1_relative",
    "diameter_w1_px",
    "diameter_median_error_nm",
    "diameter_d10_error_nm",
    "diameter_d90_error_nm",
    "diameter_w1_nm",
    "diameter_pair_error_bias",
    "diameter_pair_error_bias_lo",
    "diameter_pair_error_bias_hi",
    "diameter_pair_error_spread",
    "diameter_pair_error_bias_px",
    "diameter_pair_error_spread_px",
    "diameter_pair_error_bias_nm",
    "diameter_pair_error_spread_nm",
    "diameter_pairs",
    "diameter_median_error_image_bias",
    "diameter_median_error_image_typical",
    "diameter_d10_error_image_bias",
    "diameter_d10_error_image_typical",
    "diameter_d90_error_image_bias",
    "diameter_d90_error_image_typical",
    "diameter_w1_image_typical",
    "diameter_images_unanswered",
)

_PARTICLES = ("instances_truth", "instances_predicted")

_PROTOCOL = ("max_detections",)

_LITERATURE = ("ap_unranked",)

_OOD_SCORES = (
    "detection_rate",
    "detection_rate_25",
    "detection_rate_50",
    "detection_rate_75",
    "detection_rate_triangle",
    "detection_rate_triangle_25",
    "detection_rate_triangle_50",
    "detection_rate_triangle_75",
    "detection_rate_pentagon",
    "detection_rate_pentagon_25",
    "detection_rate_pentagon_50",
    "detection_rate_pentagon_75",
    "map_50_agnostic",
    "map_50_agnostic_lo",
    "map_50_agnostic_hi",
    "instances_truth",
    "max_detections",
)

_ROBUSTNESS_SCORES = (
    "map_50_95_agnostic_clean",
    "map_50_95_agnostic_corrupted",
    "degradation",
    "map_50_95_agnostic_blur",
    "map_50_95_agnostic_defocus",
    "map_50_95_agnostic_charging",
    "map_50_95_agnostic_shot_noise",
    "map_50_95_agnostic_low_contrast",
    "map_50_95_agnostic_drift",
    "map_50_95_agnostic_contamination",
    "map_50_95_agnostic_down_sampling",
    "degradation_blur",
    "degradation_defocus",
    "degradation_charging",
    "degradation_shot_noise",
    "degradation_low_contrast",
    "degradation_drift",
    "degradation_contamination",
    "degradation_down_sampling",
)

_TIMING = (
    "latency_ms_per_image",
    "latency_pre_ms_per_image",
    "latency_network_ms_per_image",
    "latency_post_ms_per_image",
    "latency_measurements",
    "energy_j_per_image",
)

_COST = (
    "parameters",
    "gflops",
    "training_seconds",
    "training_core_seconds",
    "training_precision",
    "training_epochs",
    "training_images_seen",
    "training_resumes",
)

_PROVENANCE = (
    "truth_begun_by",
    "shortcomings",
    "device",
    "dataset",
    "set_name",
    "set_hash",
    "images",
    "evaluator",
    "package_version",
    "commit",
    "predictions_sha256",
    "finished",
)

_ROW = _IDENTITY + _STATUS

COLUMNS = {
    "test": (
        _RANK + _ROW + _PRECISION + _OVER_FOLDS + _DIFFERENCE + _DIFFERENCE_50 + _OPERATING_POINT + _DETECTION + _MARKS
        + _PHYSICS + _PARTICLES + _PROTOCOL + _LITERATURE + _TIMING + _COST + _PROVENANCE
    ),
    "ood": _RANK + _ROW + _OOD_SCORES + _DIFFERENCE + _OPERATING_POINT + _TIMING + _COST + _PROVENANCE,
    "robustness": ("rank", RANKED_AT, *_ROW, *_ROBUSTNESS_SCORES, *_COST, *_PROVENANCE),
    "classes": (
        *_IDENTITY, "class", "map_50_95", "map_50", "map_75", "map_50_95_box", "map_50_box", "map_75_box",
        "instances_truth",
    ),
    "modality": (
        *_IDENTITY, "modality", "images", "map_50_95", "map_50", "map_75", "map_50_95_agnostic", "map_50_agnostic",
        "map_75_agnostic", "precision", "recall", "f1", "iou_matched", "boundary_iou", "iou_pixel", "pq",
        "count_error_relative", "diameter_median_error_relative", "diameter_w1_px", "diameter_w1_nm",
        "diameter_pair_error_bias", "diameter_pair_error_spread", "diameter_pairs",
        *_PARTICLES,
    ),
    "seeds": (
        "eval_set", "model", "title", "preset", "initial_weights", "device", "metric", "seeds", "mean", "spread",
        "sampling_lo", "sampling_hi", "sd_seed", "sd_sampling", "standard_error",
    ),
    "differences": (
        "eval_set", "compared", "model", "title", "preset", "initial_weights", "reference", "reference_initial_weights",
        "metric", "seeds", "difference", "difference_lo", "difference_hi", "sd_seed", "standard_error", "both_lo",
        "both_hi",
    ),
}  # fmt: skip
"""Columns by table. The ablation table is the test table with the ablation's rows."""

WHOLE_NUMBERS = frozenset(
    {
        "rank",
        "rank_lo",
        "rank_hi",
        RANKED_AT,
        "seed",
        "seeds",
        "folds",
        "instances_truth",
        "instances_predicted",
        "max_detections",
        "diameter_images_unanswered",
        "diameter_pairs",
        "latency_measurements",
        "parameters",
        "training_epochs",
        "training_images_seen",
        "training_resumes",
        "images",
    }
)
"""Columns that are written without a decimal point."""

COMPARABLE_BY = ("preset", "initial_weights", "set_hash", "evaluator")
"""Rows are ranked among those equal in all of these: in everything but model and seed that decides how good a model is.

A device does not: seeds of one model may be trained on several machines. What is asked of a recipe besides, the images
that a training sees, stands in the column ``RANKED_AT``: a row without training has none of its own.
"""

GROUPED_BY = (*COMPARABLE_BY, RANKED_AT)
"""Columns that rows that compete have in common."""

OF_THE_DEVICE = (
    "latency_ms_per_image",
    "latency_pre_ms_per_image",
    "latency_network_ms_per_image",
    "latency_post_ms_per_image",
    "energy_j_per_image",
    "training_seconds",
    "training_core_seconds",
)
"""What says as much of the device as of the model: compared only among rows of the same ``device``."""
