"""YOLO11's C3k2 and C2PSA blocks with the paper's modules inside (2.2)."""

from torch import nn
from ultralytics.nn.modules.block import C2PSA, Bottleneck, C3k2

from .badsconv import BADSConv, DSConv
from .routing import BiLevelRoutingAttention


class C3DS(C3k2):
    """C3k2 with plain dynamic snake convolution (DSConv: Eq. 1, 3, 9–11, 13), for the ablation.

    (N, c1, H, W) becomes (N, c2, H, W), as in C3k2. What the paper leaves open, and the choice made here: which of the
    block's convolutions give way is not said. Here the second one of every inner bottleneck does, as is usual for snake
    convolution in such blocks; the first one and the shortcut stay.

    Args:
        c1: Input channels.
        c2: Output channels.
        n: Inner blocks.
        c3k: Inner blocks are C3k, as in the scales m, l and x, instead of bottlenecks.
        e: Hidden channels as a share of ``c2``.
        shortcut: Inner blocks add their input.
        kernel: Points of a snake.
    """

    convolution: type[nn.Module] = DSConv

    def __init__(
        self,
        c1: int,
        c2: int,
        n: int = 1,
        c3k: bool = False,
        e: float = 0.5,
        shortcut: bool = True,
        kernel: int = 5,
    ) -> None:
        super().__init__(c1, c2, n, c3k, e, shortcut=shortcut)
        for block in self.m.modules():
            if isinstance(block, Bottleneck):
                replaced = block.cv2.conv
                block.cv2 = self.convolution(replaced.in_channels, replaced.out_channels, kernel)


class C3BADS(C3DS):
    """C3k2 with boundary-aware dynamic snake convolution (BADSConv: Algorithm 1, Eq. 2–13).

    (N, c1, H, W) becomes (N, c2, H, W). Which convolutions give way is the choice of C3DS: the two differ in nothing
    but the convolution, so the ablation compares BADSConv with DSConv and nothing else.

    Args: those of C3DS.
    """

    convolution = BADSConv


class C2PSABRA(C2PSA):
    """C2PSA with bi-level routing attention (Eq. 14–21).

    (N, c1, H, W) keeps its shape. What the paper leaves open, and the choice made here: the number of heads is not
    said. Here it is hidden channels / 64, as in the attention that is replaced, and the feed-forward part of every
    PSABlock stays, so that the attention alone makes the difference.

    Args:
        c1: Input channels.
        c2: Output channels, equal to ``c1``.
        n: Inner blocks.
        e: Hidden channels as a share of ``c1``.
        regions: S, regions per side of the map.
        topk: k, regions attended to.
    """

    def __init__(self, c1: int, c2: int, n: int = 1, e: float = 0.5, regions: int = 4, topk: int = 4) -> None:
        super().__init__(c1, c2, n, e)
        for block in self.m:
            block.attn = BiLevelRoutingAttention(self.c, max(self.c // 64, 1), regions, topk)
