"""What answers need, imported before the first one asks for it: the page opens at once, and the slider is quick.

Importing pandas, OpenCV and matplotlib takes a second or two, which nobody should wait for in front of the page.
"""

import importlib
import threading

_NEEDED = (
    "nanoseg_bench.report.analysis.state",
    "nanoseg_bench.report.review.edits",
    "nanoseg_bench.report.review.scale",
    "nanoseg_bench.report.review.view",
    "nanoseg_bench.report.review.export",
)


def import_all() -> None:
    """Import what functions import when they are called."""
    for name in _NEEDED:
        importlib.import_module(name)


def warm_up() -> None:
    """``import_all`` beside the first answers."""
    threading.Thread(target=import_all, name="warming", daemon=True).start()
