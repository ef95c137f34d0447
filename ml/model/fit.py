"""The training loop: whole-table tensors, averaged weights, early stopping, best weights kept."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ml.data.tensors import Tensors
from ml.evaluate import metrics
from ml.spec import TrainingSpec

SCORING_ROWS = 8192


@dataclass(frozen=True)
class Epoch:
    """What one pass over the data brought."""

    number: int
    train_loss: float
    validation: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class Fitted:
    """The history of a training; the network holds the best epoch's weights.

    Args:
        best: number of the epoch with the least validation log loss.
    """

    epochs: tuple[Epoch, ...]
    best: int


@contextmanager
def reproducible_torch(seed: int, threads: int) -> Generator[None]:
    """Fix torch's random numbers, threads and algorithms for a while: same data, same weights."""
    threads_before, strict_before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    settings: Any = torch.utils.deterministic
    filling = settings.fill_uninitialized_memory
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(True)
        # Would fill every new tensor with NaN first; nothing here reads memory that it did not write.
        settings.fill_uninitialized_memory = False
        try:
            yield
        finally:
            torch.set_num_threads(threads_before)
            torch.use_deterministic_algorithms(strict_before)
            settings.fill_uninitialized_memory = filling


class _Average:
    """An exponential moving average of a network's state; its memory grows with its steps, up to `decay`."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.state = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    def update(self, network: nn.Module) -> None:
        self.steps += 1
        weight = 1.0 - min(self.decay, self.steps / (self.steps + 10.0))
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                self.state[name].lerp_(tensor, weight)
            else:
                self.state[name].copy_(tensor)


def fit(
    network: nn.Module,
    train: Tensors,
    validation: Tensors,
    budget: TrainingSpec,
    progress: Callable[[str], None],
    on_epoch: Callable[[Epoch], None],
) -> Fitted:
    """Train a network in place; to be called within `reproducible_torch`.

    Args:
        on_epoch: called after each epoch, for logging.

    Returns:
        the history; the network holds the weights of its best epoch, averaged over the last steps.
    """
    batch_rows = min(budget.batch_size, len(train))
    steps = len(train) // batch_rows
    optimizer = torch.optim.AdamW(
        network.parameters(), budget.learning_rate, weight_decay=budget.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, budget.learning_rate, total_steps=steps * budget.epochs
    )
    average = _Average(network, budget.ema_decay)
    epochs: list[Epoch] = []
    best, best_state = 0, average.state
    for number in range(1, budget.epochs + 1):
        started = time.monotonic()
        loss = _one_epoch(network, train, batch_rows, optimizer, schedule, average)
        raw_state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        network.load_state_dict(average.state)
        scores = _score(network, validation)
        measured = metrics(validation.labels.numpy(), scores)
        epoch = Epoch(number, loss, measured, time.monotonic() - started)
        epochs.append(epoch)
        on_epoch(epoch)
        progress(
            f"epoch {number}/{budget.epochs}: loss {loss:.4f}, validation loss {measured['log_loss']:.4f}, "
            f"AUC {measured['auc']:.4f}, {epoch.seconds:.0f} s"
        )
        if best == 0 or measured["log_loss"] < epochs[best - 1].validation["log_loss"]:
            best = number
            best_state = {name: tensor.clone() for name, tensor in average.state.items()}
        elif number - best >= budget.patience:
            break
        network.load_state_dict(raw_state)
    network.load_state_dict(best_state)
    network.eval()
    return Fitted(tuple(epochs), best)


def _one_epoch(
    network: nn.Module,
    train: Tensors,
    batch_rows: int,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    average: _Average,
) -> float:
    network.train()
    order = torch.randperm(len(train))
    losses: list[Tensor] = []
    for start in range(0, len(train) - batch_rows + 1, batch_rows):
        rows = order[start : start + batch_rows]
        logits = network(train.numeric[rows], train.codes[rows])
        loss = nn.functional.binary_cross_entropy_with_logits(logits, train.labels[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        average.update(network)
        losses.append(loss.detach())
    return float(torch.stack(losses).mean())


def _score(network: nn.Module, rows: Tensors) -> npt.NDArray[np.float64]:
    network.eval()
    with torch.inference_mode():
        logits = [
            network(numeric, codes)
            for numeric, codes in zip(
                rows.numeric.split(SCORING_ROWS), rows.codes.split(SCORING_ROWS), strict=True
            )
        ]
    return torch.sigmoid(torch.cat(logits).double()).numpy()
