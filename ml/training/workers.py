"""Processes that train one network together, each on its share of every batch, over torch's gloo."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class Workers:
    """All workers, as one of them sees them; a process alone is one of one.

    Args:
        rank: which one this is; the first, 0, measures and keeps checkpoints.
        count: how many there are. With more than one, torch's default process group connects them.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def loss(self, logits: Tensor, labels: Tensor, batch_rows: int) -> Tensor:
        """This worker's part of a batch's mean loss; the parts of all workers add up to it.

        Args:
            logits, labels: `(rows,)`, of this worker's share.
            batch_rows: rows of the whole batch.
        """
        if self.count == 1:
            return nn.functional.binary_cross_entropy_with_logits(logits, labels)
        summed = nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
        return summed / batch_rows

    def add_gradients(self, network: nn.Module) -> None:
        """Give every worker the sum of all workers' gradients.

        In one piece, always of the same form: torch's DistributedDataParallel cuts its pieces anew after the
        first step, so that more than two workers would round otherwise after a resume.
        """
        if self.count == 1:
            return
        gradients = [each.grad for each in network.parameters() if each.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        parts = flat.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def sum(self, value: float) -> float:
        """The sum of all workers' values."""
        return value if self.count == 1 else self._agree(value, dist.all_reduce)

    def said_by_first(self, value: float) -> float:
        """The first worker's value, for all."""
        return value if self.count == 1 else self._agree(value, lambda tensor: dist.broadcast(tensor, 0))

    @staticmethod
    def _agree(value: float, how: Callable[[Tensor], object]) -> float:
        tensor = torch.tensor([value], dtype=torch.float64)
        how(tensor)
        return float(tensor)

    @contextmanager
    def own_random(self, seed: int, epoch: int) -> Generator[None]:
        """Random numbers of this worker's own for an epoch's dropout; what all have in common stays so."""
        if self.count == 1:
            yield
            return
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(np.random.SeedSequence([seed, epoch, self.rank]).generate_state(1)[0]))
            yield


ALONE = Workers()


class _SumOfAll(torch.autograd.Function):
    """The sum of all workers' tensors, for each; each one's gradient counts for all."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _summed(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _summed(gradient)


def _summed(tensor: Tensor) -> Tensor:
    total = tensor.detach().clone()
    dist.all_reduce(total)
    return total


class GlobalBatchNorm(nn.BatchNorm1d):
    """Batch norm by the statistics of all workers' rows; torch's own SyncBatchNorm refuses to work on a CPU.

    Its state has the names of the one it stands for.
    """

    def forward(self, input: Tensor) -> Tensor:
        """`(rows of this worker, features)` to the same shape."""
        if not self.training:
            return super().forward(input)
        wide = input.double()
        count = wide.new_tensor([len(wide)])
        sums = cast(Tensor, _SumOfAll.apply(torch.cat([wide.sum(0), (wide * wide).sum(0), count])))
        total, squares, rows = sums.split([self.num_features, self.num_features, 1])
        mean = total / rows
        variance = squares / rows - mean * mean
        self._track(mean.detach(), (variance * rows / (rows - 1)).detach())
        normed = ((wide - mean) / torch.sqrt(variance + self.eps)).to(input.dtype)
        return normed * self.weight + self.bias

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics, as nn.BatchNorm1d does."""
        assert self.running_mean is not None and self.running_var is not None  # noqa: S101
        assert self.num_batches_tracked is not None and self.momentum is not None  # noqa: S101
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)
