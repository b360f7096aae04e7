"""Exported networks that are made once and kept: beside their weights, or in the user's cache folder."""

import logging
from pathlib import Path

from nanoseg_bench.errors import ModelError, UsageError
from nanoseg_bench.extras import is_installed
from nanoseg_bench.files import sha256_file, sha256_json
from nanoseg_bench.models.base import Model
from nanoseg_bench.models.onnx_file import SUFFIX, open_onnx, write_onnx
from nanoseg_bench.models.trained import prediction_as_judged
from nanoseg_bench.nsyolo.export import GRAPH_VERSION
from nanoseg_bench.user_folders import user_caches
from nanoseg_bench.weights.shipped import is_shipped

_LOG = logging.getLogger(__name__)


class OnnxCache:
    """The place of one file's exported network.

    The name holds a hash of the weights, of the JSON that describes them, of how their run predicts and of the
    exporter's version, so a file is never used for other weights or another post-processing.

    Args:
        weights: ``.safetensors`` or ``.pt``.
    """

    def __init__(self, weights: Path) -> None:
        about = weights.with_suffix(".json")
        self._weights_sha256 = sha256_file(weights)
        parts: list[object] = [self._weights_sha256, sha256_file(about) if about.is_file() else None, GRAPH_VERSION]
        judged = prediction_as_judged(weights)
        key = sha256_json([*parts, judged] if judged else parts)[:16]
        name = f"{weights.stem}-{key}{SUFFIX}"
        # The package's own folder holds what was installed, and nothing else.
        beside = [] if is_shipped(weights) else [weights.with_name(name)]
        self._places = list(beside)
        self._no_place = ""
        try:
            self._places.append(user_caches() / "onnx" / name)
        except UsageError as error:
            self._no_place = str(error)

    def open(self) -> Model | None:
        """The model, ready to predict; None where it was not exported yet, the file is damaged, or nothing runs it."""
        if not is_installed("onnxruntime"):
            return None
        for place in self._places:
            if not place.is_file():
                continue
            try:
                return open_onnx(place)[0]
            except ModelError as error:
                _LOG.warning("%s", error)
        return None

    def export(self, model: Model) -> Model:
        """Export ``model`` where it can be written, and open what was written.

        Raises:
            ModelError: The network cannot be exported, or there is no place for it.
            MissingExtraError: What exports and runs it is not installed.
        """
        reasons = [self._no_place] if self._no_place else []
        for place in self._places:
            try:
                write_onnx(model, place, self._weights_sha256)
            except OSError as error:
                reasons.append(f"{place.parent}: {error.strerror or error}")
                continue
            _LOG.info("exported once for ONNX Runtime: %s", place)
            return open_onnx(place)[0]
        raise ModelError(f"nowhere to keep the exported network ({'; '.join(reasons)}); make one of them writable")
