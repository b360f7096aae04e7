"""A trained network as one ONNX file that runs at any batch and size."""

import io
import warnings
from copy import deepcopy
from pathlib import Path

import torch
from torch import nn

INPUT = "images"
"""Name of the input: (N, 3, H, W) float32, RGB from 0 to 1."""

OUTPUTS = ("detections", "prototypes")
"""Names of the outputs, which are laid out as in Ultralytics' exports.

``detections``: (N, 4 + C + M, A) float32; of each anchor the box as centre x, centre y, width and height in pixels of
the input, the scores of C classes, and M mask coefficients. ``prototypes``: (N, M, H / s, W / s) float32, s being the
mask stride: 4, or 2.
"""

OPSET = 17
"""Version of the ONNX operators."""

GRAPH_VERSION = 2
"""Counts up when the written graph changes: whoever keeps exported files knows by it which are old."""

_STRIDE = 32


def export_onnx(network: nn.Module, path: Path, *, size: int = 640) -> None:
    """Write a segmentation network (NSYOLO, its ablations or stock YOLO11-seg) as an ONNX file.

    Batch, height and width are free; both sides must be multiples of 32. The graph computes what the network computes,
    with folded norms and a few parts in forms that ONNX Runtime does quickly (``export_forms``); it has no GridSample.
    Where an image holds NaN, its own outputs are NaN; those of the other images in the batch are as ever. The network
    itself stays as it is. The file is written when the graph is complete.

    Args:
        network: As ``build_network`` makes it, with trained weights, on any device.
        path: The ``.onnx`` file to write.
        size: Side of the square input in pixels that the graph is traced with, a multiple of 32.

    Raises:
        ValueError: ``size`` is no multiple of 32.
        torch.onnx.OnnxExporterError: PyTorch cannot export; it needs the package ``onnx`` for it.
    """
    if size < _STRIDE or size % _STRIDE:
        raise ValueError(f"size={size}: must be a multiple of {_STRIDE}")
    axes = {
        INPUT: {0: "batch", 2: "height", 3: "width"},
        OUTPUTS[0]: {0: "batch", 2: "anchors"},
        OUTPUTS[1]: {0: "batch", 2: "mask_height", 3: "mask_width"},
    }
    # From a batch of one, the tracer would take the batch for a constant.
    example = torch.zeros(2, 3, size, size)
    graph = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # PyTorch warns that tracing is its older way. The newer one takes fifteen times as long and more packages, for
        # a graph of the same speed.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            exportable(network),
            (example,),
            graph,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    path.write_bytes(graph.getvalue())


def exportable(network: nn.Module) -> nn.Module:
    """A copy of ``network`` as it is exported: on the CPU, in evaluation mode, fused, with the exported forms.

    Returns:
        A module that maps (N, 3, H, W) to the pair of ``OUTPUTS``.
    """
    # Here, so that those who run exported files need not load Ultralytics for the names above.
    from .export_forms import exported_form

    copied: nn.Module = deepcopy(network).cpu().float().eval().to(memory_format=torch.contiguous_format)
    copied.fuse(verbose=False)
    head = copied.model[-1]
    head.export = head.dynamic = True
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            form = exported_form(child)
            if form is not None:
                setattr(parent, name, form)
    return copied
