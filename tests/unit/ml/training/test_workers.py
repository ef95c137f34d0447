"""Workers that train together, without Spark: the same as one process with the same batches."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from ml.encoding.encode import Encoding
from ml.encoding.tensors import Tensors
from ml.model.network import Shape, TabularNetwork
from ml.spec import TrainingSpec
from ml.training.checkpoint import load_checkpoint
from ml.training.distributed.worker import read_result, read_said, write_task
from ml.training.loop import Fitted, fit, reproducible_torch
from ml.training.workers import GlobalBatchNorm

ENCODING = Encoding({"wait": (-1.0, 0.0, 1.0), "wind": (-2.0, 2.0)}, {"origin": ("EWR", "JFK", "LGA")})
SHAPE = Shape((16, 8), 2, 3, 0.0, 0.0)
# An odd batch: the workers' shares are not of the same size.
BUDGET = TrainingSpec(
    epochs=3,
    patience=3,
    batch_size=51,
    learning_rate=0.02,
    weight_decay=0.01,
    ema_decay=0.9,
    threads=1,
    seed=5,
    workers=2,
)
State = dict[str, torch.Tensor]
WORKER = ("-m", "ml.training.distributed.worker")
# A worker that is killed as soon as it has written a checkpoint.
KILLED_WORKER = """
import os, signal, sys
from pathlib import Path
from ml.training.distributed import worker

def killed(folder, checkpoint, save=worker.save_checkpoint):
    save(folder, checkpoint)
    os.kill(os.getpid(), signal.SIGKILL)

worker.save_checkpoint = killed
worker.work(Path(sys.argv[1]))
"""
# The norm takes away what this bias adds: its gradient is rounding alone, which Adam makes as large as any,
# and the norm's running mean follows it. Rows in another order do the same to one process.
WITHOUT_EFFECT = {"of_pieces.bias", "norm.running_mean"}


def some_rows(count: int, seed: int) -> Tensors:
    random = torch.Generator().manual_seed(seed)
    numeric = torch.randn(count, 2, generator=random)
    labels = (numeric[:, 0] + torch.randn(count, generator=random) > 0.5).float()
    codes = torch.randint(0, 5, (count, 1), generator=random)
    # Column by column, as encoded rows lie.
    return Tensors.of(numeric.T.contiguous().T, codes, labels)


TRAIN, VALIDATION = some_rows(1200, 1), some_rows(400, 2)


def alone(shape: Shape) -> tuple[State, Fitted]:
    with reproducible_torch(BUDGET.seed, BUDGET.threads):
        network = TabularNetwork(ENCODING, shape)
        fitted = fit(network, TRAIN, VALIDATION, BUDGET, lambda _: None, lambda _: None)
    return network.state_dict(), fitted


def start(
    folder: Path, shape: Shape, checkpoints: Path | None, what: Sequence[str] = WORKER
) -> list[subprocess.Popen[str]]:
    """Two workers as torchrun would start them."""
    folder.mkdir()
    write_task(folder, ENCODING, shape, TRAIN, VALIDATION, BUDGET, checkpoints)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    return [
        subprocess.Popen(
            [sys.executable, *what, str(folder)],
            env=common | {"RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]


def together(folder: Path, shape: Shape, checkpoints: Path | None = None) -> tuple[State, Fitted]:
    for process in start(folder, shape, checkpoints):
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
    bundle, fitted = read_result(folder)
    return bundle.network.state_dict(), fitted


def losses(fitted: Fitted) -> list[float]:
    return [each.validation["log_loss"] for each in fitted.epochs]


def test_two_workers_equal_one_process_with_the_same_batches(tmp_path: Path) -> None:
    expected, single = alone(SHAPE)
    found, shared = together(tmp_path / "task", SHAPE)
    np.testing.assert_allclose(
        [each.train_loss for each in shared.epochs], [each.train_loss for each in single.epochs], rtol=1e-6
    )
    np.testing.assert_allclose(losses(shared), losses(single), rtol=1e-3)
    assert shared.best == single.best
    assert found.keys() == expected.keys()
    for name in expected.keys() - WITHOUT_EFFECT:
        torch.testing.assert_close(found[name], expected[name], atol=1e-6, rtol=1e-5, msg=name)
    said, _ = read_said(tmp_path / "task", 0)
    assert [each for each in said if not isinstance(each, str)] == list(shared.epochs)
    assert sum(isinstance(each, str) and "AUC 0." in each for each in said) == BUDGET.epochs


@pytest.mark.slow
def test_with_dropout_the_loss_falls_alike_and_a_killed_training_goes_on_to_the_same_bits(
    tmp_path: Path,
) -> None:
    shape = Shape((16, 8), 2, 3, 0.2, 0.1)
    _, single = alone(shape)
    whole, shared = together(tmp_path / "whole", shape)
    np.testing.assert_allclose(losses(shared), losses(single), atol=0.02)

    checkpoints = tmp_path / "checkpoints"
    first, second = start(tmp_path / "killed", shape, checkpoints, ("-c", KILLED_WORKER))
    assert first.wait(timeout=240) == -signal.SIGKILL
    assert second.wait(timeout=240) > 0, "it doesn't wait for one that is gone"
    kept = load_checkpoint(checkpoints)
    assert kept is not None
    assert len(kept.epochs) == 1
    resumed, history = together(tmp_path / "resumed", shape, checkpoints)
    assert losses(history) == losses(shared)
    assert all(torch.equal(resumed[name], tensor) for name, tensor in whole.items())


def test_global_batch_norm_of_one_worker_is_torchs(tmp_path: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        rows = 100.0 + torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
        ours, torchs = GlobalBatchNorm(4), torch.nn.BatchNorm1d(4)
        for _ in range(3):
            mine, theirs = (rows.clone().requires_grad_() for _ in range(2))
            (ours(mine) ** 3).sum().backward()
            (torchs(theirs) ** 3).sum().backward()
            torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-3, rtol=1e-3)
        for name, tensor in torchs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[name], tensor, msg=name)
    finally:
        torch.distributed.destroy_process_group()
