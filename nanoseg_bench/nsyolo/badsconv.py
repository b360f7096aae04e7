"""Boundary-aware dynamic snake convolution, BADSConv (Algorithm 1, Eq. 2–13), and the plain DSConv beside it."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from ultralytics.nn.modules.conv import Conv

from .layout import to_channels_last, to_layout_of
from .snake import SnakeBranch, at_least_float32, sample_snakes

OFFSET_STD = 0.02
BAM_CHANNELS = 8

FUSION_RATE_FACTOR = 10.0
"""Learning rate of the fusion parameters α as a multiple of the network's.

Under the common rate α hardly leaves its start in a whole training, and the fusion stays an average. It is for
optimizers to apply; ``fusion_parameters`` names the group.
"""


def spatial_gradient(features: Tensor) -> Tensor:
    """Mean over the channels of the absolute forward differences along x and y (Eq. 4–6).

    Args:
        features: (N, C, H, W).

    Returns:
        (N, 1, H, W); the last row and column repeat the ones before. Zero along an axis one pixel long.
    """
    # Not torch.diff: Ultralytics' ONNX exporter does not know it.
    along_x = (features[:, :, :, 1:] - features[:, :, :, :-1]).abs().mean(1, keepdim=True)
    along_y = (features[:, :, 1:] - features[:, :, :-1]).abs().mean(1, keepdim=True)
    # There is nothing to replicate on an axis one pixel long.
    along_x = functional.pad(along_x, (0, 1, 0, 0), mode="replicate" if features.shape[3] > 1 else "constant")
    along_y = functional.pad(along_y, (0, 0, 0, 1), mode="replicate" if features.shape[2] > 1 else "constant")
    return along_x + along_y


def pooling_kernel() -> Tensor:
    """The mean of average pools of 3×3, 5×5 and 7×7 as one kernel (line 5 of Algorithm 1).

    Returns:
        (1, 1, 7, 7), float32, sums to one.
    """
    kernel = torch.zeros(1, 1, 7, 7)
    for size in (3, 5, 7):
        margin = (7 - size) // 2
        kernel[:, :, margin : 7 - margin, margin : 7 - margin] += 1 / (3 * size**2)
    return kernel


class DSConv(nn.Module):
    """Dynamic snake convolution along both axes beside a 3×3 convolution: BADSConv without its additions.

    Offsets Δ of all points come from one convolution (Eq. 3); a snake along x, one along y (Eq. 1, 9, 10) and a 3×3
    convolution (Eq. 11) read the map; a 1×1 convolution (Eq. 13) takes their mean. It is the ablation of the paper's
    Table S1: no boundary gain (Eq. 4–8) and fixed, equal weights in the fusion instead of Eq. 12, the rest as in
    BADSConv, whose weights at the start of training it shares for one seed. A variant that concatenates the branches,
    as is usual elsewhere, would have more parameters than BADSConv, against the paper.

    What the paper leaves open, and the choice made here:

    - Conv_off is not described. Here: one 3×3 convolution, weights of standard deviation 0.02; from zero, the boundary
      attention of BADSConv would start without a gradient.
    - Δ has 2K channels while a snake bends across its axis only. Here: the first K are Δx and bend the branch along y,
      the last K are Δy and bend the branch along x. The two of the centre points have no effect, since their sums are
      empty.
    - K is not given. Here: 5, the smallest that really accumulates.
    - The branches are Conv-BN-SiLU like every convolution of YOLO11, so that they fold for inference.

    (N, c1, H, W) becomes (N, c2, H, W), for any H and W from 1, in either memory format, which is kept. Under autocast
    in float16 or bfloat16, positions are float32 all the same, and a result differs from that in float32 by at most
    4 eps (1 + its size), eps being the precision's: 2^-10, 2^-7.

    Args:
        c1: Input channels.
        c2: Output channels.
        k: K, points of a snake, odd and at least 3.

    Raises:
        ValueError: ``k`` is even or below 3.
    """

    def __init__(self, c1: int, c2: int, k: int = 5) -> None:
        super().__init__()
        if k < 3 or k % 2 == 0:
            raise ValueError(f"a snake needs an odd number of points, at least 3; got k={k}")
        self.offset_conv = nn.Conv2d(c1, 2 * k, 3, padding=1)
        nn.init.normal_(self.offset_conv.weight, std=OFFSET_STD)
        nn.init.zeros_(self.offset_conv.bias)
        self.standard = Conv(c1, c2, 3)
        self.snake_x = SnakeBranch(c1, c2, k, "x")
        self.snake_y = SnakeBranch(c1, c2, k, "y")
        self.project = Conv(c2, c2, 1)

    def offsets(self, x: Tensor) -> Tensor:
        """Offsets of the snakes' points (Eq. 3).

        Args:
            x: (N, c1, H, W).

        Returns:
            (N, 2K, H, W), at least float32, pixels: Δx of the K points, then Δy.
        """
        return torch.tanh(at_least_float32(self.offset_conv(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x`` (N, c1, H, W) to (N, c2, H, W) (Eq. 3, 9–13)."""
        maps = to_channels_last(x)
        # Δx bends the snakes along y, Δy those along x.
        along_y, along_x = sample_snakes(maps, self.offsets(maps), ("y", "x"))
        fused = self._fuse(self.standard(maps), self.snake_x.strip(along_x), self.snake_y.strip(along_y))
        return to_layout_of(x, self.project(fused))

    def _fuse(self, standard: Tensor, along_x: Tensor, along_y: Tensor) -> Tensor:
        return (standard + along_x + along_y) / 3


