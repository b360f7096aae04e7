"""Why a YOLO network sees particles where it does: its inner maps, snakes and routes in original pixels (Fig. 11, 12).

The micrograph goes the way it goes in prediction (``inference.predictor``), so the particles are those that it finds on
one canvas, from one side: a recipe's ``judged_views`` have no maps in common.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.errors import UsageError
from nanoseg_bench.models.base import CanvasImage, Model
from nanoseg_bench.models.mask_cleaning import clean_masks
from nanoseg_bench.preparation.letterbox import Letterbox

if TYPE_CHECKING:
    from nanoseg_bench.nsyolo.probe import NetworkProbe, RoutingProbe, SnakeProbe

Map = NDArray[np.float32]
Point = tuple[float, float]


@dataclass(frozen=True, eq=False, slots=True)
class SnakeLayer:
    """One snake convolution at work; its map has h×w cells, K points belong to each.

    All positions are x, y in original pixels; those of cells on the letterbox's padding lie outside the micrograph.

    Attributes:
        layer: Name of the module in the network.
        cell: Side of a cell in network pixels.
        attention: (H, W) boundary attention A_b (Eq. 7), in [0, 1], of every pixel of the micrograph; None for plain
            DSConv.
        along_x: (h, w, K, 2) where the branch along x samples.
        along_y: (h, w, K, 2) where the branch along y samples.
    """

    layer: str
    cell: int
    attention: Map | None
    along_x: Map
    along_y: Map


@dataclass(frozen=True, eq=False, slots=True)
class RoutingLayer:
    """One bi-level routing attention at work, with S×S regions.

    Attributes:
        layer: Name of the module in the network.
        regions: (S², 4) float64 x0, y0, x1, y1 in original pixels, row by row. They cover the network's input, so
            some may lie on its padding, outside the micrograph; of the last ones, some may be empty.
        routes: (S², k) int64: the regions that each region attends to, best first.
    """

    layer: str
    regions: NDArray[np.float64]
    routes: NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Explanation:
    """What a network made of one micrograph of H×W pixels.

    Attributes:
        model: Name of the model, for titles.
        scheme: Its network.
        classes: Class names of the model.
        pixels: (H, W) or (H, W, 3) uint8, the micrograph.
        letterbox: Between the micrograph and the network's input.
        min_score: Confidence from which particles count.
        instances: Particles, best score first.
        confidence: (H, W) float32 in [0, 1]: the highest class score; see ``nsyolo.probe.NetworkProbe``.
        mask_probability: (H, W) float32 in [0, 1]: the highest mask probability; see ``nsyolo.probe.MaskMaps``.
        instance_boundary: (H, W) float32 in [0, 1]: the boundaries of the masks; see there.
        snakes: Layers with snake convolution, in the network's order; empty where there is none.
        routings: Layers with routing attention.
    """

    model: str
    scheme: str
    classes: tuple[str, ...]
    pixels: NDArray[np.uint8]
    letterbox: Letterbox
    min_score: float
    instances: tuple[Instance, ...]
    confidence: Map
    mask_probability: Map
    instance_boundary: Map
    snakes: tuple[SnakeLayer, ...]
    routings: tuple[RoutingLayer, ...]

    def missing(self) -> list[str]:
        """What cannot be shown and why, one sentence each."""
        found = []
        if not self.instances:
            found.append(f"No particle has a confidence of {self.min_score:.3g} or more.")
        if not self.snakes:
            found.append(f"No boundary attention and no snakes: {self.scheme} has neither C3BADS nor C3DS.")
        elif self.snakes[-1].attention is None:
            found.append(f"No boundary attention: the snakes of {self.scheme} are plain DSConv.")
        if not self.routings:
            found.append(f"No routed regions: {self.scheme} has no C2PSA_BRA.")
        return found

    def cell_at(self, point: Point, snakes: SnakeLayer) -> tuple[int, int]:
        """Row and column of the cell of a layer's map that holds a point of the micrograph.

        Raises:
            UsageError: The point lies outside the micrograph.
        """
        self._require_inside(point)
        row, column = self.cells_at(np.array([point]), snakes)[0]
        return int(row), int(column)

    def cells_at(self, points: NDArray[np.float64], snakes: SnakeLayer) -> NDArray[np.int64]:
        """(N, 2) rows and columns of the cells that hold (N, 2) points x, y of the micrograph."""
        cells = (self.letterbox.to_canvas(points) // snakes.cell).astype(np.int64)
        rows, columns = snakes.along_x.shape[:2]
        # A point just inside the last edge may be rounded onto it.
        return np.minimum(cells[:, ::-1], (rows - 1, columns - 1))

    def region_at(self, point: Point, routing: RoutingLayer) -> int:
        """Number of the region that holds a point of the micrograph.

        Raises:
            UsageError: The point lies outside the micrograph.
        """
        self._require_inside(point)
        side = math.isqrt(len(routing.regions))
        column = np.searchsorted(routing.regions[:side, 0], point[0], side="right") - 1
        row = np.searchsorted(routing.regions[::side, 1], point[1], side="right") - 1
        return int(row * side + column)

    def _require_inside(self, point: Point) -> None:
        height, width = self.pixels.shape[:2]
        if not (0 <= point[0] < width and 0 <= point[1] < height):
            raise UsageError(f"point {point[0]:g},{point[1]:g} lies outside the image of {width}x{height} px")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as arrays by name, for ``numpy.savez_compressed``; those of a layer end in ``:`` and its name."""
        found: dict[str, NDArray[Any]] = {
            "image": self.pixels,
            "scores": np.array([instance.score for instance in self.instances], dtype=np.float32),
            "confidence": self.confidence,
            "mask_probability": self.mask_probability,
            "instance_boundary": self.instance_boundary,
        }
        for snakes in self.snakes:
            if snakes.attention is not None:
                found[f"boundary_attention:{snakes.layer}"] = snakes.attention
            found[f"snakes_along_x:{snakes.layer}"] = snakes.along_x
            found[f"snakes_along_y:{snakes.layer}"] = snakes.along_y
        for routing in self.routings:
            found[f"regions:{routing.layer}"] = routing.regions
            found[f"routes:{routing.layer}"] = routing.routes
        return found


