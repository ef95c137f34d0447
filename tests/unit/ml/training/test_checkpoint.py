"""A training stopped after an epoch goes on from its checkpoint's files to the same bits."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import ml.training.loop
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT
from ml.encoding.encode import Encoding
from ml.encoding.tensors import Tensors
from ml.model.bundle import Bundle
from ml.model.network import Shape, TabularNetwork
from ml.reproduction.resume import DECIDING_CODE
from ml.spec import TrainingSpec
from ml.training.checkpoint import STATE, Checkpoint, load_checkpoint, save_checkpoint
from ml.training.loop import Fitted, fit, reproducible_torch

ENCODING = Encoding({"wait": (-1.0, 0.0, 1.0), "wind": (-2.0, 2.0)}, {"origin": ("EWR", "JFK", "LGA")})
# With dropout: its masks are part of what must go on.
SHAPE = Shape((8,), 2, 3, 0.2, 0.1)
EPOCHS = 12
BUDGET = TrainingSpec(
    epochs=EPOCHS,
    patience=2,
    batch_size=50,
    learning_rate=0.05,
    weight_decay=0.01,
    ema_decay=0.9,
    threads=1,
    seed=5,
)


class KilledError(Exception):
    """Stands for the process's end."""


def some_rows(count: int, seed: int) -> Tensors:
    random = torch.Generator().manual_seed(seed)
    numeric = torch.randn(count, 2, generator=random)
    labels = (numeric[:, 0] + torch.randn(count, generator=random) > 0.5).float()
    return Tensors.of(numeric, torch.randint(0, 5, (count, 1), generator=random), labels)


def train(
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
    resume: Checkpoint | None = None,
    seed: int = 5,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[bytes, Fitted]:
    with reproducible_torch(seed, 1):
        network = TabularNetwork(ENCODING, SHAPE)
        rows = some_rows(620, 1), some_rows(200, 2)
        fitted = fit(network, *rows, BUDGET, progress, lambda _: None, on_checkpoint, resume)
    return Bundle(network, ENCODING, SHAPE).to_files()["weights.safetensors"], fitted


def stop_after(epoch: int, folder: Path) -> None:
    def keep(checkpoint: Checkpoint) -> None:
        save_checkpoint(folder, checkpoint)
        if len(checkpoint.epochs) == epoch:
            raise KilledError

    with pytest.raises(KilledError):
        train(keep)


def history(fitted: Fitted) -> list[tuple[int, float, float]]:
    return [(each.number, each.train_loss, each.validation["log_loss"]) for each in fitted.epochs]


def test_a_training_goes_on_from_any_epoch_to_the_same_weights(tmp_path: Path) -> None:
    weights, fitted = train()
    assert fitted.best < len(fitted.epochs) < EPOCHS, "it stopped early, after its best epoch"
    for epoch in (1, fitted.best, len(fitted.epochs)):
        folder = tmp_path / str(epoch)
        stop_after(epoch, folder)
        # Another seed: nothing of it may reach what is resumed.
        again, resumed = train(resume=load_checkpoint(folder), seed=99)
        assert again == weights
        assert (history(resumed), resumed.best) == (history(fitted), fitted.best)


def test_one_checkpoint_is_kept_and_none_before_the_first_epoch_ended(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "none") is None
    stop_after(3, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [STATE, "epoch_3.safetensors"]


def test_a_kill_while_it_is_written_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(1, tmp_path)
    replace = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if target.name == STATE:
            raise KilledError
        return replace(self, target)

    with monkeypatch.context() as patched, pytest.raises(KilledError):
        patched.setattr(Path, "replace", killed)
        train(lambda checkpoint: save_checkpoint(tmp_path, checkpoint), load_checkpoint(tmp_path))
    assert (tmp_path / "epoch_2.safetensors").exists()
    kept = load_checkpoint(tmp_path)
    assert kept is not None
    assert len(kept.epochs) == 1


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    stop_after(1, tmp_path)
    state, tensors = tmp_path / STATE, tmp_path / "epoch_1.safetensors"
    content, text = bytearray(tensors.read_bytes()), state.read_text()
    content[-1] ^= 1
    tensors.write_bytes(content)
    with pytest.raises(LakehouseError, match="is damaged"):
        load_checkpoint(tmp_path)
    tensors.unlink()
    with pytest.raises(LakehouseError, match="is damaged"):
        load_checkpoint(tmp_path)

    stop_after(1, tmp_path)
    changed = json.loads(text)
    changed["average_steps"] += 1
    for damaged in (json.dumps(changed), text[:100]):
        state.write_text(damaged)
        with pytest.raises(LakehouseError, match="is damaged"):
            load_checkpoint(tmp_path)
    state.write_text(text.replace('"checkpoint_version": 1', '"checkpoint_version": 9'))
    with pytest.raises(LakehouseError, match="has format 9"):
        load_checkpoint(tmp_path)


def test_progress_tells_metric_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    train(progress=said.append)
    assert said[0].startswith(f"epoch 1/{EPOCHS}: loss 0.")
    assert "validation loss 0." in said[0]
    assert all(line.endswith("s left") for line in said)

    told_always: list[str] = []
    monkeypatch.setattr(ml.training.loop, "TOLD_EVERY_SECONDS", 0.0)
    train(progress=told_always.append)
    assert told_always[5].startswith(f"epoch 1/{EPOCHS}: 50% of its batches, about ")
    assert told_always[11].startswith(f"epoch 1/{EPOCHS}: loss ")


def test_the_code_that_decides_the_weights_lies_where_a_resume_looks_for_changes() -> None:
    assert [each for each in DECIDING_CODE if not (PROJECT_ROOT / each).exists()] == []
