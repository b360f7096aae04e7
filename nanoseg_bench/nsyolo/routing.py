"""Bi-level routing attention, BRA (Eq. 14–21)."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from ultralytics.nn.modules.conv import Conv

from .layout import to_channels_last, to_layout_of


class BiLevelRoutingAttention(nn.Module):
    """Attention of every token to the tokens of the k regions that matter most to its own region (Eq. 14–21).

    The map is cut into S×S regions (Eq. 14–15) and projected to queries, keys and values (Eq. 16). The means of a
    region's queries and keys give the affinity of regions (Eq. 17), of which each keeps its k best (Eq. 18). Their keys
    and values are gathered (Eq. 19, 20); each token attends to them, and a 5×5 depthwise convolution of the values, the
    local context enhancement LCE, is added (Eq. 21).

    What the paper leaves open, and the choice made here:

    - S = 4 (5×5 tokens per region at 640 px) and k = 4. S divides the maps of the common sizes of an image. A map whose
      sides are not multiples of S is padded after the projection; padded tokens are neither attended to nor counted in
      a region's mean, so padding changes nothing for the real ones.
    - Scale head_dim^-0.5, one routing for all heads; C2PSABRA takes channels / 64 heads, as the attention it replaces.
    - The projections to queries, keys and values and behind the attention, and LCE, are convolutions with BN, against
      attention collapse.
    - Routes are chosen in float32 whatever the precision around: the choice is discontinuous.

    (N, c, H, W) keeps its shape, for any H and W from 1, and its memory format. Under autocast in float16 or bfloat16,
    a result differs from that in float32 by at most 4 eps (1 + its size), eps being the precision's (2^-10, 2^-7), in
    regions whose routes are the same; where two affinities are nearly equal, rounded queries and keys may decide for
    the other one.

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
        query, key, value = self.qkv(to_channels_last(x)).chunk(3, dim=1)
        local = self.lce(value)
        query, key, value = (self._to_regions(part) for part in (query, key, value))
        real = self._real_tokens(x)
        routes = self._route(query, key, real)
        attend = self._attend_dense if self.dense else self._attend_gathered
        attended = self._to_map(attend(query, key, value, real, routes), height, width)
        return to_layout_of(x, self.proj(attended + local))

    def routes(self, x: Tensor) -> Tensor:
        """The routing index matrix I^r of ``x`` (Eq. 17–18): (N, S², k), regions counted row by row, best first."""
        query, key, _ = self.qkv(to_channels_last(x)).chunk(3, dim=1)
        return self._route(self._to_regions(query), self._to_regions(key), self._real_tokens(x))

    def _region_size(self, height: int, width: int) -> tuple[int, int]:
        return -(-height // self.regions), -(-width // self.regions)

    def _to_regions(self, maps: Tensor) -> Tensor:
        """Pad (N, D, H, W) to whole regions and cut it (Eq. 15): (N, S², T, D), T tokens per region."""
        batch, depth, height, width = maps.shape
        rows, columns = self._region_size(height, width)
        side = self.regions
        tokens = maps.permute(0, 2, 3, 1)
        if (height, width) != (side * rows, side * columns):
            tokens = functional.pad(tokens, (0, 0, 0, side * columns - width, 0, side * rows - height))
        tokens = tokens.reshape(batch, side, rows, side, columns, depth).transpose(2, 3)
        return tokens.reshape(batch, side * side, rows * columns, depth)

    def _to_map(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Undo ``_to_regions``: (N, S², T, D) to (N, D, H, W)."""
        batch, depth = tokens.shape[0], tokens.shape[3]
        rows, columns = self._region_size(height, width)
        side = self.regions
        tokens = tokens.reshape(batch, side, side, rows, columns, depth).transpose(2, 3)
        maps = tokens.reshape(batch, side * rows, side * columns, depth)[:, :height, :width]
        return maps.permute(0, 3, 1, 2)

    def _real_tokens(self, x: Tensor) -> Tensor | None:
        """Which tokens belong to the map, (S², T); None where nothing is padded."""
        height, width = x.shape[2:]
        if height % self.regions == 0 and width % self.regions == 0:
            return None
        return self._to_regions(x.new_ones(1, 1, height, width))[0, :, :, 0] > 0

    def _route(self, query: Tensor, key: Tensor, real: Tensor | None) -> Tensor:
        """Choose the k regions of highest affinity for each region (Eq. 17–18): (N, S², k)."""
        # The choice is discontinuous: computed in half precision it flips and changes the output by several per cent.
        with torch.autocast(device_type=query.device.type, enabled=False), torch.no_grad():
            size = query.shape[2] if real is None else real.sum(1, keepdim=True).clamp(min=1)
            precise = torch.promote_types(query.dtype, torch.float32)
            query_means, key_means = (part.sum(2, dtype=precise) / size for part in (query, key))
            affinity = query_means @ key_means.transpose(1, 2)
            if real is not None:
                affinity = affinity.masked_fill(~real.any(1), float("-inf"))
            return affinity.topk(self.topk, dim=-1).indices

    def _attend_gathered(
        self, query: Tensor, key: Tensor, value: Tensor, real: Tensor | None, routes: Tensor
    ) -> Tensor:
        """Gather the keys and values of the routed regions and attend (Eq. 19–21): (N, S², T, c)."""
        batch, count, length, channels = query.shape
        start = torch.arange(batch, device=query.device).view(-1, 1, 1) * count
        chosen = (routes + start).flatten()
        key, value = (
            self._split_heads(part.flatten(0, 1).index_select(0, chosen).view(batch * count, -1, channels))
            for part in (key, value)
        )
        mask = None if real is None else real[routes].reshape(batch * count, 1, 1, self.topk * length)
        attended = functional.scaled_dot_product_attention(
            self._split_heads(query.flatten(0, 1)), key, value, attn_mask=mask
        )
        return self._merge_heads(attended).reshape(batch, count, length, channels)

    def _attend_dense(self, query: Tensor, key: Tensor, value: Tensor, real: Tensor | None, routes: Tensor) -> Tensor:
        """Do the same as ``_attend_gathered`` with one masked attention over all tokens."""
        batch, count, length, channels = query.shape
        query, key, value = (self._split_heads(part.flatten(1, 2)) for part in (query, key, value))
        routed = torch.zeros(batch, count, count, dtype=torch.bool, device=query.device).scatter(2, routes, True)
        allowed = routed.repeat_interleave(length, dim=2)
        if real is not None:
            allowed = allowed & real.flatten()
        mask = allowed.repeat_interleave(length, dim=1).unsqueeze(1)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self._merge_heads(attended).reshape(batch, count, length, channels)

    def _split_heads(self, tokens: Tensor) -> Tensor:
        """(B, L, c) to (B, heads, L, c / heads)."""
        return tokens.reshape(tokens.shape[0], tokens.shape[1], self.heads, -1).transpose(1, 2)

    def _merge_heads(self, tokens: Tensor) -> Tensor:
        """(B, heads, L, d) to (B, L, heads · d)."""
        return tokens.transpose(1, 2).flatten(2)