def explain(model: Model, pixels: NDArray[np.uint8], min_score: float) -> Explanation:
    """Run a model on one micrograph and keep what its blocks did.

    Args:
        model: Ready to predict.
        pixels: (H, W) or (H, W, 3) uint8.
        min_score: Particles below this confidence are left out.

    Raises:
        ModelError: The model shows nothing of its network, see ``Model.probe``.
    """
    probe = model.probe(CanvasImage.of_micrograph(pixels, model.recipe.canvas), min_score)
    network, letterbox = probe.network, probe.letterbox
    return Explanation(
        model=model.recipe.title,
        scheme=model.recipe.options.get("scheme", model.recipe.model),
        classes=model.classes,
        pixels=pixels,
        letterbox=letterbox,
        min_score=min_score,
        instances=tuple(clean_masks(probe.instances, model.recipe.mask_cleaning, *pixels.shape[:2])),
        confidence=_restore(network.confidence[0, 0], letterbox),
        mask_probability=_restore(probe.masks.probability, letterbox),
        instance_boundary=_restore(probe.masks.boundary, letterbox),
        snakes=_snake_layers(network, letterbox),
        routings=tuple(_routing_layer(routing, letterbox) for routing in network.routings),
    )


def _snake_layers(probe: "NetworkProbe", letterbox: Letterbox) -> tuple[SnakeLayer, ...]:
    from nanoseg_bench.nsyolo.probe import on_input

    layers = []
    for snake in probe.snakes:
        attention = None
        if snake.attention is not None:
            attention = _restore(on_input(snake.attention, _input_shape(letterbox))[0, 0], letterbox)
        along_x, along_y = (_to_original(snake, positions, letterbox) for positions in (snake.along_x, snake.along_y))
        layers.append(SnakeLayer(snake.layer, round(snake.stride[0]), attention, along_x, along_y))
    return tuple(layers)


def _to_original(snake: "SnakeProbe", positions: Tensor, letterbox: Letterbox) -> Map:
    """(1, K, h, w, 2) positions on a map to (h, w, K, 2) in original pixels."""
    points = snake.to_input(positions)[0].permute(1, 2, 0, 3).double().cpu().numpy()
    return letterbox.to_original(points).astype(np.float32)


def _routing_layer(routing: "RoutingProbe", letterbox: Letterbox) -> RoutingLayer:
    corners = routing.regions.double().cpu().numpy().reshape(-1, 2)
    regions = letterbox.to_original(corners).reshape(-1, 4)
    return RoutingLayer(routing.layer, regions, routing.routes[0].cpu().numpy())


def _input_shape(letterbox: Letterbox) -> tuple[int, int]:
    width, height = letterbox.canvas_size
    return height, width


def _restore(values: Tensor, letterbox: Letterbox) -> Map:
    """(h, w) on the network's input to (H, W) in original pixels; what lies at the border is continued outwards."""
    padded = np.pad(values.float().cpu().numpy(), 1, mode="edge")
    return letterbox.restore(padded, (-1.0, -1.0))[0]
