"""What goes wrong at a microscope, applied to test images in five severities: the eval set ``robustness``."""

from nanoseg_bench.evaluation.corruptions.applying import corrupt, corrupt_truth, field_rows
from nanoseg_bench.evaluation.corruptions.table import CORRUPTIONS, SEVERITIES, Corruption

__all__ = ["CORRUPTIONS", "SEVERITIES", "Corruption", "corrupt", "corrupt_truth", "field_rows"]
