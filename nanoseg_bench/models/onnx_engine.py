"""What runs a YOLO segmentation network: ONNX Runtime, on the CPU."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nanoseg_bench.environment import isolate_libraries
from nanoseg_bench.errors import ModelError
from nanoseg_bench.extras import require_packages
from nanoseg_bench.models.base import EngineName
from nanoseg_bench.models.data import to_planes
from nanoseg_bench.nsyolo.export import INPUT, OUTPUTS

_ERRORS_ONLY = 3


class OnnxEngine:
    """An exported network in ONNX Runtime, on as many CPU threads as PyTorch would take.

    Args:
        path: A file as ``nsyolo.export`` writes it.

    Raises:
        ModelError: The file is missing, damaged, or of another kind.
        MissingExtraError: ONNX Runtime is not installed.
    """

    name: EngineName = "onnx"

    def __init__(self, path: Path) -> None:
        isolate_libraries()
        require_packages(f"{path}: running it", "onnxruntime")
        import onnxruntime

        if not path.is_file():
            raise ModelError(f"{path}: no such file; `nanoseg-bench export` makes one from a run or weights")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = _ERRORS_ONLY
        try:
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # another type for every kind of damage
            reason = str(error).splitlines()[0]
            raise ModelError(f"{path}: not readable as ONNX ({reason}); export the model again") from error
        names = [node.name for node in (*session.get_inputs(), *session.get_outputs())]
        if names != [INPUT, *OUTPUTS]:
            raise ModelError(f"{path}: an ONNX file of another kind; give one that `nanoseg-bench export` made")
        self._session = session

    @property
    def metadata(self) -> dict[str, str]:
        """What the file says about itself."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, pixels: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """Run the network on one image; see ``Engine.run``."""
        planes = to_planes(pixels)[None].numpy()
        detections, prototypes = self.run_batch(np.divide(planes, 255, dtype=np.float32))
        return torch.from_numpy(detections[0]), torch.from_numpy(prototypes[0])

    def run_batch(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the graph on images (N, 3, H, W) in [0, 1]; the results are those of ``nsyolo.export``."""
        detections, prototypes = self._session.run(list(OUTPUTS), {INPUT: images})
        return detections, prototypes
