"""Prototype masks at half of the network's resolution, for particles of a few pixels."""

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional
from ultralytics.nn.modules.block import Proto
from ultralytics.nn.modules.conv import Conv

STOCK_STRIDE = 4
"""Network pixels per prototype pixel in YOLO11."""

MASK_STRIDES = (2, STOCK_STRIDE)

_FACTOR = 2
"""From the stock stride to 2."""

_LAST = "proto.cv3."


class SubPixelConv(Conv):
    """A convolution to four times the channels, laid out as maps of twice the size (pixel shuffle).

    W. Shi et al., Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural
    network, CVPR 2016. (N, c1, H, W) becomes (N, c2, 2 H, 2 W).

    Args:
        c1: Input channels.
        c2: Output channels.
    """

    def __init__(self, c1: int, c2: int) -> None:
        super().__init__(c1, c2 * _FACTOR**2)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, normalise, activate, lay out."""
        return functional.pixel_shuffle(super().forward(x), _FACTOR)

    def forward_fuse(self, x: Tensor) -> Tensor:
        """The same where batch normalisation is folded into the convolution."""
        return functional.pixel_shuffle(super().forward_fuse(x), _FACTOR)


def refine(proto: Proto) -> None:
    """Make the prototypes of a stock head twice as fine, in place.

    They start as the coarse ones, each pixel repeated four times: a network that was trained at stride 4 gives the same
    masks, in steps, and can be trained on.
    """
    coarse = proto.cv3
    fine = SubPixelConv(coarse.conv.in_channels, coarse.conv.out_channels)
    fine.bn.eps, fine.bn.momentum, fine.act = coarse.bn.eps, coarse.bn.momentum, coarse.act
    fine.load_state_dict({name: _repeated(value) for name, value in coarse.state_dict().items()})
    proto.cv3 = fine


def refined_tensors(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a network at stride 4 as one at stride 2 takes them; all others, and those that fit, as they are.

    Args:
        given: By name, of any network.
        own: Those of the network that they are meant for.
    """

    def fitted(name: str, value: Tensor) -> Tensor:
        wanted = own.get(name)
        if wanted is None or _LAST not in name or value.ndim == 0 or wanted.shape == value.shape:
            return value
        repeated = _repeated(value)
        return repeated if repeated.shape == wanted.shape else value

    return {name: fitted(name, value) for name, value in given.items()}


def _repeated(value: Tensor) -> Tensor:
    """Each output channel four times, one after the other: the order in which pixel shuffle reads them."""
    return value.repeat_interleave(_FACTOR**2, dim=0) if value.ndim else value
