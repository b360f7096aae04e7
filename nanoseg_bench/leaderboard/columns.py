"""Columns of the leaderboards, in order. ``leaderboards/README.md`` says what each means; a test keeps them in step."""

_IDENTITY = ("rank", "model", "title", "preset", "seed", "initial_weights", "status", "reason")

_COST = (
    "parameters",
    "gflops",
    "latency_ms_per_image",
    "training_seconds",
    "training_epochs",
    "training_images_seen",
    "training_resumes",
    "device",
)

_PROVENANCE = ("set_name", "set_hash", "images", "evaluator", "package_version", "commit", "finished")

_TEST_SCORES = (
    "map_50_95",
    "map_50_95_lo",
    "map_50_95_hi",
    "map_50",
    "map_75",
    "map_50_95_agnostic",
    "map_50_95_agnostic_lo",
    "map_50_95_agnostic_hi",
    "map_50_agnostic",
    "map_75_agnostic",
    "confidence",
    "precision",
    "recall",
    "f1",
    "iou_matched",
    "iou_pixel",
    "pq",
    "count_error_relative",
    "count_error_absolute",
    "diameter_median_error_relative",
    "diameter_w1_px",
    "diameter_w1_nm",
    "instances_truth",
    "instances_predicted",
)

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
    "instances_truth",
)

COLUMNS = {
    "test": _IDENTITY + _TEST_SCORES + _COST + _PROVENANCE,
    "ood": _IDENTITY + _OOD_SCORES + _COST + _PROVENANCE,
}
"""Columns by eval set. The ablation table is the test table with the ablation's rows."""

COMPARABLE_BY = ("preset", "initial_weights", "set_hash", "evaluator", "device")
"""Rows are ranked among those equal in all of these: in everything but model and seed."""
