"""Parts of the network in operations that ONNX Runtime does quickly on a CPU; weights and results are the same.

Each form takes a trained, fused module and reads its weights. They hold for every batch and map size, so a graph that
is traced once serves all. They are for export: in PyTorch the modules themselves are quicker, and can be trained.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional
from ultralytics.nn.modules.block import DFL, Proto

from .badsconv import BADSConv, DSConv
from .prototypes import SubPixelConv
from .routing import BiLevelRoutingAttention

_SILU_IS_ONE = 1.278464542761074  # the argument
_MORE_CHANNELS = 4  # one is needed; ONNX Runtime blocks channels only where they are a multiple of four


def exported_form(module: nn.Module) -> nn.Module | None:
    """The form that takes the place of ``module`` in an exported graph; None where the module stays."""
    if isinstance(module, DSConv):
        return ExportedSnakes(module)
    if isinstance(module, BiLevelRoutingAttention):
        return ExportedRouting(module)
    if type(module) is Proto and isinstance(module.cv1.act, nn.SiLU):
        return ExportedProto(module)
    return ExportedDFL(module) if isinstance(module, DFL) else None


class ExportedSnakes(nn.Module):
    """``DSConv`` or ``BADSConv`` with both branches as one row gather and one matrix product.

    A displacement across a snake is at most 2 px per step from its centre (Eq. 3, 8). On a map that is padded by more
    than that with its border's values, every point lies inside and no position needs a limit. The lower neighbour of a
    point is then its pixel's row plus a whole number of steps along and across, and the upper one is the next; a row
    of the channels-last map holds all channels, so a point costs two reads of contiguous memory.

    Args:
        block: After ``fuse()``.
    """

    weight: Tensor
    bias: Tensor
    shares: Tensor
    sums: Tensor
    steps: Tensor
    along_x: Tensor

    def __init__(self, block: DSConv) -> None:
        super().__init__()
        self.block = block
        # The first half of the offsets is Δx and bends the branch along y.
        strips = [branch.strip.conv for branch in (block.snake_y, block.snake_x)]
        self.points = points = strips[0].kernel_size[1]
        centre = points // 2
        self.margin = 2 * centre + 1
        weights = block.fusion_weights() if isinstance(block, BADSConv) else torch.full((3,), 1 / 3)
        standard, along_x, along_y = weights.tolist()
        self.standard_share = standard
        self.register_buffer("shares", torch.tensor([along_y, along_x]).view(2, 1, 1))
        # (c2, c1, 1, K) to (K · c1, c2), as the samples of a pixel stand side by side.
        kernels = [strip.weight.detach()[:, :, 0].permute(2, 1, 0).flatten(0, 1) for strip in strips]
        self.register_buffer("weight", torch.stack(kernels))
        self.register_buffer("bias", torch.stack([strip.bias.detach()[None] for strip in strips]))
        self.register_buffer("sums", _sums_from_centre(points))
        self.register_buffer("steps", torch.arange(points) - centre)
        self.register_buffer("along_x", torch.tensor([0, 1]).view(2, 1, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x`` (N, c1, H, W) to (N, c2, H, W) as the block does (Eq. 1, 9–13)."""
        batch, channels, height, width = x.shape
        offsets = self.block.offsets(x).view(batch, 2, self.points, height, width)
        displacements = offsets.permute(1, 0, 3, 4, 2) @ self.sums  # (2, N, H, W, K)
        lower = displacements.floor()
        fraction = (displacements - lower).unsqueeze(-1)
        margin = self.margin
        padded = functional.pad(x, (margin, margin, margin, margin), mode="replicate").permute(0, 2, 3, 1)
        rows = padded.reshape(-1, channels)
        high, wide = height + 2 * margin, width + 2 * margin
        pixels = torch.arange(batch * high * wide, device=x.device).view(batch, high, wide)
        centres = pixels[:, margin : margin + height, margin : margin + width].unsqueeze(-1)
        # Rows from one point to the next along a snake, and to the neighbour across it.
        along = self.along_x + (1 - self.along_x) * wide
        across = self.along_x * wide + (1 - self.along_x)
        # Displacements are within the limit anyway, unless they are NaN: a row that is not there is an error in ONNX
        # Runtime, for all images of the batch. The fraction hands the NaN on.
        below = lower.long().clamp(1 - margin, margin - 1)
        first = centres + self.steps * along + below * across
        low, high_ = functional.embedding(first, rows), functional.embedding(first + across, rows)
        samples = (low + fraction * (high_ - low)).reshape(2, -1, self.points * channels)
        along_y, along_x = (functional.silu(samples @ self.weight + self.bias) * self.shares).unbind(0)
        snakes = (along_y + along_x).view(batch, height, width, -1).permute(0, 3, 1, 2)
        return self.block.project(self.standard_share * self.block.standard(x) + snakes)


