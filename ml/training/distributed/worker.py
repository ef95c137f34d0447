"""One worker of a training by several, as torchrun starts it.

    python -m ml.training.distributed.worker FOLDER

The folder, which all workers and who started them must see, holds what to train; the first worker
writes there what it has to say and, at last, the model.
"""

import ipaddress
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import torch.distributed as dist
from safetensors.torch import load_file, save_file

from lakehouse.errors import LakehouseError
from ml.encoding.encode import Encoding
from ml.encoding.tensors import Tensors
from ml.model.bundle import Bundle
from ml.model.network import Shape, TabularNetwork
from ml.spec import TrainingSpec
from ml.training.checkpoint import Checkpoint, Epoch, load_checkpoint, save_checkpoint
from ml.training.loop import Fitted, fit, reproducible_torch
from ml.training.workers import GlobalBatchNorm, Workers

_TASK, _ENCODING, _SAID, _FITTED, _MODEL = "task.json", "encoding.json", "said.jsonl", "fitted.json", "model"


def write_task(
    folder: Path,
    encoding: Encoding,
    shape: Shape,
    train: Tensors,
    validation: Tensors,
    budget: TrainingSpec,
    checkpoints: Path | None,
) -> None:
    """Write what the workers are to train; arguments as those of `fit`."""
    for name, rows in (("train", train), ("validation", validation)):
        # As they are, they lie column by column, which safetensors refuses.
        tensors = {part: tensor.contiguous() for part, tensor in rows.in_place()._asdict().items()}
        save_file(tensors, folder / f"{name}.safetensors")
    (folder / _ENCODING).write_text(encoding.to_json())
    task = {
        "budget": budget.model_dump(mode="json"),
        "shape": asdict(shape),
        "checkpoints": str(checkpoints) if checkpoints else None,
    }
    (folder / _TASK).write_text(json.dumps(task))
    (folder / _SAID).touch()


def read_said(folder: Path, offset: int) -> tuple[list[str | Epoch], int]:
    """What the first worker said since an offset: lines of progress and epochs; and the next offset."""
    with (folder / _SAID).open("rb") as file:
        file.seek(offset)
        content = file.read()
    # A line that is being written is read when it is whole.
    whole = content[: content.rfind(b"\n") + 1]
    said: list[str | Epoch] = []
    for line in whole.splitlines():
        entry: dict[str, Any] = json.loads(line)
        said.append(Epoch(**entry["epoch"]) if "epoch" in entry else str(entry["progress"]))
    return said, offset + len(whole)


def read_result(folder: Path) -> tuple[Bundle, Fitted]:
    """The trained model and its history."""
    fitted: dict[str, Any] = json.loads((folder / _FITTED).read_text())
    epochs = tuple(Epoch(**epoch) for epoch in fitted["epochs"])
    return Bundle.load(folder / _MODEL), Fitted(epochs, fitted["best"])


def work(folder: Path) -> None:
    """Train, together with the other workers that torchrun has started."""
    task: dict[str, Any] = json.loads((folder / _TASK).read_text())
    budget = TrainingSpec.model_validate(task["budget"])
    shape = Shape(**(task["shape"] | {"hidden": tuple(task["shape"]["hidden"])}))
    encoding = Encoding.from_json((folder / _ENCODING).read_text())
    # Mapped, not read: workers of one machine share the pages.
    train, validation = (
        Tensors.of(**load_file(folder / f"{name}.safetensors")) for name in ("train", "validation")
    )
    checkpoints = Path(task["checkpoints"]) if task["checkpoints"] else None
    done = load_checkpoint(checkpoints) if checkpoints else None
    workers = _join()
    tell = _teller(folder, workers)

    def keep(checkpoint: Checkpoint) -> None:
        if checkpoints is not None and workers.is_first:
            if not (folder / _TASK).exists():
                raise LakehouseError(f"{folder} is gone: this training was given up, or resumed by others")
            save_checkpoint(checkpoints, checkpoint)

    with reproducible_torch(budget.seed, budget.threads):
        network = TabularNetwork(encoding, shape, GlobalBatchNorm)
        fitted = fit(
            network,
            train,
            validation,
            budget,
            lambda text: tell({"progress": text}),
            lambda epoch: tell({"epoch": asdict(epoch)}),
            keep,
            done,
            workers,
        )
    if workers.is_first:
        Bundle(network, encoding, shape).save(folder / _MODEL)
        (folder / _FITTED).write_text(json.dumps(asdict(fitted)))
    dist.destroy_process_group()


def _join() -> Workers:
    first = os.environ["MASTER_ADDR"]
    if ipaddress.ip_address(first).is_loopback:
        # Gloo would listen on, and look for, the address of this machine's name.
        loopback = next(
            name
            for name, addresses in psutil.net_if_addrs().items()
            if any(each.address == "127.0.0.1" for each in addresses)
        )
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    dist.init_process_group("gloo")
    return Workers(dist.get_rank(), dist.get_world_size())


def _teller(folder: Path, workers: Workers) -> Callable[[dict[str, Any]], None]:
    def tell(entry: dict[str, Any]) -> None:
        if workers.is_first:
            with (folder / _SAID).open("a") as file:
                file.write(json.dumps(entry) + "\n")

    return tell


if __name__ == "__main__":
    work(Path(sys.argv[1]))
