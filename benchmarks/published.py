"""The published training set of this warehouse, as benchmarks of the model rooms need it."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

from lakehouse.delta.publications import published_version
from lakehouse.delta.table import location
from ml.data.training_set import TrainingSet, training_set
from ml.dbt_models import DbtModels, current_models
from ml.spec import Spec, load_spec


@dataclass(frozen=True)
class Published:
    """A spec, its pinned training set, and where that lies."""

    spec: Spec
    models: DbtModels
    pinned: TrainingSet
    folder: Path


def published(spark: SparkSession, as_of: date = date(2014, 1, 1)) -> Published:
    """What is published by now; run `make demo` first."""
    spec, models = load_spec("arrival_delay"), current_models()
    table = published_version(spark, models.table(spec.training_model))
    pinned = training_set(table, models.columns(spec.training_model), as_of, spec.time_zone)
    return Published(spec, models, pinned, location(spark, table.name))
