"""The state of a training after an epoch, as files: safetensors and JSON, never pickle."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from lakehouse.errors import LakehouseError

CHECKPOINT_VERSION = 1
STATE = "checkpoint.json"


@dataclass(frozen=True)
class Epoch:
    """What one pass over the data brought."""

    number: int
    train_loss: float
    validation: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class Checkpoint:
    """All that the epochs to come depend on; a training goes on from it to the same bits.

    Args:
        network, average: the network's state, and its moving average after `average_steps` steps.
        best: the averaged state after epoch `best_epoch`.
        optimizer: its tensors, as `parameter number.name`.
        optimizer_groups, schedule: their settings and positions, plain numbers and names.
        random: the state of torch's random numbers.
        epochs: those that are done.
    """

    network: dict[str, Tensor]
    average: dict[str, Tensor]
    average_steps: int
    best: dict[str, Tensor]
    best_epoch: int
    optimizer: dict[str, Tensor]
    optimizer_groups: list[dict[str, Any]]
    schedule: dict[str, Any]
    random: Tensor
    epochs: tuple[Epoch, ...]


_TENSORS = ("network", "average", "best", "optimizer")
_VALUES = ("average_steps", "best_epoch", "optimizer_groups", "schedule")


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the folder's checkpoint; a kill at any moment leaves the one before or this one, whole."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"{part}/{name}": tensor.contiguous()
        for part in _TENSORS
        for name, tensor in getattr(checkpoint, part).items()
    }
    content = save_tensors(tensors | {"random": checkpoint.random})
    name = f"epoch_{len(checkpoint.epochs)}.safetensors"
    state = {
        "checkpoint_version": CHECKPOINT_VERSION,
        "tensors": name,
        "tensors_sha256": hashlib.sha256(content).hexdigest(),
        "epochs": [asdict(epoch) for epoch in checkpoint.epochs],
    } | {value: getattr(checkpoint, value) for value in _VALUES}
    _write_at_once(folder / name, content)
    # From here on the state names the new tensors.
    _write_at_once(folder / STATE, json.dumps(_signed(state), indent=1).encode())
    for path in folder.glob("epoch_*.safetensors"):
        if path.name != name:
            path.unlink()


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The folder's checkpoint; None when no epoch has ended.

    Raises:
        LakehouseError: it is damaged, or was written by another version of this format.
    """
    path = folder / STATE
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = json.loads(path.read_text())
        if state["checkpoint_version"] != CHECKPOINT_VERSION:
            raise LakehouseError(
                f"the checkpoint {path} has format {state['checkpoint_version']}, "
                f"this code reads {CHECKPOINT_VERSION}",
                "resume it with the code that wrote it, or train again",
            )
        content = (folder / state["tensors"]).read_bytes()
        whole = (
            state["sha256"] == _signed(state)["sha256"]
            and state["tensors_sha256"] == hashlib.sha256(content).hexdigest()
        )
    except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
        raise _damaged(path) from error
    if not whole:
        raise _damaged(path)
    tensors = load_tensors(content)
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in _TENSORS}
    random = tensors.pop("random")
    for name, tensor in tensors.items():
        part, _, rest = name.partition("/")
        parts[part][rest] = tensor
    epochs = tuple(Epoch(**epoch) for epoch in state["epochs"])
    values = {value: state[value] for value in _VALUES}
    return Checkpoint(**parts, **values, random=random, epochs=epochs)


def _damaged(path: Path) -> LakehouseError:
    return LakehouseError(
        f"the checkpoint {path} is damaged: its hashes are not those of its content",
        "remove its folder to start this run over at its first epoch, or train again",
    )


def _signed(state: dict[str, Any]) -> dict[str, Any]:
    """The state with its own hash, which covers the tensors' hash, too."""
    unsigned = {name: value for name, value in state.items() if name != "sha256"}
    text = json.dumps(unsigned, sort_keys=True)
    return unsigned | {"sha256": hashlib.sha256(text.encode()).hexdigest()}


def _write_at_once(path: Path, content: bytes) -> None:
    scratch = path.with_name(f".{path.name}.writing")
    with scratch.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
