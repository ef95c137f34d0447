"""The training loop: batches of encoded rows, averaged weights, early stopping, best weights kept."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress
from ml.encoding.tensors import Batch, EncodedRows
from ml.evaluation.metrics import metrics
from ml.spec import TrainingSpec
from ml.training.checkpoint import Checkpoint, Epoch
from ml.training.workers import ALONE, Workers

SCORING_ROWS = 8192
# Within a long epoch, how often its progress is told.
TOLD_EVERY_SECONDS = 10.0


@dataclass(frozen=True)
class Fitted:
    """The history of a training; the network holds the best epoch's weights.

    Args:
        best: number of the epoch with the least validation log loss; the last one if nothing validated.
    """

    epochs: tuple[Epoch, ...]
    best: int


class DivergedError(LakehouseError):
    """A training whose weights grew beyond all numbers."""

    def __init__(self, epoch: int, learning_rate: float) -> None:
        super().__init__(
            f"the training diverged: after epoch {epoch} the loss or the scores became NaN or infinite",
            f"choose a lower learning_rate than {learning_rate:g}",
        )


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
        self.state = _copy(network.state_dict())

    def update(self, network: nn.Module) -> None:
        self.steps += 1
        weight = 1.0 - min(self.decay, self.steps / (self.steps + 10.0))
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                self.state[name].lerp_(tensor, weight)
            else:
                self.state[name].copy_(tensor)


class _Training:
    """A network in training: all that changes from batch to batch, and its way into a checkpoint and back."""

    def __init__(self, network: nn.Module, budget: TrainingSpec, steps: int) -> None:
        self.network = network
        self.optimizer = torch.optim.AdamW(
            network.parameters(), budget.learning_rate, weight_decay=budget.weight_decay, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, budget.learning_rate, total_steps=steps * budget.epochs
        )
        self.average = _Average(network, budget.ema_decay)
        self.epochs: list[Epoch] = []
        self.best, self.best_state = 0, self.average.state

    def step(self, loss: Tensor, workers: Workers) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        workers.add_gradients(self.network)
        self.optimizer.step()
        self.schedule.step()
        self.average.update(self.network)

    def note(self, epoch: Epoch) -> None:
        """Add an epoch to the history, and keep its weights if it is the best so far, or none is measured."""
        self.epochs.append(epoch)
        is_measured = bool(epoch.validation)
        if self.best == 0 or not is_measured or _loss(epoch) < _loss(self.epochs[self.best - 1]):
            self.best, self.best_state = epoch.number, _copy(self.average.state)

    def checkpoint(self) -> Checkpoint:
        optimizer = self.optimizer.state_dict()
        return Checkpoint(
            network=self.network.state_dict(),
            average=self.average.state,
            average_steps=self.average.steps,
            best=self.best_state,
            best_epoch=self.best,
            optimizer={
                f"{parameter}.{name}": tensor
                for parameter, state in optimizer["state"].items()
                for name, tensor in state.items()
            },
            optimizer_groups=optimizer["param_groups"],
            schedule=self.schedule.state_dict(),
            random=torch.get_rng_state(),
            epochs=tuple(self.epochs),
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in checkpoint.optimizer.items():
            parameter, _, name = key.partition(".")
            state.setdefault(int(parameter), {})[name] = tensor
        self.network.load_state_dict(checkpoint.network)
        self.optimizer.load_state_dict({"state": state, "param_groups": checkpoint.optimizer_groups})
        self.schedule.load_state_dict(checkpoint.schedule)
        self.average.state, self.average.steps = _copy(checkpoint.average), checkpoint.average_steps
        self.best, self.best_state = checkpoint.best_epoch, checkpoint.best
        self.epochs = list(checkpoint.epochs)
        torch.set_rng_state(checkpoint.random)


def fit(
    network: nn.Module,
    train: EncodedRows,
    validation: EncodedRows,
    budget: TrainingSpec,
    progress: Progress,
    on_epoch: Callable[[Epoch], None],
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
    resume: Checkpoint | None = None,
    workers: Workers = ALONE,
) -> Fitted:
    """Train a network in place; to be called within `reproducible_torch`.

    Args:
        validation: chooses the best epoch; with no rows in it all are trained, and the last one is kept.
        on_epoch: called after each epoch, for logging.
        on_checkpoint: called after each epoch, before `on_epoch`; to be stored at once, its tensors go on
            changing.
        workers: those that train together; each calls this with the same arguments but for what is told.
        resume: go on from here, with the same rows, budget and network: to the same weights, bit for bit.

    Returns:
        the history; the network holds the weights of its best epoch, averaged over the last steps.

    Raises:
        DivergedError: an epoch's loss or scores become NaN or infinite.
    """
    batch_rows = min(budget.batch_size, len(train))
    steps = len(train) // batch_rows
    training = _Training(network, budget, steps)
    if resume is not None:
        training.restore(resume)
    spent: list[float] = []
    while len(training.epochs) < budget.epochs and len(training.epochs) - training.best < budget.patience:
        number = len(training.epochs) + 1
        started = time.monotonic()
        pace = _Pace(f"epoch {number}/{budget.epochs}", steps, budget.epochs - number, progress)
        batches = train.batches(batch_rows, workers.rank, workers.count)
        with workers.own_random(budget.seed, number):
            loss = _one_epoch(training, batches, batch_rows, workers, pace)
        if not np.isfinite(loss):
            raise DivergedError(number, budget.learning_rate)
        measured = _measured_by_first(training, validation, budget, workers)
        epoch = Epoch(number, loss, measured, time.monotonic() - started)
        training.note(epoch)
        if on_checkpoint is not None:
            on_checkpoint(training.checkpoint())
        on_epoch(epoch)
        spent.append(epoch.seconds)
        left = (budget.epochs - number) * sum(spent) / len(spent)
        progress(f"{_told(epoch, budget)}, {epoch.seconds:.0f} s, about {left:.0f} s left")
    network.load_state_dict(training.best_state)
    network.eval()
    return Fitted(tuple(training.epochs), training.best)


class _Pace:
    """Tells now and then how much of a long epoch is done, and how long all the rest takes at its pace."""

    def __init__(self, what: str, steps: int, epochs_after: int, progress: Progress) -> None:
        self.what, self.steps, self.epochs_after, self.progress = what, steps, epochs_after, progress
        self.started = self.told = time.monotonic()
        self.done = 0

    def step(self) -> None:
        self.done += 1
        now = time.monotonic()
        if now - self.told < TOLD_EVERY_SECONDS or self.done == self.steps:
            return
        self.told = now
        left = (now - self.started) / self.done * (self.steps * (self.epochs_after + 1) - self.done)
        self.progress(f"{self.what}: {self.done / self.steps:.0%} of its batches, about {left:.0f} s left")


def _one_epoch(
    training: _Training, batches: Iterator[Batch], batch_rows: int, workers: Workers, pace: _Pace
) -> float:
    training.network.train()
    losses: list[Tensor] = []
    for numeric, codes, labels in batches:
        logits = training.network(numeric, codes)
        loss = workers.loss(logits, labels, batch_rows)
        training.step(loss, workers)
        losses.append(loss.detach())
        pace.step()
    return workers.sum(float(torch.stack(losses).mean()))


def _told(epoch: Epoch, budget: TrainingSpec) -> str:
    told = f"epoch {epoch.number}/{budget.epochs}: loss {epoch.train_loss:.4f}"
    if not epoch.validation:
        return told
    return f"{told}, validation loss {_loss(epoch):.4f}, AUC {epoch.validation.get('auc', 0.0):.4f}"


def _measured_by_first(
    training: _Training, validation: EncodedRows, budget: TrainingSpec, workers: Workers
) -> dict[str, float]:
    """The first worker's metrics; of the others' only what says when to stop, which all must do at once."""
    if len(validation) == 0:
        return {}
    measured = _measure(training, validation, budget) if workers.is_first else {}
    return measured | {"log_loss": workers.said_by_first(measured.get("log_loss", 0.0))}


def _measure(training: _Training, validation: EncodedRows, budget: TrainingSpec) -> dict[str, float]:
    """The metrics of the averaged weights."""
    raw_state = _copy(training.network.state_dict())
    training.network.load_state_dict(training.average.state)
    labels, scores = _score(training.network, validation)
    if not np.isfinite(scores).all():
        raise DivergedError(len(training.epochs) + 1, budget.learning_rate)
    training.network.load_state_dict(raw_state)
    return metrics(labels, scores)


def _loss(epoch: Epoch) -> float:
    return epoch.validation["log_loss"]


def _copy(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def _score(network: nn.Module, rows: EncodedRows) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Labels and scores."""
    network.eval()
    labels: list[Tensor] = []
    logits: list[Tensor] = []
    with torch.inference_mode():
        for batch in rows.in_order(SCORING_ROWS):
            labels.append(batch.labels)
            logits.append(network(batch.numeric, batch.codes))
    return torch.cat(labels).numpy(), torch.sigmoid(torch.cat(logits).double()).numpy()
