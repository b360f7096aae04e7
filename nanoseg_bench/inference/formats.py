"""What can be written of predictions, and over which; no more, for the help of the command line."""

from nanoseg_bench.annotations.registry import WRITTEN

LABELME = "labelme"
OVERLAY = "overlay"

# YOLO text would join the parts of a particle and fill its holes.
ANNOTATIONS = tuple(name for name in WRITTEN if name != "yolo")
FORMATS = (*ANNOTATIONS, OVERLAY)
"""What can be written beside ``predictions.json``, each into the folder of its name."""

DEFAULT_FORMATS = (LABELME, OVERLAY)

OVERWRITE = ("never", "missing", "always")
"""What may become of earlier predictions; see ``folder.open_folder``."""
