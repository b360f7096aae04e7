"""NSYOLO as it comes out of the published snake and routing code, to be timed against this package's.

Written anew from how the published code works, operation by operation where that decides what it costs: the snake of
DSCNet's ``S3_DSConv`` (coordinate maps by meshgrid, repeat and concatenation, four advanced-index reads per sample,
each with a weight of its own) and BiFormer's routing for NCHW maps (``n_win = 7``, keys and values gathered from an
expanded view, explicit softmax). Its faults are kept, since they are part of it: the samples are all read from image 0
of the batch, and the end points of a snake are not accumulated. For timing only; a network like this should not be
trained.

The paper's own additions (boundary gain, adaptive fusion) are put together line by line as in Algorithm 1.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from ultralytics.nn.modules.block import C2PSA, Bottleneck, C3k2
from ultralytics.nn.modules.conv import Conv
from ultralytics.nn.tasks import SegmentationModel

P4_LAYER, P5_LAYER = 19, 10


class PublishedSnake(nn.Module):
    """The strip convolution along one axis, whose samples are interpolated with plain indexing."""

    def __init__(self, c1: int, c2: int, points: int, axis: str) -> None:
        super().__init__()
        self.points, self.axis = points, axis
        size = (points, 1) if axis == "x" else (1, points)
        self.strip = nn.Conv2d(c1, c2, size, stride=size)
        self.norm = nn.GroupNorm(c2 // 4, c2)

    def forward(self, x: Tensor, offsets: Tensor) -> Tensor:
        rows, columns = self._coordinates(x, offsets)
        return functional.relu(self.norm(self.strip(self._interpolate(x, rows, columns))))

    def _coordinates(self, x: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        batch, _, height, width = x.shape
        points, centre = self.points, self.points // 2
        across = offsets.split(points, dim=1)[0 if self.axis == "x" else 1]
        row_centres = torch.arange(height).repeat([width]).reshape(width, height).permute(1, 0)
        row_centres = row_centres.reshape(1, height, width).repeat([points, 1, 1]).float().unsqueeze(0)
        column_centres = torch.arange(width).repeat([height]).reshape(1, height, width)
        column_centres = column_centres.repeat([points, 1, 1]).float().unsqueeze(0)
        none, reach = torch.linspace(0, 0, 1), torch.linspace(-centre, centre, points)
        rows, columns = torch.meshgrid(*((none, reach) if self.axis == "x" else (reach, none)), indexing="ij")
        row_grid = rows.reshape(-1, 1).repeat([1, height * width]).reshape(points, height, width).unsqueeze(0)
        column_grid = columns.reshape(-1, 1).repeat([1, height * width]).reshape(points, height, width).unsqueeze(0)
        rows = (row_centres + row_grid).repeat(batch, 1, 1, 1).to(x.device)
        columns = (column_centres + column_grid).repeat(batch, 1, 1, 1).to(x.device)
        sums, steps = across.detach().clone().permute(1, 0, 2, 3), across.permute(1, 0, 2, 3)
        sums[centre] = 0
        for distance in range(1, centre):
            sums[centre + distance] = sums[centre + distance - 1] + steps[centre + distance]
            sums[centre - distance] = sums[centre - distance + 1] + steps[centre - distance]
        sums = sums.permute(1, 0, 2, 3)
        if self.axis == "x":
            rows = rows.add(sums)
            order, shape = (0, 3, 1, 4, 2), (batch, points * height, width)
            split = (batch, points, 1, height, width)
        else:
            columns = columns.add(sums)
            order, shape = (0, 3, 1, 4, 2), (batch, height, points * width)
            split = (batch, 1, points, height, width)
        return rows.reshape(split).permute(order).reshape(shape), columns.reshape(split).permute(order).reshape(shape)

    def _interpolate(self, x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        row, column = rows.reshape(-1).float(), columns.reshape(-1).float()
        row_0, column_0 = row.floor().int(), column.floor().int()
        row_1, column_1 = row_0 + 1, column_0 + 1
        row_0, row_1 = row_0.clamp(0, height - 1), row_1.clamp(0, height - 1)
        column_0, column_1 = column_0.clamp(0, width - 1), column_1.clamp(0, width - 1)
        flat = x.flatten().reshape(batch, channels, height, width).permute(0, 2, 3, 1).reshape(-1, channels)
        base = (torch.arange(batch) * height * width).reshape(-1, 1).float()
        base = torch.matmul(base, torch.ones(self.points * height * width).unsqueeze(0).float()).reshape(-1)
        base = base.to(x.device)
        above, below = base + row_0 * width, base + row_1 * width
        corners = [above - base + column_0, above - base + column_1, below - base + column_0, below - base + column_1]
        values = [flat[corner.type(torch.int64)] for corner in corners]
        row_0, column_0 = row.floor().int(), column.floor().int()
        row_1, column_1 = row_0 + 1, column_0 + 1
        row_0, row_1 = row_0.clamp(0, height).float(), row_1.clamp(0, height).float()
        column_0, column_1 = column_0.clamp(0, width).float(), column_1.clamp(0, width).float()
        shares = [
            ((row_1 - row) * (column_1 - column)).unsqueeze(-1),
            ((row_1 - row) * (column - column_0)).unsqueeze(-1),
            ((row - row_0) * (column_1 - column)).unsqueeze(-1),
            ((row - row_0) * (column - column_0)).unsqueeze(-1),
        ]
        result = values[0] * shares[0] + values[1] * shares[1] + values[2] * shares[2] + values[3] * shares[3]
        shape = (self.points * height, width) if self.axis == "x" else (height, self.points * width)
        return result.reshape(batch, *shape, channels).permute(0, 3, 1, 2)


class PublishedBADSConv(nn.Module):
    """Algorithm 1 around the published snakes."""

    def __init__(self, c1: int, c2: int, k: int = 5) -> None:
        super().__init__()
        self.offset_conv = nn.Conv2d(c1, 2 * k, 3, padding=1)
        self.offset_norm = nn.BatchNorm2d(2 * k)
        self.standard = Conv(c1, c2, 3)
        self.snake_x = PublishedSnake(c1, c2, k, "x")
        self.snake_y = PublishedSnake(c1, c2, k, "y")
        self.bam = nn.Sequential(Conv(1, 8, 3, act=nn.ReLU()), nn.Conv2d(8, 1, 1))
        self.alpha = nn.Parameter(torch.zeros(3))
        self.project = Conv(c2, c2, 1)

    def forward(self, x: Tensor) -> Tensor:
        along_x = functional.pad((x[..., :, 1:] - x[..., :, :-1]).abs(), (0, 1, 0, 0), mode="replicate")
        along_y = functional.pad((x[..., 1:, :] - x[..., :-1, :]).abs(), (0, 0, 0, 1), mode="replicate")
        gradient = (along_x + along_y).mean(1, keepdim=True)
        pools = [functional.avg_pool2d(gradient, size, stride=1, padding=size // 2) for size in (3, 5, 7)]
        boundary = torch.sigmoid(self.bam((pools[0] + pools[1] + pools[2]) / 3))
        offsets = torch.tanh(self.offset_norm(self.offset_conv(x))) * (1 + boundary)
        weights = torch.softmax(self.alpha, 0)
        branches = self.standard(x), self.snake_x(x, offsets), self.snake_y(x, offsets)
        return self.project(weights[0] * branches[0] + weights[1] * branches[1] + weights[2] * branches[2])


class PublishedRouting(nn.Module):
    """Bi-level routing attention on NCHW maps with the published defaults: 7 windows per side, k = 4."""

    def __init__(self, channels: int, heads: int, windows: int = 7, topk: int = 4) -> None:
        super().__init__()
        self.heads, self.windows, self.topk = heads, windows, topk
        self.scale = channels**-0.5
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.lepe = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        size = (height // self.windows, width // self.windows)
        query, key, value = self.qkv(x).chunk(3, dim=1)
        pool = {"kernel_size": size, "ceil_mode": True, "count_include_pad": False}
        query_means = functional.avg_pool2d(query.detach(), **pool).permute(0, 2, 3, 1).flatten(1, 2)
        key_means = functional.avg_pool2d(key.detach(), **pool).flatten(2, 3)
        routes = torch.topk(query_means @ key_means, k=self.topk, dim=-1).indices
        routes = routes.unsqueeze(1).expand(-1, self.heads, -1, -1)
        attended = self._attend(query, key, value, routes, size)
        return self.project(attended + self.lepe(value))

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, routes: Tensor, size: tuple[int, int]) -> Tensor:
        height, width = query.shape[2:]
        padding = (0, -width % size[1], 0, -height % size[0])
        if any(padding):
            query, key, value = (functional.pad(part, padding) for part in (query, key, value))
        rows, columns = query.shape[2] // size[0], query.shape[3] // size[1]
        query, key, value = (self._to_sequence(part, rows, columns, size) for part in (query, key, value))
        batch, heads, regions, length, depth = query.shape
        index = routes.view(batch, heads, regions, self.topk, 1, 1).expand(-1, -1, -1, -1, length, depth)
        gathered = [
            torch.gather(
                part.view(batch, heads, 1, regions, length, depth).expand(-1, -1, regions, -1, -1, -1), 3, index
            ).flatten(-3, -2)
            for part in (key, value)
        ]
        weights = torch.softmax((query * self.scale) @ gathered[0].transpose(-1, -2), dim=-1)
        maps = (weights @ gathered[1]).view(batch, heads, rows, columns, *size, depth)
        maps = maps.permute(0, 1, 6, 2, 4, 3, 5).reshape(batch, heads * depth, rows * size[0], columns * size[1])
        return maps[:, :, :height, :width]

    def _to_sequence(self, maps: Tensor, rows: int, columns: int, size: tuple[int, int]) -> Tensor:
        batch = maps.shape[0]
        parts = maps.reshape(batch, self.heads, -1, rows, size[0], columns, size[1])
        return parts.permute(0, 1, 3, 5, 4, 6, 2).flatten(2, 3).flatten(3, 4)


def build_published(network: SegmentationModel, kernel: int = 5) -> SegmentationModel:
    """Put the published blocks into a stock YOLO11n-seg, in place."""
    neck, attention = network.model[P4_LAYER], network.model[P5_LAYER]
    if not (type(neck) is C3k2 and type(attention) is C2PSA):
        raise ValueError("give a stock YOLO11-seg")
    for block in neck.m.modules():
        if isinstance(block, Bottleneck):
            replaced = block.cv2.conv
            block.cv2 = PublishedBADSConv(replaced.in_channels, replaced.out_channels, kernel)
    for block in attention.m:
        block.attn = PublishedRouting(attention.c, max(attention.c // 64, 1))
    return network
