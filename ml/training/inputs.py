"""What a training reads: a published version, its rows by part, and the manifest that pins them."""

import hashlib
from datetime import UTC, date, datetime

from pyspark.sql import SparkSession

from lakehouse.dbt.manifest import DbtModels
from lakehouse.delta.content_hash import content_hash
from lakehouse.delta.place import data_folder
from lakehouse.delta.publications import published_version
from lakehouse.progress import Progress
from ml.data.columns import columns_of
from ml.data.read import read_arrow
from ml.data.training_rows import TrainingRows
from ml.data.training_set import Parts, TrainingSet, check_split, read_spark, training_set, validation_month
from ml.encoding.arrow import ArrowTable
from ml.provenance.environment import code, environment
from ml.provenance.lineage import pin, pin_upstream
from ml.provenance.manifest import PROTOCOL_VERSION, Content, Manifest, SplitRecord
from ml.spec import Spec
from ml.training.fit_bundle import split_training_rows
from ml.training.leakage import refuse_leaks


def pin_published(spark: SparkSession, spec: Spec, as_of: date, models: DbtModels) -> TrainingSet:
    """The published version of the spec's training set, as it was known when a local day began."""
    table = published_version(spark, models.table(spec.training_model))
    return training_set(table, columns_of(models, spec.training_model), as_of, spec.time_zone)


def checked_rows(spark: SparkSession, spec: Spec, pinned: TrainingSet, progress: Progress) -> TrainingRows:
    """Rows by part; a feature that tells the label is refused."""
    progress(f"reading {pinned.table} as known on {pinned.as_of}")
    folder = data_folder(spark, pinned.table.name, pinned.table.version)
    rows = split_training_rows(folder, spec, pinned, *validation_month(pinned.as_of))
    check_split(pinned.as_of, rows.parts)
    refuse_leaks(spec, pinned.columns, rows.to_learn_from()[0], progress)
    return rows


def read_training_rows(spark: SparkSession, spec: Spec, pinned: TrainingSet) -> ArrowTable:
    """The columns that training needs, straight from the table's files, ordered by entity."""
    columns = pinned.columns
    names = (columns.partition, str(columns.label), *columns.features, *spec.segments)
    folder = data_folder(spark, pinned.table.name, pinned.table.version)
    return read_arrow(folder, pinned, names)


def training_manifest(
    spark: SparkSession,
    spec: Spec,
    pinned: TrainingSet,
    parts: Parts,
    models: DbtModels,
    code_archive: bytes,
) -> Manifest:
    """All it takes to read a training set again, or to rebuild it, and to prove that it is the same."""
    content = content_hash(read_spark(spark, pinned), pinned.columns.entity)
    return Manifest(
        protocol_version=PROTOCOL_VERSION,
        created_at=datetime.now(UTC),
        spec=spec,
        as_of=pinned.as_of,
        as_of_at=pinned.as_of_at,
        training_set=pin(spark, pinned.table, "published"),
        columns=pinned.columns,
        content=Content.of(content),
        upstream=pin_upstream(spark, spec.training_model, pinned.table, models),
        split=SplitRecord(
            train_rows=parts.train_rows,
            validation_rows=parts.validation_rows,
            validation_start=parts.validation_start,
            validation_end=parts.validation_end,
        ),
        seed=spec.training.seed,
        code=code(hashlib.sha256(code_archive).hexdigest()),
        environment=environment(spark, spec.training.threads),
    )
