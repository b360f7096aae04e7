"""The four schemes of the paper's ablation, plain DSConv beside them, and their way into Ultralytics (2.2, Table 3).

Ultralytics' model parser decides channels, width and repeats by sets of classes that are local to it, so a YAML with a
new class cannot be parsed as it stands. NSYOLOSegmentation therefore lets the parser build the stock YOLO11-seg and
then swaps the layers that the YAML names differently. Since the stock network is built first, all layers that two
schemes share start from identical weights under one seed.
"""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn
from ultralytics.nn.modules.block import C2PSA, C3k, C3k2
from ultralytics.nn.tasks import SegmentationModel
from ultralytics.utils import ROOT, YAML
from ultralytics.utils.torch_utils import initialize_weights, intersect_dicts

from .blocks import C2PSABRA, C3BADS, C3DS
from .prototypes import MASK_STRIDES, STOCK_STRIDE, refine

SCHEMES: dict[str, tuple[str, ...]] = {
    "yolo11n": (),
    "yolo11n-c3ds": ("C3DS",),
    "yolo11n-c3bads": ("C3BADS",),
    "yolo11n-c2psa-bra": ("C2PSA_BRA",),
    "nsyolo": ("C3BADS", "C2PSA_BRA"),
}
"""Schemes, and the blocks in which each differs from YOLO11-seg."""

SCALES = ("n", "s", "m", "l", "x")
P4_LAYERS = (13, 19)
"""The neck's layers at stride 16: top-down, and bottom-up, which feeds the head."""

_FOLDER = Path(__file__).parent / "cfg"
_FILES = {
    "yolo11n": ROOT / "cfg" / "models" / "11" / "yolo11-seg.yaml",
    "yolo11n-c3ds": _FOLDER / "yolo11-c3ds.yaml",
    "yolo11n-c3bads": _FOLDER / "yolo11-c3bads.yaml",
    "yolo11n-c2psa-bra": _FOLDER / "yolo11-c2psa-bra.yaml",
    "nsyolo": _FOLDER / "nsyolo.yaml",
}
_STOCK_NAMES = {"C3DS": "C3k2", "C3BADS": "C3k2", "C2PSA_BRA": "C2PSA"}
_SNAKES: dict[str, type[C3DS]] = {"C3DS": C3DS, "C3BADS": C3BADS}
NETWORK_NAMES = {
    (scheme.replace("yolo11n", f"yolo11{scale}") if scheme.startswith("yolo11n") else f"{scheme}-{scale}"): (
        scheme,
        scale,
    )
    for scheme in SCHEMES
    for scale in SCALES
} | {"nsyolo": ("nsyolo", "n")}


def load_architecture(
    scheme: str,
    *,
    scale: str = "n",
    kernel: int = 5,
    regions: int = 4,
    topk: int = 4,
    p4_layers: Sequence[int] = (19,),
    mask_stride: int = STOCK_STRIDE,
) -> dict[str, Any]:
    """Read a scheme's YAML and set its options.

    Args:
        scheme: A key of ``SCHEMES``.
        scale: YOLO11's scale: n, s, m, l or x.
        kernel: K, points of a snake; odd and at least 3.
        regions: S, regions per side in the routing.
        topk: k, routed regions.
        p4_layers: Layers of the neck that become C3DS or C3BADS: 13, 19 or both.
        mask_stride: Network pixels per pixel of the prototype masks: 4 as in YOLO11, or 2.

    Returns:
        A model description as Ultralytics reads it, with the blocks' own names and the options at its top level.

    Raises:
        ValueError: An unknown scheme, scale, layer or mask stride.
    """
    if mask_stride not in MASK_STRIDES:
        raise ValueError(f"mask_stride={mask_stride} must be one of {', '.join(map(str, MASK_STRIDES))}")
    if scheme not in SCHEMES:
        raise ValueError(f"unknown scheme {scheme!r}; choose one of {', '.join(SCHEMES)}")
    if scale not in SCALES:
        raise ValueError(f"unknown scale {scale!r}; choose one of {', '.join(SCALES)}")
    if not p4_layers or not set(p4_layers) <= set(P4_LAYERS):
        raise ValueError(f"p4_layers={tuple(p4_layers)} must name one or both of {P4_LAYERS}")
    document: dict[str, Any] = YAML.load(_FILES[scheme])
    document["scale"] = scale
    document["yaml_file"] = _FILES[scheme].name
    snake = next((block for block in SCHEMES[scheme] if block in _SNAKES), None)
    if snake:
        document["kernel"] = kernel
        first_of_head = len(document["backbone"])
        for layer in P4_LAYERS:
            document["head"][layer - first_of_head][2] = snake if layer in p4_layers else _STOCK_NAMES[snake]
    if "C2PSA_BRA" in SCHEMES[scheme]:
        document |= {"regions": regions, "topk": topk}
    if mask_stride != STOCK_STRIDE:
        document["mask_stride"] = mask_stride
    return document


