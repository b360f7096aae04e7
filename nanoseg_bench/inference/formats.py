"""What can be written of predictions, and over which; no more, for the help of the command line."""

LABELME = "labelme"
OVERLAY = "overlay"

ANNOTATIONS = (LABELME, "coco", "masks")
FORMATS = (*ANNOTATIONS, OVERLAY)
"""What can be written beside ``predictions.json``, each into the folder of its name."""

DEFAULT_FORMATS = (LABELME, OVERLAY)

OVERWRITE = ("never", "missing", "always")
"""What may become of earlier predictions; see ``folder.open_folder``."""
