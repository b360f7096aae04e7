"""Layers of a network written out with loops, to hold the real ones against."""

import itertools

import torch


def literal_conv(x, weight, bias=None, padding=0, groups=1):
    """Convolution of stride 1 that keeps the map's size, over a border of zeros, with loops."""
    batch, _, height, width = x.shape
    outputs, inputs, *taps = weight.shape
    planes, kernel, first = x.tolist(), weight.tolist(), [0.0] * outputs if bias is None else bias.tolist()
    result = torch.zeros(batch, outputs, height, width, dtype=torch.float64)
    for n, o, h, w in itertools.product(range(batch), range(outputs), range(height), range(width)):
        total = first[o]
        for i, a, b in itertools.product(range(inputs), *map(range, taps)):
            row, column = h + a - padding, w + b - padding
            if 0 <= row < height and 0 <= column < width:
                total += kernel[o][i][a][b] * planes[n][o * groups // outputs * inputs + i][row][column]
        result[n, o, h, w] = total
    return result