class NSYOLOSegmentation(SegmentationModel):
    """A YOLO11-seg whose description may name C3BADS, C3DS and C2PSA_BRA, and a finer stride of its masks.

    Args:
        cfg: A name such as ``nsyolo-n`` or ``yolo11n-c3bads``, or a description by ``load_architecture``.
        ch: Input channels.
        nc: Classes; None takes the description's.
        verbose: Log a summary.

    Raises:
        ValueError: An unknown name.
    """

    yaml: dict[str, Any]

    def __init__(
        self, cfg: str | dict[str, Any] = "nsyolo-n", ch: int = 3, nc: int | None = None, verbose: bool = True
    ) -> None:
        named = deepcopy(cfg) if isinstance(cfg, dict) else _architecture_of(cfg)
        stock = deepcopy(named)
        for row in _rows(stock):
            row[2] = _STOCK_NAMES.get(row[2], row[2])
        super().__init__(stock, ch=ch, nc=nc, verbose=False)
        # The checkpoint keeps the honest names, from which the network is built again.
        self.yaml = {**self.yaml, "backbone": named["backbone"], "head": named["head"]}
        self._swap_layers()
        if verbose:
            self.info()

    def _swap_layers(self) -> None:
        # Each swapped layer has its own random stream, and the global one goes on as if nothing was swapped: what a
        # layer starts from does not depend on which others are swapped.
        with torch.random.fork_rng(devices=[]):
            base = int(torch.randint(2**31, ()))
            for index, row in enumerate(_rows(self.yaml)):
                if row[2] in _STOCK_NAMES:
                    torch.default_generator.manual_seed(base + index)
                    self.model[index] = _replacement(row[2], self.model[index], self.yaml)
        if self.yaml.get("mask_stride", STOCK_STRIDE) != STOCK_STRIDE:
            refine(self.model[-1].proto)


def build_network(
    scheme: str,
    nc: int,
    *,
    scale: str = "n",
    kernel: int = 5,
    regions: int = 4,
    topk: int = 4,
    p4_layers: Sequence[int] = (19,),
    mask_stride: int = STOCK_STRIDE,
) -> SegmentationModel:
    """Build one scheme of the ablation with random weights, drawn from torch's global generator.

    Args:
        scheme: A key of ``SCHEMES``.
        nc: Classes.
        scale: YOLO11's scale: n, s, m, l or x.
        kernel: K, points of a snake; odd and at least 3.
        regions: S, regions per side in the routing.
        topk: k, routed regions.
        p4_layers: Layers of the neck that become C3DS or C3BADS: 13, 19 or both.
        mask_stride: Network pixels per pixel of the prototype masks: 4 as in YOLO11, or 2.

    Returns:
        The stock SegmentationModel for ``yolo11n`` at the stock stride, an NSYOLOSegmentation otherwise, in training
        mode.

    Raises:
        ValueError: An unknown scheme, scale, layer or mask stride, or a kernel, regions or topk out of range.
    """
    document = load_architecture(
        scheme, scale=scale, kernel=kernel, regions=regions, topk=topk, p4_layers=p4_layers, mask_stride=mask_stride
    )
    is_stock = not SCHEMES[scheme] and mask_stride == STOCK_STRIDE
    network = SegmentationModel if is_stock else NSYOLOSegmentation
    return network(document | {"nc": nc}, nc=nc, verbose=False)


def _architecture_of(name: str) -> dict[str, Any]:
    known = str(name).removesuffix(".yaml")
    if known not in NETWORK_NAMES:
        raise ValueError(f"unknown network {name!r}; choose one of {', '.join(NETWORK_NAMES)}")
    scheme, scale = NETWORK_NAMES[known]
    return load_architecture(scheme, scale=scale)


def _rows(document: dict[str, Any]) -> list[list[Any]]:
    return [*document["backbone"], *document["head"]]


def _replacement(name: str, stock: nn.Module, options: dict[str, Any]) -> nn.Module:
    """Build the block ``name`` in the shape of ``stock``, and take over its place and the weights both have."""
    c1, c2 = stock.cv1.conv.in_channels, stock.cv2.conv.out_channels
    layer: nn.Module
    if isinstance(stock, C3k2):
        c3k = isinstance(stock.m[0], C3k)
        layer = _SNAKES[name](c1, c2, len(stock.m), c3k, stock.c / c2, kernel=options["kernel"])
    elif isinstance(stock, C2PSA):
        layer = C2PSABRA(c1, c2, len(stock.m), stock.c / c1, options["regions"], options["topk"])
    else:
        raise ValueError(f"a {type(stock).__name__} cannot become {name}; the description names it in a wrong place")
    layer.load_state_dict(intersect_dicts(stock.state_dict(), layer.state_dict()), strict=False)
    initialize_weights(layer)
    layer.i, layer.f = stock.i, stock.f
    layer.type = f"{type(layer).__module__}.{type(layer).__name__}"
    layer.np = sum(parameter.numel() for parameter in layer.parameters())
    return layer
