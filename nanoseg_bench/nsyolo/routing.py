"""Bi-level routing attention, BRA (Eq. 14–21).

What the paper leaves open, and the choice made here: S = 4 regions per side (5×5 tokens each at 640 px) and k = 4
routed regions; channels / 64 heads and the scale head_dim^-0.5, as in the attention it replaces; one routing for all
heads; convolution and BN for the projections and the local enhancement, against attention collapse. A map whose sides
are not multiples of S is padded after the projection; padded tokens are neither attended to nor counted in a region's
mean, so padding changes nothing for the real ones.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from ultralytics.nn.modules.conv import Conv


class BiLevelRoutingAttention(nn.Module):
    """Attention of every token to the tokens of the k regions that matter most to its own region.

    Args:
        c: Channels in and out, a multiple of ``heads``.
        heads: Attention heads.
        regions: S, regions per side of the map.
        topk: k, regions attended to; at most S² count.

    Attributes:
        dense: Attend over all tokens under a mask instead of gathering the routed ones. Same weights, same result;
            slower on a CPU, meant for accelerators, where one large operation may beat several small ones.

    Raises:
        ValueError: ``c`` is not a multiple of ``heads``, or ``regions`` or ``topk`` is below 1.
    """

    dense: bool = False

    def __init__(self, c: int, heads: int, regions: int = 4, topk: int = 4) -> None:
        super().__init__()
        if c % heads:
            raise ValueError(f"c={c} channels cannot be shared evenly by heads={heads}")
        if regions < 1 or topk < 1:
            raise ValueError(f"regions and topk must be at least 1; got regions={regions}, topk={topk}")
        self.heads = heads
        self.regions = regions
        self.topk = min(topk, regions**2)
        self.qkv = Conv(c, 3 * c, 1, act=False)
        self.proj = Conv(c, c, 1, act=False)
        self.lce = Conv(c, c, 5, g=c, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within ``x``, (N, c, H, W), and return the same shape (Eq. 16–21)."""
        height, width = x.shape[2:]
        qkv = self.qkv(x)
        tokens = self._to_regions(qkv)
        real = self._real_tokens(x)
        routes = self._route(tokens, real)
        attend = self._attend_dense if self.dense else self._attend_gathered
        attended = self._to_map(attend(tokens, real, routes), height, width)
        return self.proj(attended + self.lce(qkv.chunk(3, dim=1)[2]))

    def routes(self, x: Tensor) -> Tensor:
        """The routing index matrix I^r of ``x`` (Eq. 17–18): (N, S², k), regions counted row by row, best first."""
        return self._route(self._to_regions(self.qkv(x)), self._real_tokens(x))

    def _region_size(self, height: int, width: int) -> tuple[int, int]:
        return -(-height // self.regions), -(-width // self.regions)

    def _to_regions(self, maps: Tensor) -> Tensor:
        """Pad (N, D, H, W) to whole regions and cut it (Eq. 15): (N, S², T, D), T tokens per region."""
        batch, depth, height, width = maps.shape
        rows, columns = self._region_size(height, width)
        side = self.regions
        if (height, width) != (side * rows, side * columns):
            maps = functional.pad(maps, (0, side * columns - width, 0, side * rows - height))
        maps = maps.reshape(batch, depth, side, rows, side, columns).permute(0, 2, 4, 3, 5, 1)
        return maps.reshape(batch, side * side, rows * columns, depth)

    def _to_map(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Undo ``_to_regions``: (N, S², T, D) to (N, D, H, W)."""
        batch, depth = tokens.shape[0], tokens.shape[3]
        rows, columns = self._region_size(height, width)
        side = self.regions
        maps = tokens.reshape(batch, side, side, rows, columns, depth).permute(0, 5, 1, 3, 2, 4)
        return maps.reshape(batch, depth, side * rows, side * columns)[:, :, :height, :width]

    def _real_tokens(self, x: Tensor) -> Tensor | None:
        """Which tokens belong to the map, (S², T); None where nothing is padded."""
        height, width = x.shape[2:]
        if height % self.regions == 0 and width % self.regions == 0:
            return None
        return self._to_regions(x.new_ones(1, 1, height, width))[0, :, :, 0] > 0

    def _route(self, tokens: Tensor, real: Tensor | None) -> Tensor:
        """Choose the k regions of highest affinity for each region (Eq. 17–18): (N, S², k)."""
        channels = tokens.shape[3] // 3
        # The choice is discontinuous: computed in half precision it flips and changes the output by several per cent.
        with torch.autocast(device_type=tokens.device.type, enabled=False), torch.no_grad():
            sums = tokens[..., : 2 * channels].float().sum(2)
            count = tokens.shape[2] if real is None else real.sum(1, keepdim=True).clamp(min=1)
            query, key = (sums / count).chunk(2, dim=-1)
            affinity = query @ key.transpose(1, 2)
            if real is not None:
                affinity = affinity.masked_fill(~real.any(1), float("-inf"))
            return affinity.topk(self.topk, dim=-1).indices

    def _attend_gathered(self, tokens: Tensor, real: Tensor | None, routes: Tensor) -> Tensor:
        """Gather the keys and values of the routed regions and attend (Eq. 19–21): (N, S², T, c)."""
        batch, count, length, depth = tokens.shape
        channels = depth // 3
        query, pairs = tokens.split((channels, 2 * channels), dim=-1)
        start = torch.arange(batch, device=tokens.device).view(-1, 1, 1) * count
        chosen = pairs.flatten(0, 1).index_select(0, (routes + start).flatten())
        chosen = chosen.reshape(batch * count, self.topk * length, 2 * channels)
        key, value = (self._split_heads(part) for part in chosen.chunk(2, dim=-1))
        mask = None if real is None else real[routes].reshape(batch * count, 1, 1, self.topk * length)
        attended = functional.scaled_dot_product_attention(
            self._split_heads(query.flatten(0, 1)), key, value, attn_mask=mask
        )
        return self._merge_heads(attended).reshape(batch, count, length, channels)

    def _attend_dense(self, tokens: Tensor, real: Tensor | None, routes: Tensor) -> Tensor:
        """Do the same as ``_attend_gathered`` with one masked attention over all tokens."""
        batch, count, length, depth = tokens.shape
        query, key, value = (self._split_heads(part) for part in tokens.flatten(1, 2).chunk(3, dim=-1))
        routed = torch.zeros(batch, count, count, dtype=torch.bool, device=tokens.device).scatter(2, routes, True)
        allowed = routed.repeat_interleave(length, dim=2)
        if real is not None:
            allowed = allowed & real.flatten()
        mask = allowed.repeat_interleave(length, dim=1).unsqueeze(1)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self._merge_heads(attended).reshape(batch, count, length, depth // 3)

    def _split_heads(self, tokens: Tensor) -> Tensor:
        """(B, L, c) to (B, heads, L, c / heads)."""
        return tokens.reshape(tokens.shape[0], tokens.shape[1], self.heads, -1).transpose(1, 2)

    def _merge_heads(self, tokens: Tensor) -> Tensor:
        """(B, heads, L, d) to (B, L, heads · d)."""
        return tokens.transpose(1, 2).flatten(2)