class BADSConv(DSConv):
    """Boundary-aware dynamic snake convolution (Algorithm 1, Eq. 2–13).

    A DSConv whose offsets grow, up to twofold, where the map's gradient shows a boundary (Eq. 4–8), and whose branches
    are weighed by learnt weights (Eq. 12). Beyond what DSConv chooses:

    - Eq. 4–5 and lines 2–3 of Algorithm 1 give maps of different sizes, none of them H×W (and subtract the last row, as
      printed). Here: the forward difference, its last row and column replicated, which gives one value per pixel.
    - Line 5 averages pools of 3×3, 5×5 and 7×7 that Eq. 6 leaves out. Here: with stride 1 and replicated borders,
      written as one fixed 7×7 kernel, which is the same function without darker borders.
    - BAM is not described. Here: conv 3×3 (1→8), BN, ReLU, conv 1×1 (8→1), about a hundred parameters.
    - α starts at zero, equal weights, and is exempt from weight decay, which would pull it back there. It learns little
      at the network's learning rate: see ``fusion_parameters``.

    (N, c1, H, W) becomes (N, c2, H, W), for any H and W from 1, in either memory format, which is kept; the error under
    autocast is that of DSConv.

    Args:
        c1: Input channels.
        c2: Output channels.
        k: K, points of a snake, odd and at least 3.

    Raises:
        ValueError: ``k`` is even or below 3.
    """

    pooling: Tensor

    def __init__(self, c1: int, c2: int, k: int = 5) -> None:
        super().__init__(c1, c2, k)
        self.register_buffer("pooling", pooling_kernel(), persistent=False)
        # The random stream goes on as if BAM were not there: DSConvs in its place start from the same weights.
        with torch.random.fork_rng(devices=[]):
            self.bam = nn.Sequential(Conv(1, BAM_CHANNELS, 3, act=nn.ReLU()), nn.Conv2d(BAM_CHANNELS, 1, 1))
        # Ultralytics' optimizer builder spares parameters named so from weight decay, which would pull α to uniform.
        self.alpha_logit_scale = nn.Parameter(torch.zeros(3))

    @property
    def alpha(self) -> nn.Parameter:
        """The learnable fusion parameters α: standard branch, snake along x, snake along y."""
        return self.alpha_logit_scale

    def fusion_weights(self) -> Tensor:
        """The weights w of the three branches, (3,), positive, of sum one (Eq. 12)."""
        return self.alpha_logit_scale.softmax(0)

    def boundary_descriptor(self, x: Tensor) -> Tensor:
        """The pooled gradient map G (Eq. 4–6, line 5 of Algorithm 1), (N, 1, H, W)."""
        gradient = functional.pad(spatial_gradient(x), (3, 3, 3, 3), mode="replicate")
        return functional.conv2d(gradient, self.pooling.to(gradient.dtype))

    def boundary_attention(self, x: Tensor) -> Tensor:
        """The boundary attention A_b (Eq. 7), (N, 1, H, W), at least float32, in [0, 1]."""
        return torch.sigmoid(at_least_float32(self.bam(self.boundary_descriptor(x))))

    def offsets(self, x: Tensor) -> Tensor:
        """Offsets of the snakes' points, up to doubled where a boundary is likely (Eq. 3, 8).

        Args:
            x: (N, c1, H, W).

        Returns:
            (N, 2K, H, W), at least float32, pixels: Δx of the K points, then Δy.
        """
        return super().offsets(x) * (1 + self.boundary_attention(x))

    def _fuse(self, standard: Tensor, along_x: Tensor, along_y: Tensor) -> Tensor:
        # In the branches' own precision: on a GPU, a product of two precisions takes as long as a convolution.
        of_standard, of_x, of_y = self.fusion_weights().to(standard.dtype).unbind()
        return torch.addcmul(torch.addcmul(of_standard * standard, of_x, along_x), of_y, along_y)


def fusion_parameters(network: nn.Module) -> list[nn.Parameter]:
    """The fusion parameters α of every BADSConv in ``network``, in the order of its modules; empty where there is none.

    They belong in an optimizer group of their own, with the learning rate times ``FUSION_RATE_FACTOR`` and without
    weight decay, which would pull the fusion weights to uniform.
    """
    return [module.alpha for module in network.modules() if isinstance(module, BADSConv)]
