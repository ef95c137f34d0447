"""The published training set of this warehouse, as benchmarks of the model rooms need it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
from pyspark.sql import SparkSession

from lakehouse.dbt.manifest import DbtModels, current_models
from lakehouse.delta.table import location
from ml.data.columns import Columns
from ml.data.training_rows import InMemoryRows
from ml.data.training_set import Split, TrainingSet
from ml.encoding.arrow import ArrowTable
from ml.encoding.encode import Encoding
from ml.spec import Spec, load_spec
from ml.training.fit_bundle import learn_encoding
from ml.training.inputs import pin_published


@dataclass(frozen=True)
class Published:
    """A spec, its pinned training set, and where that lies."""

    spec: Spec
    models: DbtModels
    pinned: TrainingSet
    folder: Path

    @property
    def columns(self) -> Columns:
        """Of the training set, by role."""
        return self.pinned.columns

    def encoding(self, rows: ArrowTable) -> Encoding:
        """The shipped spec's, learned from all of these rows."""
        all_rows = np.ones(rows.num_rows, bool)
        parts = Split(all_rows, ~all_rows, self.pinned.as_of, self.pinned.as_of)
        return learn_encoding(self.spec, self.columns, InMemoryRows.of(rows, parts, self.columns))


def published(spark: SparkSession, without: Sequence[str] = (), as_of: date = date(2014, 1, 1)) -> Published:
    """What is published by now; run `make demo` first.

    Args:
        without: patterns of features to leave out.
    """
    spec, models = load_spec("arrival_delay"), current_models()
    pinned = pin_published(spark, spec, as_of, models)
    columns = replace(
        pinned.columns,
        numeric=_left(pinned.columns.numeric, without),
        categorical=_left(pinned.columns.categorical, without),
    )
    return Published(spec, models, replace(pinned, columns=columns), location(spark, pinned.table.name))


def _left(names: Sequence[str], without: Sequence[str]) -> tuple[str, ...]:
    """The names that no pattern matches."""
    return tuple(name for name in names if not any(fnmatch(name, pattern) for pattern in without))
