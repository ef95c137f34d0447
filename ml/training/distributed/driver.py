"""Train with several workers on Spark: TorchDistributor runs this room's `worker` in a barrier stage."""

import re
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from pyspark.errors import PySparkException
from pyspark.ml.torch.distributor import TorchDistributor
from pyspark.sql import SparkSession

from lakehouse.engine.session import interrupt
from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress
from lakehouse.settings import settings
from ml.encoding.encode import Encoding
from ml.encoding.tensors import Tensors
from ml.model.bundle import Bundle
from ml.model.network import Shape
from ml.spec import TrainingSpec
from ml.training.checkpoint import Epoch
from ml.training.distributed.worker import read_result, read_said, write_task
from ml.training.loop import Fitted

# How often the first worker's progress is looked for.
LOOK_SECONDS = 0.5


def fit_on_workers(
    encoding: Encoding,
    shape: Shape,
    train: Tensors,
    validation: Tensors,
    budget: TrainingSpec,
    progress: Progress,
    on_epoch: Callable[[Epoch], None],
    checkpoints: Path | None,
) -> tuple[Bundle, Fitted]:
    """Train a network by `budget.workers` processes on the active Spark session's engine.

    They read encoded rows from a folder below the warehouse, and write there; on a cluster, all its machines
    must see that folder by the same path and have this package installed.

    Args:
        checkpoints: a folder that keeps a checkpoint; where it holds one, training goes on from it.

    Raises:
        LakehouseError: the engine has fewer cores than workers, or a worker failed.
    """
    _refuse_too_many(SparkSession.active(), budget.workers)
    parent = checkpoints or settings().mlflow_dir
    parent.mkdir(parents=True, exist_ok=True)
    if checkpoints is not None:
        # Workers of a killed process may live for seconds: without their folder they write no checkpoint.
        for abandoned in checkpoints.glob("workers-*"):
            shutil.rmtree(abandoned)
    with tempfile.TemporaryDirectory(prefix="workers-", dir=parent) as scratch:
        folder = Path(scratch)
        write_task(folder, encoding, shape, train, validation, budget, checkpoints)
        progress(f"starting {budget.workers} workers on Spark")
        _run(folder, budget.workers, progress, on_epoch)
        return read_result(folder)


def _run(folder: Path, workers: int, progress: Progress, on_epoch: Callable[[Epoch], None]) -> None:
    distributor = TorchDistributor(num_processes=workers, local_mode=False, use_gpu=False)
    distributor.logger.setLevel("WARNING")
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="torch-distributor") as pool:
        # It wants a script and hands `-m` to torchrun as well: no path has to be the same everywhere.
        running = pool.submit(distributor.run, "-m", "ml.training.distributed.worker", str(folder))
        offset, ended = 0, False
        try:
            while not ended:
                ended = bool(wait([running], timeout=LOOK_SECONDS).done)
                said, offset = read_said(folder, offset)
                for each in said:
                    if isinstance(each, Epoch):
                        on_epoch(each)
                    else:
                        progress(each)
        finally:
            if not ended:
                interrupt()
        try:
            running.result()
        except PySparkException as error:
            raise _failure(error, workers) from error


def _refuse_too_many(spark: SparkSession, workers: int) -> None:
    """On one machine, where no slots can come; a cluster is asked again by Spark for ten minutes."""
    local = re.fullmatch(r"local\[(\d+).*\]", str(spark.conf.get("spark.master")))
    if local and int(local[1]) < workers:
        raise LakehouseError(
            f"{workers} workers need as many cores at once, and the engine has {local[1]}",
            "lower `workers` in the spec's training part, or raise LAKEHOUSE_CORES and run `lakehouse down`",
        )


def _failure(error: PySparkException, workers: int) -> LakehouseError:
    return LakehouseError(
        f"training with {workers} workers failed: {str(error)[-3000:]}",
        "what was done up to its last epoch is kept: `lakehouse train --resume RUN_ID` goes on",
    )
