"""A network of YOLO's kind that finds a particle everywhere, whatever it is shown."""

import torch


def keep_busy(head):
    """Let a segmentation head find a small, filled particle at every anchor, with a score of one half."""
    with torch.no_grad():
        for branches in zip(head.cv2, head.cv3, head.cv4, strict=True):
            for branch in branches:
                branch[-1].weight.zero_()
            boxes, scores, coefficients = (branch[-1].bias for branch in branches)
            boxes.copy_(-2.0 * torch.arange(head.reg_max).repeat(4))
            scores.zero_()
            coefficients.fill_(1.0)
        head.proto.cv3.bn.bias.fill_(1.0)  # filled masks; Ultralytics drops empty ones
