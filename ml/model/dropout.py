"""Dropout whose masks are random bytes."""

import torch
from torch import Tensor, nn

BYTE = 256


class Dropout(nn.Module):
    """As `torch.nn.Dropout`, but eight numbers' masks are drawn at once.

    Torch draws Bernoulli numbers one by one on any CPU but Intel's; for a wide input that took as long as the
    network's products. And these masks are the same on every CPU.

    Args:
        share: of the numbers, set to zero while training; to a 256th.

    >>> dropout = Dropout(0.5)
    >>> sorted(set(dropout(torch.ones(100)).tolist()))
    [0.0, 2.0]
    >>> dropout.eval()(torch.ones(3)).tolist()
    [1.0, 1.0, 1.0]
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        # Never all of them: a share just below 1 would else leave nothing, by a division by zero.
        self.dropped = min(round(share * BYTE), BYTE - 1)

    def forward(self, numbers: Tensor) -> Tensor:
        """Of the input's shape."""
        if not self.training or self.dropped == 0:
            return numbers
        words = torch.empty(-(-numbers.numel() // 8), dtype=torch.int64)
        drawn = words.random_(-(2**63), None).view(torch.uint8)[: numbers.numel()].view(numbers.shape)
        mask = torch.ge(drawn, self.dropped, out=torch.empty_like(numbers)).mul_(BYTE / (BYTE - self.dropped))
        # In the mask's memory where the mask is not needed again: a wide input is a large one.
        return numbers * mask if numbers.requires_grad else mask.mul_(numbers)
