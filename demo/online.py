"""The demo's last word: one score asked of `lakehouse serve`, beside batch scoring's of the same flight."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.dbt.manifest import current_models
from lakehouse.delta.publications import published_version
from lakehouse.delta.table import read_at
from lakehouse.errors import LakehouseError
from lakehouse.process import dying_with_us
from ml.data.columns import columns_of
from ml.model.bundle import Bundle, read_files
from ml.scoring.inference import with_scores
from ml.spec import load_spec
from ml.tracking.registry import CHAMPION, model_by_alias


@dataclass(frozen=True)
class OnlineScore:
    """A score that the service answered, with the bits of batch scoring's."""

    flight_id: str
    score: float
    milliseconds: float


def score_online(spark: SparkSession, spec_name: str, day: date) -> OnlineScore:
    """Score the first flight of a day in batch, and by a request with its published features.

    Raises:
        LakehouseError: the day has no flight, the service does not answer, or it answers other bits.
    """
    spec, models = load_spec(spec_name), current_models()
    columns = columns_of(models, spec.features_model)
    files = read_files(model_by_alias(spec.registered_model, CHAMPION).folder)
    features = published_version(spark, models.table(spec.features_model))
    row = (
        read_at(spark, features)
        .where(F.col(columns.partition) == F.lit(day))
        .orderBy(*columns.entity)
        .limit(1)
    )
    found, scored = row.collect(), with_scores(row, columns, files).collect()
    if not found:
        raise LakehouseError(f"{features} has no row of {day}", "was the day built and published?")
    given = {name: _plain(found[0][name]) for name in Bundle.from_files(files).encoding.features}
    with (
        _service(spec_name) as address,
        # No proxy of the environment's: the service is on this machine.
        httpx.Client(base_url=address, timeout=30, trust_env=False) as client,
    ):
        # The first request pays for what is loaded by it.
        _asked(client, spec_name, given)
        score, seconds = _asked(client, spec_name, given)
    flight, batch = str(found[0][columns.entity[0]]), float(scored[0]["score"])
    if score != batch:
        raise LakehouseError(
            f"{flight} is scored {score} online and {batch} in batch", "docs/serving.md says when bits differ"
        )
    return OnlineScore(flight_id=flight, score=score, milliseconds=seconds * 1000)


def _asked(client: httpx.Client, spec_name: str, given: dict[str, Any]) -> tuple[float, float]:
    """The score of one row by its values, and the seconds until it came."""
    started = time.perf_counter()
    answer = client.post(f"/v1/models/{spec_name}/predict", json={"features": [given]})
    seconds = time.perf_counter() - started
    if not answer.is_success:
        raise LakehouseError(f"the service answered {answer.status_code}: {answer.text[:500]}")
    return float(answer.json()["predictions"][0]["score"]), seconds


def _plain(value: Any) -> Any:
    """As JSON has it."""
    return float(value) if isinstance(value, Decimal) else value


@contextmanager
def _service(spec_name: str) -> Generator[str]:
    """`lakehouse serve` on a free port; gives its address.

    Raises:
        LakehouseError: it did not start.
    """
    command = [str(Path(sys.executable).with_name("lakehouse")), "serve", "--spec", spec_name, "--port", "0"]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            dying_with_us(command),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            # On loopback it needs no token, and this one is asked without.
            env={name: value for name, value in os.environ.items() if name != "LAKEHOUSE_SERVING_TOKEN"},
        ) as process,
    ):
        try:
            address = next((line.split()[1] for line in process.stdout or () if line.startswith("at ")), None)
            if address is None:
                errors.seek(0)
                raise LakehouseError(f"`lakehouse serve` did not start: {errors.read()[-2000:].strip()}")
            yield address
        finally:
            process.terminate()