class ExportedRouting(nn.Module):
    """``BiLevelRoutingAttention`` with the heads split before the regions are cut.

    The rows of a head are then contiguous, and cutting regions, gathering the routed ones and going back move whole
    rows. Padded tokens are masked at every size.

    Args:
        attention: After ``fuse()``.
    """

    def __init__(self, attention: BiLevelRoutingAttention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        """Attend within ``x``, (N, c, H, W), and return the same shape (Eq. 16–21)."""
        attention = self.attention
        batch, channels, height, width = x.shape
        heads, side = attention.heads, attention.regions
        depth, count = channels // heads, side * side
        # Not -(-height // side): the graph's division rounds towards zero.
        rows, columns = (height + side - 1) // side, (width + side - 1) // side
        qkv = attention.qkv(x)
        maps = qkv.view(batch, 3 * heads, depth, height * width).transpose(2, 3)
        maps = maps.reshape(batch, 3 * heads, height, width, depth)
        maps = functional.pad(maps, (0, 0, 0, side * columns - width, 0, side * rows - height))
        cut = maps.reshape(batch, 3 * heads, side, rows, side, columns, depth).transpose(3, 4)
        query, key, value = cut.reshape(batch, 3 * heads, count, rows * columns, depth).split(heads, dim=1)
        real = self._real_tokens(height, width, rows, columns)
        routes = self._route(query, key, real)
        firsts = torch.arange(batch * heads, device=x.device).view(batch, heads, 1, 1) * count
        chosen = routes.unsqueeze(1) + firsts
        key, value = (self._gather(part, chosen) for part in (key, value))
        bias = _zero_or_minus_infinity(real)[routes].reshape(batch, 1, count, 1, -1)
        shares = ((query * depth**-0.5) @ key.transpose(3, 4) + bias).softmax(dim=-1)
        attended = (shares @ value).reshape(batch, heads, side, side, rows, columns, depth).transpose(3, 4)
        attended = attended.reshape(batch, heads, side * rows, side * columns, depth)[:, :, :height, :width]
        attended = attended.reshape(batch, heads, height * width, depth).transpose(2, 3)
        local = attention.lce(qkv[:, 2 * channels :])
        return attention.proj(attended.reshape(batch, channels, height, width) + local)

    def _real_tokens(self, height: int, width: int, rows: int, columns: int) -> Tensor:
        """Which tokens belong to the map, (S², T)."""
        side = self.attention.regions
        in_rows = (torch.arange(side * rows) < height).view(side, 1, rows, 1)
        in_columns = (torch.arange(side * columns) < width).view(1, side, 1, columns)
        return (in_rows & in_columns).reshape(side * side, rows * columns)

    def _route(self, query: Tensor, key: Tensor, real: Tensor) -> Tensor:
        """Choose the k regions of highest affinity for each region (Eq. 17–18): (N, S², k)."""
        size = real.sum(dim=1).clamp(min=1).unsqueeze(1)
        query, key = ((part.sum(dim=3) / size).transpose(1, 2).flatten(2) for part in (query, key))  # (N, S², c)
        # The first token of a region is real, or none is.
        affinity = query @ key.transpose(1, 2) + _zero_or_minus_infinity(real[:, 0])
        return affinity.topk(self.attention.topk, dim=-1).indices

    def _gather(self, regions: Tensor, chosen: Tensor) -> Tensor:
        """Read whole regions: (N, heads, S², T, d) and row numbers (N, heads, S², k) to (N, heads, S², k · T, d)."""
        batch, heads, count, length, depth = regions.shape
        rows = regions.reshape(batch * heads * count, length * depth)
        return functional.embedding(chosen, rows).reshape(batch, heads, count, -1, depth)


class ExportedDFL(nn.Module):
    """Ultralytics' DFL, the expectation over a box side's distribution, without a Softmax across rows.

    Args:
        module: The head's.
    """

    moments: Tensor

    def __init__(self, module: DFL) -> None:
        super().__init__()
        self.bins = module.c1
        places = module.conv.weight.detach().flatten()
        self.register_buffer("moments", torch.stack([torch.ones_like(places), places]))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 4 · bins, A) to expected distances, (N, 4, A)."""
        batch, _, anchors = x.shape
        logits = x.view(batch, 4, self.bins, anchors)
        total, weighted = (self.moments @ (logits - logits.amax(dim=2, keepdim=True)).exp()).unbind(2)
        return weighted / total


class ExportedProto(nn.Module):
    """Ultralytics' Proto with its transposed convolution and the one behind it as a single convolution.

    Nothing stands between the two, so together they are one linear map. Each of the four positions inside a doubled
    pixel sees 2×2 pixels of the small map: one convolution with four times the channels, on the small map padded by one
    pixel, computes all four for less than half the multiplications. What follows works on single pixels and is done
    before the positions are put side by side.

    The bias of the transposed convolution ends where the map ends. It enters as the weights of one more channel that is
    1 on the map and, by the padding, 0 outside.

    Args:
        module: After ``fuse()``.
    """

    def __init__(self, module: Proto) -> None:
        super().__init__()
        first, last = module.cv1.conv, module.cv3.conv
        weight, bias = first.weight.detach(), first.bias.detach()
        more = torch.zeros(_MORE_CHANNELS, *weight.shape[1:])
        ones = torch.tensor([_SILU_IS_ONE] + [0.0] * (_MORE_CHANNELS - 1))
        self.first = _convolution(torch.cat((weight, more)), torch.cat((bias, ones)), padding=1)
        self.middle = _doubling_convolution(module.upsample, module.cv2.conv)
        weight, bias = last.weight.detach(), last.bias.detach()
        self.last = _convolution(weight.repeat(4, 1, 1, 1), bias.repeat(4), groups=4)
        self.refined = isinstance(module.cv3, SubPixelConv)

    def forward(self, x: Tensor) -> Tensor:
        """(N, c1, H, W) to the prototypes, (N, M, 2H, 2W); where they are refined, (N, M, 4H, 4W)."""
        batch, _, height, width = x.shape
        maps = functional.silu(self.last(functional.silu(self.middle(functional.silu(self.first(x))))))
        maps = maps.view(batch, 4, -1, height + 1, width + 1)
        inside = [
            maps[:, 2 * row + column, :, row : row + height, column : column + width]
            for row in (0, 1)
            for column in (0, 1)
        ]
        prototypes = functional.pixel_shuffle(torch.stack(inside, dim=2).flatten(1, 2), 2)
        return functional.pixel_shuffle(prototypes, 2) if self.refined else prototypes


def _doubling_convolution(upsample: nn.ConvTranspose2d, convolution: nn.Conv2d) -> nn.Conv2d:
    """``convolution`` (3×3) of ``upsample`` (2×2, stride 2) as one 2×2 convolution.

    Returns:
        A convolution of the small map and the channel of ones, padded by one pixel, to (N, 4 · c2, H + 1, W + 1). The
        pixel at row 2i + a and column 2j + b of the doubled map is that at i + a and j + b among the channels 2a + b.
    """
    doubling, doubling_bias = upsample.weight.detach().double(), upsample.bias.detach().double()
    kernel = convolution.weight.detach().double()
    channels, c2 = doubling.shape[0], kernel.shape[0]
    merged = torch.zeros(2, 2, c2, channels + _MORE_CHANNELS, 2, 2, dtype=torch.float64)
    for a, b, dy, dx in itertools.product((0, 1), (0, 1), (-1, 0, 1), (-1, 0, 1)):
        # The neighbour's pixel on the small map, and its place inside that.
        (y, row), (x, column) = divmod(a + dy, 2), divmod(b + dx, 2)
        tap = kernel[:, :, dy + 1, dx + 1]
        merged[a, b, :, :channels, y + 1 - a, x + 1 - b] += tap @ doubling[:, :, row, column].T
        merged[a, b, :, channels, y + 1 - a, x + 1 - b] += tap @ doubling_bias
    return _convolution(merged.flatten(0, 2).float(), convolution.bias.detach().repeat(4), padding=1)


def _convolution(weight: Tensor, bias: Tensor, padding: int = 0, groups: int = 1) -> nn.Conv2d:
    c2, c1, kernel = weight.shape[0], weight.shape[1] * groups, weight.shape[2]
    module = nn.Conv2d(c1, c2, kernel, padding=padding, groups=groups)
    module.load_state_dict({"weight": weight, "bias": bias})
    return module


def _sums_from_centre(points: int) -> Tensor:
    """(K, K): offsets, as a row, times this are the sums from the centre outwards (``accumulate_from_centre``)."""
    centre = points // 2
    sums = torch.zeros(points, points)
    for point in range(points):
        low, high = sorted((point, centre))
        sums[low : high + 1, point] = 1
    sums[centre] = 0  # the centre's own offset has no effect
    return sums


def _zero_or_minus_infinity(kept: Tensor) -> Tensor:
    """What is added to a logit: nothing where ``kept``, and what makes its share zero elsewhere."""
    return torch.where(kept, 0.0, float("-inf"))
