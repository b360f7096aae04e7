"""Keep third-party libraries from phoning home or installing things. Call before importing any of them."""

import os
import tempfile
from pathlib import Path


def isolate_libraries() -> None:
    """Switch off update checks, downloads and telemetry of Ultralytics, albumentations and onnxruntime.

    A variable that the user has set stays as it is.
    """
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_VERBOSE", "false")
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    # onnxruntime, which LabelMe imports, writes a device id and a queue of usage events otherwise.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    if "YOLO_CONFIG_DIR" not in os.environ:
        # Ultralytics keeps settings and fonts here; a user's own settings must not change a benchmark.
        folder = Path(tempfile.gettempdir()) / f"nanoseg-bench-{_user()}" / "ultralytics"
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["YOLO_CONFIG_DIR"] = str(folder)


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
